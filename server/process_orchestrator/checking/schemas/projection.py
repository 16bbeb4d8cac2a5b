"""Following a path through a JSON Schema: what stands there, whether it is always there, whether anyone declared it.

Sound over-approximation: a keyword that is not looked at (`not`, `if`, `unevaluatedProperties`, …) would only narrow
the answer. Knows nothing of plans. Only references into the same schema are followed; those that cannot be are open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from process_orchestrator.checking.schemas.json_values import kind_of
from process_orchestrator.checking.schemas.paths import ABSENT, Segments, find
from process_orchestrator.checking.schemas.validate import pattern_matches

Json = Any
Schema = dict[str, Any] | bool

ALL_KINDS: Final = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
"""JSON types; `number` stands for those that are no integers."""

_REFS_MAX: Final = 50
"""References followed in a row, and combinators nested in one another: recursion without progress ends here."""


_LOOKED_AT_MAX: Final = 10_000
"""Schema objects looked at for their names."""


class Presence(IntEnum):
    """Whether a place exists in the values of a schema. In order: the greater is the surer."""

    NEVER = 0
    MAYBE = 1
    ALWAYS = 2


class Shape(NamedTuple):
    """A set of values: what fits one of these schemas. Each is paired with the schema that its references lead into."""

    alternatives: tuple[tuple[Schema, Schema], ...]

    @classmethod
    def of(cls, schema: Schema) -> Shape:
        return cls(((schema, schema),))

    @classmethod
    def union(cls, shapes: Iterable[Shape]) -> Shape:
        return cls(tuple(pair for shape in shapes for pair in shape.alternatives))


ANYTHING: Final = Shape.of(True)


class Projected(NamedTuple):
    """What a path leads to."""

    shape: Shape
    presence: Presence
    declared: bool  # every step of the path is named by a schema, not merely let through by an open object
    depth: int  # segments that could be followed: all of them unless presence is NEVER or the path is not declared


class _Part(NamedTuple):
    schema: Schema
    presence: Presence
    declared: bool


class _Walk:
    """One look at one root.

    What was found of a schema object is kept with it, so that definitions that name each other many times over are
    looked at once; one that is still being looked at leads back to itself, and is open.
    """

    __slots__ = ("items", "kinds", "parts", "required", "root")

    def __init__(self, root: Schema) -> None:
        self.root = root
        self.parts: dict[tuple[int, str | int], tuple[Schema, _Part]] = {}
        self.kinds: dict[int, tuple[Schema, frozenset[str]]] = {}
        self.items: dict[int, tuple[Schema, list[Schema]]] = {}
        self.required: dict[int, tuple[Schema, tuple[str, ...]]] = {}


_NOWHERE: Final = _Part(False, Presence.NEVER, False)
_OPEN: Final = _Part(True, Presence.MAYBE, False)


def project(shape: Shape, segments: Segments) -> Projected:
    """Follow a path. NEVER: no value of the shape has that place."""
    presence, declared, depth = Presence.ALWAYS, True, 0
    for segment in segments:
        parts = [(_step(schema, segment, _Walk(root), 0), root) for schema, root in shape.alternatives]
        live = [(part, root) for part, root in parts if part.presence is not Presence.NEVER]
        if not live:
            return Projected(Shape(()), Presence.NEVER, declared=False, depth=depth)
        if len(live) < len(parts):
            presence = Presence.MAYBE
        presence = min(presence, *(part.presence for part, _ in live))
        if declared and any(part.declared for part, _ in live):
            depth += 1
        else:
            declared = False
        shape = Shape(tuple((part.schema, root) for part, root in live))
    return Projected(shape, presence, declared, depth)


_SILENT: Final = frozenset(
    ("$defs", "$comment", "$schema", "title", "description", "default", "examples", "deprecated")
)
_PLAIN: Final = _SILENT | frozenset(
    ("type", "properties", "required", "additionalProperties", "items", "minItems", "maxItems")
)


def is_exact(shape: Shape, segments: Segments) -> bool:
    """Whether each value of what `project` gives really stands at the place in some value of the shape.

    It does where only plain keywords are passed on the way: others may narrow what is behind them, or tie it to what
    stands beside.
    """
    for segment in segments:
        if not all(_plainly(schema, root) for schema, root in shape.alternatives):
            return False
        shape = project(shape, (segment,)).shape
    return True


def is_plain(shape: Shape) -> bool:
    """Whether the shape is one of objects that are judged property by property, and by nothing else."""
    if len(shape.alternatives) != 1 or not _plainly(*shape.alternatives[0]):
        return False
    return kinds_of(shape) == frozenset({"object"})


def _plainly(schema: Schema, root: Schema) -> bool:
    for _ in range(_REFS_MAX):
        if isinstance(schema, bool):
            return True
        if "$ref" not in schema:
            return all(key in _PLAIN or key.startswith("x-") for key in schema)
        target = target_of(str(schema["$ref"]), root)
        if target is None or any(key != "$ref" and key not in _SILENT for key in schema):
            return False
        schema = target
    return False


def items_of(shape: Shape) -> Shape:
    """What an item of the arrays of a shape can be."""
    found: list[tuple[Schema, Schema]] = []
    for schema, root in shape.alternatives:
        found.extend((item, root) for item in _items(schema, _Walk(root), 0))
    return Shape(tuple(found))


def kinds_of(shape: Shape) -> frozenset[str]:
    """The JSON types that values of the shape can have."""
    return frozenset().union(*(_kinds(schema, _Walk(root), 0) for schema, root in shape.alternatives))


def names_of(shape: Shape) -> tuple[str, ...]:
    """The properties that the shape declares, in order of appearance."""
    found: dict[str, None] = {}
    for schema, root in shape.alternatives:
        _names(schema, root, found)
    return tuple(found)


def required_names(schema: Schema, root: Schema | None = None) -> tuple[str, ...]:
    """The properties that every object of the schema has. `root`: what its references lead into, if not itself."""
    top = schema if root is None else root
    shape = Shape(((schema, top),))
    return tuple(
        name for name in _required(schema, _Walk(top), 0) if project(shape, (name,)).presence is Presence.ALWAYS
    )


def needed_of(shape: Shape) -> frozenset[str]:
    """The properties that every alternative of a shape requires."""
    found = [frozenset(required_names(schema, root)) for schema, root in shape.alternatives]
    return frozenset[str].intersection(*found) if found else frozenset()


def written_required(shape: Shape) -> frozenset[str]:
    """Every name that a `required` of the shape holds, also one that no object can have."""
    return frozenset(name for schema, root in shape.alternatives for name in _required(schema, _Walk(root), 0))


def resolve(schema: Schema, root: Schema) -> Schema:
    """Follow `$ref`; keywords beside it are kept. Open where it cannot be followed."""
    for _ in range(_REFS_MAX):
        if isinstance(schema, bool) or "$ref" not in schema:
            return schema
        target = target_of(str(schema["$ref"]), root)
        if target is None:
            return True
        beside = {key: value for key, value in schema.items() if key not in {"$ref", "$defs", "$id", "$anchor"}}
        if not any(key in _NARROWING for key in beside):
            schema = target
        else:
            return {"allOf": [target, beside]}
    return True


_NARROWING: Final = frozenset(
    (
        *("type", "properties", "required", "additionalProperties", "patternProperties", "items", "prefixItems"),
        *("enum", "const", "allOf", "anyOf", "oneOf", "minItems", "maxItems"),
    )
)


def target_of(reference: str, root: Schema) -> Schema | None:
    """What a reference leads to; None where it cannot be followed."""
    if reference == "#":
        return root
    if not reference.startswith("#/"):
        return None
    at: Any = root
    for token in unquote(reference[2:]).split("/"):
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(at, dict) and key in at:
            at = at[key]
        elif isinstance(at, list) and key.isdigit() and int(key) < len(at):
            at = at[int(key)]
        else:
            return None
    return at if isinstance(at, (dict, bool)) else None


def _step(schema: Schema, key: str | int, walk: _Walk, nested: int) -> _Part:
    """What stands at `key` in the values of a schema that have the right kind and hold it."""
    at = id(schema), key
    if at not in walk.parts:
        walk.parts[at] = schema, _OPEN
        walk.parts[at] = schema, _stepped(schema, key, walk, nested)
    return walk.parts[at][1]


def _stepped(schema: Schema, key: str | int, walk: _Walk, nested: int) -> _Part:
    schema = resolve(schema, walk.root)
    if isinstance(schema, bool) or nested > _REFS_MAX:
        return _NOWHERE if schema is False else _OPEN
    want = "object" if isinstance(key, str) else "array"
    kinds = _kinds(schema, walk, 0)
    if want not in kinds:
        return _NOWHERE
    own = _of_object(schema, key) if isinstance(key, str) else _of_array(schema, key)
    if own.presence is Presence.NEVER:
        return own
    parts = [own, *_literal(schema, key)]
    parts += [_step(each, key, walk, nested + 1) for each in schema.get("allOf", ())]
    parts += [_branch(schema[word], key, walk, nested + 1) for word in ("anyOf", "oneOf") if word in schema]
    if any(part.presence is Presence.NEVER for part in parts):
        return _NOWHERE
    presence = max(part.presence for part in parts)
    if isinstance(key, str) and key in _required(schema, walk, 0):
        presence = Presence.ALWAYS
    if len(kinds) > 1:
        presence = Presence.MAYBE
    declared = any(part.declared for part in parts) or _conditionally(schema, key, walk, nested + 1)
    return _Part(_all_of([part.schema for part in parts]), presence, declared)


def _branch(branches: list[Schema], key: str | int, walk: _Walk, nested: int) -> _Part:
    parts = [_step(each, key, walk, nested) for each in branches]
    live = [part for part in parts if part.presence is not Presence.NEVER]
    if not live:
        return _NOWHERE
    presence = Presence.ALWAYS if all(part.presence is Presence.ALWAYS for part in parts) else Presence.MAYBE
    schemas = _each_once(part.schema for part in live)
    union: Schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return _Part(union, presence, any(part.declared for part in live))


def _conditionally(schema: Mapping[str, Any], key: str | int, walk: _Walk, nested: int) -> bool:
    """Whether a branch that holds only under a condition declares the key."""
    branches = [schema[word] for word in ("then", "else") if word in schema]
    branches += list(schema.get("dependentSchemas", {}).values())
    return any(_step(each, key, walk, nested).declared for each in branches)


def _of_object(schema: Mapping[str, Any], key: str) -> _Part:
    parts: list[Schema] = []
    properties = schema.get("properties", {})
    if key in properties:
        parts.append(properties[key])
    parts += [each for pattern, each in schema.get("patternProperties", {}).items() if pattern_matches(pattern, key)]
    declared = bool(parts)
    if not parts and "additionalProperties" in schema:
        extra: Schema = schema["additionalProperties"]
        parts.append(extra)
        declared = isinstance(extra, dict) and bool(extra)
    if any(part is False for part in parts):
        return _NOWHERE
    return _Part(_all_of(parts), Presence.MAYBE, declared)


def _of_array(schema: Mapping[str, Any], index: int) -> _Part:
    first: list[Schema] = schema.get("prefixItems", [])
    least, most = int(schema.get("minItems", 0)), schema.get("maxItems")
    reach = index + 1 if index >= 0 else -index
    if most is not None and reach > most:
        return _NOWHERE
    presence = Presence.ALWAYS if reach <= least else Presence.MAYBE
    if index < 0 and first:  # counted from an end that the schema does not fix
        return _Part({"anyOf": [*first, schema.get("items", True)]}, presence, declared=True)
    if 0 <= index < len(first):
        return _Part(first[index], presence, declared=True)
    rest: Schema = schema.get("items", True)
    return _NOWHERE if rest is False else _Part(rest, presence, "items" in schema)


def _literal(schema: Mapping[str, Any], key: str | int) -> list[_Part]:
    """Of `const` and `enum`: the members that have the place."""
    if "const" not in schema and "enum" not in schema:
        return []
    members: list[Any] = [schema["const"]] if "const" in schema else schema["enum"]
    there = [find(member, (key,)) for member in members]
    found = [each for each in there if each is not ABSENT]
    if not found:
        return [_NOWHERE]
    presence = Presence.ALWAYS if len(found) == len(members) else Presence.MAYBE
    return [_Part({"enum": found}, presence, declared=True)]


def _items(schema: Schema, walk: _Walk, nested: int) -> list[Schema]:
    if id(schema) not in walk.items:
        walk.items[id(schema)] = schema, [True]
        walk.items[id(schema)] = schema, _found_items(schema, walk, nested)
    return walk.items[id(schema)][1]


def _found_items(schema: Schema, walk: _Walk, nested: int) -> list[Schema]:
    schema = resolve(schema, walk.root)
    if isinstance(schema, bool) or nested > _REFS_MAX:
        return [] if schema is False else [True]
    if "array" not in _kinds(schema, walk, 0):
        return []
    if "const" in schema or "enum" in schema:
        members: list[Any] = [schema["const"]] if "const" in schema else schema["enum"]
        return [{"enum": [item for member in members if isinstance(member, list) for item in member]}]
    own: list[Schema] = [*schema.get("prefixItems", []), schema.get("items", True)]
    own = [each for each in own if each is not False]
    for each in schema.get("allOf", ()):
        inner = _items(each, walk, nested + 1)
        if own == [True]:
            own = inner
    for word in ("anyOf", "oneOf"):
        if word in schema and own == [True]:
            own = _each_once(item for each in schema[word] for item in _items(each, walk, nested + 1))
    return own


def _each_once(schemas: Iterable[Schema]) -> list[Schema]:
    """The same schema object, met in several ways, once."""
    return list({id(each): each for each in schemas}.values())


def _kinds(schema: Schema, walk: _Walk, nested: int) -> frozenset[str]:
    if id(schema) not in walk.kinds:
        walk.kinds[id(schema)] = schema, ALL_KINDS
        walk.kinds[id(schema)] = schema, _found_kinds(schema, walk, nested)
    return walk.kinds[id(schema)][1]


def _found_kinds(schema: Schema, walk: _Walk, nested: int) -> frozenset[str]:
    schema = resolve(schema, walk.root)
    if isinstance(schema, bool) or nested > _REFS_MAX:
        return frozenset() if schema is False else ALL_KINDS
    kinds = ALL_KINDS
    if "type" in schema:
        written = schema["type"]
        kinds = frozenset([written] if isinstance(written, str) else written)
        kinds = kinds | {"integer"} if "number" in kinds else kinds
    if "const" in schema or "enum" in schema:
        members: list[Any] = [schema["const"]] if "const" in schema else schema["enum"]
        kinds &= frozenset(kind_of(member) for member in members)
    for each in schema.get("allOf", ()):
        kinds &= _kinds(each, walk, nested + 1)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            kinds &= frozenset().union(*(_kinds(each, walk, nested + 1) for each in schema[word]))
    return kinds


def _required(schema: Schema, walk: _Walk, nested: int) -> tuple[str, ...]:
    if id(schema) not in walk.required:
        walk.required[id(schema)] = schema, ()
        walk.required[id(schema)] = schema, _found_required(schema, walk, nested)
    return walk.required[id(schema)][1]


def _found_required(schema: Schema, walk: _Walk, nested: int) -> tuple[str, ...]:
    schema = resolve(schema, walk.root)
    if isinstance(schema, bool) or nested > _REFS_MAX:
        return ()
    own = tuple(schema.get("required", ()))
    inner = (name for each in schema.get("allOf", ()) for name in _required(each, walk, nested + 1))
    return tuple(dict.fromkeys((*own, *inner)))


def _names(schema: Schema, root: Schema, found: dict[str, None]) -> None:
    """Add the names that a schema declares, those of its parts after its own."""
    stack: list[Schema] = [schema]
    seen: dict[int, Schema] = {}
    while stack and len(seen) < _LOOKED_AT_MAX:
        top = stack.pop()
        if id(top) in seen:
            continue
        seen[id(top)] = top
        resolved = resolve(top, root)
        if isinstance(resolved, bool):
            continue
        found.update(dict.fromkeys(resolved.get("properties", {})))
        members: list[Any] = [resolved["const"]] if "const" in resolved else resolved.get("enum", [])
        for member in members:
            if isinstance(member, dict):
                found.update(dict.fromkeys(str(name) for name in member))
        inner = [each for word in ("allOf", "anyOf", "oneOf") for each in resolved.get(word, ())]
        inner += [resolved[word] for word in ("then", "else") if word in resolved]
        stack.extend(reversed(inner))


def _all_of(parts: list[Schema]) -> Schema:
    parts = [part for part in parts if part is not True]
    if not parts:
        return True
    return parts[0] if len(parts) == 1 else {"allOf": parts}
