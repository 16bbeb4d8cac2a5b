"""Whether the bindings of a contract lead somewhere: `effects.undo.in` and `approval.show`.

They see one call of this contract, so its own schemas decide. The bindings of plans are the plan check's.
"""

from __future__ import annotations

from typing import Any

from process_orchestrator.checking.documents.definitions import Contract, Problem
from process_orchestrator.checking.documents.lines import Document
from process_orchestrator.checking.plans.plan_values import Produced, Scene, ValueCheck
from process_orchestrator.checking.schemas.projection import Shape
from process_orchestrator.checking.values.bindings import read_value

Json = Any


def binding_problems(document: Document, contract: Contract) -> tuple[Problem, ...]:
    """What is wrong with the bindings of a contract whose schemas are sound."""
    found: list[Problem] = []
    given, answered = _part(contract, "input"), _part(contract, "output")

    def report(code: str, pointer: str, message: str, fix: str) -> None:
        found.append(document.error(code, pointer, message, fix))

    def check(written: Json, pointer: str, scene: Scene) -> None:
        roots = ("input",) if scene.undone is None else ("input", "output")
        read = read_value(written, pointer=pointer, roots=roots)
        values = ValueCheck(scene, report)
        values.faults(read.faults)
        values.check(read.value)

    for index, written in enumerate(() if contract.approval is None else contract.approval.show):
        check(written, f"/approval/show/{index}", Scene(process=given, steps={}))
    if contract.undo is not None:
        check(contract.undo.input, "/effects/undo/in", Scene(process=given, steps={}, undone=answered))
    return tuple(found)


def _part(contract: Contract, part: str) -> Produced:
    shape = Shape.of(contract.input if part == "input" else contract.output)
    return Produced(label=f"{contract.name}@{contract.version}", part=part, declared=shape, shape=shape)
