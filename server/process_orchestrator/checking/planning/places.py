"""What a made plan can refer to: every place that the input, a step or an item of a list declares, as a reference.

A place is a path with the schema of what stands there. Nearest first, bounded in depth and number: deeper places exist
and are not named. Which place fits which argument is `slots`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from process_orchestrator.checking.documents.definitions import ProcessType
from process_orchestrator.checking.documents.masking import sensitive
from process_orchestrator.checking.plans.argument_schema import Argument, ArgumentSchemas
from process_orchestrator.checking.plans.checked_plan import CheckedStep, label, output_of
from process_orchestrator.checking.plans.plan_data import level_of
from process_orchestrator.checking.plans.plan_values import Count, Produced, Scene, ValueCheck, count_of
from process_orchestrator.checking.schemas.paths import Segments, write_path
from process_orchestrator.checking.schemas.projection import (
    Presence,
    Shape,
    items_of,
    kinds_of,
    names_of,
    project,
)
from process_orchestrator.checking.values.bindings import Bound

DEPTH_MAX: Final = 4
"""Names below the whole of a body."""

PLACES_MAX: Final = 120
"""Places of one body."""


_LIST: Final = frozenset(("array",))


class Source(NamedTuple):
    """A body that references can be read from. `step`: the step that gives it, None for the input and for an item."""

    step: str | None
    start: Segments  # ("input",) or ("steps", id, "output") or ("item",)
    produced: Produced
    marks: tuple[tuple[str, ...], ...] = ()  # paths to what its contract declares sensitive
    level: int = -1  # how sensitive that is


class Place(NamedTuple):
    """One reference. `word` is the last name of its path, `depth` how many names are below the body."""

    text: str
    step: str | None
    depth: int
    word: str
    argument: Argument
    kinds: frozenset[str]
    level: int | None  # of the sensitive data that it touches; None: none
    bound: Bound
    check: ValueCheck  # what its samples are taken from


def input_source(process_type: ProcessType) -> Source:
    """The input of a process."""
    shape = Shape.of(process_type.input)
    produced = Produced(
        label=label(process_type), part="input", declared=shape, shape=shape, sha256=process_type.source.sha256
    )
    return Source(None, ("input",), produced)


def step_source(checked: CheckedStep) -> Source | None:
    """What a step gives."""
    given = output_of(checked, None)
    if given is None:
        return None
    start = ("steps", checked.step.id, "output")
    if checked.contract is None:
        return Source(checked.step.id, start, given)
    each: tuple[str, ...] = () if checked.step.for_each is None else ("*",)
    marks = tuple((*each, *_tokens(pointer)) for pointer in sensitive(checked.contract, "output"))
    return Source(checked.step.id, start, given, marks, level_of(checked.contract))


def items(source: Source, segments: Segments) -> Source:
    """An item of the list that stands at a place of a source."""
    shape = items_of(project(source.produced.shape, segments).shape)
    tied = frozenset[str]() if source.produced.free(segments) else frozenset(("",))
    produced = Produced(label=source.produced.label, part="item", declared=shape, shape=shape, tied=tied)
    inside = [mark[len(segments) :] for mark in source.marks if _touches(segments, mark)]
    # A pointer that goes through a list without an index means each item, as in `masking`.
    marks = tuple(mark[1:] if mark and (mark[0] == "*" or mark[0].isdecimal()) else mark for mark in inside)
    return Source(None, ("item",), produced, marks, source.level)


class Listed(NamedTuple):
    """A list that is surely there, what its items hold, and how many there are."""

    place: Place
    inside: tuple[Place, ...]
    number: Count


class Body:
    """A source with its places, looked at once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._walked = tuple(_walk(source))
        self.places = tuple(place for place, _ in self._walked)

    def lists(self) -> Iterator[Listed]:
        """Its lists, nearest first."""
        for place, segments in self._walked:
            if place.kinds == _LIST and place.argument.presence is Presence.ALWAYS:
                inside = tuple(each for each, _ in _walk(items(self._source, segments)))
                yield Listed(place, inside, count_of(project(self._source.produced.shape, segments).shape))


def _walk(source: Source) -> Iterator[tuple[Place, Segments]]:
    queue: list[tuple[Segments, Shape]] = [((), source.produced.shape)]
    seen = 0
    while queue and seen < PLACES_MAX:
        segments, shape = queue.pop(0)
        touched = any(_touches(segments, mark) for mark in source.marks)
        yield _place(source, segments, shape, level=source.level if touched else None), segments
        seen += 1
        if len(segments) >= DEPTH_MAX:
            continue
        for name in names_of(shape):
            inner = project(shape, (name,))
            if inner.presence is not Presence.NEVER and inner.declared:
                queue.append(((*segments, name), inner.shape))


def _place(source: Source, segments: Segments, shape: Shape, *, level: int | None) -> Place:
    text = write_path((*source.start, *segments))
    root = str(source.start[0])
    part = "output" if root == "steps" else None
    bound = Bound("", text, root, source.step, part, segments)
    steps: Mapping[str, Produced | None] = {} if source.step is None else {source.step: source.produced}
    scene = Scene(process=source.produced, steps=steps, item=source.produced)
    named = [each for each in segments if isinstance(each, str)]
    return Place(
        text=text,
        step=source.step,
        depth=len(segments),
        word=named[-1] if named else root,
        argument=ArgumentSchemas(scene, {}).alone(bound),
        kinds=kinds_of(shape),
        level=level,
        bound=bound,
        check=ValueCheck(scene, _silent),
    )


def _silent(code: str, pointer: str, message: str, fix: str) -> None:
    """Places are declared, so nothing is wrong with them."""


def _touches(segments: Segments, mark: tuple[str, ...]) -> bool:
    """Whether a place holds what is marked, or lies in it."""
    return all(one in (other, "*") for one, other in zip(mark, map(str, segments), strict=False))


def _tokens(pointer: str) -> tuple[str, ...]:
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])
