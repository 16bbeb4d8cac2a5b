"""An engine on a file system of its own that runs out of room; what it saw, as one JSON object on stdout.

    room_program.py FOLDER disk|limit|pages

`disk`: FOLDER becomes a file system of 4 MB, which is filled (in a mount namespace of its own: start it by `unshare`).
`limit`: no file of this program may grow. `pages`: the database may not.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import anyio

from hosting.scripted import Script, chain, finished, opened, resolution, run, spec, until
from process_orchestrator.core.errors import StorageFullError
from process_orchestrator.core.facts.commands import InvokeAgent
from process_orchestrator.core.facts.events import Event
from process_orchestrator.core.facts.specs import Gate
from process_orchestrator.core.facts.values import Assurance, Decision, Effect, Idempotency, Status
from process_orchestrator.core.ports import Bodies, Host
from process_orchestrator.hosting.verification import verify

WAITING = 20
UNSAFE = chain(2, effect=Effect.WRITE, idempotency=Idempotency.UNSAFE)


@contextmanager
def no_room(state: Path, how: str) -> Generator[None]:
    if how == "disk":
        ballast = state.parent / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                pass
        try:
            yield
        finally:
            ballast.unlink()
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((state / "orchestrator.db-wal").stat().st_size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def refused(ask: object) -> tuple[str, float]:
    began = time.monotonic()
    try:
        await ask  # type: ignore[misc]
    except StorageFullError as error:
        return str(error), time.monotonic() - began
    return "", 0.0


async def main() -> None:
    folder, how = Path(sys.argv[1]), sys.argv[2]
    if how == "disk":
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)], check=True)
    state = folder / "state"
    state.mkdir(mode=0o700)
    began, release = anyio.Event(), anyio.Event()
    calls: list[str] = []

    async def work(call: InvokeAgent, delivery: int) -> Event | None:
        if call.effect is Effect.WRITE:
            calls.append(f"{call.process} {call.call} {delivery}")
            if len(calls) == WAITING:
                began.set()
            await release.wait()
        return None

    seen: dict[str, object] = {}
    script = Script(work=work)
    async with opened(state, script) as host:
        before = await run(host, chain(3))
        asking = await parked(host, script)
        paused = [(await host.start(spec(UNSAFE), Bodies())).spec.process_id for _ in range(WAITING)]
        await began.wait()
        with no_room(state, how):
            release.set()
            event = resolution(f"{asking}.e1", Decision.APPROVE)
            tries = [await refused(host.start(spec(chain(1), key=f"k{number}"), Bodies())) for number in range(50)]
            tries += [await refused(host.deliver(asking, event, Bodies(), request_id="r", proof=None))]
            seen["refused"] = [said for said, _ in tries]
            seen["slowest_s"] = max(took for _, took in tries)
            seen["acknowledged_intact"] = await host.state(before.spec.process_id) == before
            seen["paused"] = [(await host.state(process)).status.value for process in paused]
        ended = [await finished(host, process) for process in paused]
        seen["ended"] = [state.status.value for state in ended]
        again = await run(host, chain(1), key="k1")
        await host.deliver(asking, event, Bodies(), request_id="r", proof=None)
        seen["again"] = [again.status.value, (await finished(host, asking)).status.value]
    seen["calls"] = len(calls)
    seen["delivered_again"] = [call for call in calls if not call.endswith(" 1")]
    report = await verify(state)
    seen["verified"] = report.ok
    sys.stdout.write(json.dumps(seen) + "\n")
    sys.stdout.flush()


async def parked(host: Host, script: Script) -> str:
    script.gate = Gate(role="approver", min_assurance=Assurance.A0)
    started = (await host.start(spec(chain(1)), Bodies())).spec.process_id
    await until(host, started, lambda seen: seen.status is Status.WAITING_HUMAN)
    script.gate = None
    return started


os.umask(0o077)
anyio.run(main)
