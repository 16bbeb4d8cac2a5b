"""Programs that we start: own process group, listed environment, stderr kept, none left behind.

Two kinds use it: MCP agents over stdio, and local HTTP agents that we supervise. It knows nothing of what they speak.
`Lifeline` is the watchman that ends every child when the engine is gone, even after kill -9.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import anyio
import anyio.abc
import anyio.to_thread

from process_orchestrator.core.limits import ChildLimits
from process_orchestrator.performing.child_limits import hold

ENVIRONMENT_KEPT: Final = (
    "HOME LOGNAME PATH SHELL TERM USER"
    if sys.platform != "win32"
    else "APPDATA HOMEDRIVE HOMEPATH LOCALAPPDATA PATH PATHEXT PROCESSOR_ARCHITECTURE SYSTEMDRIVE SYSTEMROOT TEMP "
    "USERNAME USERPROFILE"
).split()
"""What a child sees of our environment beside what its file lists: no secret of ours."""

TOKEN_NAME: Final = "PROCESS_ORCHESTRATOR_ENGINE"  # noqa: S105 - a name, no secret
"""Names the engine that started a child, so that the watchman finds one that left its group."""

KILL_GRACE_S: Final = 2.0
"""From asking a child to end until it is killed."""

LOG_BYTES_MAX: Final = 1_000_000
TAIL_LINES: Final = 20
TAIL_LINE_CHARACTERS: Final = 500
STDERR_LINE_BYTES_MAX: Final = 8192
STDERR_BYTES_PER_S_MAX: Final = 1_000_000
"""Read no faster: who writes without end waits at its own pipe, and does not take the time of its neighbours."""


class ChildLog:
    """stderr of one agent: a file that rotates once, and its last lines as evidence. Secrets are masked in both."""

    def __init__(self, path: Path, *, mask: Callable[[str], str]) -> None:
        self.path, self._mask = path, mask
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)

    def masked(self, text: str) -> str:
        return self._mask(text)

    def forget(self) -> None:
        """Begin the evidence anew: a call starts and no other is under way."""
        self._tail.clear()

    def tail(self) -> str | None:
        return "\n".join(self._tail) or None

    async def pump(self, stream: anyio.abc.ByteReceiveStream) -> None:
        """Write lines until the stream ends. A line over its cap is cut where it stands."""
        rest, since, count = b"", anyio.current_time(), 0
        with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
            while True:
                if count > STDERR_BYTES_PER_S_MAX:
                    await anyio.sleep(max(0.0, since + 1.0 - anyio.current_time()))
                if anyio.current_time() >= since + 1.0:
                    since, count = anyio.current_time(), 0
                chunk = await stream.receive(STDERR_LINE_BYTES_MAX)
                count += len(chunk)
                lines = (rest + chunk).split(b"\n")
                rest = lines.pop()
                if len(rest) >= STDERR_LINE_BYTES_MAX:
                    lines, rest = [*lines, rest], b""
                if lines:
                    await self._keep(lines)
        if rest:
            await self._keep([rest])

    async def _keep(self, lines: Sequence[bytes]) -> None:
        shown = [self._mask(line.decode(errors="replace")) for line in lines]
        self._tail.extend(line[:TAIL_LINE_CHARACTERS] for line in shown)
        with suppress(OSError):  # a full disk must not stop the agent: its last lines are kept in memory
            await anyio.to_thread.run_sync(self._write, "\n".join(shown) + "\n")

    def _write(self, text: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and self.path.stat().st_size + len(text) > LOG_BYTES_MAX:
            self.path.replace(self.path.with_suffix(".log.1"))
        with self.path.open("a", encoding="utf-8", errors="replace") as file:
            file.write(text)


class Lifeline:
    """The watchman's other end: started with the first child, told of each, closed with the engine."""

    def __init__(self) -> None:
        self.token = secrets.token_hex(16)
        self.children: set[ChildProcess] = set()  # started and not stopped
        self._watchman: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()  # agents start beside each other, each from a thread of its own

    def start(self) -> None:
        """Start the watchman; blocks for a fork. Windows has none: there a child ends when its stdin does."""
        with self._starting:
            if self._watchman is None and sys.platform != "win32":
                self._watchman = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        program = Path(__file__).with_name("lifeline_program.py")
        watchman = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-I", "-S", str(program), TOKEN_NAME, self.token],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={},
            cwd="/",
        )
        if watchman.stdin is not None:  # a full pipe must not stop the event loop; its lines are few and short
            os.set_blocking(watchman.stdin.fileno(), False)
        return watchman

    def add(self, pid: int) -> None:
        self._tell(f"+{pid}\n")

    def remove(self, pid: int) -> None:
        self._tell(f"-{pid}\n")

    def _tell(self, line: str) -> None:
        stdin = self._watchman.stdin if self._watchman is not None else None
        if stdin is not None and not stdin.closed:  # an agent that was being opened may end after the engine did
            with suppress(OSError):
                os.write(stdin.fileno(), line.encode())

    def close(self) -> None:
        """End the watchman, which kills what is left. Blocks for milliseconds."""
        if self._watchman is None:
            return
        if self._watchman.stdin is not None:
            self._watchman.stdin.close()
        try:
            self._watchman.wait(KILL_GRACE_S)
        except subprocess.TimeoutExpired:
            self._watchman.kill()
            self._watchman.wait()
        self._watchman = None


class Launch:
    """What a child is started with, all references resolved. `argv` is no shell line."""

    __slots__ = ("argv", "cwd", "env", "limits", "log")

    def __init__(
        self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: ChildLog, limits: ChildLimits
    ) -> None:
        self.argv, self.cwd, self.env, self.log, self.limits = tuple(argv), cwd, dict(env), log, limits


class ChildProcess:
    """One running child. Made by `start_child`; ended by `stop`, which leaves nothing of its group."""

    def __init__(self, process: anyio.abc.Process, *, lifeline: Lifeline, log: ChildLog) -> None:
        self._process, self._lifeline, self.log = process, lifeline, log

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    @property
    def stdin(self) -> anyio.abc.ByteSendStream | None:
        return self._process.stdin

    @property
    def stdout(self) -> anyio.abc.ByteReceiveStream | None:
        return self._process.stdout

    @property
    def stderr(self) -> anyio.abc.ByteReceiveStream | None:
        return self._process.stderr

    async def wait(self, timeout_s: float, *, poll_s: float = 0.01) -> bool:
        """Whether it has ended within the time.

        Polls: on asyncio `Process.wait` also waits for its pipes, which a grandchild may hold open.
        """
        deadline = anyio.current_time() + timeout_s
        while self._process.returncode is None:
            if anyio.current_time() >= deadline:
                return False
            await anyio.sleep(poll_s)
        return True

    async def stop(self, grace_s: float = KILL_GRACE_S) -> None:
        """Close its stdin, wait, ask it to end, wait, kill the group. Bounded by the grace, cancelled or not.

        A program that we never wrote to is asked at once: there is nothing that it could notice by itself.
        """
        with anyio.CancelScope(shield=True):
            heard = self._process.stdin is not None
            await _close(self._process.stdin)
            if not (heard and await self.wait(grace_s / 2)):
                self._signal(signal.SIGTERM)
                await self.wait(grace_s / 2 if heard else grace_s)
            self._signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
            await self.wait(1.0)
            self._lifeline.remove(self.pid)
            self._lifeline.children.discard(self)
            await _close(self._process.stdout)
            await _close(self._process.stderr)
            _close_transport(self._process)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self._process.send_signal(number)
            else:
                os.killpg(self.pid, number)


async def start_child(launch: Launch, *, lifeline: Lifeline, pipes: bool) -> ChildProcess:
    """Start a program; with `pipes` its stdin and stdout are ours, else stdout joins stderr in the log.

    Raises OSError where it cannot be started.
    """
    await anyio.to_thread.run_sync(lifeline.start)
    kept = {name: os.environ[name] for name in ENVIRONMENT_KEPT if name in os.environ}
    process = await anyio.open_process(
        launch.argv,
        stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if pipes else subprocess.STDOUT,
        cwd=launch.cwd,
        env={**kept, **launch.env, TOKEN_NAME: lifeline.token},
        start_new_session=sys.platform != "win32",
    )
    hold(process.pid, launch.limits)
    lifeline.add(process.pid)
    child = ChildProcess(process, lifeline=lifeline, log=launch.log)
    lifeline.children.add(child)
    return child


async def _close(stream: anyio.abc.AsyncResource | None) -> None:
    if stream is not None:
        with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            await stream.aclose()


def _close_transport(process: anyio.abc.Process) -> None:
    """Release asyncio's subprocess transport, which a surviving grandchild would otherwise keep open.

    Nothing public reaches it, hence the walk over attributes; absent ones are left alone.
    """
    transport = getattr(getattr(process, "_process", None), "_transport", None)
    close = getattr(transport, "close", None)
    if callable(close):
        with suppress(PermissionError):
            close()
