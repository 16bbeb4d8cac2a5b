"""Where an argument of a step could come from: outputs of earlier steps, judged by name and by the static check.

A name alone proves nothing and a schema alone says little, so a proposal needs both: the names must mean the same, and
the values must be able to fit. Generic names (`id`, `name`, `text`) mean the same only where the contracts speak of
the same thing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from process_orchestrator.checking.documents.definitions import Contract
from process_orchestrator.checking.importers.naming import valid_name
from process_orchestrator.checking.plans.fitting import UNDECIDED, Fit, Fitting, Question, Verdict
from process_orchestrator.checking.plans.lifted import UnliftableError, lifted
from process_orchestrator.checking.schemas.nearest import likeness
from process_orchestrator.checking.schemas.projection import (
    Presence,
    Shape,
    is_exact,
    items_of,
    kinds_of,
    names_of,
    project,
)

Json = Any

DEPTH_MAX: Final = 4
PLACES_MAX: Final = 200
"""Places of one output that are looked at."""

JUDGED_MAX: Final = 12
"""Places that are held against one argument, those with the best names."""

ALIKE: Final = 0.85
ENOUGH: Final = 0.65
"""Names less alike than that are not proposed."""

GENERIC: Final = frozenset(
    (
        *("id", "ids", "key", "name", "names", "type", "kind", "status", "state", "value", "values", "text", "code"),
        *("title", "url", "description", "data", "items", "item", "result", "content", "body", "message", "label"),
        *("uuid", "ref", "version", "path", "query"),
    )
)
VERBS: Final = frozenset(
    (
        *("get", "list", "find", "create", "add", "new", "update", "put", "patch", "delete", "remove", "set", "post"),
        *("fetch", "search", "show", "read", "write", "by", "of", "for", "the", "a", "all", "one", "call", "run"),
    )
)
PATH_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Output(NamedTuple):
    """A step that is done before: its id, its contract, and whether it gives one output or a list of them."""

    step: str
    contract: Contract
    mapped: bool = False


class Place(NamedTuple):
    """A place in an output. `over` is the list whose items are meant, None where the place is single."""

    step: str
    contract: Contract
    path: tuple[str, ...]
    over: tuple[str, ...] | None
    shape: Shape
    presence: Presence
    word: str  # the last name that says what stands there
    nouns: frozenset[str]  # what it is about: words of its contract, and of the path that leads to it
    alone: bool  # it is all that the step gives

    @property
    def binding(self) -> str:
        return (
            _bound("$.item", self.path) if self.over is not None else _bound(f"$.steps.{self.step}.output", self.path)
        )

    @property
    def list_binding(self) -> str:
        return _bound(f"$.steps.{self.step}.output", self.over or ())


class Proposal(NamedTuple):
    """A place that an argument could come from."""

    place: Place
    fit: Fit
    score: float

    def verdict_for(self, required: bool) -> Verdict:  # noqa: FBT001 - of the argument
        """How it fits an argument: where that is not required, an absent value is left out, and that fits."""
        if self.fit.verdict is Verdict.ALWAYS and required and self.place.presence is not Presence.ALWAYS:
            return Verdict.SOMETIMES
        return self.fit.verdict


def places_of(output: Output) -> tuple[Place, ...]:
    """The places in a step's output, nearest first; those in items of its lists too."""
    if output.mapped:
        return ()
    found: list[Place] = []
    only_one = len(names_of(Shape.of(output.contract.output))) == 1
    queue: list[tuple[tuple[str, ...], tuple[str, ...] | None, Shape, Presence]] = [
        ((), None, Shape.of(output.contract.output), Presence.ALWAYS)
    ]
    while queue and len(found) < PLACES_MAX:
        path, over, shape, presence = queue.pop(0)
        if path or over is not None:
            way = (*(over or ()), *path)
            nouns = _words_of(output.contract.name) | {form for each in way[:-1] for form in _forms(valid_name(each))}
            alone = only_one and over is None and len(path) == 1
            word = valid_name(way[-1])
            found.append(Place(output.step, output.contract, path, over, shape, presence, word, nouns, alone))
        if len(path) >= DEPTH_MAX:
            continue
        if over is None and path and sorted(kinds_of(shape)) == ["array"]:
            queue.append(((), path, items_of(shape), Presence.ALWAYS))
        for name in names_of(shape):
            inner = project(shape, (name,))
            if inner.presence is not Presence.NEVER:
                queue.append(((*path, name), over, inner.shape, min(presence, inner.presence)))
    return tuple(found)


def proposals(
    consumer: Contract, argument: str, outputs: Sequence[tuple[Place, ...]], *, fitting: Fitting
) -> tuple[Proposal, ...]:
    """What an argument could come from, best first; nothing that can never fit."""
    wanted = project(Shape.of(consumer.input), (argument,)).shape
    scored = [
        (score, recency, place)
        for recency, places in enumerate(outputs)
        for place in places
        if (score := alike(consumer, argument, place)) >= ENOUGH
    ]
    scored.sort(key=lambda each: (-each[0], -each[1], len(each[2].path), each[2].path))
    asked = [(score, recency, place) for score, recency, place in scored[:JUDGED_MAX]]
    fits = _fits([place for _, _, place in asked], wanted, fitting)
    found = [
        (Proposal(place, fit, score), recency)
        for (score, recency, place), fit in zip(asked, fits, strict=True)
        if fit.verdict is not Verdict.NEVER
    ]
    found.sort(key=_order)
    return tuple(each for each, _ in found)


def _order(found: tuple[Proposal, int]) -> tuple[float, int, bool, int, int]:
    """Better names first, then better proofs, then what is no list, what is nearer, what was done last."""
    proposal, recency = found
    place, rank = proposal.place, _rank(proposal.verdict_for(True))
    return (-proposal.score, rank, place.over is not None, len(place.path), -recency)


def alike(consumer: Contract, argument: str, place: Place) -> float:
    """How surely a place and an argument mean the same thing by their names, from 0 to 1."""
    wanted, given = valid_name(argument), place.word
    if place.over is not None and not place.path:  # an item of a list: `lines` gives a `line`
        return 0.9 if given in (f"{wanted}s", f"{wanted}es", f"{wanted}_list") else 0.0
    if given in GENERIC and place.alone:  # all that the step gives: the step's name says what it is
        return 0.95 if wanted in {place.step, *_words_of(place.contract.name)} else 0.0
    if wanted == given:
        if wanted in GENERIC:
            return 0.9 if place.nouns & _words_of(consumer.name) else 0.4
        return 1.0 if len(place.path) == 1 else 0.95
    if wanted.endswith(f"_{given}") and wanted.removesuffix(f"_{given}") in place.nouns:
        return 0.95
    if given.endswith(f"_{wanted}") and given.removesuffix(f"_{wanted}") in _words_of(consumer.name):
        return 0.9
    if given == "id" and wanted in place.nouns:  # `/customers/{customer}` takes a customer's id
        return 0.96 if len(place.path) == 1 else 0.9
    if wanted[:2] != given[:2] or {wanted, given} & GENERIC:
        return 0.0
    return 0.7 if likeness(wanted, given) >= ALIKE else 0.0


@lru_cache(maxsize=1_000)
def _words_of(name: str) -> frozenset[str]:
    """The nouns in the name of a contract, singular too; without the name of its agent where there is more."""
    words = valid_name(name.partition(".")[2] or name).split("_")
    return frozenset(form for each in words if each not in VERBS for form in _forms(each))


def _forms(word: str) -> Iterator[str]:
    yield word
    if word.endswith("ies"):
        yield f"{word[:-3]}y"
    elif word.endswith("s") and not word.endswith("ss"):
        yield word[:-1]


def _fits(given: list[Place], wanted: Shape, fitting: Fitting) -> list[Fit]:
    try:
        consumer = lifted(wanted)
        questions = [Question(lifted(each.shape), consumer, exact=_is_exact(each)) for each in given]
    except UnliftableError:
        return [UNDECIDED for _ in given]
    return fitting.fits(questions)


def _is_exact(place: Place) -> bool:
    """Whether each value of its schema can really stand there."""
    return place.over is None and is_exact(Shape.of(place.contract.output), place.path)


def _rank(verdict: Verdict) -> int:
    return (Verdict.ALWAYS, Verdict.UNKNOWN, Verdict.SOMETIMES).index(verdict)


def _bound(start: str, path: tuple[str, ...]) -> str:
    return start + "".join(f".{name}" if PATH_WORD.fullmatch(name) else f"[{json.dumps(name)}]" for name in path)
