"""A local HTTP agent that we start ourselves: free port, ready check, restart after a crash, end with the engine."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
import anyio.abc
import httpx

from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.performing.child_process import ChildProcess, Launch, Lifeline, start_child

READY_S: Final = 30.0
"""From starting the program until it must answer."""

READY_POLL_S: Final = 0.05

LaunchAt = Callable[[int], Awaitable[Launch]]
"""How to start the program on a given port, its secrets read now."""


class Supervised:
    """One program. `port` starts it where it does not run; a crash is met by the next call."""

    def __init__(self, launch: LaunchAt, *, ready: str | None, lifeline: Lifeline, tasks: anyio.abc.TaskGroup) -> None:
        self._launch, self._ready, self._lifeline, self._tasks = launch, ready, lifeline, tasks
        self._lock = anyio.Lock()
        self._child: ChildProcess | None = None
        self._port = 0

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    def tail(self) -> str | None:
        """Last lines that it wrote."""
        return self._child.log.tail() if self._child is not None else None

    async def port(self) -> int:
        """The port that the program answers on. Raises AgentCallError (unreachable) where it does not become ready."""
        if self.pid is not None and not self._lock.locked():
            return self._port
        async with self._lock:
            if self.pid is None:
                await self._start()
            return self._port

    async def aclose(self) -> None:
        if self._child is not None:
            await self._child.stop()

    async def _start(self) -> None:
        if self._child is not None:
            await self._child.stop()
        self._port = _free_port()
        try:
            child = await start_child(await self._launch(self._port), lifeline=self._lifeline, pipes=False)
        except OSError as error:
            message = f"the agent's program does not start: {error.strerror or type(error).__name__}"
            raise AgentCallError("unreachable", message) from error
        ready = False
        try:
            if child.stdout is not None:
                self._tasks.start_soon(child.log.pump, child.stdout)
            with anyio.move_on_after(READY_S):
                ready = await self._answers(child)
        finally:
            if ready:
                self._child = child
            else:
                await child.stop()
        if not ready:
            ended = "" if child.returncode is None else f" (exit status {child.returncode})"
            raise AgentCallError("unreachable", f"the agent's program is not ready{ended}", stderr=child.log.tail())

    async def _answers(self, child: ChildProcess) -> bool:
        """Whether it answers; False once it has exited."""
        url = f"http://127.0.0.1:{self._port}"
        async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
            while child.returncode is None:
                try:
                    if self._ready is None:
                        stream = await anyio.connect_tcp("127.0.0.1", self._port)
                        await stream.aclose()
                        return True
                    async with client.stream("GET", url + self._ready) as response:  # its body is nobody's business
                        if response.status_code < 500:
                            return True
                except (OSError, httpx.HTTPError):
                    pass
                await anyio.sleep(READY_POLL_S)
        return False


def _free_port() -> int:
    """A port that is free now. The program binds it a moment later; one that lost the race does not become ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
