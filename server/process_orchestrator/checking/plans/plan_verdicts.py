"""The verdicts of a plan: whether each binding fits its consumer, and what follows where it does not.

Places are asked one by one while the plan is checked, and answered together, so that costly questions share a helper.
A binding is held against what its consumer says of that property; where the consumer ties properties to each other, the
whole is held against the whole too, and has a row of its own where only the combination fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from process_orchestrator.checking.documents.definitions import Problem
from process_orchestrator.checking.plans.argument_schema import Argument, ArgumentSchemas
from process_orchestrator.checking.plans.fitting import UNDECIDED, WORST_FIRST, Fit, Fitting, Question, Verdict
from process_orchestrator.checking.plans.lifted import UnliftableError, lifted
from process_orchestrator.checking.plans.plan_advice import Origin, Told, absent, refused, undecided
from process_orchestrator.checking.plans.plan_cover import ABSENT as MISSING
from process_orchestrator.checking.plans.plan_cover import NOTHING, REFUSED, Cover
from process_orchestrator.checking.plans.plan_rows import Leaf, PlanRow, leaves, pointer_below, producer
from process_orchestrator.checking.plans.plan_samples import resolved, sources
from process_orchestrator.checking.plans.plan_values import ValueCheck, produced_by
from process_orchestrator.checking.schemas.paths import ABSENT, Segments, find
from process_orchestrator.checking.schemas.projection import (
    Presence,
    Schema,
    Shape,
    is_plain,
    needed_of,
    project,
    written_required,
)
from process_orchestrator.checking.values.bindings import Bound, Literal, Record, Sequence, Value, references

Json = Any

NEVER_FITS: Final = "NEVER_FITS"
MAY_NOT_FIT: Final = "MAY_NOT_FIT"
MAY_BE_ABSENT: Final = "MAY_BE_ABSENT"

ASKED_MAX: Final = 5_000
"""Values of one plan whose verdicts are asked for: what a file of 1 MB holds beyond is checked when it runs."""

_SAID_BEFORE: Final = frozenset((Verdict.UNKNOWN, part) for part in WORST_FIRST if part is not Verdict.ALWAYS)
"""Of the whole and its worst part: that the whole is not decided follows, where a part is not known to fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What takes a value. `filled`: properties that the engine adds.

    `listed`: it makes rows in the report. `reported`: what does not fit is a problem here, not somewhere else.
    """

    label: str  # `ledger.post@1.2.0`, or what else takes the value, in words
    part: str  # input or output of it
    schema: Schema
    filled: tuple[str, ...] = ()
    listed: bool = True
    reported: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a value stands: the step of its rows, the pointer of its problems, the value's own pointer below that."""

    step: str
    pointer: str
    within: str
    cover: Cover = NOTHING


class _Consumer:
    """A schema that many values may be held against; what is found out about it is kept."""

    __slots__ = ("_needed", "_parts", "whole")

    def __init__(self, schema: Schema) -> None:
        self.whole = Shape.of(schema)
        self._needed: frozenset[str] | None = None
        self._parts: dict[Segments, Schema | None] = {}

    def part(self, path: Segments) -> Schema | None:
        """What it says of one place, alone. Necessary, and all of it where the schema is plain."""
        if path not in self._parts:
            found = project(self.whole, path)
            self._parts[path] = _lifted(found.shape) if found.presence is not Presence.NEVER else False
        return self._parts[path]

    def demands(self, path: Segments) -> bool:
        """Whether the place must be there."""
        *above, last = path or (0,)
        if not isinstance(last, str):
            return True
        if above:
            return last in needed_of(project(self.whole, tuple(above)).shape)
        if self._needed is None:
            self._needed = needed_of(self.whole)
        return last in self._needed


@dataclass(slots=True)
class _Asked:
    """One question and all that its answer is told with. `leaf` None: the whole value."""

    place: Place
    wanted: Wanted
    check: ValueCheck
    value: Value
    leaf: Leaf | None
    argument: Argument
    demanded: bool
    consumer: Schema | None  # None: what is wanted cannot be told apart from the rest
    fit: Fit = UNDECIDED


@dataclass(slots=True)
class Verdicts:
    """Collects questions, then answers them. `strict`: what fits only sometimes and is not covered is an error."""

    process: str
    version: str
    fitting: Fitting
    strict: bool = False
    _asked: list[_Asked] = field(default_factory=list[_Asked])
    _consumers: dict[int, _Consumer] = field(default_factory=dict[int, Any])  # by the identity of their schemas

    def ask(self, value: Value, *, at: Place, wanted: Wanted, check: ValueCheck) -> None:
        """Ask whether a value fits. The check's scene is read now; its faults have been reported."""
        kept = ValueCheck(check.scene, check.report, check.types, check.results)
        schemas = ArgumentSchemas(check.scene, check.results)
        consumer = self._consumers.setdefault(id(wanted.schema), _Consumer(wanted.schema))
        whole = consumer.whole
        for leaf in leaves(value):
            self._asked.append(
                _Asked(
                    at,
                    wanted,
                    kept,
                    leaf.value,
                    leaf,
                    schemas.alone(leaf.value),
                    leaf.demanded or consumer.demands(leaf.path),
                    consumer.part(leaf.path) if len(self._asked) < ASKED_MAX else None,
                )
            )
        if not isinstance(value, (Record, Sequence)) or _by_part(value, whole, wanted.filled):
            return
        argument = schemas.fitting(value, whole, filled=wanted.filled)
        self._asked.append(_Asked(at, wanted, kept, value, None, argument, True, _lifted(whole)))

    def answer(self, known: list[Problem]) -> tuple[list[PlanRow], list[Problem]]:
        """The rows of all that was asked, and the problems in it. `known`: faults found before, which say more."""
        faulty = [problem.pointer for problem in known if problem.level == "error"]
        asked = [each for each in self._asked if each.consumer is not None and not _faulty(each, faulty)]
        for each, fit in zip(asked, self.fitting.fits([self._question(each) for each in asked]), strict=True):
            each.fit = fit
        rows: list[PlanRow] = []
        problems: list[Problem] = []
        worst: dict[tuple[str, str], Verdict] = {}
        for each in self._asked:
            verdict, told = self._judged(each, faulty=_faulty(each, faulty))
            at = (each.place.pointer, each.place.within)
            if each.leaf is None and (verdict is Verdict.ALWAYS or (verdict, worst.get(at)) in _SAID_BEFORE):
                continue
            worst[at] = min(verdict, worst.get(at, verdict), key=WORST_FIRST.index)
            if each.wanted.listed:
                rows.append(self._row(each, verdict, told[0][1]))
            if each.wanted.reported:
                problems += [made for code, one in told if code for made in self._problem(each, verdict, one, code)]
        return rows, problems

    def _question(self, each: _Asked) -> Question:
        assert each.consumer is not None
        value, check = each.value, each.check
        if isinstance(value, Bound) and each.argument.exact:
            shown = _examples(value, check)
            return Question(each.argument.schema, each.consumer, samples=lambda: shown, source=repr(shown))
        return Question(
            each.argument.schema,
            each.consumer,
            exact=each.argument.exact,
            samples=lambda: resolved(value, check, self.fitting),
            source="" if isinstance(value, Literal) else sources(value, check),
        )

    def _judged(self, each: _Asked, *, faulty: bool) -> tuple[Verdict, tuple[tuple[str, Told], ...]]:
        """The verdict, and what is told of it, by the failure that it would be at run time ("" for none)."""
        if faulty:
            return Verdict.UNKNOWN, (("", Told("not decided: its own error comes first")),)
        told: list[tuple[str, Told]] = []
        verdict = Verdict.UNKNOWN if each.consumer is None else each.fit.verdict
        if verdict in {Verdict.NEVER, Verdict.SOMETIMES}:
            told.append((REFUSED, refused(each.value, each.fit, each.wanted, _origin(each))))
        if each.argument.presence is not Presence.ALWAYS and each.demanded and each.leaf is not None:
            told.append((MISSING, absent(each.value, each.argument, each.wanted)))
        if verdict is Verdict.UNKNOWN:
            told.append(("", undecided(each.consumer is None)))
        told = told or [("", Told("every value fits"))]
        worst = verdict is not Verdict.NEVER and any(code == MISSING for code, _ in told)
        return Verdict.SOMETIMES if worst else verdict, tuple(told)

    def _row(self, each: _Asked, verdict: Verdict, told: Told) -> PlanRow:
        below = "" if each.leaf is None else pointer_below(each.leaf.path)
        return PlanRow(
            process=self.process,
            version=self.version,
            step=each.place.step,
            argument=below or "/",
            verdict=verdict.value,
            producer=producer(each.value, each.check) if each.leaf is not None else None,
            consumer=f"{each.wanted.label}#/{each.wanted.part}{below}",
            witness=each.fit.witness if verdict is each.fit.verdict else None,
            message=told.text,
        )

    def _problem(self, each: _Asked, verdict: Verdict, told: Told, code: str) -> Iterator[Problem]:
        never = verdict is Verdict.NEVER and code == REFUSED
        bounds = each.argument.missing if code == MISSING else tuple(found.bound for found in references(each.value))
        if not never and each.place.cover.covers(bounds, code):
            return
        name = NEVER_FITS if never else MAY_BE_ABSENT if code == MISSING else MAY_NOT_FIT
        pointer = each.place.within if each.leaf is None else each.value.pointer
        yield Problem(
            level="error" if self.strict or never else "warning",
            code=name,
            file="",
            line=0,
            pointer=each.place.pointer + pointer,
            message=told.message,
            fix=told.fix,
        )


def _origin(each: _Asked) -> Origin:
    """What a misfit can be mended in: the producer, and the step, if it has a condition."""
    source = producer(each.value, each.check) if isinstance(each.value, Bound) else None
    return Origin(source, behind_step=each.place.within == "/in")


def _faulty(each: _Asked, faulty: list[str]) -> bool:
    """Whether an error stands at, in or above a value; for a whole any error in it."""
    own = each.place.pointer + each.value.pointer
    return any(_below(pointer, own) or (each.leaf is not None and _below(own, pointer)) for pointer in faulty)


def _below(pointer: str, above: str) -> bool:
    return pointer == above or pointer.startswith(f"{above}/")


def _lifted(shape: Shape) -> Schema | None:
    try:
        return lifted(shape)
    except UnliftableError:
        return None


def _by_part(value: Value, wanted: Shape, filled: tuple[str, ...] = ()) -> bool:
    """Whether the whole fits exactly where all its parts do."""
    if isinstance(value, Sequence):
        return False
    if not isinstance(value, Record):
        return True
    if not is_plain(wanted):
        return False
    if written_required(wanted) - {*filled, *(name for name, _ in value.properties)}:
        return False
    nested = [(name, each) for name, each in value.properties if isinstance(each, (Record, Sequence))]
    parts = [(each, project(wanted, (name,)).shape) for name, each in nested]
    return all(_by_part(each, part) for each, part in parts)


def _examples(bound: Bound, check: ValueCheck) -> tuple[Json, ...]:
    """What the producer's examples hold at the place of a binding."""
    source = produced_by(bound, check.scene)
    if source is None:
        return ()
    found = (find(body, bound.segments) for body in source.examples)
    return tuple(value for value in found if value is not ABSENT)
