"""The `data` of a decision: read by decision, checked against the pinned contract, made into fields of the event.

A form answer is validated like any agent's output: schema, then `requires` or `ensures`. The core compares hashes only,
so what is not refused here is believed there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from process_orchestrator.checking.schemas.validate import check_value, ref_of
from process_orchestrator.checking.tasks.requirements import narrowed
from process_orchestrator.core.errors import BodyError, RefusedError
from process_orchestrator.core.facts.specs import Budget, PlanFacts
from process_orchestrator.core.facts.values import Decision, EscalationKind, Fact, Ref, TypePin
from process_orchestrator.core.keys import key
from process_orchestrator.core.limits import Limits
from process_orchestrator.core.money import usd_micros
from process_orchestrator.core.ports import Bodies, Body, DefinitionBody
from process_orchestrator.usecases.bodies import step_facts
from process_orchestrator.usecases.identifiers import read_name, shown
from process_orchestrator.usecases.refusals import condition_mismatch, mismatch, unreadable
from process_orchestrator.usecases.submitting import find_type

if TYPE_CHECKING:
    from process_orchestrator.checking.plans.compiled import CompiledContract
    from process_orchestrator.core.facts.state import Escalation, Process, Unit
    from process_orchestrator.usecases.submitting import Submitter
    from process_orchestrator.usecases.surroundings import Workplace

ALLOWED: Final = {
    Decision.APPROVE: ("reject",),
    Decision.RETRY: ("fresh_key",),
    Decision.USE_AGENT: ("agent",),
    Decision.CHOOSE_TYPE: ("process_type", "input"),
    Decision.RAISE_BUDGET: ("usd",),
}
"""Fields of `data` where it is no body itself; a decision that is not here takes none."""

BODIES: Final = frozenset({Decision.RETRY_WITH_INPUT, Decision.USE_OUTPUT, Decision.ANSWER})
"""Decisions whose `data` is the body itself."""


class Answered(Fact, frozen=True, kw_only=True):
    """What of an EscalationResolved comes from `data`, and the bodies that it names."""

    data: Ref | None = None
    checked: str | None = None
    agent: str | None = None
    usd_micros: int | None = None
    reject_items: tuple[int, ...] = ()
    fresh_key: bool = False
    process_type: TypePin | None = None
    plan: PlanFacts | None = None
    budget: Budget | None = None
    limits: Limits | None = None
    artifacts: tuple[Body, ...] = ()
    definitions: tuple[DefinitionBody, ...] = ()

    @property
    def bodies(self) -> Bodies:
        return Bodies(artifacts=self.artifacts, definitions=self.definitions)


class DataReader:
    """Reads the data of one decision. Raises RefusedError INPUT_MISMATCH, UNKNOWN_AGENT, TOO_LARGE."""

    def __init__(self, workplace: Workplace, submitter: Submitter) -> None:
        self._registry, self._bodies, self._submitter = workplace.registry, workplace.bodies, submitter

    async def read(self, state: Process, escalation: Escalation, decision: Decision, data: Any) -> Answered:
        if decision in BODIES:
            return await self._body(state, escalation, decision, data)
        fields = _fields(decision, data)
        match decision:
            case Decision.APPROVE:
                return Answered(reject_items=_items(state, escalation, fields))
            case Decision.RETRY:
                return Answered(fresh_key=_fresh_key(escalation, fields))
            case Decision.USE_AGENT:
                return Answered(agent=_agent(state, escalation, fields))
            case Decision.CHOOSE_TYPE:
                return self._chosen_type(state, fields)
            case Decision.RAISE_BUDGET:
                return Answered(usd_micros=_amount(fields))
            case _:
                return Answered()

    # --- bodies ------------------------------------------------------------------------------------------------

    async def _body(self, state: Process, escalation: Escalation, decision: Decision, data: Any) -> Answered:
        """An input or output, whole, that keeps its contract."""
        unit = state.units.get(escalation.unit) if escalation.unit else None
        pinned = escalation.contract_sha256
        if data is None or unit is None or pinned is None:
            raise _wrong(decision, "data is missing", do=_see(escalation))
        try:
            check_value(data)
        except BodyError as error:
            raise unreadable(f"data of {decision.value}", error) from error
        contract = await self._bodies.contract(pinned)
        if decision is Decision.RETRY_WITH_INPUT:
            _check_input(state, unit, contract, data, do=_see(escalation))
        else:
            await self._check_output(unit, contract, data, do=_see(escalation))
        stored = check_value(data)
        body = Body(ref=ref_of(stored), data=stored)
        return Answered(data=body.ref, checked=pinned, artifacts=(body,))

    async def _check_output(self, unit: Unit, contract: CompiledContract, data: Any, *, do: str) -> None:
        problems = contract.output_problems(data)
        what = f"data as an answer of {contract.contract.name}"
        if problems:
            raise mismatch(what, problems, do=do)
        if unit.input is None:
            return  # no arguments were ever built, so there is nothing to compare the answer with
        failure = contract.ensures_failed(await self._bodies.raw(unit.input), data)
        if failure is not None:
            raise condition_mismatch(what, failure, do=do)

    # --- a type ------------------------------------------------------------------------------------------------

    def _chosen_type(self, state: Process, fields: dict[str, Any]) -> Answered:
        """A type and its input, with the budget and limits of the type, narrowed to what the process asked for."""
        name, given = fields.get("process_type"), fields.get("input", {})
        if not isinstance(name, str):
            raise _wrong(Decision.CHOOSE_TYPE, "process_type is missing", do="send {process_type, input}.")
        registry = self._registry()
        checked = self._submitter.checked_type(find_type(name, registry), registry)
        stored = self._submitter.checked_input(checked, given)
        body = Body(ref=ref_of(stored), data=stored)
        budget, limits = narrowed(checked.budget, checked.limits, state.spec.requirements)
        return Answered(
            data=body.ref,
            checked=checked.pin.sha256,
            process_type=checked.pin,
            plan=checked.facts,
            budget=budget,
            limits=limits,
            artifacts=(body,),
            definitions=checked.definitions,
        )


def _fields(decision: Decision, data: Any) -> dict[str, Any]:
    """The small fields of `data`. What a decision does not take would change its meaning, so it is refused."""
    allowed = ALLOWED.get(decision, ())
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise _wrong(decision, "data is no object", do=f"send an object with {', '.join(allowed)}, or none.")
    unknown = [name for name in data if name not in allowed]
    if unknown:
        takes = f"it takes {', '.join(allowed)}" if allowed else "it takes no data"
        raise _wrong(decision, f"data has {shown(unknown[0])}; {takes}", do="leave it out.", pointer=f"/{unknown[0]}")
    return data


def _items(state: Process, escalation: Escalation, fields: dict[str, Any]) -> tuple[int, ...]:
    """Numbers of the map's items that are left out, counted from 0."""
    given = fields.get("reject")
    if given is None:
        return ()
    unit = state.units.get(escalation.unit) if escalation.unit else None
    count = unit.count if unit is not None and unit.item is None else None
    if count is None:
        raise _wrong(Decision.APPROVE, "only a map has items to reject", do="leave reject out.", pointer="/reject")
    listed = given if isinstance(given, list) else [given]
    if not all(isinstance(item, int) and not isinstance(item, bool) and 0 <= item < count for item in listed):
        raise _wrong(
            Decision.APPROVE, f"reject names numbers from 0 to {count - 1}", do=_see(escalation), pointer="/reject"
        )
    return tuple(sorted(set(listed)))


def _fresh_key(escalation: Escalation, fields: dict[str, Any]) -> bool:
    given = fields.get("fresh_key", False)
    if not isinstance(given, bool):
        raise _wrong(Decision.RETRY, "fresh_key is true or false", do=_see(escalation), pointer="/fresh_key")
    if given and escalation.kind is not EscalationKind.OUTCOME_UNKNOWN:
        raise _wrong(
            Decision.RETRY, "fresh_key belongs to outcome_unknown alone", do="leave it out.", pointer="/fresh_key"
        )
    return given


def _agent(state: Process, escalation: Escalation, fields: dict[str, Any]) -> str:
    facts = step_facts(state, escalation.unit) if escalation.unit else None
    known = [agent.name for agent in facts.agents] if facts else []
    given = fields.get("agent")
    name = read_name(given).lower() if isinstance(given, str) else ""
    if name not in known:
        raise RefusedError(
            "UNKNOWN_AGENT",
            f"no agent {shown(str(given))} was pinned for this step.",
            do=f"use one of {', '.join(known)}.",
            pointer="/agent",
            details={"nearest": known},
        )
    return name


def _amount(fields: dict[str, Any]) -> int:
    amount = usd_micros(fields.get("usd"))
    if amount is None or amount <= 0:
        raise RefusedError(
            "BUDGET_INVALID", "usd is no amount over 0.", do='send {"usd": "1.50"}: what is added.', pointer="/usd"
        )
    return amount


def _check_input(state: Process, unit: Unit, contract: CompiledContract, data: Any, *, do: str) -> None:
    """Check a whole input as the agent will get it, the idempotency field filled in by us, whatever stands there."""
    what = f"data as input of {contract.contract.name}"
    field = contract.contract.key_field
    filled = data
    if field is not None and isinstance(data, dict):
        filled = {**data, field: key(state.spec.process_id, unit.id, unit.generation + 1)}
    problems = contract.input_problems(filled)
    if problems:
        raise mismatch(what, problems, do=do)
    failure = contract.requires_failed(filled)
    if failure is not None:
        raise condition_mismatch(what, failure, do=do)


def _wrong(decision: Decision, message: str, *, do: str, pointer: str | None = None) -> RefusedError:
    return RefusedError("INPUT_MISMATCH", f"{decision.value}: {message}.", do=do, pointer=pointer)


def _see(escalation: Escalation) -> str:
    return f"send data as the option's data_schema says; list_escalations with escalation_id {escalation.id} shows it."
