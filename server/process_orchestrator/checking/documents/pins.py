"""`agents.lock`: the live definitions of agents as a person accepted them, each whole and with its hash.

One entry for every tool, operation or skill that an agent of the registry is bound to. JSON, keys sorted, so that the
same pins are the same bytes and a changed description shows in a code review as what it is. Who fetches definitions
and what follows from a difference is not known here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
import rfc8785

from process_orchestrator.checking.documents.definitions import Agent
from process_orchestrator.checking.schemas.validate import parse_body
from process_orchestrator.core.errors import BodyError, RefusedError
from process_orchestrator.core.facts.values import Effect, Fact

Json = Any
Definition = dict[str, Json]

LOCK_FILE: Final = "agents_registry/agents.lock"
LOCK_BYTES_MAX: Final = 16_000_000
LOCK_DEPTH_MAX: Final = 128
DEFINITION_BYTES_MAX: Final = 512_000
"""Of one live definition; a longer one is not pinned."""

FORMAT: Final = 1
_SAFE: Final = 2**53 - 1


class Pin(Fact, frozen=True, kw_only=True):
    """One live definition as it was accepted."""

    sha256: str
    definition: Definition


class Pins(Fact, frozen=True, kw_only=True):
    """All pins of a home. `broken` says why the file cannot be read; then nothing can be compared."""

    agents: dict[str, dict[str, Pin]] = {}
    broken: str | None = None

    def of(self, agent: str) -> Mapping[str, Pin]:
        return self.agents.get(agent, {})

    def pinned(self, agent: str) -> bool:
        return bool(self.agents.get(agent))

    def concern(self, agent: str) -> bool:
        """Whether anything is to be asked before this agent is called."""
        return self.broken is not None or self.pinned(agent)


DESCRIBED: Final = frozenset({"mcp_stdio", "mcp_http", "a2a"})
"""Kinds of agents that say themselves what they offer."""


class PinVerdict(StrEnum):
    """How a live definition stands to its pin."""

    SAME = "same"
    TEXT_CHANGED = "text_changed"
    COMPATIBLE = "compatible"
    BREAKING = "breaking"
    MISSING = "missing"


READ_GOES_ON: Final = frozenset({PinVerdict.SAME, PinVerdict.TEXT_CHANGED, PinVerdict.COMPATIBLE})
READS: Final = frozenset({Effect.NONE, Effect.READ})


class PinState(StrEnum):
    """What can be said of an agent's pins."""

    PINNED = "pinned"
    NOT_PINNED = "not pinned"
    NOT_COMPARABLE = "not comparable"  # nobody says what it offers
    UNREACHABLE = "unreachable"


def heaviest(verdicts: Iterator[PinVerdict] | tuple[PinVerdict, ...]) -> PinVerdict:
    """The worst of several; of none: the same."""
    order = tuple(PinVerdict)
    return max(verdicts, key=order.index, default=PinVerdict.SAME)


def document_of(agent: Agent) -> str | None:
    """The address of the OpenAPI document that an HTTP agent was imported from; None where there is none."""
    if agent.transport.kind != "http":
        return None
    origin = json.loads(agent.source.canonical or b"{}").get("x-imported")
    source = origin.get("source") if isinstance(origin, dict) and origin.get("from") == "openapi" else None
    return source if isinstance(source, str) and "://" in source else None


def state_of(agent: Agent, pins: Pins) -> PinState:
    """Whether an agent is pinned, without asking it."""
    if pins.pinned(agent.name):
        return PinState.PINNED
    described = agent.transport.kind in DESCRIBED or document_of(agent) is not None
    return PinState.NOT_PINNED if described else PinState.NOT_COMPARABLE


def bound_name(bind: Mapping[str, Json]) -> str | None:
    """Under which name what a `bind` leads to is pinned; None for what nobody describes."""
    for key in ("tool", "skill"):
        if isinstance(bind.get(key), str):
            return bind[key]
    path = bind.get("path")
    return f"{str(bind.get('method', 'GET')).upper()} {path}" if isinstance(path, str) else None


def bound_names(agent: Agent) -> tuple[str, ...]:
    """What an agent is bound to, by name, each once."""
    named = (bound_name(serve.bind) for serve in agent.serves)
    return tuple(sorted({name for name in named if name is not None}))


def pin(definition: Definition) -> Pin:
    """A pin of a live definition. Raises RefusedError (TOO_LARGE) for one that is too long to keep."""
    data = canonical(definition)
    if len(data) > DEFINITION_BYTES_MAX:
        raise RefusedError(
            "TOO_LARGE",
            f"the definition has {len(data)} bytes; at most {DEFINITION_BYTES_MAX} are pinned.",
            do="ask its owner for a shorter one.",
        )
    return Pin(sha256=sha256(data).hexdigest(), definition=definition)


def hash_of(definition: Definition) -> str:
    """Sha256 of the RFC 8785 form of a whole definition; of one that is too long to be pinned that of its length."""
    data = canonical(definition)
    return sha256(data if len(data) <= DEFINITION_BYTES_MAX else b"%d bytes" % len(data)).hexdigest()


def canonical(definition: Definition) -> bytes:
    """The RFC 8785 form. Its numbers are doubles, so an integer beyond 2^53 stands as the double that it is read as."""
    return rfc8785.dumps(_doubles(definition))


def _doubles(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _doubles(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_doubles(each) for each in value]
    return float(value) if type(value) is int and abs(value) > _SAFE else value


def read_pins(home: Path) -> Pins:
    """The pins of a home; none where it has no lock. Never raises: what cannot be read is `broken`."""
    path = home / LOCK_FILE
    try:
        if path.exists() and not path.is_file():  # a pipe would never end
            return Pins(broken="it is no regular file")
        with path.open("rb") as opened:
            data = opened.read(LOCK_BYTES_MAX + 1)
    except FileNotFoundError:
        return Pins()
    except OSError as error:
        return Pins(broken=f"it cannot be read: {error.strerror or type(error).__name__}")
    try:
        document = parse_body(data, max_bytes=LOCK_BYTES_MAX, depth=LOCK_DEPTH_MAX)
    except BodyError as error:
        return Pins(broken=f"it is no JSON of ours ({error.code}): {error.message}")
    try:
        lock = msgspec.convert(document, _Lock)
    except msgspec.ValidationError as error:
        return Pins(broken=f"it is no lock of this format: {error}")
    for agent, bound in lock.agents.items():
        for name, each in bound.items():
            if hash_of(each.definition) != each.sha256:
                return Pins(broken=f"the definition of {agent} {name} does not have the hash that stands beside it")
    return Pins(agents=lock.agents)


def write_pins(home: Path, pins: Pins) -> bool:
    """Put the lock in place, whole or not at all. False where it stands there already, byte for byte.

    Raises RefusedError where the system does not let us, or the lock would be too large to be read.
    """
    path, text = home / LOCK_FILE, lock_text(pins)
    data = text.encode()
    if len(data) > LOCK_BYTES_MAX:
        message = f"the lock would have {len(data)} bytes; at most {LOCK_BYTES_MAX} are read."
        raise RefusedError("TOO_LARGE", message, do="pin fewer agents, or ask for shorter definitions.")
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        if path.is_file() and path.read_bytes() == data:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            draft.write_bytes(data)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}."
        raise RefusedError("BAD_ARGUMENT", message, do="make the folder writable, then try again.") from error
    return True


def lock_text(pins: Pins) -> str:
    """The file: agents and what they are bound to by name, each with its hash and its whole definition."""
    agents = {
        agent: {name: {"sha256": each.sha256, "definition": each.definition} for name, each in bound.items()}
        for agent, bound in pins.agents.items()
    }
    document = {"lock": FORMAT, "about": ABOUT, "agents": agents}
    return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


ABOUT: Final = "Live definitions as a person accepted them; written by `orchestrator agents pin`. Commit it."


class _Lock(msgspec.Struct, kw_only=True):
    lock: int
    agents: dict[str, dict[str, Pin]]
    about: str = ""

    def __post_init__(self) -> None:
        if self.lock != FORMAT:
            message = f"format {self.lock}; this version reads format {FORMAT}"
            raise ValueError(message)
