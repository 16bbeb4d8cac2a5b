"""What the agent pool asks of a way to an agent, whatever the transport: one call in, one neutral reply out."""

from __future__ import annotations

import math
from typing import Any, Protocol

import anyio

from process_orchestrator.checking.documents.definitions import Contract
from process_orchestrator.core.facts.values import Effect, Fact
from process_orchestrator.core.limits import BODY_BYTES_MAX, BODY_DEPTH_MAX
from process_orchestrator.performing.answer import Reply


class AgentCall(Fact, frozen=True, kw_only=True):
    """One call, beside its arguments. `timeout_ms` counts from the moment that the agent has a free place."""

    process: str
    call: str
    contract: str  # name@version
    key: str
    timeout_ms: int
    output_bytes: int = BODY_BYTES_MAX
    depth: int = BODY_DEPTH_MAX
    delivery: int = 1  # how often this very call was handed out; over 1: an engine ended in the middle of it
    keyed: bool = False  # the contract takes the key: an HTTP agent also gets it as Idempotency-Key
    lineage: tuple[str, ...] = ()
    effect: Effect | None = None  # None: made by hand, compared with no pin
    keeps: Contract | None = None  # what is to be kept: told to a model, which knows no contract of its own


class Link(Protocol):
    """A live way to one agent, shared by concurrent calls. Opened by its first call."""

    @property
    def usable(self) -> bool:
        """False once it is lost for good; the pool then makes a new one."""
        ...

    @property
    def pid(self) -> int | None: ...

    async def open(self, timeout_s: float) -> None:
        """Make it ready ahead of its first call. What fails here is not told: the first call will meet it."""
        ...

    async def call(self, bind: dict[str, Any], arguments: dict[str, Any], call: AgentCall) -> Reply:
        """One call, within `call.timeout_ms`. Raises AgentCallError and nothing else."""
        ...

    async def aclose(self) -> None:
        """End it and all that it started, within the kill grace."""
        ...


def told_to_stop() -> bool:
    """Whether the cancellation that a call meets was ordered for it, by the core or for lack of time.

    An engine that stops breaks its calls off too, but does not order them to end: they are taken up at its next start.
    """
    return anyio.current_effective_deadline() == -math.inf
