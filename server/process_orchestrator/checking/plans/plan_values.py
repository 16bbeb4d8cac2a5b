"""Values of a plan against the schemas they are read from: does each path exist, does each expression compile.

Static: sees no value. Gives each value the shape of what it can become, collects the types of every expression's
variables, and writes a problem for each fault. Whether the consumer accepts the shape is another check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from process_orchestrator.checking.plans.plan_document import Types
from process_orchestrator.checking.schemas.nearest import likely
from process_orchestrator.checking.schemas.projection import (
    ANYTHING,
    Presence,
    Schema,
    Shape,
    kinds_of,
    names_of,
    project,
    resolve,
)
from process_orchestrator.checking.schemas.value_types import type_of
from process_orchestrator.checking.values.bindings import (
    Bound,
    Computed,
    Fault,
    First,
    Literal,
    Record,
    Sequence,
    Value,
    path_text,
)
from process_orchestrator.checking.values.expressions import Expression
from process_orchestrator.core.errors import ExpressionError

Json = Any

Report = Callable[[str, str, str, str], None]
"""Takes code, pointer below the place, message and fix."""

_STATUS: Final = Shape.of({"enum": ["done", "skipped"]})
_CODE: Final = Shape.of({"type": "string"})
_INDEX: Final = Shape.of({"type": "integer", "minimum": 0})


@dataclass(frozen=True, slots=True, kw_only=True)
class Produced:
    """What a place gives to bindings. `declared` is by contract alone; `shape` also holds a step's default."""

    label: str  # `invoice.extract@1.0.0`, of the contract or process type that promises it
    part: str  # input or output of it, and the place in that
    declared: Shape
    shape: Shape
    presence: Presence = Presence.ALWAYS  # MAYBE: the step may be skipped, and has no default
    examples: tuple[Json, ...] = ()  # bodies that it gave, or would give, as its contract shows them
    sha256: str = ""  # of the definition that promises it
    tied: frozenset[str] = frozenset()  # names in its conditions, which its schema does not know; "" for the whole
    otherwise: frozenset[str] = frozenset()  # steps each of which has an output exactly where this one has none

    def free(self, path: tuple[str | int, ...]) -> bool:
        """Whether no condition speaks of what lies at a path, so that its schema is all that is said of it."""
        return not self.tied or ("" not in self.tied and bool(path) and str(path[0]) not in self.tied)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What bindings of one place may see. A step that is None is known, but what it gives is not."""

    process: Produced
    steps: Mapping[str, Produced | None]
    item: Produced | None = None
    undone: Produced | None = None  # `$.output` of `undo.in`, or of the condition of a repeated step


@dataclass(slots=True)
class ValueCheck:
    """Checks the values of one place and keeps the types of their expressions."""

    scene: Scene
    report: Report
    types: Types = field(default_factory=dict[str, Any])
    results: dict[str, Shape] = field(default_factory=dict[str, Shape])  # of expressions, by pointer

    def check(self, value: Value, *, condition: bool = False) -> Shape:
        """The shape of a value; faults are reported on the way. A `condition` must be true or false."""
        match value:
            case Bound():
                return self._bound(value, condition=condition)
            case Computed():
                return self._computed(value, condition=condition)
            case First():
                return Shape.union([self.check(each, condition=condition) for each in value.alternatives])
            case Literal():
                if condition and not isinstance(value.value, bool):
                    self._no_condition(value.pointer)
                return Shape.of({"const": value.value})
            case Record():
                names = [(name, self.check(each)) for name, each in value.properties]
                if condition:
                    self._no_condition(value.pointer)
                return _record(names)
            case Sequence():
                items = Shape.union([self.check(each) for each in value.items])
                if condition:
                    self._no_condition(value.pointer)
                return _list_of(items, len(value.items))

    def faults(self, faults: tuple[Fault, ...]) -> None:
        """Report mistakes of form."""
        for fault in faults:
            self.report("BAD_BINDING", fault.pointer, fault.message, fault.fix)

    def produced(self, bound: Bound) -> Produced | None:
        """What a binding reads from; None where that is not known."""
        return produced_by(bound, self.scene)

    def _bound(self, bound: Bound, *, condition: bool) -> Shape:
        plain = shape_of_plain(bound)
        if plain is not None:
            shape = plain
        else:
            source = self.produced(bound)
            if source is None:
                return ANYTHING
            found = project(source.declared, bound.segments)
            if found.presence is Presence.NEVER or not found.declared:
                self._undeclared(bound, source, found.depth)
                return ANYTHING
            shape = project(source.shape, bound.segments).shape
        if condition and "boolean" not in kinds_of(shape):
            self._no_condition(bound.pointer)
        return shape

    def _undeclared(self, bound: Bound, source: Produced, depth: int) -> None:
        segment, above = bound.segments[depth], project(source.declared, bound.segments[:depth])
        promises = f"{source.part} of {source.label}"
        before = path_text(bound)[: -len(_tail(bound, depth))] or "$"
        names, kinds = names_of(above.shape), kinds_of(above.shape)
        wanted = "array" if isinstance(segment, int) else "object"
        if wanted not in kinds:
            told = " or ".join(sorted(kinds)) or "nothing"
            message = f"nothing lies under `{before}` ({promises}): it is {told}"
            return self.report("UNDECLARED_PATH", bound.pointer, message, f"write `{before}`")
        if isinstance(segment, int):
            message = f"`{before}` ({promises}) declares no item {segment}"
            return self.report("UNDECLARED_PATH", bound.pointer, message, f"declare `items` in the {promises}")
        has = ", ".join(names[:10]) or "no properties"
        message = f"`{before}` ({promises}) declares no `{segment}`; it has {has}"
        better = likely(segment, names)
        after = path_text(bound)[len(before) + len(segment) + 1 :] if better else ""
        fix = f"write `{before}.{better}{after}`" if better else f"declare `{segment}` in the {promises}"
        return self.report("UNDECLARED_PATH", bound.pointer, message, fix)

    def _computed(self, computed: Computed, *, condition: bool) -> Shape:
        variables = {name: type_of(self.check(each)) for name, each in computed.variables}
        self.types[computed.pointer] = variables
        try:
            result = Expression(computed.text, variables, condition=condition).result
        except ExpressionError as error:
            code = "NOT_BOOL" if "must be true or false" in error.message else "EXPRESSION"
            self.report(code, f"{computed.pointer}/expr", error.message, error.fix or "correct the expression")
            return ANYTHING
        self.results[computed.pointer] = Shape.of({"type": list(result.kinds)}) if result.kinds else ANYTHING
        return self.results[computed.pointer]

    def _no_condition(self, pointer: str) -> None:
        message = "a condition must be true or false; this never is"
        self.report("NOT_BOOL", pointer, message, "bind a boolean, or write {let: {…}, expr: …}")


def produced_by(bound: Bound, scene: Scene) -> Produced | None:
    """What a binding reads from in a scene; None where that is not known."""
    match bound.root:
        case "input":
            return scene.process
        case "item":
            return scene.item
        case "output":
            return scene.undone
        case "steps" if bound.part == "output":
            return scene.steps.get(bound.step or "")
        case _:
            return None


def shape_of_plain(bound: Bound) -> Shape | None:
    """The shape of what no contract declares: the number of an item, how a step ended."""
    if bound.root == "index":
        return _INDEX
    if bound.part == "status":
        return _STATUS
    return _CODE if bound.part == "code" else None


class Count(NamedTuple):
    """How many items a list has; `most` None: nobody says."""

    least: int = 0
    most: int | None = None


ANY_NUMBER: Final = Count()


def count_of(shape: Shape) -> Count:
    """How many items the lists of a shape have."""
    counts = [_count(resolve(schema, root)) for schema, root in shape.alternatives]
    most = [each.most for each in counts]
    known = [each for each in most if each is not None]
    return Count(
        min((each.least for each in counts), default=0), max(known) if known and len(known) == len(most) else None
    )


def _count(schema: Schema) -> Count:
    if isinstance(schema, bool):
        return Count()
    if "const" in schema or "enum" in schema:
        members: list[Any] = [schema["const"]] if "const" in schema else schema["enum"]
        lengths = [len(each) for each in members if isinstance(each, list)]
        return Count(min(lengths, default=0), max(lengths, default=0))
    most = schema.get("maxItems")
    if schema.get("items") is False:
        most = min(most or len(schema.get("prefixItems", ())), len(schema.get("prefixItems", ())))
    return Count(int(schema.get("minItems", 0)), None if most is None else int(most))


def list_shape(shape: Shape, *, holes: bool, count: Count = ANY_NUMBER) -> Shape:
    """What a mapped step gives: the list of what its items give, null where an item may be skipped."""
    bounds = ({"minItems": count.least} if count.least else {}) | (
        {} if count.most is None else {"maxItems": count.most}
    )
    pairs = [
        ({"type": "array", "items": _nullable(schema) if holes else schema, **bounds}, root)
        for schema, root in shape.alternatives
    ]
    return Shape(tuple(pairs))


def _nullable(schema: Any) -> Any:
    return {"anyOf": [schema, {"type": "null"}]}


def _record(names: list[tuple[str, Shape]]) -> Shape:
    """An object of values. Constants keep their value; what else is known of the parts is not kept together here."""
    parts = {name: _alone(shape) for name, shape in names}
    schema = {"type": "object", "properties": parts, "required": list(parts), "additionalProperties": False}
    return Shape.of(schema)


def _list_of(items: Shape, length: int) -> Shape:
    """A list as long as it is written."""
    if not items.alternatives:
        return Shape.of({"const": []})
    return Shape.of({"type": "array", "items": _alone(items), "minItems": length, "maxItems": length})


def _alone(shape: Shape) -> Any:
    """A schema that stands without its root: open where references would lead into one."""
    schemas = [schema for schema, _ in shape.alternatives]
    if not schemas or any("$ref" in str(schema) for schema in schemas):
        return True
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _tail(bound: Bound, depth: int) -> str:
    whole = path_text(bound)
    kept = Bound(bound.pointer, bound.text, bound.root, bound.step, bound.part, bound.segments[:depth])
    return whole[len(path_text(kept)) :]
