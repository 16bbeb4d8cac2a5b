"""Is a definition's form right? Its meta-schema decides; this room says what is wrong in words that help.

The meta-schemas are shipped here and published as `schemas/*.schema.json` for editors. What a schema cannot say is
the lint's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

from process_orchestrator.checking.documents.definitions import Problem
from process_orchestrator.checking.documents.lines import Document
from process_orchestrator.checking.schemas.nearest import likely
from process_orchestrator.checking.schemas.pointers import segments, step_into, value_at
from process_orchestrator.checking.schemas.validate import Validator, ValueProblem

Json = Any

PROBLEMS_MAX: Final = 50
"""A file with more is broken as a whole; the first ones say why."""

PATTERN_FIXES: Final = (
    ("/$defs/version", "BAD_VERSION", "write three numbers, for example 1.2.0"),
    ("/$defs/name", "BAD_NAME", "lower-case letters, digits and _, beginning with a letter"),
    ("/$defs/contract_name", "BAD_NAME", "lower-case words joined by dots, for example ledger.post"),
    ("/$defs/contract_reference", "BAD_REFERENCE", "write name, name@^1, name@~1.2 or name@1.2.0"),
    ("/$defs/process_reference", "BAD_REFERENCE", "write name, name@^1, name@~1.2 or name@1.2.0"),
    ("/$defs/secret", "BAD_SECRET", "name where the secret lies: env:NAME or file:PATH"),
    ("/$defs/url", "BAD_URL", "write http:// or https://, without a user name in it"),
    ("/$defs/whole_body", "BAD_FORMAT", "write json, form, multipart, a list of arguments, or one as $.name"),
    ("/$defs/next_page", "BAD_FORMAT", "write link, or a JSON pointer such as /next"),
    ("/$defs/items_place", "BAD_POINTER", 'write a JSON pointer such as /items, or "" where the page is the list'),
    ("/properties/data", "BAD_POINTER", "begin with /input/ or /output/, for example /input/vendor/iban"),
    ("/properties/intake", "BAD_INTAKE", "keywords hold a word; requires holds pointers such as /document"),
)
"""Where in a meta-schema a pattern stands, the code of a value that does not match, and what to write."""

EXAMPLES: Final[Mapping[str, str]] = {
    "version": "version: 1.0.0",
    "summary": "summary: One sentence that says what it does.",
    "input": "input: {type: object, properties: {...}}",
    "output": "output: {type: object, properties: {...}}",
    "effects": "effects: {kind: read}",
    "transport": "transport: {kind: mcp_stdio, command: [...]}",
    "serves": "serves: [{contract: NAME@^1, bind: {...}}]",
    "id": "id: NAME",
}
OBJECTS: Final[Mapping[str, str]] = {
    "wait": "wait: {seconds: 60}",
    "repeat": "repeat: {until: {let: {NAME: $.output.FIELD}, expr: ...}, max: 5, every_s: 10}",
}
"""What a key takes that is easily written as one number."""


@cache
def meta_schema(kind: str) -> dict[str, Json]:
    """The meta-schema of contract, process or agent."""
    text = (
        resources.files("process_orchestrator.checking")
        .joinpath(f"meta_schemas/{kind}.schema.json")
        .read_text(encoding="utf-8")
    )
    return json.loads(text)


@cache
def _validator(kind: str) -> Validator:
    return Validator(meta_schema(kind))


def form_problems(document: Document, kind: str) -> tuple[Problem, ...]:
    """Every way in which a definition breaks its meta-schema, in the order of the file."""
    found = [
        problem for fault in _validator(kind).problems(document.value) for problem in _worded(document, kind, fault)
    ]
    unique = {(each.code, each.pointer): each for each in found}
    return tuple(sorted(unique.values(), key=lambda each: each.line)[:PROBLEMS_MAX])


def _worded(document: Document, kind: str, fault: ValueProblem) -> Iterator[Problem]:
    schema = meta_schema(kind)
    rule, place = fault.rule, _resolved(schema, fault.schema_pointer)
    parts = segments(place)
    if rule == "required" and len(parts) > 2 and parts[-3] in ("anyOf", "oneOf"):  # a branch: name the choice instead
        rule, place = parts[-3], place.rsplit("/", 2)[0]
    holder = value_at(schema, place.rpartition("/")[0])
    pointer = fault.pointer.rpartition("/")[0] if fault.rule in _AT_KEY else fault.pointer
    value = value_at(document.value, pointer)
    name = segments(pointer)[-1] if pointer else kind
    if rule in _OF_KEYS and isinstance(value, dict):
        yield from _OF_KEYS[rule](document, pointer, value, holder)
    elif rule == "propertyNames" and isinstance(value, dict):
        # such a fault points into the schema of the names
        yield from _bad_names(document, pointer, value, names=holder)
    elif rule == "pattern" or (rule == "type" and _has_a_form(place)):
        yield _malformed(document, pointer, place=place, written=value)
    elif rule == "type":
        wanted = " or ".join([holder["type"]] if isinstance(holder["type"], str) else holder["type"])
        message = f"`{name}` must be of type {wanted}, not {_type_of(value)}"
        fix = f"write `{OBJECTS[name]}`" if name in OBJECTS else f"write a value of type {wanted}"
        yield document.error("WRONG_TYPE", pointer, message, fix)
    elif rule in ("enum", "const"):
        yield _bad_word(document, pointer, value, words=[str(word) for word in holder.get("enum", [])])
    elif rule in _SHAPES:
        code, message, fix = _SHAPES[rule]
        yield document.error(code, pointer, message.format(name=name), fix)
    else:
        limit = holder.get(rule) if isinstance(holder, dict) else None
        fix = f"write {_LIMITS.get(rule, rule)} {limit}"
        yield document.error("OUT_OF_RANGE", pointer, f"`{name}` is out of its range", fix)


def _has_a_form(place: str) -> bool:
    """Whether a type stands in a definition that describes one text, not a key of a bigger thing."""
    return "condition" in place or any(place.startswith(f"{prefix}/") for prefix, _, _ in PATTERN_FIXES)


_AT_KEY: Final = ("required", "additionalProperties", "unevaluatedProperties")
"""Rules whose faults point at the key that is missing or too much, not at the object that it is in."""

_LIMITS: Final[Mapping[str, str]] = {
    "minimum": "a number of at least",
    "exclusiveMinimum": "a number above",
    "maximum": "a number of at most",
    "exclusiveMaximum": "a number below",
    "maxLength": "a text whose number of characters is at most",
    "maxItems": "a list whose number of items is at most",
}


_SHAPES: Final[Mapping[str, tuple[str, str, str]]] = {
    "anyOf": (
        "MISSING_KEY",
        "`plan` and `contracts` are both missing",
        "add a plan, or the contracts that one may use",
    ),
    "oneOf": ("STEP_KIND", "a step is closed by exactly one thing", "write one of contract:, process: and wait:"),
    "not": ("EXAMPLE_BOTH", "an example has an output or an error, not both", "remove one of the two"),
    "uniqueItems": ("DUPLICATE_ITEM", "`{name}` names the same thing twice", "remove the repetition"),
    "minItems": ("EMPTY", "`{name}` is empty", "name at least one"),
    "minLength": ("EMPTY", "`{name}` is empty", "write a text"),
    "minProperties": ("EMPTY", "`{name}` is empty", "name one, or leave the block out"),
    "maxProperties": ("TOO_MANY", "`{name}` may name only one thing", "keep one of them"),
}


def _unknown_keys(document: Document, pointer: str, value: dict[str, Json], holder: Json) -> Iterator[Problem]:
    known = list(holder.get("properties", {}))
    free = "^x-" in holder.get("patternProperties", {})
    for key in value:
        if key in known or (free and key.startswith("x-")):
            continue
        meant = likely(key, (name for name in known if name not in value))
        listed = f"known here: {', '.join(known) or 'none'}" + ("; your own keys begin with x-" if free else "")
        fix = f"write `{meant}`" if meant else listed
        message = f"unknown key `{key}`"
        yield document.error("UNKNOWN_KEY", step_into(pointer, key), message, fix)


def _missing_keys(document: Document, pointer: str, value: dict[str, Json], holder: Json) -> Iterator[Problem]:
    for key in holder.get("required", ()):
        if key not in value:
            fix = f"add `{EXAMPLES.get(key, f'{key}: ...')}`"
            yield document.error("MISSING_KEY", pointer, f"`{key}` is missing", fix)
    for key, others in holder.get("dependentRequired", {}).items():
        for other in others if key in value else ():
            if other not in value:
                message, fix = f"`{key}` needs `{other}`", f"add `{other}`, or remove `{key}`"
                yield document.error("MISSING_KEY", step_into(pointer, key), message, fix)


_OF_KEYS: Final[Mapping[str, Callable[[Document, str, dict[str, Json], Json], Iterator[Problem]]]] = {
    "additionalProperties": _unknown_keys,
    "unevaluatedProperties": _unknown_keys,
    "required": _missing_keys,
    "dependentRequired": _missing_keys,
}


def _bad_word(document: Document, pointer: str, value: Json, *, words: list[str]) -> Problem:
    written = value if isinstance(value, str) else _type_of(value)
    meant = likely(written, words)
    listed = ", ".join(words)
    fix = f"write `{meant}` (known: {listed})" if meant else f"write one of {listed}"
    return document.error("BAD_VALUE", pointer, f"`{written[:60]}` is not known here", fix)


def _malformed(document: Document, pointer: str, *, place: str, written: Json) -> Problem:
    """A value that does not match its pattern. A secret is not repeated, nor an address that may hold one."""
    shown = f"`{str(written)[:60]}`" if isinstance(written, (str, int, float)) else _type_of(written)
    for prefix, code, fix in PATTERN_FIXES:
        if place == prefix or place.startswith(prefix + "/"):
            said = "this" if code in ("BAD_SECRET", "BAD_URL") else shown
            return document.error(code, pointer, f"{said} is not well formed", fix)
    if "condition" in place:
        fix = "write {let: {name: binding}, expr: ...}, or one boolean binding such as $.input.x"
        return document.error("BAD_CONDITION", pointer, f"{shown} is no condition", fix)
    wanted = "begin it with /" if place.endswith("/pattern") else "see the published schema of this format"
    return document.error("BAD_FORMAT", pointer, f"{shown} is not well formed", wanted)


def _bad_names(document: Document, pointer: str, value: dict[str, Json], *, names: Json) -> Iterator[Problem]:
    allowed = Validator(names)
    for key in value:
        if not allowed.is_valid(key):
            fix = "letters, digits and _, beginning with a letter; codes and names in lower case"
            yield document.error("BAD_NAME", step_into(pointer, key), f"`{key[:60]}` is not well formed", fix)


def _resolved(schema: Json, pointer: str) -> str:
    """`pointer` with every `$ref` on the way followed, so that it names the place in the meta-schema itself."""
    place = ""
    for part in segments(pointer):
        target = value_at(schema, place)
        if part == "$ref" and isinstance(target, dict) and isinstance(target.get("$ref"), str):
            place = target["$ref"].removeprefix("#")
        else:
            place = step_into(place, part)
    return place


def _type_of(value: Json) -> str:
    for kind, name in _TYPES:
        if isinstance(value, kind):
            return name
    return "null"


_TYPES: Final = (
    (bool, "boolean"),
    (str, "string"),
    (int, "integer"),
    (float, "number"),
    (list, "array"),
    (dict, "object"),
)
