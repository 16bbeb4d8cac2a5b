"""What one agent offers now, beside what was pinned of it: fetched once per connection, notice and interval.

It stops a call whose definition changed behind our back, and says how it changed. Which changes a call survives is
`checking.live_change`'s; what a person may decide then is the core's. An agent without pins costs nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import anyio
import anyio.to_thread
from msgspec import UNSET

from process_orchestrator.checking.pins import LOCK_FILE, READS, Definition, Pin, Pins, PinVerdict, hash_of, heaviest
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import Effect
from process_orchestrator.performing.failure import clean

if TYPE_CHECKING:
    from process_orchestrator.checking.live_change import LiveChange

DRIFTED: Final = "drifted"
FETCH_S: Final = 10.0
"""Longest that an agent may take to say what it offers."""

CHANGES_SHOWN_MAX: Final = 20
JUDGED_KEPT: Final = 256


@runtime_checkable
class Describing(Protocol):
    """A link to an agent that can say what it offers."""

    @property
    def notices(self) -> int:
        """How often the agent has said that what it offers changed."""
        ...

    def subscribe(self, on_notice: Callable[[], None]) -> None:
        """Have `on_notice` called from now on when that changes, where the agent can tell."""
        ...

    async def open(self, timeout_s: float) -> None:
        """Make it ready; what fails is told by the next question."""
        ...

    async def definitions(self, timeout_s: float) -> Mapping[str, Definition]:
        """Everything that can be bound, by the name that it is bound by. Raises AgentCallError."""
        ...


class PinWatch:
    """One agent. `every_s`: how long a comparison holds while nothing is heard of a change; `mask` hides secrets."""

    def __init__(
        self, agent: str, *, every_s: float, mask: Callable[[Any], Any], on_notice: Callable[[], None]
    ) -> None:
        self._agent, self._every_s, self._mask, self._on_notice = agent, every_s, mask, on_notice
        self._fetching = anyio.Lock()
        self._link: Describing | None = None
        self._notices, self._at = 0, 0.0
        self._live: Mapping[str, Definition] = {}
        self._hashes: dict[str, str] = {}
        self._judged: dict[tuple[str, str], LiveChange] = {}

    async def allow(self, link: Describing, name: str, pins: Pins, *, effect: Effect, timeout_s: float) -> None:
        """Return where a call may be made, by what the agent offers now under `name`.

        Raises AgentCallError: `drifted` with the difference as its answer; `unreachable` where the agent does not say
        what it offers. Nothing was called then.
        """
        if pins.broken is not None:
            if effect not in READS:
                message = f"{LOCK_FILE} cannot be used, so nothing can be compared: {pins.broken}"
                raise AgentCallError(DRIFTED, clean(message), answer={"agent": self._agent, "lock": pins.broken})
            return
        pin = pins.of(self._agent).get(name)
        if pin is None:
            return
        begun = anyio.current_time()
        await self.refresh(link, timeout_s=timeout_s)
        change = await self._change(name, pin)
        if not change.allows(effect) and self._at < begun:  # it may have been put right since
            await self.refresh(link, timeout_s=timeout_s, at_least=begun)
            change = await self._change(name, pin)
        if not change.allows(effect):
            raise AgentCallError(DRIFTED, self._said(change), answer=evidence(self._agent, change))

    async def refresh(self, link: Describing, *, timeout_s: float, at_least: float | None = None) -> None:
        """Ask the agent what it offers, where that is due; `at_least`: where what is known is older than that."""
        if not self._due(link, at_least):
            return
        async with self._fetching:
            if not self._due(link, at_least):
                return
            link.subscribe(self._on_notice)
            await link.open(timeout_s)  # a first start may take longer than an answer
            notices, at = link.notices, anyio.current_time()
            try:
                live = await link.definitions(min(timeout_s, FETCH_S))
            except AgentCallError as error:
                if error.code == "unreachable":
                    raise
                message = f"the agent does not say what it offers, so its pin cannot be compared: {error.message}"
                raise AgentCallError("unreachable", message, stderr=error.stderr) from error
            self._link, self._notices, self._at = link, notices, at
            self._live = {name: self._mask(each) for name, each in live.items()}
            self._hashes.clear()

    def _due(self, link: Describing, at_least: float | None) -> bool:
        if at_least is not None:
            return self._at < at_least
        return (
            link is not self._link or link.notices != self._notices or anyio.current_time() - self._at >= self._every_s
        )

    async def judge(self, pins: Pins) -> None:
        """Compare everything that is pinned with what was fetched last."""
        if self._link is not None:
            for name, pin in pins.of(self._agent).items():
                await self._change(name, pin)

    def standing(self, pins: Pins) -> str | None:
        """How the agent stands to its pins as far as they were compared: a verdict, and what it is about."""
        pinned = pins.of(self._agent)
        if self._link is None or not pinned:
            return None
        judged = {name: self._judged.get(self._key(name, pin)) for name, pin in pinned.items()}
        verdicts = {name: change.verdict for name, change in judged.items() if change is not None}
        if len(verdicts) < len(pinned):
            return None
        worst = heaviest(tuple(verdicts.values()))
        changed = [name for name, verdict in verdicts.items() if verdict is worst]
        return worst.value if worst is PinVerdict.SAME else f"{worst.value}: {', '.join(changed)}"

    async def _change(self, name: str, pin: Pin) -> LiveChange:
        key = self._key(name, pin)
        if key not in self._judged:
            live = self._live.get(name)
            if len(self._judged) >= JUDGED_KEPT:
                self._judged.clear()
            # Of an agent that may mean harm: judged in a thread, so that the calls of others go on.
            self._judged[key] = await anyio.to_thread.run_sync(_compared, name, pin, live)
        return self._judged[key]

    def _key(self, name: str, pin: Pin) -> tuple[str, str]:
        if name not in self._hashes:
            live = self._live.get(name)
            self._hashes[name] = "" if live is None else hash_of(live)
        return pin.sha256, self._hashes[name]

    def _said(self, change: LiveChange) -> str:
        first = f": {change.changes[0].message}" if change.changes else ""
        gone = change.verdict is PinVerdict.MISSING
        what = "is not offered any more" if gone else f"changed since it was pinned{first}"
        return clean(f"{change.name} of {self._agent} {what} ({change.verdict}); nothing was called")


def _compared(name: str, pin: Pin, live: Definition | None) -> LiveChange:
    from process_orchestrator.checking.live_change import compare  # noqa: PLC0415 - 20 ms that only a pin pays

    return compare(name, pin, live)


def evidence(agent: str, change: LiveChange) -> dict[str, Any]:
    """A difference as a person reads it in an escalation."""
    return {
        "agent": agent,
        "name": change.name,
        "verdict": change.verdict.value,
        "changes": [
            {
                "judgement": each.judgement.value,
                "pointer": each.pointer,
                "message": each.message,
                **({} if each.witness is UNSET else {"witness": each.witness}),
            }
            for each in change.changes[:CHANGES_SHOWN_MAX]
        ],
        "diff": list(change.diff),
    }
