"""Place of the plan check until it is here."""

from __future__ import annotations

from typing import Any

from process_orchestrator.checking.definitions import Problem, ProcessType
from process_orchestrator.core.facts.specs import PlanFacts
from process_orchestrator.core.facts.values import Assurance, Fact
from process_orchestrator.core.ports import DefinitionBody


class CompiledProcess(Fact, kw_only=True):
    facts: PlanFacts | None = None
    definitions: tuple[DefinitionBody, ...] = ()
    problems: tuple[Problem, ...] = ()
    rows: tuple[Any, ...] = ()


def compile_process(process_type: ProcessType, *, registry: object, server_floor: Assurance) -> CompiledProcess:
    del process_type, registry, server_floor
    return CompiledProcess()
