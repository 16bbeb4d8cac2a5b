"""Values of a plan: bindings, expressions, first-of, constants and literals, read once and then resolved per call.

A value is `$.input…`, `$.steps.<id>.output…`, `$.steps.<id>.status`, `$.steps.<id>.error.code`, `$.item…`, `$.index`
(in `undo.in` and `repeat.until` also `$.output…`); or `{let: {name: value}, expr: CEL}`; or `{first: [value, …]}`; or
`{const: literal}`; or any other literal, whose objects and lists are values again. Reading finds mistakes of form
(`problems`), never raises; resolving raises BindingError. Which paths exist is the plan check's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from process_orchestrator.checking.schemas.paths import ABSENT, Segments, finder, parse_path, write_path
from process_orchestrator.checking.schemas.pointers import escape
from process_orchestrator.checking.values.expressions import Expression
from process_orchestrator.core.errors import BindingError, ExpressionError, PathError
from process_orchestrator.core.facts.values import Blame

Json = Any

ROOTS: Final = ("input", "steps", "item", "index", "output")
"""What a binding may begin with after `$.`."""

DEPTH_MAX: Final = 32
"""Nesting of one value as written."""


class StepScope(msgspec.Struct, frozen=True, gc=False):
    """What a binding may see of an earlier step. `output` is ABSENT where it was skipped without a default."""

    status: str
    output: Json = ABSENT
    code: str | None = None


class Scope(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where bindings are read from. `output` is set for `undo.in` and `repeat.until` alone."""

    input: Json = ABSENT
    steps: Mapping[str, StepScope] = {}
    item: Json = ABSENT
    index: int | None = None
    output: Json = ABSENT


# Values as read


@dataclass(frozen=True, slots=True)
class Bound:
    """A path. `pointer` leads into the definition's value, as in all of these."""

    pointer: str
    text: str
    root: str
    step: str | None  # of `$.steps.<step>…`
    part: str | None  # output, status or code of that step
    segments: Segments  # below the root, or below the step's output


@dataclass(frozen=True, slots=True)
class Computed:
    """An expression and the values that its variables stand for."""

    pointer: str
    text: str
    variables: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class First:
    """The first of these that is present."""

    pointer: str
    alternatives: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that stands for itself."""

    pointer: str
    value: Json


@dataclass(frozen=True, slots=True)
class Record:
    """An object whose properties are values. An absent one is left out."""

    pointer: str
    properties: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list whose items are values. None may be absent: the others would move."""

    pointer: str
    items: tuple[Value, ...]


Value = Bound | Computed | First | Literal | Record | Sequence


class Fault(NamedTuple):
    """A mistake of form in a value as written."""

    pointer: str
    message: str
    fix: str


class Read(NamedTuple):
    """A value, and what is wrong in it. A faulty part is read as a literal."""

    value: Value
    faults: tuple[Fault, ...]


def read_value(written: Json, *, pointer: str = "", roots: tuple[str, ...] = ROOTS[:4]) -> Read:
    """Read a value as written. `pointer` is its place; `roots` what its bindings may begin with."""
    faults: list[Fault] = []
    value = _Reader(roots, faults).read(written, pointer, 0)
    return Read(value, tuple(faults))


class _Reader:
    def __init__(self, roots: tuple[str, ...], faults: list[Fault]) -> None:
        self._roots, self._faults = roots, faults

    def read(self, written: Json, pointer: str, depth: int) -> Value:
        if depth > DEPTH_MAX:
            return self._fault(pointer, f"Nested deeper than {DEPTH_MAX} levels.", "write `{const: …}`", written)
        if isinstance(written, str):
            return self._text(written, pointer)
        if isinstance(written, list):
            return Sequence(
                pointer, tuple(self.read(each, f"{pointer}/{index}", depth + 1) for index, each in enumerate(written))
            )
        if not isinstance(written, dict):
            return Literal(pointer, written)
        keys = set(written)
        if keys == {"const"}:
            return Literal(pointer, written["const"])
        if keys == {"first"} and isinstance(written["first"], list):
            return self._first(written["first"], pointer, depth)
        if keys in ({"let", "expr"}, {"expr"}) and isinstance(written["expr"], str):
            return self._computed(written, pointer, depth)
        return Record(
            pointer,
            tuple((name, self.read(each, f"{pointer}/{escape(name)}", depth + 1)) for name, each in written.items()),
        )

    def _fault(self, pointer: str, message: str, fix: str, written: Json) -> Literal:
        self._faults.append(Fault(pointer, message, fix))
        return Literal(pointer, written)

    def _text(self, written: str, pointer: str) -> Value:
        if not written.startswith(("$.", "$[")):
            return Literal(pointer, written)
        try:
            segments = parse_path(written)
        except PathError as error:
            message = f"`{written[:80]}` is no path: {error.message}"
            return self._fault(pointer, message, "correct it, or write `{const: …}` for a plain text", written)
        return self._bound(written, segments, pointer)

    def _bound(self, written: str, segments: Segments, pointer: str) -> Value:
        root = segments[0]
        if root not in self._roots:
            known = ", ".join(f"`$.{each}`" for each in self._roots)
            message = f"`{written[:80]}` leads nowhere: a binding begins with {known}."
            return self._fault(pointer, message, "begin with one of these, or write `{const: …}`", written)
        if root == "index" and len(segments) > 1:
            return self._fault(pointer, "`$.index` is a number: nothing lies under it.", "write `$.index`", written)
        if root != "steps":
            return Bound(pointer, written, str(root), None, None, segments[1:])
        match segments[1:]:
            case (str(step), "output", *rest):
                return Bound(pointer, written, "steps", step, "output", tuple(rest))
            case (str(step), "status"):
                return Bound(pointer, written, "steps", step, "status", ())
            case (str(step), "error", "code"):
                return Bound(pointer, written, "steps", step, "code", ())
            case _:
                step = segments[1] if len(segments) > 1 and isinstance(segments[1], str) else "<id>"
                message = f"`{written[:80]}` leads nowhere: of a step there are `output`, `status` and `error.code`."
                return self._fault(pointer, message, f"write `$.steps.{step}.output…`", written)

    def _first(self, written: list[Json], pointer: str, depth: int) -> Value:
        if not written:
            return self._fault(pointer, "`first` has no alternatives.", "name one or more values", None)
        return First(
            pointer, tuple(self.read(each, f"{pointer}/first/{at}", depth + 1) for at, each in enumerate(written))
        )

    def _computed(self, written: dict[str, Json], pointer: str, depth: int) -> Value:
        let = written.get("let", {})
        if not isinstance(let, dict):
            return self._fault(f"{pointer}/let", "`let` is a map.", "write `let: {name: $.…}`", None)
        variables = tuple(
            (str(name), self.read(each, f"{pointer}/let/{escape(str(name))}", depth + 1)) for name, each in let.items()
        )
        return Computed(pointer, written["expr"], variables)


# What a value refers to


class Reference(NamedTuple):
    """One binding in a value. `optional`: it stands in `first` beside others, so it may be missing."""

    bound: Bound
    optional: bool


def references(value: Value, *, optional: bool = False) -> Iterator[Reference]:
    """Every binding in a value, those inside expressions too."""
    match value:
        case Bound():
            yield Reference(value, optional)
        case Computed():
            for _, each in value.variables:
                yield from references(each, optional=optional)
        case First():
            for each in value.alternatives:
                yield from references(each, optional=optional or len(value.alternatives) > 1)
        case Record():
            for _, each in value.properties:
                yield from references(each, optional=optional)
        case Sequence():
            for each in value.items:
                yield from references(each, optional=optional)
        case Literal():
            return


def computed_in(value: Value) -> Iterator[Computed]:
    """Every expression in a value, inner ones first."""
    match value:
        case Computed():
            for _, each in value.variables:
                yield from computed_in(each)
            yield value
        case First():
            for each in value.alternatives:
                yield from computed_in(each)
        case Record():
            for _, each in value.properties:
                yield from computed_in(each)
        case Sequence():
            for each in value.items:
                yield from computed_in(each)
        case Bound() | Literal():
            return


def blame_of(value: Value, *, items: Value | None = None) -> Blame:
    """Whose fault a wrong value is: the caller's when it comes from `$.input` alone, else the planner's.

    `items`: what the step runs over; an item of a list from `$.input` comes from there too.
    """
    roots = {reference.bound.root for reference in references(value)}
    if "item" in roots and items is not None and blame_of(items) is Blame.CALLER:
        roots = (roots - {"item", "index"}) | {"input"}
    return Blame.CALLER if roots == {"input"} else Blame.PLANNER


def part_at(value: Value, tokens: Iterable[str]) -> Value:
    """The part of a value that made the place at these pointer tokens, as far as it can be told."""
    for token in tokens:
        inner: Value | None = None
        if isinstance(value, Record):
            inner = dict(value.properties).get(token)
        elif isinstance(value, Sequence) and token.isdigit() and int(token) < len(value.items):
            inner = value.items[int(token)]
        if inner is None:
            return value
        value = inner
    return value


# Resolving

Resolve = Callable[[Scope], Json]
"""Makes the value under a scope, or ABSENT. Raises BindingError."""

Expressions = Mapping[str, Expression]
"""Compiled expressions by the pointer of their value."""


def resolver(value: Value, expressions: Expressions, *, within: str = "") -> Resolve:
    """Make the function that resolves a value. `within` is the pointer of the whole that errors point into."""
    match value:
        case Bound():
            return _bound(value)
        case Literal():
            return lambda _scope, constant=value.value: constant
        case First():
            return _first([resolver(each, expressions, within=within) for each in value.alternatives])
        case Computed():
            return _computed(value, expressions, within)
        case Record():
            parts = [(name, resolver(each, expressions, within=within)) for name, each in value.properties]
            return _record(parts)
        case Sequence():
            items = [(each, resolver(each, expressions, within=within)) for each in value.items]
            return _sequence(items, within)


def missing(value: Value, *, within: str = "", items: Value | None = None) -> BindingError:
    """The error for a value that must be there and is not. `items`: as in `blame_of`."""
    told = f"`{value.text}` is not there." if isinstance(value, Bound) else "None of its alternatives is there."
    blame = blame_of(value, items=items)
    return BindingError("missing_binding", told, pointer=value.pointer.removeprefix(within), blame=blame)


def _bound(value: Bound) -> Resolve:
    read = finder(value.segments)
    match value.root:
        case "input":
            return lambda scope: read(scope.input)
        case "item":
            return lambda scope: read(scope.item)
        case "output":
            return lambda scope: read(scope.output)
        case "index":
            return lambda scope: ABSENT if scope.index is None else scope.index
        case _:
            return _of_step(value)


def _of_step(value: Bound) -> Resolve:
    step, part, read = value.step or "", value.part, finder(value.segments)

    def resolve(scope: Scope) -> Json:
        there = scope.steps.get(step)
        if there is None:
            return ABSENT
        if part == "output":
            return read(there.output)
        if part == "status":
            return str(there.status)
        return ABSENT if there.code is None else there.code

    return resolve


def _first(alternatives: list[Resolve]) -> Resolve:
    def resolve(scope: Scope) -> Json:
        for alternative in alternatives:
            found = alternative(scope)
            if found is not ABSENT:
                return found
        return ABSENT

    return resolve


def _record(parts: list[tuple[str, Resolve]]) -> Resolve:
    def resolve(scope: Scope) -> Json:
        return {name: found for name, part in parts if (found := part(scope)) is not ABSENT}

    return resolve


def _sequence(items: list[tuple[Value, Resolve]], within: str) -> Resolve:
    def resolve(scope: Scope) -> Json:
        made: list[Json] = []
        for value, item in items:
            found = item(scope)
            if found is ABSENT:
                raise missing(value, within=within)
            made.append(found)
        return made

    return resolve


def _computed(value: Computed, expressions: Expressions, within: str) -> Resolve:
    expression = expressions[value.pointer]
    parts = [(name, each, resolver(each, expressions, within=within)) for name, each in value.variables]
    pointer, blame = value.pointer.removeprefix(within), blame_of(value)

    def resolve(scope: Scope) -> Json:
        values: dict[str, Json] = {}
        for name, each, part in parts:
            found = part(scope)
            if found is ABSENT:
                text = each.text if isinstance(each, Bound) else name
                message = f"`{text}`, which the expression needs, is not there."
                raise BindingError("missing_binding", message, pointer=pointer, blame=blame)
            values[name] = found
        try:
            return expression.evaluate(values)
        except ExpressionError as error:
            message = f"`{value.text[:100]}`: {error.message}"
            raise BindingError("condition_error", message, pointer=pointer, blame=Blame.PLANNER) from None

    return resolve


def path_text(bound: Bound) -> str:
    """A binding in its usual form."""
    if bound.root != "steps":
        return write_path((bound.root, *bound.segments))
    tail: Segments = ("error", "code") if bound.part == "code" else (bound.part or "", *bound.segments)
    return write_path(("steps", bound.step or "", *tail))
