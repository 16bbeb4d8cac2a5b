"""What one agent offers now, beside what was pinned of it: fetched once per connection, notice and interval.

It stops a call whose definition changed behind our back, and says how it changed. Which changes a call survives is
`checking.live_change`'s; what a person may decide then is the core's. An agent without pins costs nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar, runtime_checkable

import anyio
import anyio.to_thread
from msgspec import UNSET

from process_orchestrator.checking.documents.pins import (
    LOCK_FILE,
    READS,
    Definition,
    Pin,
    Pins,
    PinVerdict,
    hash_of,
    heaviest,
)
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import Effect
from process_orchestrator.performing.failure import clean

if TYPE_CHECKING:
    from process_orchestrator.checking.changes.live_change import LiveChange

DRIFTED: Final = "drifted"
OPEN_S: Final = 30.0
FETCH_S: Final = 10.0
"""Longest that an agent may take to say what it offers, once it is there."""

REST_SHARE: Final = 20
"""For so many times as long as a comparison took, none follows that no call asked for."""

CHANGES_SHOWN_MAX: Final = 20
JUDGED_KEPT: Final = 256

Result = TypeVar("Result")


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
        self._notices, self._at, self._rest_until = 0, 0.0, 0.0
        self._offer = _Offer({}, {})
        self._judged: dict[tuple[str, str], LiveChange] = {}

    async def allow(self, link: Describing, name: str, pins: Pins, *, effect: Effect, timeout_s: float) -> None:
        """Return where a call may be made, by what the agent offers now under `name`.

        Raises AgentCallError: `drifted` with the difference as its answer; `unreachable` where the agent does not say
        in time what it offers. Nothing was called then.
        """
        if pins.broken is not None:
            if effect not in READS:
                message = f"{LOCK_FILE} cannot be used, so nothing can be compared: {pins.broken}"
                raise AgentCallError(DRIFTED, clean(message), answer={"agent": self._agent, "lock": pins.broken})
            return
        if name not in pins.of(self._agent):
            return
        try:
            with anyio.fail_after(timeout_s):
                change = await self._compared(link, name, pins, effect=effect)
        except TimeoutError:
            message = f"the agent did not say within {timeout_s:g} s what it offers, so its pin could not be compared"
            raise AgentCallError("unreachable", message) from None
        if not change.allows(effect):
            raise AgentCallError(DRIFTED, self._said(change), answer=evidence(self._agent, change))

    async def _compared(self, link: Describing, name: str, pins: Pins, *, effect: Effect) -> LiveChange:
        pin = pins.of(self._agent)[name]
        begun = anyio.current_time()
        await self._refresh(link, pins)
        change = await self._change(name, pin)
        if not change.allows(effect) and self._at < begun:  # it may have been put right since
            await self._refresh(link, pins, at_least=begun)
            change = await self._change(name, pin)
        return change

    async def look(self, link: Describing, pins: Pins) -> float:
        """Compare everything that is pinned, where that is due: so that people see it. Raises AgentCallError.

        An agent that changes without end is not followed: it is looked at for a small part of the time. Returns after
        how many seconds to look again because of that; 0: it was looked at, or need not be.
        """
        rest = self._rest_until - anyio.current_time()
        if rest > 0:
            return rest if self._due(link, pins.of(self._agent).keys(), None) else 0.0
        await link.open(OPEN_S)  # how long it takes to start says nothing of what looking costs
        begun = anyio.current_time()
        try:
            await self._refresh(link, pins)
            for name, pin in pins.of(self._agent).items():
                await self._change(name, pin)
        finally:
            now = anyio.current_time()
            self._rest_until = now + REST_SHARE * (now - begun)
        return 0.0

    async def _refresh(self, link: Describing, pins: Pins, *, at_least: float | None = None) -> None:
        """Ask the agent what it offers, where that is due; `at_least`: where what is known is older than that."""
        names = pins.of(self._agent).keys()
        if not self._due(link, names, at_least):
            return
        async with self._fetching:
            if not self._due(link, names, at_least):
                return
            link.subscribe(self._on_notice)
            await link.open(OPEN_S)  # a first start may take longer than an answer
            notices, at = link.notices, anyio.current_time()
            try:
                live = await link.definitions(FETCH_S)
            except AgentCallError as error:
                if error.code == "unreachable":
                    raise
                message = f"the agent does not say what it offers, so its pin cannot be compared: {error.message}"
                raise AgentCallError("unreachable", message, stderr=error.stderr) from error
            found = {name: live.get(name) for name in names}
            self._offer = await _in_thread(_offer, found, self._mask)
            self._link, self._notices, self._at = link, notices, at

    def _due(self, link: Describing, names: AbstractSet[str], at_least: float | None) -> bool:
        if at_least is not None:
            return self._at < at_least
        return (
            link is not self._link
            or link.notices != self._notices
            or anyio.current_time() - self._at >= self._every_s
            or not names <= self._offer.hashes.keys()
        )

    def standing(self, pins: Pins) -> str | None:
        """How the agent stands to its pins as far as they were compared: a verdict, and what it is about."""
        pinned = pins.of(self._agent)
        if self._link is None or not pinned:
            return None
        hashes = self._offer.hashes
        judged = {name: self._judged.get((pin.sha256, hashes.get(name, "?"))) for name, pin in pinned.items()}
        verdicts = {name: change.verdict for name, change in judged.items() if change is not None}
        if len(verdicts) < len(pinned):
            return None
        worst = heaviest(tuple(verdicts.values()))
        changed = [name for name, verdict in verdicts.items() if verdict is worst]
        return worst.value if worst is PinVerdict.SAME else f"{worst.value}: {', '.join(changed)}"

    async def _change(self, name: str, pin: Pin) -> LiveChange:
        offer = self._offer
        key = (pin.sha256, offer.hashes[name])
        found = self._judged.get(key)
        if found is None:
            found = await _in_thread(_judged, name, pin, offer.live[name])
            if len(self._judged) >= JUDGED_KEPT:
                self._judged.clear()
            self._judged[key] = found
        return found

    def _said(self, change: LiveChange) -> str:
        first = f": {change.changes[0].message}" if change.changes else ""
        gone = change.verdict is PinVerdict.MISSING
        what = "is not offered any more" if gone else f"changed since it was pinned{first}"
        return clean(f"{change.name} of {self._agent} {what} ({change.verdict}); nothing was called")


class _Offer(NamedTuple):
    """What an agent offers under the names that are pinned, and its hashes; an empty one stands for nothing."""

    live: Mapping[str, Definition | None]
    hashes: Mapping[str, str]


def _offer(live: Mapping[str, Definition | None], mask: Callable[[Any], Any]) -> _Offer:
    masked = {name: None if each is None else mask(each) for name, each in live.items()}
    return _Offer(masked, {name: "" if each is None else hash_of(each) for name, each in masked.items()})


def _judged(name: str, pin: Pin, live: Definition | None) -> LiveChange:
    from process_orchestrator.checking.changes.live_change import compare  # noqa: PLC0415 - 20 ms that only a pin pays

    return compare(name, pin, live)


async def _in_thread(work: Callable[..., Result], *arguments: Any) -> Result:
    """Of an agent that may mean harm: the calls of others go on meanwhile, and its own ends in time."""
    return await anyio.to_thread.run_sync(work, *arguments, abandon_on_cancel=True)


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
