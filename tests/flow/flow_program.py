"""An engine over a folder, killed by tests at any moment: `flow_program.py FOLDER [TYPE INPUT]`.

Prints the process id once its start is acknowledged. Every call of an agent is one line in FOLDER/../effects.log,
flushed before it is answered; an agent answers at once where FOLDER/../go exists, else when it appears.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio

from flow.home import SYSTEM_CLOCK, Agents, open_flow
from flow.types_for_kills import LIST, PART, POLL, WHOLE
from process_orchestrator.core.ports import InProcessCall


async def main() -> None:
    folder = Path(sys.argv[1])
    log = os.open(folder.parent / "effects.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    async def add(arguments: dict[str, Any], told: InProcessCall) -> Any:
        os.write(log, f"{told.key}\n".encode())
        while not (folder.parent / "go").exists():
            await anyio.sleep(0.02)
        return {"total": arguments["amount"] + 1}

    async def look(_arguments: dict[str, Any], told: InProcessCall) -> Any:
        os.write(log, f"{told.key}\n".encode())
        return {"ready": "#3" in told.call, "percent": 1}

    agents = Agents(doing={"adder": add, "looker": look})
    async with open_flow(folder, PART, WHOLE, LIST, POLL, agents=agents, clock=SYSTEM_CLOCK) as flow:
        process = await flow.submit(sys.argv[2], json.loads(sys.argv[3])) if len(sys.argv) > 2 else "ready"
        sys.stdout.write(f"{process}\n")
        sys.stdout.flush()
        await anyio.sleep_forever()


anyio.run(main)
