"""Where sensitive data goes in a plan: what one contract declares sensitive stays so wherever a binding carries it.

A contract marks its own input and output. The same value also stands in the process's output, in another step's input,
in the items of a map: bindings say so, forwards and backwards. Through an expression it is followed forwards only (its
whole result counts as sensitive); texts that hold a sensitive value inside a longer string cannot be known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from process_orchestrator.checking.documents.masking import sensitive
from process_orchestrator.checking.schemas.paths import parse_path
from process_orchestrator.core.errors import PathError

if TYPE_CHECKING:
    from process_orchestrator.checking.documents.definitions import Contract, Plan, Step

ROUNDS_MAX: Final = 32
"""A mark travels at least one binding a round, so a plan of as many steps settles within."""

Tokens = tuple[str, ...]
Place = tuple[str, str]
"""A body: ("input", "") of the process, ("output", "") of it, ("in", step), ("out", step), ("item", step)."""

PROCESS_INPUT: Final[Place] = ("input", "")
PROCESS_OUTPUT: Final[Place] = ("output", "")


@dataclass(frozen=True, kw_only=True)
class _Wire:
    """One binding: what stands at `source` also stands at `target`. `derived`: through an expression."""

    source: tuple[Place, Tokens]
    target: tuple[Place, Tokens]
    derived: bool = False


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """JSON pointers to sensitive parts, by body. `*` stands for every item of a list."""

    marks: Mapping[Place, frozenset[Tokens]] = field(default_factory=dict[Place, frozenset[Tokens]])

    @property
    def process_input(self) -> tuple[str, ...]:
        return self._pointers(PROCESS_INPUT)

    @property
    def process_output(self) -> tuple[str, ...]:
        return self._pointers(PROCESS_OUTPUT)

    def of(self, step: str, part: str) -> tuple[str, ...]:
        """Of a step: its call's `input`, or its `output` (of a mapped step the list of its items' outputs)."""
        return self._pointers(("in" if part == "input" else "out", step))

    def of_item(self, step: str) -> tuple[str, ...]:
        """Of one item of the list that a mapped step goes through."""
        return self._pointers(("item", step))

    def _pointers(self, place: Place) -> tuple[str, ...]:
        marks = self.marks.get(place)
        return pointers_of(sorted(marks)) if marks else ()


def pointers_of(marks: Iterable[Tokens]) -> tuple[str, ...]:
    """Marks as JSON pointers."""
    return tuple("".join(f"/{token.replace('~', '~0').replace('/', '~1')}" for token in tokens) for tokens in marks)


def sensitivity(
    plan: Plan,
    contracts: Mapping[str, Contract],
    *,
    children: Mapping[str, Sensitivity] | None = None,
    entering: frozenset[Tokens] = frozenset(),
) -> Sensitivity:
    """Follow every mark through the bindings of a plan.

    `contracts` by id of the step; `children` by that of a step that starts a process, whose input and output it has;
    `entering` are marks of the process input that no contract of the plan says, but whoever started it knows.
    """
    marks: dict[Place, set[Tokens]] = {PROCESS_INPUT: set(entering)}
    for step, contract in contracts.items():
        marks[("in", step)] = {_tokens(pointer) for pointer in sensitive(contract, "input")}
        marks[("out", step)] = {_tokens(pointer) for pointer in sensitive(contract, "output")}
    for step, child in (children or {}).items():
        marks[("in", step)] = set(child.marks.get(PROCESS_INPUT, ()))
        marks[("out", step)] = set(child.marks.get(PROCESS_OUTPUT, ()))
    if not any(marks.values()):
        return Sensitivity()
    for step in plan.steps:
        if step.for_each is not None and ("out", step.id) in marks:  # its output is the list of its items' outputs
            marks[("out", step.id)] = {("*", *mark) for mark in marks[("out", step.id)]}
    wires = tuple(_wires(plan))
    for _ in range(ROUNDS_MAX):
        before = sum(len(each) for each in marks.values())
        for wire in wires:
            _carry(marks, wire.source, wire.target, whole=wire.derived)
            if not wire.derived:
                _carry(marks, wire.target, wire.source, whole=False)
        if sum(len(each) for each in marks.values()) == before:
            break
    return Sensitivity(marks={place: frozenset(each) for place, each in marks.items()})


def _carry(
    marks: dict[Place, set[Tokens]], source: tuple[Place, Tokens], target: tuple[Place, Tokens], *, whole: bool
) -> None:
    """Put the marks of the body at `source` that touch its path onto `target`."""
    (place, path), (onto, at) = source, target
    for mark in tuple(marks.get(place, ())):
        inside = _rest(mark, path)
        if inside is None and _rest(path, mark) is None:
            continue
        # Where the mark covers more than what is bound, all that is bound is sensitive.
        new = at if whole or inside is None else (*at, *inside)
        known = marks.setdefault(onto, set())
        if not any(_covers(each, new) for each in known):
            known.add(new)


def _rest(longer: Tokens, shorter: Tokens) -> Tokens | None:
    """What follows `shorter` in `longer`, or None where it is no beginning of it."""
    if len(shorter) > len(longer):
        return None
    if not all(a == b or "*" in (a, b) for a, b in zip(shorter, longer, strict=False)):
        return None
    return longer[len(shorter) :]


def _covers(mark: Tokens, place: Tokens) -> bool:
    """Whether hiding `mark` hides `place` too."""
    return len(mark) <= len(place) and all(a in (b, "*") for a, b in zip(mark, place, strict=False))


def _wires(plan: Plan) -> Iterator[_Wire]:
    for step in plan.steps:
        if step.for_each is not None:
            yield from _bound(step.for_each, (("item", step.id), ()), step)
        yield from _bound(step.input, (("in", step.id), ()), step)
        if step.default is not msgspec.UNSET:
            for at in ((), ("*",)) if step.for_each is not None else ((),):  # of the list, or of each item
                yield from _bound(step.default, (("out", step.id), at), step)
    yield from _bound(plan.output, (PROCESS_OUTPUT, ()), None)


def _bound(
    value: Any, target: tuple[Place, Tokens], step: Step | None, *, derived: bool = False, listed: bool = True
) -> Iterator[_Wire]:
    """The wires of one bound value, found at any depth of a literal.

    `listed`: what is bound to the items of a map is the whole list.
    """
    place, at = target
    if isinstance(value, str):
        source = _source(value, step)
        if source is not None:
            items: Tokens = ("*",) if place[0] == "item" and listed else ()
            yield _Wire(source=(source[0], (*source[1], *items)), target=target, derived=derived)
    elif isinstance(value, list) and place[0] == "item" and listed and not at:
        for item in value:  # each element as it stands is an item
            yield from _bound(item, target, step, derived=derived, listed=False)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _bound(item, (place, (*at, str(number))), step, derived=derived, listed=listed)
    elif isinstance(value, dict):
        if "const" in value and len(value) == 1:
            return
        if "expr" in value:
            for bound in value.get("let", {}).values():
                yield from _bound(bound, target, step, derived=True, listed=listed)
        elif len(value) == 1 and isinstance(value.get("first"), list):
            for alternative in value["first"]:
                yield from _bound(alternative, target, step, derived=derived, listed=listed)
        else:
            for name, item in value.items():
                yield from _bound(item, (place, (*at, str(name))), step, derived=derived, listed=listed)


def _source(text: str, step: Step | None) -> tuple[Place, Tokens] | None:
    """The body and path that a binding reads, or None where it reads no body."""
    if not text.startswith("$"):
        return None
    try:
        segments = tuple(str(segment) for segment in parse_path(text))
    except PathError:
        return None
    match segments:
        case ("input", *rest):
            return PROCESS_INPUT, tuple(rest)
        case ("item", *rest) if step is not None:
            return ("item", step.id), tuple(rest)
        case ("steps", name, "output", *rest):
            return ("out", name), tuple(rest)
        case _:
            return None


def _tokens(pointer: str) -> Tokens:
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])


def of_item(pointer: str) -> str:
    """A pointer into the list of a mapped step's outputs, as one into a single item's output."""
    return "/" + "/".join(pointer.split("/")[2:]) if pointer.count("/") > 1 else ""
