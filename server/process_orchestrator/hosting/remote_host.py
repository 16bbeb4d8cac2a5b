"""The door's end of the engine socket: the `Host` port over one connection. Sends once; `switching_host` re-sends."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
import msgspec
from anyio.streams.buffered import BufferedByteReceiveStream

from process_orchestrator import __version__
from process_orchestrator.core.errors import EngineError
from process_orchestrator.hosting.engine_address import connect, find_address
from process_orchestrator.hosting.refusals import no_text
from process_orchestrator.hosting.wire import (
    PROTOCOL,
    Answered,
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
    frame,
    read_frame,
    result_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.abc import ByteStream

    from process_orchestrator.core.facts.events import OutsideEvent
    from process_orchestrator.core.facts.specs import ProcessSpec
    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.core.facts.values import Ref
    from process_orchestrator.core.ports import (
        Bodies,
        DefinitionBody,
        EscalationQuery,
        EscalationRow,
        JournalRow,
        Page,
        ProcessQuery,
        ProcessRow,
        Proof,
    )

ANSWER_S: Final = 5.0
"""How long the engine may take over an answer, in seconds, beside what the request itself waits for."""


class DoorLostError(Exception):
    """The engine left in the middle of a request, which may or may not have been carried out."""


class RemoteHost:
    """The engine's host, seen from a door."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._unsent: dict[int, bytes] = {}
        self._turns: asyncio.Queue[int] = asyncio.Queue()
        self._asked: dict[int, asyncio.Future[Answered | None]] = {}
        self._number = 0
        self.lost = asyncio.Event()

    async def start(self, spec: ProcessSpec, bodies: Bodies) -> Process:
        return await self._ask(Start(spec=spec, bodies=bodies))

    async def deliver(
        self, process_id: str, event: OutsideEvent, bodies: Bodies, *, request_id: str, proof: Proof | None
    ) -> Process:
        return await self._ask(
            Deliver(process_id=process_id, event=event, bodies=bodies, request_id=request_id, proof=proof)
        )

    async def state(self, process_id: str) -> Process:
        return await self._ask(GetState(process_id=process_id))

    async def journal(self, process_id: str, *, after: int, limit: int) -> Page[JournalRow]:
        return await self._ask(GetJournal(process_id=process_id, after=after, limit=limit))

    async def processes(self, query: ProcessQuery) -> Page[ProcessRow]:
        return await self._ask(ListProcesses(query=query))

    async def escalations(self, query: EscalationQuery) -> Page[EscalationRow]:
        return await self._ask(ListEscalations(query=query))

    async def body(self, ref: Ref) -> bytes:
        return await self._ask(GetBody(ref=ref))

    async def definition(self, sha256: str) -> DefinitionBody:
        return await self._ask(GetDefinition(sha256=sha256))

    async def wait(self, process_id: str, *, since: int, timeout_s: float, settled: bool = False) -> Process:
        request = Wait(process_id=process_id, since=since, timeout_s=timeout_s, settled=settled)
        return await self._ask(request, longer_s=timeout_s)

    async def health(self) -> EngineHealth:
        return await self._ask(GetHealth())

    async def _ask(self, request: AnyRequest, *, longer_s: float = 0.0) -> Any:
        """Send a request and wait for its answer. Raises DoorLostError, EngineError, or the error that came back."""
        if self.lost.is_set():
            raise DoorLostError
        self._number += 1
        number = self._number
        try:
            self._unsent[number] = frame(Asked(number=number, request=request))
        except UnicodeEncodeError as error:
            raise no_text(error) from error
        answered = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._turns.put_nowait(number)
            with anyio.fail_after(ANSWER_S + longer_s):
                answer = await answered
        except TimeoutError:
            raise unavailable() from None
        finally:
            del self._asked[number]
            self._unsent.pop(number, None)
        if answer is None:
            raise DoorLostError
        return result_of(request, answer)

    async def send_requests(self) -> None:
        """Send what is asked until the engine leaves, each request whole or not at all.

        Not the caller's own task: one that gave up in the middle of a frame would make nonsense of all that follow.
        """
        try:
            while True:
                data = self._unsent.pop(await self._turns.get(), None)
                if data is not None:  # else its caller gave up before it was begun
                    await self._stream.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        finally:
            self._end()

    async def read_answers(self, buffered: BufferedByteReceiveStream) -> None:
        """Hand answers to those who wait, until the engine leaves."""
        try:
            while True:
                answered = msgspec.msgpack.decode(await read_frame(buffered), type=Answered)
                waiting = self._asked.get(answered.number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answered)
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        finally:
            self._end()

    def _end(self) -> None:
        """The engine has left: all who wait learn it."""
        self.lost.set()
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_result(None)


def unavailable() -> EngineError:
    return EngineError(
        "ENGINE_UNAVAILABLE",
        f"ENGINE_UNAVAILABLE: the engine of this home did not answer within {ANSWER_S:g} s. "
        "Do: try again; if it stays so, quit the program that runs it.",
    )


@asynccontextmanager
async def remote_host(state: Path) -> AsyncGenerator[RemoteHost]:
    """A door to the engine of a state folder for the life of this context.

    Raises DoorLostError where nobody listens, EngineError for an engine of a foreign protocol or one that is mute.
    """
    address = find_address(state)
    if address is None:
        raise DoorLostError
    try:
        stream = await connect(address)
    except OSError:
        raise DoorLostError from None
    async with stream:
        buffered = BufferedByteReceiveStream(stream)
        await _greet(stream, buffered, token=address.token)
        host = RemoteHost(stream)
        # No task group: it would wrap what the caller's body raises. Joined below, whatever happens.
        both_ways = [asyncio.create_task(work) for work in (host.send_requests(), host.read_answers(buffered))]
        try:
            yield host
        finally:
            for way in both_ways:
                way.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait(both_ways)


async def _greet(stream: ByteStream, buffered: BufferedByteReceiveStream, *, token: str) -> None:
    try:
        with anyio.fail_after(ANSWER_S):
            await stream.send(frame(Hello(pid=os.getpid(), token=token)))
            engine = msgspec.msgpack.decode(await read_frame(buffered), type=Hello)
    except TimeoutError:
        raise unavailable() from None
    except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
        raise DoorLostError from None
    if engine.protocol != PROTOCOL:
        raise EngineError(
            "ENGINE_VERSION",
            f"ENGINE_VERSION: engine {engine.version} (pid {engine.pid}) holds this home, this is {__version__}. "
            f"Do: quit the assistant fully, or use the {engine.version} command.",
        )


async def engine_health(state: Path) -> EngineHealth | None:
    """How the engine of a state folder is; None where none drives. Raises EngineError for a mute one."""
    try:
        async with remote_host(state) as engine:
            return await engine.health()
    except DoorLostError:
        return None
