"""The engine's end of the socket: answers doors from its host. Translates only; who may do what is the host's."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import asynccontextmanager
from hmac import compare_digest
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import msgspec
from anyio.streams.buffered import BufferedByteReceiveStream

from process_orchestrator.core.errors import EngineError, OrchestratorError
from process_orchestrator.hosting.engine_address import listen
from process_orchestrator.hosting.wire import (
    PROTOCOL,
    AnyRequest,
    Asked,
    Deliver,
    EngineHealth,
    GetBody,
    GetDefinition,
    GetHealth,
    GetJournal,
    GetState,
    Hello,
    ListEscalations,
    ListProcesses,
    Start,
    Wait,
    answer,
    frame,
    read_frame,
    refuse,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from anyio.abc import ByteStream

    from process_orchestrator.core.ports import Host

HELLO_S: Final = 5.0
"""How long a door may take to say who it is, in seconds."""
REQUESTS_MAX: Final = 256
"""Requests of one door that are answered at once; further ones are read later."""

FAULT: Final = (
    "ENGINE_UNAVAILABLE: the engine met a fault of its own. Do: try once more; what it says on stderr names the fault."
)

_log = logging.getLogger(__name__)


@asynccontextmanager
async def serve_doors(state: Path, host: Host, health: Callable[[], EngineHealth]) -> AsyncGenerator[None]:
    """Answer doors for the life of this context. The caller holds the engine lock."""
    failure: Exception | None = None
    async with listen(state) as (listener, token), anyio.create_task_group() as tasks:
        doors = _Doors(host, token, health)
        tasks.start_soon(listener.serve, doors.answer)
        try:
            yield
        except Exception as error:  # noqa: BLE001 - carried past the task group, which would wrap it
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


class _Doors:
    """Answers each door in tasks of its own."""

    def __init__(self, host: Host, token: str, health: Callable[[], EngineHealth]) -> None:
        self._host, self._health = host, health
        self._token = token

    async def answer(self, stream: ByteStream) -> None:
        """One door, until it leaves."""
        buffered = BufferedByteReceiveStream(stream)
        async with stream:
            try:
                with anyio.fail_after(HELLO_S):
                    hello = msgspec.msgpack.decode(await read_frame(buffered), type=Hello)
                await stream.send(frame(Hello(pid=os.getpid())))
                if hello.protocol != PROTOCOL or not compare_digest(hello.token, self._token):
                    return
                await _Door(self._host, stream, self._health).serve(buffered)
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, TimeoutError):
                return  # doors come and go
            except (ValueError, msgspec.DecodeError) as error:
                _log.warning("a door spoke no known language: %s", error)


class _Door:
    """One connection. Requests run beside each other; answers leave one at a time."""

    def __init__(self, host: Host, stream: ByteStream, health: Callable[[], EngineHealth]) -> None:
        self._host, self._health = host, health
        self._stream = stream
        self._sending = asyncio.Lock()
        self._places = asyncio.Semaphore(REQUESTS_MAX)

    async def serve(self, buffered: BufferedByteReceiveStream) -> None:
        async with anyio.create_task_group() as tasks:
            try:
                while True:
                    asked = msgspec.msgpack.decode(await read_frame(buffered), type=Asked)
                    await self._places.acquire()
                    tasks.start_soon(self._answer, asked)
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                pass  # the door left
            except (ValueError, msgspec.DecodeError) as error:
                _log.warning("a door spoke no known language: %s", error)
            tasks.cancel_scope.cancel()

    async def _answer(self, asked: Asked) -> None:
        try:
            data = answer(asked.number, await self._perform(asked.request))
        except OrchestratorError as error:
            data = refuse(asked.number, error)
        except Exception:  # noqa: BLE001 - the top of a door: a fault of one request must not end the engine of all
            _log.exception("%s failed", type(asked.request).__name__)
            data = refuse(asked.number, EngineError("ENGINE_UNAVAILABLE", FAULT))
        finally:
            self._places.release()
        try:
            async with self._sending:
                await self._stream.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # the door left before its answer

    async def _perform(self, request: AnyRequest) -> object:
        host = self._host
        match request:
            case Start(spec=spec, bodies=bodies):
                return await host.start(spec, bodies)
            case Deliver():
                return await host.deliver(
                    request.process_id,
                    request.event,
                    request.bodies,
                    request_id=request.request_id,
                    proof=request.proof,
                )
            case GetHealth():
                return self._health()
            case GetState(process_id=process_id):
                return await host.state(process_id)
            case GetJournal(process_id=process_id, after=after, limit=limit):
                return await host.journal(process_id, after=after, limit=limit)
            case ListProcesses(query=query):
                return await host.processes(query)
            case ListEscalations(query=query):
                return await host.escalations(query)
            case GetBody(ref=ref):
                return await host.body(ref)
            case GetDefinition(sha256=sha256):
                return await host.definition(sha256)
            case Wait(process_id=process_id, since=since, timeout_s=timeout_s, settled=settled):
                return await host.wait(process_id, since=since, timeout_s=timeout_s, settled=settled)
