"""Whether the bindings of a contract lead somewhere: `effects.undo.in` and `approval.show`.

They see one call of this contract, so its own schemas decide. The bindings of plans are the plan check's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from process_orchestrator.checking.bindings import Bound, read_value, references
from process_orchestrator.checking.definitions import Contract, Problem
from process_orchestrator.checking.lines import Document
from process_orchestrator.checking.nearest import likely
from process_orchestrator.checking.projection import Presence, Shape, names_of, project

Json = Any


def binding_problems(document: Document, contract: Contract) -> tuple[Problem, ...]:
    """What is wrong with the bindings of a contract whose schemas are sound."""
    found: list[Problem] = []
    shown = () if contract.approval is None else contract.approval.show
    for index, written in enumerate(shown):
        found.extend(_bindings(document, contract, f"/approval/show/{index}", written, roots=("input",)))
    if contract.undo is not None:
        roots = ("input", "output")
        found.extend(_bindings(document, contract, "/effects/undo/in", contract.undo.input, roots=roots))
    return tuple(found)


def _bindings(
    document: Document, contract: Contract, place: str, written: Json, *, roots: tuple[str, ...]
) -> Iterator[Problem]:
    value, faults = read_value(written, pointer=place, roots=roots)
    for fault in faults:
        yield document.error("BAD_BINDING", fault.pointer, fault.message, fault.fix)
    for reference in references(value):
        yield from _path(document, contract, reference.bound)


def _path(document: Document, contract: Contract, bound: Bound) -> Iterator[Problem]:
    shape = Shape.of(contract.input if bound.root == "input" else contract.output)
    found = project(shape, bound.segments)
    if found.declared and found.presence is not Presence.NEVER:
        return
    known = names_of(project(shape, bound.segments[: found.depth]).shape)
    missing = bound.segments[found.depth] if found.depth < len(bound.segments) else ""
    meant = likely(str(missing), known)
    fix = f"write `{meant}` for `{missing}`" if meant else f"declared there: {', '.join(known) or 'nothing'}"
    message = f"`{bound.text}` leads to nothing that the {bound.root} declares"
    yield document.error("UNDECLARED_PATH", bound.pointer, message, fix)
