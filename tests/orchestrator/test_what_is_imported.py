"""What an engine does not use is not loaded: memory and start-up are part of what it promises."""

import subprocess
import sys

ENGINE_ALONE = """
import anyio, sys, tempfile
from pathlib import Path
from process_orchestrator.assemble import Fleet, open_engine
from process_orchestrator.checking.loading.registry import Registry

async def main():
    folder = Path(tempfile.mkdtemp())
    async with open_engine(folder, Fleet(lambda: Registry.of([], [], []), home=folder)):
        print(*{"mcp", "httpx", "httpx2", "pydantic", "rich", "typer", "uvicorn", "starlette"} & set(sys.modules))

anyio.run(main)
"""


def test_an_engine_that_calls_no_agent_loads_no_transport_and_no_view() -> None:
    ran = subprocess.run([sys.executable, "-c", ENGINE_ALONE], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "", ran.stdout
