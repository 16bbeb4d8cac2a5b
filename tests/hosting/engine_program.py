"""A program that opens a state folder and does what its arguments say; killed by tests at any moment.

    engine_program.py STATE serve                     drive until killed
    engine_program.py STATE start COUNT STEPS         acknowledge COUNT starts on stdout, drive until killed
    engine_program.py STATE door COUNT                start COUNT processes one after the other, print each that ended

Every call of an agent is one line in STATE/../effects.log, flushed before it is answered.
"""

import os
import sys
from pathlib import Path

import anyio

from hosting.scripted import Script, chain, finished, opened, spec
from process_orchestrator.core.facts.commands import InvokeAgent
from process_orchestrator.core.facts.events import Event
from process_orchestrator.core.facts.values import Effect, Idempotency
from process_orchestrator.core.ports import Bodies, Host


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def scripted(state: Path) -> Script:
    log = os.open(state.parent / "effects.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    async def work(call: InvokeAgent, delivery: int) -> Event | None:
        os.write(log, f"{call.key} {call.call}\n".encode())
        return None

    return Script(work=work)


async def start(host: Host, count: int, steps: int) -> None:
    plan = chain(steps, effect=Effect.WRITE, idempotency=Idempotency.KEYED)
    for number in range(count):
        process = await host.start(spec(plan, key=str(number)), Bodies())
        say(process.spec.process_id)


async def be_a_door(host: Host, count: int) -> None:
    for number in range(count):
        process = await host.start(spec(chain(2), key=f"{os.getpid()} {number}"), Bodies())
        done = await finished(host, process.spec.process_id)
        say(f"{done.spec.process_id} {done.status}")


async def main() -> None:
    state, what, *numbers = sys.argv[1:]
    async with opened(Path(state), scripted(Path(state))) as host:
        say("ready")
        if what == "start":
            await start(host, *map(int, numbers))
        if what == "door":
            await be_a_door(host, int(numbers[0]))
            return
        await anyio.sleep_forever()


anyio.run(main)
