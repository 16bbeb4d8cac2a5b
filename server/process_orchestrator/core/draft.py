"""A process while one event is applied to it: mutable inside one `apply`, never seen outside.

It keeps the books that every change of a unit touches (counters, clocks, live calls and timers), so that no rule has
to, and so that the cost of an event does not grow with the number of units. It decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from process_orchestrator.core import keys
from process_orchestrator.core.facts.paged import paged
from process_orchestrator.core.facts.state import Escalation, Process, Transition, Unit
from process_orchestrator.core.facts.values import Effect, Phase, Status
from process_orchestrator.core.pages import Pages
from process_orchestrator.core.undo_step import undoing

if TYPE_CHECKING:
    from process_orchestrator.core.facts.commands import Command
    from process_orchestrator.core.facts.specs import PlanFacts, StepFacts

_HUMAN: Final = frozenset({Phase.ASKING, Phase.ESCALATED})
_BUSY: Final = frozenset({Phase.PREPARING, Phase.BACKOFF})
_CLOSED: Final = frozenset({Phase.DONE, Phase.SKIPPED, Phase.FAILED, Phase.UNDONE})


class Draft:
    """The fields of a `Process` that an event may change, with the commands it led to."""

    __slots__ = (
        "_own_escalations",
        "_own_needs",
        "before",
        "begun",
        "budget_waiting",
        "calls",
        "cancel_reason",
        "cancelling",
        "closings",
        "commands",
        "compensating",
        "escalations",
        "escalations_open",
        "escalations_opened",
        "escalations_waiting",
        "failing",
        "finished",
        "left",
        "live_calls",
        "live_timers",
        "needs_left",
        "now",
        "outage_ms",
        "output",
        "plan",
        "plan_approved",
        "plan_proposed",
        "plan_report",
        "plan_round",
        "plans_seen",
        "reserved_usd_micros",
        "set_aside",
        "spec",
        "stage",
        "stage_failure",
        "status",
        "steps",
        "steps_done",
        "to_undo",
        "tokens",
        "undone",
        "units",
        "units_busy",
        "units_resting",
        "unknown_calls",
        "usd_micros",
        "why",
    )

    def __init__(self, before: Process, *, at: int) -> None:
        self.before = before
        self.now = max(before.now, at)
        self.outage_ms = 0
        self.commands: list[Command] = []
        self._own_escalations = self._own_needs = False
        self.spec = before.spec
        self.set_aside = before.set_aside
        self.plan = before.plan
        self.steps: tuple[StepFacts, ...] = before.plan.steps if before.plan is not None else ()
        self.units = Pages(before.units)
        self.escalations = before.escalations
        self.needs_left = before.needs_left
        self.status = before.status
        self.why = before.why
        self.plan_approved = before.plan_approved
        self.stage = before.stage
        self.plan_round = before.plan_round
        self.plans_seen = before.plans_seen
        self.begun = before.begun
        self.plan_proposed = before.plan_proposed
        self.plan_report = before.plan_report
        self.stage_failure = before.stage_failure
        self.escalations_opened = before.escalations_opened
        self.escalations_open = before.escalations_open
        self.escalations_waiting = before.escalations_waiting
        self.budget_waiting = before.budget_waiting
        self.steps_done = before.steps_done
        self.units_busy = before.units_busy
        self.units_resting = before.units_resting
        self.live_calls = Pages(before.live_calls)
        self.live_timers = before.live_timers
        self.failing = before.failing
        self.cancelling = before.cancelling
        self.cancel_reason = before.cancel_reason
        self.output = before.output
        self.finished = before.finished
        self.usd_micros = before.usd_micros
        self.reserved_usd_micros = before.reserved_usd_micros
        self.tokens = before.tokens
        self.calls = before.calls
        self.unknown_calls = before.unknown_calls
        self.closings = before.closings
        self.compensating = before.compensating
        self.to_undo = before.to_undo
        self.undone = before.undone
        self.left = before.left

    # reading

    @property
    def ending(self) -> bool:
        """Whether fail-fast or a cancel was reached: nothing new begins."""
        return self.cancelling or self.failing is not None

    def facts(self, unit: Unit) -> StepFacts:
        """The step of a unit, as the plan has it; what undoes one is a step of its own."""
        step = self.steps[unit.place]
        return step if unit.undoes is None else undoing(step)

    def is_map(self, unit: Unit) -> bool:
        """Whether a unit is a mapped step itself, not one of its items nor what undoes one."""
        return unit.item is None and unit.undoes is None and self.steps[unit.place].is_map

    def running_ms(self) -> int:
        """Time in running so far, this event's own outage left out."""
        since = self.before.running_since
        return self.before.running_ms + (self.now - since - self.outage_ms if since is not None else 0)

    def is_whole(self, unit: Unit) -> bool:
        """Whether a unit is a step's own, while its work is done by units of items or rounds."""
        step = self.steps[unit.place]
        return unit.id == unit.step and (step.is_map or step.repeat is not None)

    # writing

    def order(self, command: Command) -> None:
        self.commands.append(command)

    def adopt(self, plan: PlanFacts) -> None:
        """Take a plan as the one to follow; every step gets its unit."""
        self.plan, self.steps = plan, plan.steps
        units = (self.new_unit(step, place=place) for place, step in enumerate(plan.steps))
        self.units = Pages(paged((unit.id, unit) for unit in units))
        self.needs_left = {step.id: len(step.needs) for step in plan.steps}
        self._own_needs = True

    def new_unit(self, step: StepFacts, *, place: int, item: int | None = None, number: int | None = None) -> Unit:
        """A unit to which nothing has happened; what an earlier process did for it freezes its key.

        `number` is that of a round. The key of a child names a process that has ended: what is left of it is noted.
        """
        name = step.id if item is None else keys.item_id(step.id, item)
        name = name if number is None else keys.round_id(step.id, number)
        unit = Unit(id=name, step=step.id, place=place, item=item, round=number)
        earlier = self.spec.earlier.get(name)
        if earlier is None or not earlier.acted or step.effect in (Effect.NONE, Effect.READ):
            return unit
        if step.child is not None:
            return replace(unit, child_left=(earlier.call,))
        return replace(unit, outcome_unknown=True, agent=earlier.agent)

    def put(self, unit: Unit) -> Unit:
        """Set a unit and keep the books; returns it as it now stands."""
        before = self.units.get(unit.id)
        phase_before = before.phase if before is not None else Phase.WAITING
        if unit.phase is not phase_before:
            unit = self._clocked(unit, phase_before)
            of_whole = unit.item is not None or unit.round is not None
            if of_whole and (unit.phase in _HUMAN or phase_before in _HUMAN):
                self._count_item(unit, phase_before)
        self.units_busy += self._busy(unit) - (self._busy(before) if before is not None else 0)
        self.units_resting += self._resting(unit) - (self._resting(before) if before is not None else 0)
        self.units[unit.id] = unit
        return unit

    def _busy(self, unit: Unit) -> int:
        if unit.phase is Phase.CALLING:
            return int(unit.collecting or not self.is_whole(unit))
        return int(unit.phase in _BUSY)

    def _resting(self, unit: Unit) -> int:
        """1 for a pause that the plan declares and for a child, which has a clock of its own."""
        if unit.phase is Phase.BACKOFF:
            return int(unit.timer is not None and keys.is_pause(unit.timer))
        child = unit.phase is Phase.CALLING and unit.undoes is None and self.steps[unit.place].child is not None
        return int(child and not self.is_whole(unit))

    def _clocked(self, unit: Unit, phase_before: Phase) -> Unit:
        """Time in asking and escalated counts in no total: it is kept apart."""
        if unit.phase in _HUMAN:
            return unit if phase_before in _HUMAN else replace(unit, waiting_since=self.now)
        ended_at = None
        if unit.phase in _CLOSED:
            ended_at = self.now
            if not unit.closed:
                self.closings += 1
                unit = replace(unit, closed=self.closings)
        if unit.waiting_since is None:
            return unit if ended_at is None else replace(unit, ended_at=ended_at)
        waited_ms = unit.waited_ms + self.now - unit.waiting_since
        return replace(unit, waiting_since=None, waited_ms=waited_ms, ended_at=ended_at)

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
        if not self._own_escalations:
            self.escalations, self._own_escalations = dict(self.escalations), True
        self.escalations[escalation.id] = escalation

    def need_closed(self, step: str) -> bool:
        """Count one need of a step as closed; whether it was the last."""
        if not self._own_needs:
            self.needs_left, self._own_needs = dict(self.needs_left), True
        left = self.needs_left[step] - 1
        self.needs_left[step] = left
        return left == 0

    def call_began(self, unit: Unit) -> None:
        self.live_calls[keys.call_id(unit.id, unit.call)] = None
        self.calls += 1
        self.reserved_usd_micros += unit.reserve_usd_micros or 0

    def call_over(self, unit: Unit) -> None:
        self.live_calls.discard(keys.call_id(unit.id, unit.call))
        self.reserved_usd_micros -= unit.reserve_usd_micros or 0

    def timer_over(self, timer: str) -> None:
        self.live_timers = tuple(live for live in self.live_timers if live != timer)

    def leave_out_outage(self) -> bool:
        """Count the time since the last event in no total: no engine was there, so nobody could have used it."""
        if not self.live_calls:
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
        before = self.before
        resting = self.stage is None and 0 < self.units_resting == self.units_busy
        running = self.status is Status.RUNNING and not resting
        running_ms, running_since = before.running_ms, before.running_since
        if running and running_since is None:
            running_since = self.now
        elif running_since is not None:
            running_since += self.outage_ms
        if not running and running_since is not None:
            running_ms, running_since = self.running_ms(), None
        state = replace(
            before,
            seq=before.seq + 1,
            now=self.now,
            updated_at=self.now,
            running_ms=running_ms,
            running_since=running_since,
            spec=self.spec,
            set_aside=self.set_aside,
            plan=self.plan,
            units=self.units.done(),
            escalations=self.escalations,
            needs_left=self.needs_left,
            status=self.status,
            why=self.why,
            plan_approved=self.plan_approved,
            stage=self.stage,
            plan_round=self.plan_round,
            plans_seen=self.plans_seen,
            begun=self.begun,
            plan_proposed=self.plan_proposed,
            plan_report=self.plan_report,
            stage_failure=self.stage_failure,
            escalations_opened=self.escalations_opened,
            escalations_open=self.escalations_open,
            escalations_waiting=self.escalations_waiting,
            budget_waiting=self.budget_waiting,
            steps_done=self.steps_done,
            units_busy=self.units_busy,
            units_resting=self.units_resting,
            live_calls=self.live_calls.done(),
            live_timers=self.live_timers,
            failing=self.failing,
            cancelling=self.cancelling,
            cancel_reason=self.cancel_reason,
            output=self.output,
            finished=self.finished,
            usd_micros=self.usd_micros,
            reserved_usd_micros=self.reserved_usd_micros,
            tokens=self.tokens,
            calls=self.calls,
            unknown_calls=self.unknown_calls,
            closings=self.closings,
            compensating=self.compensating,
            to_undo=self.to_undo,
            undone=self.undone,
            left=self.left,
        )
        return Transition(state=state, commands=tuple(self.commands))
