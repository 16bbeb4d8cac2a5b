"""What `why` tells of a process: the failing call with its bodies, and whose fault it is.

The party stands in the journal. What else belongs to it is derived here, from the journal and the pinned plan: the
contract that refused a value and its hash, the bindings that made the value and the contracts behind them, and the last
call before it that went well. Reads only; the words are `views.fault`'s.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from process_orchestrator.checking.values.bindings import Bound, part_at, path_text, read_value, references
from process_orchestrator.core.facts.state import Failure
from process_orchestrator.core.facts.values import Blame, EscalationKind, FailureClass, Phase, Status
from process_orchestrator.core.keys import is_undo, unit_of_call
from process_orchestrator.usecases.bodies import step_facts
from process_orchestrator.views.fault import FaultContext, fault_view
from process_orchestrator.views.models import FaultSource, LastGood
from process_orchestrator.views.why_view import WhyBodies, culprit, why_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_orchestrator.checking.plans.compiled import CompiledPlan
    from process_orchestrator.core.facts.state import Process, Unit
    from process_orchestrator.usecases.bodies import BodyReader
    from process_orchestrator.views.models import TraceEntry, WhyView
    from process_orchestrator.views.why_view import Culprit

ENDS: Final = frozenset({"CallFailed", "CallLost", "ChildFinished"})
WENT_WELL: Final = frozenset({"CallSucceeded", "ChildFinished"})
VALUES: Final = frozenset(
    {"input_mismatch", "requires_failed", "missing_binding", "condition_error", "output_mismatch"}
)
"""Codes of which the bindings that made the value are told."""
SOURCES_MAX: Final = 8
OUR_RULES: Final = frozenset({"loop", "over_budget", "internal_error"})
"""Codes of planning that are no model's."""


class Explainer:
    """Explains the processes of one host."""

    def __init__(self, bodies: BodyReader) -> None:
        self._bodies = bodies

    async def why(self, state: Process, entries: Sequence[TraceEntry], *, set_aside: bool) -> WhyView:
        """The failing call alone. `entries` is the whole trace, oldest first."""
        found = None if set_aside else culprit(state)
        failure = found.failure if found is not None else _not_failed(state, set_aside=set_aside)
        if failure is None:
            return why_view(state, None, WhyBodies())
        at = _index(entries, failure)
        good = _last_good(state, entries[:at])
        entry = entries[at] if at < len(entries) else None
        bodies = await self._bodies_of(state, found, entry, good) if found is not None else WhyBodies()
        if failure.rule is None and bodies.errors:  # the event of a stage has no place for it
            failure = replace(failure, rule=bodies.errors[0].get("rule"))
        context = await self._context(state, failure, entry, good)
        if entry is not None and entry.event == "CallLost":
            context = dataclasses.replace(context, engine_ended=_engine_ended(entries[:at], entry))
        return why_view(state, found, bodies, fault=fault_view(failure, context))

    async def _bodies_of(
        self, state: Process, found: Culprit, entry: TraceEntry | None, good: LastGood | None
    ) -> WhyBodies:
        failure, unit = found.failure, found.unit
        request = None
        if unit is not None and unit.input is not None:
            request = await self._bodies.of_unit(state, unit.id, "input", unit.input)
        detail: dict[str, Any] = {}
        if failure.detail is not None:
            name = unit.id if unit else failure.step or ""
            detail = await self._bodies.failure_detail(state, name, failure.detail)
        errors = detail.get("errors")
        return WhyBodies(
            request=request,
            answer=detail.get("answer"),
            errors=tuple(errors) if isinstance(errors, list) else (),
            stderr=detail.get("stderr"),
            entry=entry,
            last_ok=good.call if good is not None else None,
        )

    async def _context(
        self, state: Process, failure: Failure, entry: TraceEntry | None, good: LastGood | None
    ) -> FaultContext:
        unit = state.units.get(failure.unit or failure.step or "")
        started = state.spec.type
        contract, sha256 = _contract(state, failure.unit or failure.step)
        if contract is None and started is not None:
            contract, sha256 = f"{started.name}@{started.version}", started.sha256
        agent = entry.agent if entry is not None else None
        if agent is None and (unit is None or unit.agent is None):  # none was chosen
            facts = step_facts(state, failure.unit or failure.step or "")
            agent = ", ".join(each.name for each in facts.agents) if facts is not None else None
        return FaultContext(
            process_id=state.spec.process_id,
            process_type=started.name if started is not None else None,
            agent=agent or (unit.agent.name if unit is not None and unit.agent is not None else None),
            contract=contract,
            contract_sha256=sha256,
            declared=_declared(state, failure),
            child=unit.child if unit is not None and entry is not None and entry.event == "ChildFinished" else None,
            by_model=_of_planning(state, failure),
            sources=tuple(await self._sources(state, failure)),
            last_good=good,
        )

    async def _sources(self, state: Process, failure: Failure) -> list[FaultSource]:
        """The bindings that made the value at fault, each with the contract that its producer kept."""
        invalid = failure.class_ is FailureClass.INVALID_INPUT
        if failure.blame not in (Blame.CALLER, Blame.PLANNER) or not (invalid or failure.code in VALUES):
            return []
        plan = await self._bodies.plan(state)
        if plan is None:
            return []
        distinct = {path_text(each): each for each in _origins(plan, failure)}
        return [_source(state, text, each) for text, each in list(distinct.items())[:SOURCES_MAX]]


def _origins(plan: CompiledPlan, failure: Failure) -> Sequence[Bound]:
    """The bindings behind a failure. Which ones an expression of a condition read is not in its pointer."""
    pointer = failure.pointer or ""
    if failure.step is None:
        made = part_at(read_value(plan.document.result).value, pointer.split("/")[1:])
        return [each.bound for each in references(made)]
    if is_undo(failure.unit or "") or (failure.code == "condition_error" and not pointer):
        return ()
    step = plan.step(failure.step)
    return step.origins_of_items if failure.call is None else step.origins(pointer)


def _source(state: Process, text: str, bound: Bound) -> FaultSource:
    contract, sha256 = _contract(state, bound.step) if bound.root == "steps" else (None, None)
    return FaultSource(binding=text, step=bound.step, contract=contract, contract_sha256=sha256)


def _contract(state: Process, unit: str | None) -> tuple[str | None, str | None]:
    """What a unit calls or starts, as name@version, and its sha256."""
    facts = step_facts(state, unit) if unit else None
    if facts is None:
        return None, None
    if unit is not None and is_undo(unit):
        pin = facts.undo.contract if facts.undo is not None else None
    else:
        pin = facts.child.type if facts.child is not None else facts.contract
    return (f"{pin.name}@{pin.version}", pin.sha256) if pin is not None else (None, None)


def _declared(state: Process, failure: Failure) -> bool:
    facts = step_facts(state, failure.unit or failure.step or "")
    return facts is not None and failure.code in facts.errors


def _index(entries: Sequence[TraceEntry], failure: Failure) -> int:
    """Where in the trace the failure stands; its length where it is no call's."""
    if failure.call is None:
        return len(entries)
    ends = (at for at, each in enumerate(entries) if each.event in ENDS and each.call == failure.call)
    return next(ends, len(entries))


def _engine_ended(before: Sequence[TraceEntry], lost: TraceEntry) -> bool:
    """Whether another engine took over after the call had begun."""
    for each in reversed(before):
        if each.event == "EngineResumed":
            return True
        if each.event == "CallPrepared" and each.call == lost.call:
            return False
    return False


def _last_good(state: Process, before: Sequence[TraceEntry]) -> LastGood | None:
    for each in reversed(before):
        if each.event in WENT_WELL and each.verdict == "ok" and each.call is not None and each.contract is not None:
            _, sha256 = _contract(state, unit_of_call(each.call))
            return LastGood(
                call=each.call,
                step=each.step,
                agent=each.agent,
                contract=each.contract,
                contract_sha256=sha256,
                at=each.at,
                ms=each.ms,
            )
    return None


def _of_planning(state: Process, failure: Failure) -> bool:
    """Whether no call has failed, but the model that was to make a plan."""
    asked = state.stage_failure
    return asked is not None and failure.step is None and failure.code == asked.code not in OUR_RULES


def _not_failed(state: Process, *, set_aside: bool) -> Failure | None:
    """What stopped a process although no call of it failed: its engine, a person, the lack of money."""
    if set_aside or state.set_aside is not None:
        return Failure(code="set_aside", blame=Blame.US)
    if state.status is Status.CANCELLED:
        return Failure(code="cancelled", blame=Blame.POLICY, message=state.cancel_reason)
    waiting = next((each for each in state.units.values() if _lacks_money(state, each)), None)
    if waiting is None:
        return None
    return Failure(code="over_budget", blame=Blame.POLICY, step=waiting.step, unit=waiting.id, rule="budget.usd")


def _lacks_money(state: Process, unit: Unit) -> bool:
    asked = state.escalations.get(unit.escalation or "")
    return unit.phase is Phase.ESCALATED and asked is not None and asked.open and asked.kind is EscalationKind.BUDGET
