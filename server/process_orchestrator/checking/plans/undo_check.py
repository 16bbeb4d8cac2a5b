"""Whether a contract's undo can be called with what `undo.in` binds: the arguments that it names, and their values.

An undo runs long after, when nobody is there to correct it. It sees the call that it undoes and nothing else, so it is
judged in the file of the contract; the plans that use the contract only show the rows.
"""

from __future__ import annotations

from collections.abc import Iterator

from process_orchestrator.checking.documents.definitions import Contract, Problem
from process_orchestrator.checking.documents.lines import Document
from process_orchestrator.checking.plans.checked_plan import label, tied_by
from process_orchestrator.checking.plans.fitting import Fitting
from process_orchestrator.checking.plans.plan_values import Produced, Scene, ValueCheck
from process_orchestrator.checking.plans.plan_verdicts import Place, Verdicts, Wanted
from process_orchestrator.checking.schemas.pointers import step_into
from process_orchestrator.checking.schemas.projection import Presence, Shape, names_of, project, required_names
from process_orchestrator.checking.values.bindings import Read, read_value

IN = "/effects/undo/in"


def undo_scene(contract: Contract) -> Scene:
    """What `undo.in` may bind: `$.input` and `$.output` of a call of the contract."""
    return Scene(process=_side(contract, "input"), steps={}, undone=_side(contract, "output"))


def undo_wanted(undo: Contract, *, in_plan: bool) -> Wanted:
    """What the undoing contract takes. A plan lists it; the contract's own file says what is wrong with it."""
    filled = () if undo.key_field is None else (undo.key_field,)
    return Wanted(
        label=label(undo), part="input", schema=undo.input, filled=filled, listed=in_plan, reported=not in_plan
    )


def undo_problems(document: Document, contract: Contract, undo: Contract, fitting: Fitting) -> Iterator[Problem]:
    """What is wrong with the arguments of a contract's undo. Faults in its bindings are told elsewhere."""
    assert contract.undo is not None
    given = contract.undo.input
    found = [*_missing(document, given, undo), *_unknown(document, given, undo)]
    yield from found
    read = read_value(given, pointer=IN, roots=("input", "output"))
    if found or read.faults:
        return
    yield from (document.placed(problem) for problem in _misfits(contract, undo, read, fitting))


def _misfits(contract: Contract, undo: Contract, read: Read, fitting: Fitting) -> list[Problem]:
    reported: list[str] = []
    check = ValueCheck(undo_scene(contract), lambda code, *_: reported.append(code))
    check.check(read.value)
    if reported:
        return []
    verdicts = Verdicts(contract.name, contract.version, fitting)
    at = Place(step="undo", pointer="", within=IN)
    verdicts.ask(read.value, at=at, wanted=undo_wanted(undo, in_plan=False), check=check)
    return verdicts.answer([])[1]


def _missing(document: Document, given: dict[str, object], undo: Contract) -> Iterator[Problem]:
    for name in required_names(undo.input):
        if name not in given and name != undo.key_field:
            fix = f"add `{name}: $.output.…` or `{name}: $.input.…`"
            yield document.error("MISSING_ARGUMENT", IN, f"{undo.name} needs `{name}`", fix)


def _unknown(document: Document, given: dict[str, object], undo: Contract) -> Iterator[Problem]:
    shape = Shape.of(undo.input)
    for name in given:
        if project(shape, (name,)).presence is Presence.NEVER:
            fix = f"remove it; {undo.name} takes {', '.join(names_of(shape)) or 'nothing'}"
            yield document.error("UNKNOWN_ARGUMENT", step_into(IN, name), f"{undo.name} takes no `{name}`", fix)


def _side(contract: Contract, part: str) -> Produced:
    shape = Shape.of(contract.input if part == "input" else contract.output)
    return Produced(
        label=label(contract),
        part=part,
        declared=shape,
        shape=shape,
        examples=tuple(example[part] for example in contract.examples if part in example),
        sha256=contract.source.sha256,
        tied=tied_by(contract.requires if part == "input" else (*contract.requires, *contract.ensures), part),
    )
