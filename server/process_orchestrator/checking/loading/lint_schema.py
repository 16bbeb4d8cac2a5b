"""Faults of a JSON Schema that every validator passes silently, and those that only the linear engine would refuse.

A misspelt keyword (`requird`) is no error to any validator, a `$ref` to the network is an attack, and a pattern with
a backreference runs for ever elsewhere. Each is refused here, with its pointer, before a schema is ever compiled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from process_orchestrator.checking.documents.definitions import Problem
from process_orchestrator.checking.documents.lines import Document
from process_orchestrator.checking.schemas.keywords import KEYWORDS, LIST, MAP, ONE
from process_orchestrator.checking.schemas.nearest import likely
from process_orchestrator.checking.schemas.pointers import step_into, value_at
from process_orchestrator.checking.schemas.validate import Validator
from process_orchestrator.core.errors import SchemaError

Json = Any

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

OLD_KEYWORDS: Final[Mapping[str, str]] = {
    "definitions": "write `$defs`",
    "dependencies": "write `dependentRequired` or `dependentSchemas`",
    "additionalItems": "write `items` beside `prefixItems`",
    "id": "remove it; a definition is named by its contract and version",
    "$id": "remove it; a definition is named by its contract and version",
    "$recursiveRef": "write `$dynamicRef`",
    "nullable": 'write `type: [string, "null"]`',
    "example": "write `examples: [...]`",
}


TYPES: Final = ("string", "number", "integer", "boolean", "object", "array", "null")

REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "malformed": ("SCHEMA_INVALID", "see the keyword at https://json-schema.org/understanding-json-schema/reference"),
    "unknown_format": ("SCHEMA_FORMAT", "remove it, or write date, date-time, time, email, uri or uuid; or a pattern"),
    "remote_ref": ("SCHEMA_REF", "copy the schema into $defs of this schema and write #/$defs/NAME"),
    "dangling_ref": ("SCHEMA_REF", "add it to $defs at the root of this schema"),
    "bad_pattern": ("SCHEMA_PATTERN", "use a regular expression without look-around and backreferences"),
    "too_deep": ("SCHEMA_INVALID", "flatten it with $defs"),
}
"""Why a schema does not compile: our code, and what to do."""


def schema_problems(document: Document, pointer: str) -> tuple[Problem, ...]:
    """What is wrong with the schema at `pointer`; the first kind of fault found, since later ones would follow it."""
    schema = value_at(document.value, pointer)
    found = tuple(_walk(document, pointer, schema, root=pointer))
    if schema.get("type") != "object":
        fix = "write type: object at the root, and put the value into a property"
        found = (document.error("SCHEMA_ROOT", pointer, "the root of the schema is not an object", fix), *found)
    if found:
        return found
    try:
        Validator(schema)
    except SchemaError as error:
        code, fix = REASONS.get(error.reason, REASONS["malformed"])
        return (document.error(code, pointer + error.pointer, error.message[:300], fix),)
    return ()


def _walk(document: Document, pointer: str, schema: Json, *, root: str) -> Iterator[Problem]:
    """Every fault at and below `pointer`. Recursion is bounded by the reader's depth cap."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        fix = "write a mapping such as {type: string}, true or false"
        yield document.error("SCHEMA_INVALID", pointer, "a schema is expected here", fix)
        return
    yield from _closed(document, pointer, schema)
    for key, value in schema.items():
        place = step_into(pointer, key)
        kind = KEYWORDS.get(key)
        if kind is None:
            if not key.startswith("x-"):
                yield document.error("SCHEMA_KEYWORD", place, f"`{key}` is no JSON Schema keyword", _keyword_fix(key))
        elif kind == ONE:
            yield from _walk(document, place, value, root=root)
        elif kind == LIST and isinstance(value, list):
            for index, each in enumerate(value):
                yield from _walk(document, step_into(place, index), each, root=root)
        elif kind == MAP and isinstance(value, dict):
            for name, each in value.items():
                if key == "patternProperties":
                    yield from _pattern(document, step_into(place, name), name)
                yield from _walk(document, step_into(place, name), each, root=root)
        elif key in ("$ref", "$dynamicRef"):
            yield from _reference(document, place, value, root=root)
        elif key == "type":
            yield from _types(document, place, value)
        elif key == "pattern":
            yield from _pattern(document, place, value)
        elif key == "$schema" and value != DIALECT:
            message = "only JSON Schema 2020-12 is read"
            yield document.error("SCHEMA_DIALECT", place, message, f"remove it, or write {DIALECT}")


def _keyword_fix(key: str) -> str:
    if key in OLD_KEYWORDS:
        return OLD_KEYWORDS[key]
    meant = likely(key, KEYWORDS)
    return f"write `{meant}`" if meant else "remove it; your own keys begin with x-"


def _types(document: Document, place: str, value: Json) -> Iterator[Problem]:
    for word in value if isinstance(value, list) else [value]:
        if word not in TYPES:
            meant = likely(str(word), TYPES)
            fix = f"write `{meant}`" if meant else f"write one of {', '.join(TYPES)}"
            yield document.error("SCHEMA_TYPE", place, f"`{str(word)[:60]}` is no type", fix)


def _reference(document: Document, place: str, value: Json, *, root: str) -> Iterator[Problem]:
    if not isinstance(value, str) or not value.startswith("#"):
        fix = "copy the schema into $defs of this schema and write #/$defs/NAME"
        yield document.error("SCHEMA_REF", place, "references outside this schema are not followed", fix)
        return
    target = unquote(value[1:])
    if target.startswith("/") or not target:
        below = value_at(document.value, root + target)
        if isinstance(below, (dict, bool)):
            return
    elif any(target == name for name in _anchors(value_at(document.value, root))):
        return
    defs = value_at(document.value, f"{root}/$defs")
    known = [f"#/$defs/{name}" for name in defs] if isinstance(defs, dict) else []
    meant = likely(value, known)
    fix = f"write `{meant}`" if meant else "add it to $defs at the root of this schema"
    yield document.error("SCHEMA_REF", place, f"`{value[:100]}` points at nothing", fix)


def _anchors(schema: Json) -> Iterator[str]:
    stack: list[Json] = [schema]
    while stack:
        top = stack.pop()
        if isinstance(top, dict):
            yield from (str(top[key]) for key in ("$anchor", "$dynamicAnchor") if key in top)
            stack.extend(top.values())
        elif isinstance(top, list):
            stack.extend(top)


def _pattern(document: Document, place: str, value: Json) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield document.error("SCHEMA_PATTERN", place, "a pattern is a text", "put it in quotes")
        return
    try:
        Validator({"pattern": value})
    except SchemaError:
        fix = "use a regular expression without look-around, backreferences and huge counts"
        message = "the pattern does not compile in a linear-time engine"
        yield document.error("SCHEMA_PATTERN", place, message, fix)


def _closed(document: Document, pointer: str, schema: dict[str, Json]) -> Iterator[Problem]:
    """A closed object that requires a property it does not have can never be valid: mostly a misspelling."""
    if schema.get("additionalProperties") is not False or "patternProperties" in schema:
        return
    required, properties = schema.get("required", []), schema.get("properties", {})
    if not isinstance(required, list) or not isinstance(properties, dict):
        return
    for index, name in enumerate(required):
        if isinstance(name, str) and name not in properties:
            meant = likely(name, properties)
            fix = f"write `{meant}`" if meant else f"add `{name}` to properties, or do not require it"
            place = f"{pointer}/required/{index}"
            yield document.error("SCHEMA_REQUIRED", place, f"`{name}` is required but is no property", fix)
