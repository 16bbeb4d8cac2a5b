"""Renders what can be done here from a snapshot of the definitions. Health of agents is handed in; nothing is asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from process_orchestrator.checking.documents.pins import state_of
from process_orchestrator.checking.documents.show import show
from process_orchestrator.checking.plans.plan_bounds import told
from process_orchestrator.core.facts.values import Assurance
from process_orchestrator.core.money import usd
from process_orchestrator.views.models import (
    AgentDetail,
    AgentRow,
    ContractDetail,
    ContractRow,
    Description,
    MapRow,
    NextAction,
    ProblemView,
    ProcessTypeDetail,
    ProcessTypeRow,
)
from process_orchestrator.views.process_view import verdict_view

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from process_orchestrator.checking.documents.definitions import Agent, Contract, Problem, ProcessType
    from process_orchestrator.checking.loading.registry import Registry
    from process_orchestrator.core.ports import AgentHealth
    from process_orchestrator.views.definition_models import HistoryRow

TODO_SHOWN_MAX = 20
"""Open decisions of one contract in a list of all; its definition holds them all."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the definitions do not say: who lives, whether models are there, the least assurance asked for."""

    health: Mapping[str, AgentHealth]
    models: str = "rules"
    server_floor: Assurance = Assurance.A0
    history: Sequence[HistoryRow] = ()  # what runs of the type that is asked for took


def index(registry: Registry, known: Known) -> Description:
    """All definitions, one row each; of process types and contracts the newest version that is in force."""
    types = [_type_row(each, registry) for each in _newest(registry.processes)]
    first = types[0].name if types else None
    return Description(
        process_types=types,
        contracts=[_contract_row(each, registry) for each in registry.contracts],
        agents=[_agent_row(each, registry, known) for each in registry.agents],
        models=known.models,
        problems=[problem_view(each) for each in registry.problems],
        next_actions=[
            NextAction(
                tool="describe_agents",
                args={"process_type": first},
                command=f"orchestrator processes show {first}",
                reason="Gives the whole input schema of a process type.",
            )
        ]
        if first
        else [],
        warnings=_warnings(registry),
    )


def one_type(process_type: ProcessType, registry: Registry, known: Known) -> Description:
    compiled = registry.plan(process_type, server_floor=known.server_floor)
    row = _type_row(process_type, registry)
    fit = compiled.facts.fit if compiled.facts else None
    detail = ProcessTypeDetail(
        **row.model_dump(),
        input=process_type.input,
        output=process_type.output,
        verdict=verdict_view(fit) if fit else None,
        budget_usd=usd(round(process_type.budget.usd * 1_000_000)),
        definition=show(process_type),
        worst_case=told(compiled.worst) if compiled.worst is not None else None,
        checks=[problem_view(each) for each in compiled.problems],
        bindings=dict(Counter(row.verdict for row in compiled.rows)),
        history=list(known.history),
    )
    submit = NextAction(
        tool="submit_process",
        args={"process_type": process_type.name, "input": dict.fromkeys(row.input_required, "…")},
        command=f"orchestrator run {process_type.name} --input FILE",
        reason="Starts it; fill the input as the schema says.",
    )
    return Description(process_type=detail, models=known.models, next_actions=[submit], problems=[])


def one_contract(contract: Contract, registry: Registry, known: Known) -> Description:
    detail = ContractDetail(
        **_contract_row(contract, registry).model_dump(),
        input=contract.input,
        output=contract.output,
        errors={
            code: {"class": error.class_.value, "outcome": error.outcome.value}
            for code, error in contract.errors.items()
        },
        price_usd=usd(contract.price_usd_micros) if contract.price_usd_micros is not None else None,
        definition=show(contract),
    )
    return Description(contract=detail, models=known.models)


def one_agent(agent: Agent, registry: Registry, known: Known) -> Description:
    health = known.health.get(agent.name)
    detail = AgentDetail(
        **_agent_row(agent, registry, known).model_dump(),
        prefer=agent.prefer,
        concurrency=agent.limits.concurrency,
        last_error=health.last_error if health else None,
        definition=show(agent),
    )
    return Description(agent=detail, models=known.models)


def problem_view(problem: Problem) -> ProblemView:
    return ProblemView(
        level=problem.level,
        code=problem.code,
        file=problem.file,
        line=problem.line,
        pointer=problem.pointer,
        message=problem.message,
        fix=problem.fix,
    )


def _newest(types: tuple[ProcessType, ...]) -> list[ProcessType]:
    newest: dict[str, ProcessType] = {}
    for each in types:
        newest.setdefault(each.name, each)
    return list(newest.values())


def _warnings(registry: Registry) -> list[str]:
    broken = sorted({problem.file for problem in registry.problems if problem.level == "error"})
    if not broken:
        return []
    return [f"{len(broken)} files do not load ({', '.join(broken[:5])}); their last good version is in force, if any."]


def _type_row(process_type: ProcessType, registry: Registry) -> ProcessTypeRow:
    return ProcessTypeRow(
        name=process_type.name,
        version=process_type.version,
        summary=process_type.summary,
        input_required=[str(name) for name in process_type.input.get("required", ())],
        plan="fixed" if process_type.plan is not None else "made",
        map=_map_rows(process_type, registry),
    )


def _map_rows(process_type: ProcessType, registry: Registry) -> list[MapRow]:
    """The map as written, else the contracts of the fixed plan; and the processes that its steps start."""
    rows = {name: _map_row(name, registry) for name in process_type.contracts}
    mapped = bool(rows)
    for step in process_type.plan.steps if process_type.plan else ():
        if step.process is not None:
            rows.setdefault(f"process {step.process}", MapRow(process=step.process, agents=[]))
        elif step.contract is not None and not mapped:
            rows.setdefault(step.contract, _map_row(step.contract, registry))
    return list(rows.values())


def _map_row(reference: str, registry: Registry) -> MapRow:
    contract = registry.contract(reference)
    return MapRow(contract=reference, agents=_agents(contract, registry) if contract else [])


def _agents(contract: Contract, registry: Registry) -> list[str]:
    return [agent.name for agent, _ in registry.serving(contract)]


def _contract_row(contract: Contract, registry: Registry) -> ContractRow:
    return ContractRow(
        name=contract.name,
        version=contract.version,
        summary=contract.summary,
        effect=contract.effect.value,
        approval=contract.approval is not None,
        status=contract.status,
        agents=_agents(contract, registry),
        todo=list(contract.todo[:TODO_SHOWN_MAX]),
    )


def _agent_row(agent: Agent, registry: Registry, known: Known) -> AgentRow:
    health = known.health.get(agent.name)
    return AgentRow(
        name=agent.name,
        summary=agent.summary,
        kind=agent.transport.kind,
        serves=[serve.contract for serve in agent.serves],
        health=health.health if health else None,
        circuit=health.circuit if health else None,
        pin=(health.pin if health else None) or state_of(agent, registry.pins).value,
    )
