"""A process while one event is applied to it: mutable inside one `apply`, never seen outside.

It keeps the books that every change of a unit touches (counters, clocks, live calls and timers), so that no rule has
to, and so that the cost of an event does not grow with the number of units. It decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import astuple, replace

from process_orchestrator.core import keys, pages
from process_orchestrator.core.facts.paged import Paged, page_of, paged
from process_orchestrator.core.facts.state import Escalation, Process, Standing, Transition, Unit
from process_orchestrator.core.facts.values import Effect, Phase, Status

if TYPE_CHECKING:
    from process_orchestrator.core.facts.commands import Command
    from process_orchestrator.core.facts.specs import PlanFacts, StepFacts

_HUMAN: Final = frozenset({Phase.ASKING, Phase.ESCALATED})
_AT_WORK: Final = frozenset({Phase.PREPARING, Phase.CALLING, Phase.BACKOFF})
_CLOSED: Final = frozenset({Phase.DONE, Phase.SKIPPED, Phase.FAILED, Phase.UNDONE})
_FIELDS: Final = len(Process.__struct_fields__)


class Draft(Standing, kw_only=True):
    """A process that an event may change, with the commands it led to. What `before` holds stays as it is."""

    before: Process
    commands: list[Command] = []
    outage_ms: int = 0  # time since the last event that counts in no total

    # reading

    def ran_ms(self) -> int:
        """Time in running so far, this event's own outage left out."""
        since = self.before.running_since
        return self.before.running_ms + (self.now - since - self.outage_ms if since is not None else 0)

    # writing

    def order(self, command: Command) -> None:
        self.commands.append(command)

    def adopt(self, plan: PlanFacts) -> None:
        """Take a plan as the one to follow; every step gets its unit."""
        self.plan = plan
        units = (self.new_unit(step, place=place) for place, step in enumerate(plan.steps))
        self.units = paged((unit.id, unit) for unit in units)
        self.needs_left = {step.id: len(step.needs) for step in plan.steps}

    def new_unit(self, step: StepFacts, *, place: int, item: int | None = None, number: int | None = None) -> Unit:
        """A unit to which nothing has happened; what an earlier process did for it freezes its key.

        `number` is that of a round. The key of a child names a process that has ended: what is left of it is noted.
        """
        name = step.id if item is None else keys.item_id(step.id, item)
        name = name if number is None else keys.round_id(step.id, number)
        whole = name == step.id and (step.is_map or step.repeat is not None)
        unit = Unit(id=name, step=step.id, place=place, whole=whole, item=item, round=number)
        earlier = self.spec.earlier.get(name)
        if earlier is None or not earlier.acted or step.effect in (Effect.NONE, Effect.READ):
            return unit
        if step.child is not None:
            return replace(unit, child_left=(earlier.call,))
        return replace(unit, outcome_unknown=True, agent=earlier.agent)

    def put(self, unit: Unit) -> Unit:
        """Set a unit and keep the books; returns it as it now stands."""
        page = pages.own(self.units, page_of(unit.id), before=self.before.units)
        before = page.get(unit.id)
        phase_before = before.phase if before is not None else Phase.WAITING
        moves = unit.phase is not phase_before
        if moves and (phase_before in _HUMAN or unit.phase not in _AT_WORK):
            unit = self._clocked(unit, phase_before)
            of_whole = unit.item is not None or unit.round is not None
            if of_whole and (unit.phase in _HUMAN or phase_before in _HUMAN):
                self._count_item(unit, phase_before)
        if moves or (before is not None and unit.collecting is not before.collecting):
            if before is not None and phase_before in _AT_WORK:
                self._count_work(before, -1)
            if unit.phase in _AT_WORK:
                self._count_work(unit, 1)
        page[unit.id] = unit
        return unit

    def _count_work(self, unit: Unit, change: int) -> None:
        """Count a unit in or out of those that work without a human; a pause and a child are work that rests."""
        if unit.whole and unit.phase is Phase.CALLING and not unit.collecting:  # others work for it
            return
        self.units_busy += change
        pauses = unit.timer is not None and keys.is_pause(unit.timer)
        if pauses or (unit.child is not None and unit.phase is Phase.CALLING):
            self.units_resting += change

    def _clocked(self, unit: Unit, phase_before: Phase) -> Unit:
        """Time in asking and escalated counts in no total: it is kept apart."""
        if unit.phase in _HUMAN:
            return unit if phase_before in _HUMAN else replace(unit, waiting_since=self.now)
        closes = unit.phase in _CLOSED
        if not closes and unit.waiting_since is None:
            return unit
        if closes and not unit.closed:
            self.closings += 1
        waited_ms = self.now - unit.waiting_since if unit.waiting_since is not None else 0
        return replace(
            unit,
            waiting_since=None,
            waited_ms=unit.waited_ms + waited_ms,
            closed=self.closings if closes and not unit.closed else unit.closed,
            ended_at=self.now if closes else None,
        )

    def _count_item(self, item: Unit, phase_before: Phase) -> None:
        asking = (item.phase is Phase.ASKING) - (phase_before is Phase.ASKING)
        escalated = (item.phase is Phase.ESCALATED) - (phase_before is Phase.ESCALATED)
        parent = self.units[item.step]
        self.put(
            replace(
                parent,
                items_asking=parent.items_asking + asking,
                items_escalated=parent.items_escalated + escalated,
            )
        )

    def put_escalation(self, escalation: Escalation) -> None:
        if self.escalations is self.before.escalations:
            self.escalations = dict(self.escalations)
        self.escalations[escalation.id] = escalation

    def need_closed(self, step: str) -> bool:
        """Count one need of a step as closed; whether it was the last."""
        if self.needs_left is self.before.needs_left:
            self.needs_left = dict(self.needs_left)
        left = self.needs_left[step] - 1
        self.needs_left[step] = left
        return left == 0

    def call_began(self, unit: Unit) -> None:
        call = keys.call_id(unit.id, unit.call)
        pages.own(self.live_calls, page_of(call), before=self.before.live_calls)[call] = None
        self.calls += 1
        self.reserved_usd_micros += unit.reserve_usd_micros or 0

    def call_over(self, unit: Unit) -> None:
        pages.discard(self.live_calls, keys.call_id(unit.id, unit.call), before=self.before.live_calls)
        self.reserved_usd_micros -= unit.reserve_usd_micros or 0

    def timer_over(self, timer: str) -> None:
        self.live_timers = tuple(live for live in self.live_timers if live != timer)

    def leave_out_outage(self) -> bool:
        """Count the time since the last event in no total: no engine was there, so nobody could have used it."""
        if not self.live_calls and not self.thinking.held:
            return False
        self.outage_ms = self.now - self.before.now
        for unit in self.units.values():
            if unit.first_invoked_at is not None and unit.waiting_since is None and unit.phase not in _CLOSED:
                self.put(replace(unit, waited_ms=unit.waited_ms + self.outage_ms))
        return True

    def bill(self, *, usd_micros: int | None, tokens: int | None) -> None:
        """Count what an agent or model billed; an unknown price counts 0 and is counted as unknown."""
        self.usd_micros += usd_micros or 0
        self.tokens += tokens or 0
        self.unknown_calls += usd_micros is None

    def transition(self) -> Transition:
        """What the event led to. Running time counts from the event that began it to the one that ended it.

        It stands still while all that is live is a declared pause or a child.
        """
        resting = self.stage is None and 0 < self.units_resting == self.units_busy
        running = self.status is Status.RUNNING and not resting
        if running:
            since = self.running_since
            self.running_since = since + self.outage_ms if since is not None else self.now
        elif self.running_since is not None:
            self.running_ms, self.running_since = self.ran_ms(), None
        self.seq += 1
        self.updated_at = self.now
        return Transition(state=Process(*astuple(self)[:_FIELDS]), commands=tuple(self.commands))


def drafted(before: Process, *, at: int) -> Draft:
    """A draft of a process as it stands, when an event is applied that came at `at`."""
    draft = Draft(*astuple(before), before=before)
    draft.units = Paged(pages=dict(before.units.pages))
    draft.live_calls = Paged(pages=dict(before.live_calls.pages))
    draft.now = max(before.now, at)
    return draft
