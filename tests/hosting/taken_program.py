"""An engine whose state folder cannot be written for a while; what it and others saw, as one JSON object on stdout.

    taken_program.py FOLDER mount|rights

`mount`: FOLDER becomes a file system that is made read-only between two engines, since none can be under files that are
open for writing (in a mount namespace of its own: start it by `unshare`). `rights`: the rights to the state folder and
its files are taken away under a running engine (start it as a user whom rights bind).
"""

import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import anyio

from hosting.scripted import Script, chain, opened, run
from process_orchestrator.core.errors import OrchestratorError
from process_orchestrator.hosting.verification import verify


@contextmanager
def taken(folder: Path, how: str) -> Generator[None]:
    if how == "mount":
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    else:
        set_rights(folder / "state", of_files=0o400, of_folder=0o500)
    try:
        yield
    finally:
        if how == "mount":
            subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
        else:
            set_rights(folder / "state", of_files=0o600, of_folder=0o700)


def set_rights(state: Path, *, of_files: int, of_folder: int) -> None:
    state.chmod(0o700)
    for file in state.iterdir():
        file.chmod(of_files)
    state.chmod(of_folder)


async def an_engine(state: Path) -> str:
    """What an engine says that wants to start now."""
    try:
        async with opened(state, Script()) as host:
            return (await run(host, chain(1))).status.value
    except OrchestratorError as error:
        return str(error)


async def main() -> None:
    folder, how = Path(sys.argv[1]), sys.argv[2]
    if how == "mount":
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(folder)], check=True)
    state = folder / "state"
    state.mkdir(mode=0o700)
    seen: dict[str, object] = {}
    async with opened(state, Script()) as host:
        before = await run(host, chain(3))
        if how == "rights":
            with taken(folder, how):  # what is open stays open
                seen["under_a_running_engine"] = (await run(host, chain(2), key="meanwhile")).status.value
    with taken(folder, how):
        seen["an_engine"] = await an_engine(state)
        try:
            seen["verified_meanwhile"] = (await verify(state)).ok
        except OrchestratorError as error:
            seen["verified_meanwhile"] = str(error)
    async with opened(state, Script()) as host:
        seen["intact"] = await host.state(before.spec.process_id) == before
        seen["again"] = (await run(host, chain(1))).status.value
    seen["verified"] = (await verify(state)).ok
    sys.stdout.write(json.dumps(seen) + "\n")
    sys.stdout.flush()


os.umask(0o077)
anyio.run(main)
