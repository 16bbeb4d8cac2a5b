"""From a process type to what a process of it is started with: facts for the core, a document for the performer, pins.

Runs the plan check first; a plan with errors gives problems and rows only. Pure: looks names up in the registry that it
is given and reads no file.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec

from process_orchestrator.checking.documents.definitions import Agent, Contract, Plan, Problem, ProcessType, Serve, Step
from process_orchestrator.checking.documents.model_agents import HARMLESS, KIND
from process_orchestrator.checking.plans.checked_plan import CheckedPlan, CheckedStep
from process_orchestrator.checking.plans.fit import fit_of
from process_orchestrator.checking.plans.plan_bounds import WorstCase, worst_case
from process_orchestrator.checking.plans.plan_check import check_plan
from process_orchestrator.checking.plans.plan_document import (
    ApprovalRule,
    PinnedAgent,
    PlanDocument,
    PlannedChild,
    PlannedStep,
    PlannedUndo,
    encode_plan,
)
from process_orchestrator.checking.plans.plan_flow import repeat_of, wait_ms_of
from process_orchestrator.checking.plans.plan_map import Definitions
from process_orchestrator.checking.plans.plan_rows import PlanRow
from process_orchestrator.checking.plans.sub_process import budget_of, child_facts, effect_of
from process_orchestrator.checking.schemas.projection import Shape, required_names
from process_orchestrator.checking.schemas.value_types import ValueType, type_of
from process_orchestrator.core.assurance import highest
from process_orchestrator.core.facts.specs import PlanFacts, RetryFacts, StepFacts, Undo
from process_orchestrator.core.facts.values import (
    AgentPin,
    Assurance,
    ContractPin,
    Effect,
    Fact,
    Idempotency,
    OnFailure,
    StepKind,
    TypePin,
)
from process_orchestrator.core.ports import DefinitionBody

Json = Any
Serving = tuple[tuple[Agent, Serve], ...]


class CompiledProcess(Fact, frozen=True, kw_only=True):
    """A checked plan. `facts` is None where the type has no plan or the plan has errors.

    `definitions` is everything that a process of it pins: type, contracts (those of undo too), agents' promises, the
    plan document, the plan facts.
    """

    facts: PlanFacts | None = None
    definitions: tuple[DefinitionBody, ...] = ()
    problems: tuple[Problem, ...] = ()
    rows: tuple[PlanRow, ...] = ()
    worst: WorstCase | None = None


def compile_process(process_type: ProcessType, *, registry: Definitions, server_floor: Assurance) -> CompiledProcess:
    """Check and compile the fixed plan of a type; a type without one gives its pins alone."""
    if process_type.plan is None:
        listed = [registry.contract(name) for name in process_type.contracts]
        pins = {each.source.sha256: contract_body(each) for each in listed if each is not None}
        return CompiledProcess(definitions=(type_body(process_type), *pins.values()))
    return compile_plan(process_type.plan, process_type=process_type, registry=registry, server_floor=server_floor)


def compile_plan(
    plan: Plan,
    *,
    process_type: ProcessType,
    registry: Definitions,
    server_floor: Assurance,
    strict: bool = False,
    by_model: bool = False,
) -> CompiledProcess:
    """Check and compile a plan for a type: its own, or (`strict`) one that no file holds.

    `by_model`: a model made it, so nothing irreversible is done by it that no person has approved.
    """
    checked = check_plan(plan, process_type=process_type, registry=registry, strict=strict)
    if not checked.ok:
        return CompiledProcess(problems=checked.problems, rows=checked.rows)
    return _Compilation(plan, checked, process_type, registry, server_floor, by_model=by_model).run()


def type_pin(process_type: ProcessType) -> TypePin:
    """The pin of a process type."""
    return TypePin(name=process_type.name, version=process_type.version, sha256=process_type.source.sha256)


def type_body(process_type: ProcessType) -> DefinitionBody:
    """The stored form of a process type: canonical JSON of the definition as written."""
    return DefinitionBody(
        sha256=process_type.source.sha256,
        kind="process",
        name=process_type.name,
        version=process_type.version,
        data=process_type.source.canonical,
    )


def contract_body(contract: Contract) -> DefinitionBody:
    """The stored form of a contract: canonical JSON of the definition as written."""
    return DefinitionBody(
        sha256=contract.source.sha256,
        kind="contract",
        name=contract.name,
        version=contract.version,
        data=contract.source.canonical,
    )


def agent_body(agent: Agent) -> DefinitionBody:
    """The stored form of what an agent promises."""
    return DefinitionBody(sha256=agent.promise_sha256, kind="agent", name=agent.name, version="", data=agent.promise)


def _pin(contract: Contract) -> ContractPin:
    return ContractPin(name=contract.name, version=contract.version, sha256=contract.source.sha256)


def _agent_pins(serving: Serving) -> tuple[AgentPin, ...]:
    return tuple(AgentPin(name=agent.name, sha256=agent.promise_sha256) for agent, _ in serving)


def _pinned(serving: Serving) -> tuple[PinnedAgent, ...]:
    return tuple(PinnedAgent(name=agent.name, sha256=agent.promise_sha256, bind=serve.bind) for agent, serve in serving)


class _Compilation:
    """One plan on its way; collects what must be pinned."""

    def __init__(
        self,
        plan: Plan,
        checked: CheckedPlan,
        process_type: ProcessType,
        registry: Definitions,
        server_floor: Assurance,
        *,
        by_model: bool,
    ) -> None:
        self._plan, self._checked, self._type, self._registry = plan, checked, process_type, registry
        self._floor, self._by_model = server_floor, by_model
        self._bodies: dict[str, DefinitionBody] = {}

    def run(self) -> CompiledProcess:
        self._keep(type_body(self._type))
        undos = {each.step.id: self._undo(each) for each in self._checked.steps}
        planned = tuple(self._planned(each, undos[each.step.id]) for each in self._checked.steps)
        document = PlanDocument(
            type=type_pin(self._type),
            input=self._type.input,
            output=self._type.output,
            steps=planned,
            result=self._plan.output,
            types=self._checked.types,
        )
        data = encode_plan(document)
        sha = self._keep(self._derived("plan", data))
        facts = self._facts(sha, undos)
        self._keep(self._derived("plan_facts", msgspec.json.encode(facts, order="sorted")))
        return CompiledProcess(
            facts=facts,
            definitions=tuple(self._bodies.values()),
            problems=self._checked.problems,
            rows=self._checked.rows,
            worst=worst_case(self._checked.steps),
        )

    def _keep(self, body: DefinitionBody) -> str:
        self._bodies[body.sha256] = body
        return body.sha256

    def _derived(self, kind: str, data: bytes) -> DefinitionBody:
        name, version = self._type.name, self._type.version
        return DefinitionBody(sha256=sha256(data).hexdigest(), kind=kind, name=name, version=version, data=data)

    def _undo(self, each: CheckedStep) -> tuple[Undo, PlannedUndo] | None:
        """How a step's effect is taken back; None where nothing does, or nobody serves what would."""
        contract = each.contract
        if contract is None or contract.undo is None:
            return None
        undo = self._registry.contract(contract.undo.contract)
        serving = self._registry.serving(undo) if undo is not None and undo.status == "active" else ()
        if undo is None or not serving:
            return None
        # A person is no fallback for a program, nor the other way.
        human = serving[0][0].transport.kind == "human"
        serving = tuple(pair for pair in serving if (pair[0].transport.kind == "human") is human)
        self._keep(contract_body(undo))
        for agent, _ in serving:
            self._keep(agent_body(agent))
        level = highest(self._floor, self._type.escalation.min_assurance, _stated_level(undo))
        facts = Undo(
            contract=_pin(undo),
            agents=_agent_pins(serving),
            attempt_ms=undo.attempt_ms,
            total_ms=undo.total_ms,
            retry=undo.retry,
            idempotency=undo.idempotency,
            effect=undo.effect,
            errors=undo.errors,
            human=human,
            role=serving[0][0].transport.role if human else None,
            decision_level=level,
            answer_level=(undo.approval.min_assurance if undo.approval is not None else None) or Assurance.A0,
        )
        planned = PlannedUndo(
            contract=_pin(undo),
            input=contract.undo.input,
            key_field=undo.key_field,
            agents=_pinned(serving),
            types=each.undo_types,
            effect=undo.effect,
            approval=_contract_rule(undo),
            gate_role=(undo.approval.role if undo.approval is not None else None) or self._type.escalation.role,
            gate_level=level,
        )
        return facts, planned

    def _planned(self, each: CheckedStep, undo: tuple[Undo, PlannedUndo] | None) -> PlannedStep:
        contract, step = each.contract, each.step
        if contract is None:
            return self._planned_other(each)
        self._keep(contract_body(contract))
        for agent, _ in each.agents:
            self._keep(agent_body(agent))
        role = step.approval.role if step.approval is not None else None
        role = role or (contract.approval.role if contract.approval is not None else None)
        return PlannedStep(
            step=msgspec.structs.replace(step, on_failure=self._on_failure(step)),
            contract=_pin(contract),
            effect=contract.effect,
            required=tuple(name for name in required_names(contract.input) if name != contract.key_field),
            key_field=contract.key_field,
            agents=_pinned(each.agents),
            human=each.human,
            contract_approval=_contract_rule(contract),
            step_approval=_step_rule(step),
            gate_role=role or self._type.escalation.role,
            gate_level=self._level(contract, step),
            undo=None if undo is None else undo[1],
            types=each.types,
            by_model=self._by_model and contract.effect is Effect.IRREVERSIBLE,
        )

    def _planned_other(self, each: CheckedStep) -> PlannedStep:
        """A step that waits, or starts a process: no agent is asked. Everything a child pins, its parent pins."""
        child, started = each.child, self._started(each)
        for body in started.definitions if started is not None else ():
            self._keep(body)
        planned = None
        if child is not None and started is not None and started.facts is not None:
            most = budget_of(child).usd_micros
            planned = PlannedChild(type=type_pin(child), plan=started.facts.sha256, usd_micros=most)
        role = each.step.approval.role if each.step.approval is not None else None
        return PlannedStep(
            step=msgspec.structs.replace(each.step, on_failure=self._on_failure(each.step)),
            contract=None,
            effect=Effect.NONE,
            required=required_names(child.input) if child is not None else (),
            key_field=None,
            agents=(),
            human=False,
            contract_approval=None,
            step_approval=_step_rule(each.step),
            gate_role=role or self._type.escalation.role,
            gate_level=self._level(None, each.step),
            child=planned,
            types=each.types,
        )

    # Facts

    def _facts(self, document: str, undos: dict[str, tuple[Undo, PlannedUndo] | None]) -> PlanFacts:
        policy, steps = self._type.escalation, self._checked.steps
        needed = {each.step.id: [other.step.id for other in steps if each.step.id in other.needs] for each in steps}
        bound = {each.step.id: [other.step.id for other in steps if each.step.id in other.binds] for each in steps}
        return PlanFacts(
            sha256=document,
            steps=tuple(
                self._step_facts(
                    each,
                    undo=undos[each.step.id],
                    needed_by=tuple(needed[each.step.id]),
                    bound_by=tuple(bound[each.step.id]),
                )
                for each in steps
            ),
            on_failure=self._type.on_failure,
            on_cancel=self._type.on_cancel,
            on_abort=self._type.on_abort,
            role=policy.role,
            server_floor=self._floor,
            type_level=policy.min_assurance,
            deadline_ms=policy.deadline_s * 1000,
            on_deadline=policy.on_deadline,
            fit=fit_of(self._checked, output=self._plan.output),
        )

    def _step_facts(
        self,
        each: CheckedStep,
        *,
        undo: tuple[Undo, PlannedUndo] | None,
        needed_by: tuple[str, ...],
        bound_by: tuple[str, ...],
    ) -> StepFacts:
        contract, step = each.contract, each.step
        if contract is None:
            return self._other_facts(each, needed_by=needed_by, bound_by=bound_by)
        limit = contract.total_ms if step.timeout_s is None else min(contract.total_ms, round(step.timeout_s * 1000))
        kind = StepKind.HUMAN if each.human else StepKind.CALL
        role = each.agents[0][0].transport.role if each.human else None
        return StepFacts(
            id=step.id,
            kind=StepKind.MAP if step.for_each is not None else kind,
            needs=tuple(each.needs),
            needed_by=needed_by,
            bound_by=bound_by,
            contract=_pin(contract),
            effect=contract.effect,
            idempotency=contract.idempotency,
            undo=None if undo is None else undo[0],
            attempt_ms=min(contract.attempt_ms, limit),
            total_ms=limit,
            retry=tightened(contract.retry, step.retry),
            errors=contract.errors,
            agents=_agent_pins(each.agents),
            on_failure=self._on_failure(step),
            has_default=step.default is not msgspec.UNSET,
            is_map=step.for_each is not None,
            human=each.human,
            parallel=step.parallel,
            item_failure=OnFailure.SKIP if step.item_failure == "skip" else None,
            decision_level=self._level(contract, step),
            answer_level=_answer_level(contract, step),
            role=role or self._type.escalation.role,
            repeat=repeat_of(step),
            free=_free(each, contract),
        )

    def _started(self, each: CheckedStep) -> CompiledProcess | None:
        """The compiled plan of the process that a step starts."""
        if each.child is None:
            return None
        return self._registry.plan(each.child, server_floor=self._floor)

    def _other_facts(self, each: CheckedStep, *, needed_by: tuple[str, ...], bound_by: tuple[str, ...]) -> StepFacts:
        """Facts of a step that waits, or starts a process."""
        step, started = each.step, self._started(each)
        plan = started.facts if started is not None else None
        kind = StepKind.WAIT if each.child is None else StepKind.PROCESS
        return StepFacts(
            id=step.id,
            kind=StepKind.MAP if step.for_each is not None else kind,
            needs=tuple(each.needs),
            needed_by=needed_by,
            bound_by=bound_by,
            effect=Effect.NONE if plan is None else effect_of(plan),
            idempotency=Idempotency.KEYED,
            on_failure=self._on_failure(step),
            has_default=step.default is not msgspec.UNSET,
            is_map=step.for_each is not None,
            parallel=step.parallel,
            item_failure=OnFailure.SKIP if step.item_failure == "skip" else None,
            decision_level=self._level(None, step),
            role=self._type.escalation.role,
            wait_ms=wait_ms_of(step),
            repeat=repeat_of(step),
            child=None if each.child is None or plan is None else child_facts(each.child, plan),
        )

    def _on_failure(self, step: Step) -> dict[str, OnFailure]:
        return {"else": self._type.on_failure, **step.on_failure}

    def _level(self, contract: Contract | None, step: Step) -> Assurance:
        """What a decision about the step needs: the highest of server, type, contract and step."""
        own = step.approval.min_assurance if step.approval is not None else None
        policy = self._type.escalation.min_assurance
        return highest(self._floor, policy, _stated_level(contract), own or Assurance.A0)


def _stated_level(contract: Contract | None) -> Assurance:
    """What a contract asks for a decision about its calls."""
    if contract is None:
        return Assurance.A0
    stated = contract.approval.min_assurance if contract.approval is not None else None
    if stated is None:
        return Assurance.A3 if contract.effect is Effect.IRREVERSIBLE else Assurance.A0
    return stated


def _answer_level(contract: Contract, step: Step) -> Assurance:
    """What the answer to a human task needs: A0 unless the step or its contract says more."""
    stated = contract.approval.min_assurance if contract.approval is not None else None
    own = step.approval.min_assurance if step.approval is not None else None
    return highest(stated or Assurance.A0, own or Assurance.A0)


def _free(each: CheckedStep, contract: Contract) -> bool:
    """Whether a call harms nobody and costs nothing even if it is made twice. A model bills by tokens."""
    if each.human or any(agent.transport.kind == KIND for agent, _ in each.agents):
        return False
    return contract.effect in HARMLESS and contract.price_usd_micros == 0


def tightened(retry: RetryFacts, written: dict[str, Json] | None) -> RetryFacts:
    """A contract's retry under what a step says: fewer attempts, fewer reasons; its own pauses."""
    if not written:
        return retry
    attempts = min(retry.max_attempts, int(written.get("max_attempts", retry.max_attempts)))
    reasons = tuple(word for word in retry.on if word in written.get("on", retry.on))
    return RetryFacts(
        max_attempts=attempts,
        on=reasons,
        initial_ms=_ms(written.get("initial_s"), retry.initial_ms),
        factor=float(written.get("factor", retry.factor)),
        max_ms=_ms(written.get("max_s"), retry.max_ms),
        jitter=written["jitter"] == "full" if "jitter" in written else retry.jitter,
    )


def _ms(seconds: float | None, otherwise: int) -> int:
    return otherwise if seconds is None else round(seconds * 1000)


def _contract_rule(contract: Contract) -> ApprovalRule | None:
    approval = contract.approval
    if approval is None:
        return None
    variables: dict[str, ValueType] = {}
    if approval.when is not None:
        variables = {"input": type_of(Shape.of(contract.input))}
    return ApprovalRule(when=approval.when, show=approval.show, variables=variables)


def _step_rule(step: Step) -> ApprovalRule | None:
    if step.approval is None:
        return None
    return ApprovalRule(when=step.approval.when, show=step.approval.show)
