"""The watchman of an engine's agents, run as its own small program: when the engine is gone, so are they.

Its standard input is a pipe that only the engine holds. Lines `+PID` and `-PID` tell which process groups live; the
end of the pipe, however it came, means that the engine has ended, and every group that is left is killed. On Linux it
then looks once more for processes that carry the engine's token in their environment: those that left their group, or
were started in the moment before the engine died. It imports nothing of the package, so that it starts in a few
milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path


def main() -> None:
    token = f"{sys.argv[1]}={sys.argv[2]}".encode()
    groups: set[int] = set()
    for line in sys.stdin.buffer:
        pid = int(line[1:])
        if line.startswith(b"+"):
            groups.add(pid)
        else:
            groups.discard(pid)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for _ in range(3):
        if not kill_marked(token):
            break


def kill_marked(token: bytes) -> int:
    """Kill every process that carries the token in its environment; how many there were. Linux; elsewhere none."""
    killed = 0
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if token in environment.read_bytes().split(b"\0"):
                os.kill(int(environment.parent.name), signal.SIGKILL)
                killed += 1
    return killed


if __name__ == "__main__":
    main()
