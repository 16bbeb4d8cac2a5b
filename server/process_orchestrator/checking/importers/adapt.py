"""A JSON Schema as others write it, made one that our lint passes: other drafts, unknown formats, foreign keywords.

Pure, total and bounded: whatever JSON value stands where a schema should, an object schema comes out, and a note of
everything that now says less than it did. Nothing is made stricter than it was written, but for a root that must be
an object. References are followed within the schema only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from process_orchestrator.checking.documents.lines import Document
from process_orchestrator.checking.importers.naming import one_line
from process_orchestrator.checking.loading.lint_schema import TYPES, schema_problems
from process_orchestrator.checking.schemas.json_values import below
from process_orchestrator.checking.schemas.keywords import KEYWORDS, LIST, MAP, ONE
from process_orchestrator.checking.schemas.pointers import segments, step_into, value_at
from process_orchestrator.checking.schemas.validate import Validator
from process_orchestrator.core.errors import SchemaError
from process_orchestrator.core.facts.values import Fact

Json = Any

DEPTH_MAX: Final = 40
"""Levels of values in a schema; a file may have 64, and the contract around it takes some."""

NODES_MAX: Final = 20_000
REPAIRS_MAX: Final = 50
NOTES_MAX: Final = 20
INTEGER_MAX: Final = 2**53 - 1
OPEN: Final[Mapping[str, Json]] = {"type": "object"}

TYPE_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("str", "text", "date", "datetime", "file", "bytes", "uuid"), "string"),
    **dict.fromkeys(("int", "long", "int32", "int64"), "integer"),
    **dict.fromkeys(("float", "double", "decimal"), "number"),
    **dict.fromkeys(("bool",), "boolean"),
    **dict.fromkeys(("dict", "map", "record", "struct"), "object"),
    **dict.fromkeys(("list", "tuple", "set"), "array"),
    **dict.fromkeys(("none", "nil", "undefined"), "null"),
}
"""Words that people write where JSON Schema has another."""

DROPPED_SILENTLY: Final = frozenset(("$schema", "$id", "id", "$vocabulary", "title", "$comment"))
"""Keywords that say nothing of a value."""

TEXT_MAX: Final = 500
"""Characters kept of a description inside a schema."""


class Adapted(Fact, frozen=True, kw_only=True):
    """A schema that our lint passes, and in what it says less than the one it was made from."""

    schema: dict[str, Json]
    notes: tuple[str, ...] = ()


def adapted(written: Json) -> Adapted:
    """The object schema that `written` means, as far as our formats can say it."""
    reader = _Reader()
    schema = reader.schema(written, "", 0)
    if not isinstance(schema, dict):
        schema = dict(OPEN)
    _make_root(schema, reader)
    schema = _mended(schema, reader)
    notes = tuple(dict.fromkeys(reader.notes))
    if len(notes) > NOTES_MAX:
        notes = (*notes[: NOTES_MAX - 1], f"and {len(notes) - NOTES_MAX + 1} more places like these")
    return Adapted(schema=schema, notes=notes)


def is_object_schema(written: Json) -> bool:
    """Whether a schema says, at its root, that its values are objects."""
    if not isinstance(written, dict):
        return False
    kind = written.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if kind is not None:
        return "object" in kinds and set(map(str, kinds)) <= {"object", "null"}
    if "$ref" in written and isinstance(written["$ref"], str) and written["$ref"].startswith("#/"):
        target = value_at(written, written["$ref"][1:])
        return target is not written and isinstance(target, dict) and target.get("type") == "object"
    return "properties" in written


def _make_root(schema: dict[str, Json], reader: _Reader) -> None:
    kind = schema.get("type")
    if kind != "object" and kind is not None and "object" not in kind:
        reader.note("", f"the root was of type {kind!s:.40}; ours is an object")
        schema.clear()
    schema["type"] = "object"
    rest = {key: value for key, value in schema.items() if key != "type"}
    schema.clear()
    schema |= {"type": "object", **rest}


def _mended(schema: dict[str, Json], reader: _Reader) -> dict[str, Json]:
    """Take away what the lint still refuses, one place at a time."""
    for _ in range(REPAIRS_MAX):
        problems = schema_problems(Document(file="", value={"schema": schema}), "/schema")
        if not problems:
            return schema
        problem = problems[0]
        place = problem.pointer.removeprefix("/schema")
        if not place or not _taken_away(schema, place):
            break
        reader.note(place, f"was left out: {problem.message[:120]}")
    reader.note("", "could not be taken over: any object is let through")
    return dict(OPEN)


def _taken_away(schema: dict[str, Json], place: str) -> bool:
    """Whether something could be removed at `place`, or at what holds it."""
    above = place.rpartition("/")[0]
    holder, key = value_at(schema, above), next(reversed(segments(place)), "")
    if isinstance(holder, dict) and key in holder:
        if above and next(reversed(segments(above))) in _MAPS and holder[key] is not True:
            holder[key] = True  # a named schema: what refers to it must still find one
        else:
            del holder[key]
        return True
    if isinstance(holder, list) and key.isdigit() and int(key) < len(holder):
        del holder[int(key)]
        return True
    return bool(above) and _taken_away(schema, above)


_MAPS: Final = frozenset(key for key, kind in KEYWORDS.items() if kind == MAP)


class _Reader:
    """One walk over one schema: counts what it visits, and notes what is lost."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._nodes = 0

    def note(self, place: str, what: str) -> None:
        self.notes.append(f"{place or '/'} {what}"[:240])

    def schema(self, written: Json, place: str, depth: int) -> Json:
        """The schema at one place: a mapping or a boolean."""
        self._nodes += 1
        if isinstance(written, bool):
            return written
        if not isinstance(written, dict):
            self.note(place, "was no schema: anything is let through")
            return True
        if depth >= DEPTH_MAX or self._nodes > NODES_MAX:
            self.note(place, "was too deep or too large: anything is let through")
            return True
        built: dict[str, Json] = {}
        for key, value in written.items():
            if isinstance(key, str):
                self._keyword(built, written, key, value, place, depth)
        _tidy(built, written, self, place)
        return built

    def _keyword(
        self, built: dict[str, Json], written: dict[str, Json], key: str, value: Json, place: str, depth: int
    ) -> None:
        at = step_into(place, key)
        if key in _SPECIAL:
            _SPECIAL[key](self, built, written, value, at, depth)
        elif key in DROPPED_SILENTLY or key.startswith("x-"):
            return
        elif key not in KEYWORDS:
            self._unknown(key, at)
        elif KEYWORDS[key] == ONE:
            built[key] = self.schema(value, at, depth + 1)
        elif KEYWORDS[key] == LIST:
            if isinstance(value, list) and value:
                built[key] = [self.schema(each, step_into(at, index), depth + 2) for index, each in enumerate(value)]
        elif KEYWORDS[key] == MAP:
            if isinstance(value, dict):
                kept = {str(name): self.schema(each, step_into(at, name), depth + 2) for name, each in value.items()}
                built[key] = {**kept, **built.get(key, {})}
        elif _is_plain(value):
            built[key] = value
        else:
            self.note(at, "was left out: its value cannot be kept")

    def _unknown(self, key: str, at: str) -> None:
        if key not in _ANNOTATIONS:
            self.note(at, "was left out: it is no keyword of JSON Schema 2020-12")


_ANNOTATIONS: Final = frozenset(
    (
        "discriminator",
        "xml",
        "externalDocs",
        "enumNames",
        "enumDescriptions",
        "markdownDescription",
        "order",
        "optional",
    )
)
"""Foreign keywords that change no verdict."""


def _is_plain(value: Json) -> bool:
    """Whether a value can stand in a definition file: no deep nesting, no number that a file would change."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > 12 or any(isinstance(each, int) and abs(each) > INTEGER_MAX for each in level):
            return False
        if any(isinstance(each, float) and each - each != 0.0 for each in level):
            return False
        level = below(level)
    return True


# --- keywords of other drafts --------------------------------------------------------------------------------------

Keyword = Callable[["_Reader", dict[str, Json], dict[str, Json], Json, str, int], None]


def _definitions(reader: _Reader, built: dict[str, Json], _: dict[str, Json], value: Json, at: str, depth: int) -> None:
    if isinstance(value, dict):
        found = {str(name): reader.schema(each, step_into(at, name), depth + 2) for name, each in value.items()}
        built["$defs"] = {**found, **built.get("$defs", {})}


def _items(reader: _Reader, built: dict[str, Json], written: dict[str, Json], value: Json, at: str, depth: int) -> None:
    if not isinstance(value, list):
        built["items"] = reader.schema(value, at, depth + 1)
        return
    if value:
        built["prefixItems"] = [reader.schema(each, step_into(at, i), depth + 2) for i, each in enumerate(value)]
    if "additionalItems" in written:
        built["items"] = reader.schema(written["additionalItems"], at, depth + 1)


def _dependencies(
    reader: _Reader, built: dict[str, Json], _: dict[str, Json], value: Json, at: str, depth: int
) -> None:
    for name, each in value.items() if isinstance(value, dict) else ():
        if isinstance(each, list):
            built.setdefault("dependentRequired", {})[name] = [str(one) for one in each]
        else:
            built.setdefault("dependentSchemas", {})[name] = reader.schema(each, step_into(at, name), depth + 2)


def _reference(reader: _Reader, built: dict[str, Json], _: dict[str, Json], value: Json, at: str, __: int) -> None:
    if isinstance(value, str) and value.startswith("#"):
        built["$ref"] = value.replace("#/definitions/", "#/$defs/", 1)
    else:
        reader.note(at, "leads out of the schema and was not followed: anything is let through")


def _type(reader: _Reader, built: dict[str, Json], _: dict[str, Json], value: Json, at: str, __: int) -> None:
    words = value if isinstance(value, list) else [value]
    known: list[str] = []
    for word in words:
        said = str(word).lower()
        found = said if said in TYPES else TYPE_WORDS.get(said)
        if found is None:
            if said != "any":
                reader.note(at, f"was left out: `{said[:40]}` is no type")
            return
        known += [found] if found not in known else []
    if known:
        built["type"] = known if isinstance(value, list) and len(known) > 1 else known[0]


def _format(reader: _Reader, built: dict[str, Json], _: dict[str, Json], value: Json, at: str, __: int) -> None:
    if isinstance(value, str) and _compiles({"format": value}):
        built["format"] = value
    elif value not in _WIDTHS:
        reader.note(at, f"was left out: `{str(value)[:40]}` is no format that is checked here")


_WIDTHS: Final = ("int32", "int64", "uint8", "uint32", "uint64", "float", "double", "byte", "binary", "password")
"""Formats that say how a value is kept or shown, not what it is."""


def _pattern(reader: _Reader, built: dict[str, Json], _: dict[str, Json], value: Json, at: str, __: int) -> None:
    if isinstance(value, str) and _compiles({"pattern": value}):
        built["pattern"] = value
    else:
        reader.note(at, "was left out: look-around and back-references are not evaluated here")


def _pattern_properties(
    reader: _Reader, built: dict[str, Json], _: dict[str, Json], value: Json, at: str, depth: int
) -> None:
    kept: dict[str, Json] = {}
    for pattern, each in value.items() if isinstance(value, dict) else ():
        if _compiles({"pattern": pattern}):
            kept[pattern] = reader.schema(each, step_into(at, pattern), depth + 2)
        else:
            kept[".*"] = True  # else the properties that it let through would be refused
            reader.note(step_into(at, pattern), "was widened to any name: such a pattern is not evaluated here")
    if kept:
        built["patternProperties"] = kept


def _bound(reader: _Reader, built: dict[str, Json], written: dict[str, Json], value: Json, at: str, _: int) -> None:
    """`exclusiveMinimum: true` of draft 4, beside `minimum`."""
    key = segments(at)[-1]
    plain = "minimum" if key == "exclusiveMinimum" else "maximum"
    if isinstance(value, bool):
        bound = written.get(plain)
        if value and isinstance(bound, int | float) and _is_plain(bound):
            built[key] = bound
    elif isinstance(value, int | float) and _is_plain(value):
        built[key] = value
    else:
        reader.note(at, "was left out: it is no number")


def _inclusive(reader: _Reader, built: dict[str, Json], written: dict[str, Json], value: Json, at: str, _: int) -> None:
    key = segments(at)[-1]
    exclusive = written.get("exclusiveMinimum" if key == "minimum" else "exclusiveMaximum")
    if isinstance(value, int | float) and not isinstance(value, bool) and _is_plain(value):
        if exclusive is not True:
            built[key] = value
    else:
        reader.note(at, "was left out: it is no number that a file can hold")


def _required(_: _Reader, built: dict[str, Json], __: dict[str, Json], value: Json, ___: str, ____: int) -> None:
    if isinstance(value, list):
        names = list(dict.fromkeys(each for each in value if isinstance(each, str)))
        built["required"] = [*names, *(name for name in built.get("required", ()) if name not in names)]


def _properties(
    reader: _Reader, built: dict[str, Json], written: dict[str, Json], value: Json, at: str, depth: int
) -> None:
    """Properties, and those that draft 3 marks as required each by itself."""
    if not isinstance(value, dict):
        return
    built["properties"] = {
        str(name): reader.schema(each, step_into(at, name), depth + 2) for name, each in value.items()
    }
    own = [name for name, each in value.items() if isinstance(each, dict) and each.get("required") is True]
    if own and not isinstance(written.get("required"), list):
        built["required"] = own


def _example(_: _Reader, built: dict[str, Json], written: dict[str, Json], value: Json, __: str, ___: int) -> None:
    if "examples" not in written and _is_plain(value):
        built["examples"] = [value]


def _examples(_: _Reader, built: dict[str, Json], __: dict[str, Json], value: Json, ___: str, ____: int) -> None:
    if isinstance(value, list) and value and _is_plain(value):
        built["examples"] = value[:5]


def _description(_: _Reader, built: dict[str, Json], __: dict[str, Json], value: Json, ___: str, ____: int) -> None:
    if isinstance(value, str) and (text := one_line(value, chars=TEXT_MAX)):
        built["description"] = text


def _ignored(*_: object) -> None:
    """A keyword that another one reads."""


_SPECIAL: Final[Mapping[str, Keyword]] = {
    "definitions": _definitions,
    "items": _items,
    "additionalItems": _ignored,
    "dependencies": _dependencies,
    "$ref": _reference,
    "$recursiveRef": _reference,
    "$recursiveAnchor": _ignored,
    "type": _type,
    "format": _format,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "exclusiveMinimum": _bound,
    "exclusiveMaximum": _bound,
    "minimum": _inclusive,
    "maximum": _inclusive,
    "required": _required,
    "properties": _properties,
    "nullable": _ignored,
    "example": _example,
    "examples": _examples,
    "description": _description,
}
"""Keywords that other drafts or other people write otherwise, and how each is read."""


def _tidy(built: dict[str, Json], written: dict[str, Json], reader: _Reader, place: str) -> None:
    """What takes several keywords of one schema to see."""
    if written.get("nullable") is True:
        _also_null(built)
    if written.get("$recursiveAnchor") is True:
        reader.note(place, "is extended by others in a way that is not followed")
    if built.get("additionalProperties") is False and "patternProperties" not in built:
        known = built.get("properties", {})
        for name in [each for each in built.get("required", ()) if each not in known]:
            built.setdefault("properties", {})[name] = True  # closed, and required: it must have been meant to be one
    if not isinstance(built.get("enum", []), list) or built.get("enum") == []:
        del built["enum"]


def _also_null(built: dict[str, Json]) -> None:
    kind = built.get("type")
    if kind is not None:
        kinds = kind if isinstance(kind, list) else [kind]
        built["type"] = kinds if "null" in kinds else [*kinds, "null"]
    elif built:
        inner = dict(built)
        built.clear()
        built["anyOf"] = [inner, {"type": "null"}]
        return
    enum = built.get("enum")
    if isinstance(enum, list) and None not in enum:
        built["enum"] = [*enum, None]


def _compiles(schema: dict[str, Json]) -> bool:
    try:
        Validator(schema)
    except SchemaError:
        return False
    return True
