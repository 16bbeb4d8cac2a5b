"""Place of the plan check until it is here."""

from __future__ import annotations

from typing import Any

from process_orchestrator.checking.definitions import Problem, ProcessType
from process_orchestrator.checking.plan_check import Definitions, check_plan
from process_orchestrator.core.facts.specs import PlanFacts
from process_orchestrator.core.facts.values import Assurance, Fact
from process_orchestrator.core.ports import DefinitionBody


class CompiledProcess(Fact, frozen=True, kw_only=True):
    facts: PlanFacts | None = None
    definitions: tuple[DefinitionBody, ...] = ()
    problems: tuple[Problem, ...] = ()
    rows: tuple[Any, ...] = ()


def compile_process(process_type: ProcessType, *, registry: Definitions, server_floor: Assurance) -> CompiledProcess:
    del server_floor
    if process_type.plan is None:
        return CompiledProcess()
    checked = check_plan(process_type.plan, process_type=process_type, registry=registry)
    return CompiledProcess(problems=checked.problems, rows=checked.rows)
