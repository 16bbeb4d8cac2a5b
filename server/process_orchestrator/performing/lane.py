"""One agent's place in the pool: its link, circuit, turnstile, counts, and its watch. No call is made here."""

from __future__ import annotations

from typing import Final

import anyio

from process_orchestrator.checking.documents.definitions import Circuit, Transport
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import FailureClass
from process_orchestrator.performing.choice import WELL, Standing
from process_orchestrator.performing.circuit import COUNTED, Breaker, Ending, began, ended, state_of, wait_ms
from process_orchestrator.performing.links import Link
from process_orchestrator.performing.pin_watch import PinWatch
from process_orchestrator.performing.turnstile import Turnstile

RETIRE_S: Final = 600.0
"""Longest that a link of an earlier definition stays for the calls that run over it."""


class Way:
    """A link in use, made for one definition of its agent."""

    def __init__(self, link: Link, transport: Transport) -> None:
        self.link, self.transport = link, transport
        self.calls = 0
        self.retired = False
        self.idle = anyio.Event()

    def fits(self, transport: Transport) -> bool:
        return self.link.usable and (self.transport is transport or self.transport == transport)

    def leave(self) -> None:
        self.calls -= 1
        if self.retired and not self.calls:
            self.idle.set()

    async def retire(self) -> None:
        """End the link once its last call is over: a new definition does not cut off what runs under the old one."""
        self.retired = True
        if self.calls and self.link.usable:
            with anyio.move_on_after(RETIRE_S):
                await self.idle.wait()
        await self.link.aclose()


class Lane:
    """What the pool keeps of one agent."""

    def __init__(self, watch: PinWatch) -> None:
        self.lock, self.watch = anyio.Lock(), watch
        self.way: Way | None = None
        self.turnstile = Turnstile()
        self._breaker = Breaker()
        self.calls = self.failures = 0
        self.last_error: str | None = None

    def standing(self, rules: Circuit) -> Standing:
        """How the agent's circuit stands now."""
        if self._breaker.opened_at is None:
            return WELL
        now = _now_ms()
        return Standing(circuit=state_of(self._breaker, rules, now), circuit_wait_ms=wait_ms(self._breaker, rules, now))

    def check(self, rules: Circuit) -> None:
        """Raises AgentCallError (circuit_open) where no call may be made now."""
        if self._breaker.opened_at is None:
            return
        wait = wait_ms(self._breaker, rules, _now_ms())
        if wait:
            message = "the agent's circuit is open: too many calls in a row were not answered; nothing was sent"
            raise AgentCallError("circuit_open", message, retry_after_ms=wait)

    def begin(self, rules: Circuit) -> int:
        """A call begins now; the circuit's era to end it with. Raises as `check`."""
        self.check(rules)
        self._breaker, era = began(self._breaker)
        self.calls += 1
        return era

    def end(self, rules: Circuit, era: int, *, error: BaseException | None) -> None:
        """A call is over; None: with an answer."""
        if error is None or isinstance(error, AgentCallError):
            ending = Ending.FAILED if error is not None and _is_counted(error) else Ending.ANSWERED
        else:
            ending = Ending.BROKEN_OFF
        self._breaker = ended(self._breaker, rules, _now_ms(), era=era, ending=ending)


def _is_counted(error: AgentCallError) -> bool:
    """What will never work is no outage: waiting until the agent is back would hide it. Nor is work that takes long."""
    return (
        error.code in COUNTED
        and not error.answered
        and error.class_ not in {FailureClass.PERMANENT, FailureClass.DENIED}
    )


def _now_ms() -> int:
    """Of the clock that timeouts run by: it never goes back."""
    return int(anyio.current_time() * 1000)
