"""What a door and the engine say to each other: the `Host` port as messages, in length-prefixed frames.

Only shapes and their encoding. `engine_socket` is the engine's end, `remote_host` the door's. Proofs travel; levels of
assurance never do.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from process_orchestrator import __version__
from process_orchestrator.core.errors import (
    EngineError,
    OrchestratorError,
    RefusedError,
    StorageError,
    StorageFullError,
)
from process_orchestrator.core.facts.events import OutsideEvent
from process_orchestrator.core.facts.specs import ProcessSpec
from process_orchestrator.core.facts.state import Escalation, Process
from process_orchestrator.core.facts.values import Fact, Ref
from process_orchestrator.core.ports import (
    AgentHealth,
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

if TYPE_CHECKING:
    from anyio.streams.buffered import BufferedByteReceiveStream

PROTOCOL: Final = 1
"""Raised when an older door or engine could not follow."""
FRAME_BYTES_MAX: Final = 64_000_000
"""Largest message, in bytes: a process with thousands of map items and its plan."""
_NIL: Final = msgspec.Raw(b"\xc0")
_LENGTH: Final = struct.Struct(">I")


class Hello(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """The first frame of both sides. Its shape never changes, so that any two versions can name each other.

    Every field is written: who reads it is perhaps of another version, whose defaults are others.
    """

    protocol: int = PROTOCOL
    version: str = __version__
    pid: int = 0
    token: str = ""


class Request(Fact, frozen=True, kw_only=True, tag=True):
    """Root of all requests: one for each method of `Host`."""


class Start(Request, frozen=True, kw_only=True):
    spec: ProcessSpec
    bodies: Bodies


class Deliver(Request, frozen=True, kw_only=True):
    process_id: str
    event: OutsideEvent
    bodies: Bodies
    request_id: str
    proof: Proof | None


class GetState(Request, frozen=True, kw_only=True):
    process_id: str


class GetJournal(Request, frozen=True, kw_only=True):
    process_id: str
    after: int
    limit: int


class ListProcesses(Request, frozen=True, kw_only=True):
    query: ProcessQuery


class ListEscalations(Request, frozen=True, kw_only=True):
    query: EscalationQuery


class GetBody(Request, frozen=True, kw_only=True):
    ref: Ref


class GetDefinition(Request, frozen=True, kw_only=True):
    sha256: str


class Wait(Request, frozen=True, kw_only=True):
    process_id: str
    since: int
    timeout_s: float
    settled: bool = False


class GetHealth(Request, frozen=True, kw_only=True):
    pass


class EngineHealth(Fact, frozen=True, kw_only=True):
    """How an engine is. `storage` says why nothing can be written now; `head` is the newest durable chain link."""

    pid: int
    version: str = __version__
    rows: int
    head: str
    storage: str | None = None
    agents: tuple[AgentHealth, ...] = ()


AnyRequest: TypeAlias = (
    Start
    | Deliver
    | GetState
    | GetJournal
    | ListProcesses
    | ListEscalations
    | GetBody
    | GetDefinition
    | Wait
    | GetHealth
)


class Asked(Fact, frozen=True, kw_only=True):
    """One request; `number` comes back with its answer."""

    number: int
    request: AnyRequest


class WireError(Fact, frozen=True, kw_only=True):
    """An error of the port. `kind` names its class."""

    kind: str
    code: str
    message: str
    do: str = ""
    pointer: str | None = None
    record: Escalation | None = None
    details: dict[str, Any] = {}


class Answered(Fact, frozen=True, kw_only=True):
    number: int
    result: msgspec.Raw = _NIL  # raw bytes are copied as they are: nothing at all would break the message
    error: WireError | None = None


_RESULTS: Final[dict[type[Request], Any]] = {
    Start: Process,
    Deliver: Process,
    GetState: Process,
    GetJournal: Page[JournalRow],
    ListProcesses: Page[ProcessRow],
    ListEscalations: Page[EscalationRow],
    GetBody: bytes,
    GetDefinition: DefinitionBody,
    Wait: Process,
    GetHealth: EngineHealth,
}


def frame(message: Fact) -> bytes:
    """A message with its length before it. Raises RefusedError TOO_LARGE."""
    data = msgspec.msgpack.encode(message)
    if len(data) > FRAME_BYTES_MAX:
        raise RefusedError(
            "TOO_LARGE",
            f"a message of {len(data):,} bytes is over the {FRAME_BYTES_MAX:,} that door and engine exchange.",
            do="send less at once.",
        )
    return _LENGTH.pack(len(data)) + data


async def read_frame(stream: BufferedByteReceiveStream) -> bytes:
    """The next message. Raises anyio.IncompleteRead or EndOfStream at the end, ValueError for one that is too large."""
    (length,) = _LENGTH.unpack(await stream.receive_exactly(_LENGTH.size))
    if length > FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {length} bytes")
    return await stream.receive_exactly(length)


def answer(number: int, result: object) -> bytes:
    return frame(Answered(number=number, result=msgspec.Raw(msgspec.msgpack.encode(result))))


def refuse(number: int, error: OrchestratorError) -> bytes:
    return frame(Answered(number=number, error=_wire_error(error)))


def result_of(request: Request, answered: Answered) -> Any:
    """The result that belongs to a request. Raises the error that stands in its place."""
    if answered.error is not None:
        raise _error(answered.error)
    return msgspec.msgpack.decode(answered.result, type=_RESULTS[type(request)])


def _wire_error(error: OrchestratorError) -> WireError:
    if isinstance(error, RefusedError):
        return WireError(
            kind="refused",
            code=error.code,
            message=error.message,
            do=error.do,
            pointer=error.pointer,
            record=error.record,
            details=error.details,
        )
    kind = "storage_full" if isinstance(error, StorageFullError) else "storage"
    return WireError(kind="engine" if isinstance(error, EngineError) else kind, code=error.code, message=str(error))


def _error(error: WireError) -> OrchestratorError:
    match error.kind:
        case "refused":
            return RefusedError(
                error.code,
                error.message,
                do=error.do,
                pointer=error.pointer,
                record=error.record,
                details=error.details,
            )
        case "storage_full":
            return StorageFullError(error.message)
        case "storage":
            return StorageError(error.message)
        case _:
            return EngineError(error.code, error.message)
