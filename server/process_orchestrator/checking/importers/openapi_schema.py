"""One schema of an OpenAPI document with all that it refers to, as a JSON Schema that stands alone.

`#/components/schemas/Pet` becomes `#/$defs/Pet`, recursion included. What a caller must not send (`readOnly`) or
does not get (`writeOnly`) is left out, by the side that is asked for. Keywords of other drafts stay as they are:
`adapt` makes them ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from process_orchestrator.checking.importers.openapi_document import HOPS_MAX, OpenApi, listed, mapping
from process_orchestrator.checking.schemas.keywords import KEYWORDS, LIST, MAP, ONE
from process_orchestrator.core.facts.values import Fact

Json = Any

DEPTH_MAX: Final = 60
BYTES_MAX: Final = 60_000
"""Of one schema with all that it refers to, nearest first. What is further away is let through: nobody reads more."""

NAMES_SHOWN_MAX: Final = 5
SCHEMAS_MAX: Final = 200
"""Looked at for one question about types; they are asked in one another, so this bounds the recursion too."""

HIDDEN: Final[Mapping[str, str]] = {"input": "readOnly", "output": "writeOnly"}
"""What is left out of each side."""

ALWAYS_DROPPED: Final = frozenset(("discriminator", "xml", "externalDocs"))
PLACES: Final = {**KEYWORDS, "definitions": MAP}
NAME: Final = re.compile(r"[^A-Za-z0-9_.-]+")


class Bundled(Fact, frozen=True, kw_only=True):
    """A schema that stands alone, and what it now says less."""

    schema: Json
    notes: tuple[str, ...] = ()


def bundled(document: OpenApi, schema: Json, *, side: str) -> Bundled:
    """The schema with its definitions. A root that only refers is replaced by what it refers to."""
    bundle = _Bundle(document, HIDDEN[side])
    return bundle.made(resolved_root(document, schema))


def resolved_root(document: OpenApi, schema: Json) -> Json:
    """A schema whose root is no reference; open where that leads nowhere."""
    for _ in range(HOPS_MAX):
        if not isinstance(schema, dict) or not isinstance(schema.get("$ref"), str):
            return schema
        beside = {key: each for key, each in schema.items() if key != "$ref"}
        if beside and not document.nullable and set(beside) - {"description", "summary", "title"}:
            return {"allOf": [{"$ref": schema["$ref"]}, beside]}
        schema = document.target(schema["$ref"])
    return {}


def kinds(document: OpenApi, schema: Json) -> frozenset[str]:
    """The JSON types that values of a schema can have; empty where it does not say."""
    return _kinds(document, schema, {})


def _kinds(document: OpenApi, schema: Json, known: dict[int, frozenset[str]]) -> frozenset[str]:
    """The same, each schema looked at once: alternatives of alternatives would multiply, and may go in circles."""
    found = resolved_root(document, schema)
    if not isinstance(found, dict) or len(known) > SCHEMAS_MAX:
        return frozenset()
    if id(found) not in known:
        known[id(found)] = frozenset()  # what a circle says of itself
        known[id(found)] = _kinds_of(document, found, known)
    return known[id(found)]


def _kinds_of(document: OpenApi, found: dict[str, Json], known: dict[int, frozenset[str]]) -> frozenset[str]:
    written = found.get("type")
    if isinstance(written, (str, list)):
        null = {"null"} if found.get("nullable") is True else set[str]()
        return frozenset({written} if isinstance(written, str) else map(str, written)) | null
    for each in listed(found.get("allOf")):
        inner = _kinds(document, each, known)
        if inner:
            return inner
    for word in ("oneOf", "anyOf"):
        branches = [_kinds(document, each, known) for each in listed(found.get(word))]
        if branches:
            return frozenset().union(*branches) if all(branches) else frozenset()
    if "properties" in found or "additionalProperties" in found:
        return frozenset({"object"})
    return frozenset({"array"}) if "items" in found else frozenset()


class _Bundle:
    """Definitions are made one after another, nearest first: none is made inside another one, so nothing recurses."""

    def __init__(self, document: OpenApi, hidden: str) -> None:
        self._document, self._hidden = document, hidden
        self._names: dict[str, str] = {}  # by reference
        self._notes: dict[str, None] = {}

    def made(self, root: Json) -> Bundled:
        schema = self._schema(root, 0)
        definitions: dict[str, Json] = {}
        size = len(json.dumps(schema))
        cut: list[str] = []
        while len(definitions) < len(self._names):
            reference, name = next(islice(self._names.items(), len(definitions), None))
            definition: Json = True
            if size <= BYTES_MAX:
                definition = self._schema(self._document.target(reference), 0)
                size += len(json.dumps(definition))
            else:
                cut.append(name)
            definitions[name] = definition
        if cut:
            more = len(cut) - NAMES_SHOWN_MAX
            shown = ", ".join(cut[:NAMES_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
            self._notes[f"let through whatever they are, since the schema would become too large: {shown}"] = None
        if definitions and isinstance(schema, dict):
            schema = {**schema, "$defs": definitions}
        return Bundled(schema=schema, notes=tuple(self._notes))

    def _schema(self, written: Json, depth: int) -> Json:
        if not isinstance(written, dict) or depth > DEPTH_MAX:
            return written if isinstance(written, bool) else {}
        if isinstance(written.get("$ref"), str):
            return self._reference(written, depth)
        built: dict[str, Json] = {}
        for key, value in written.items():
            word = "anyOf" if key == "oneOf" and "discriminator" in written else key
            if key in ALWAYS_DROPPED or key in ("$defs", "definitions"):
                continue
            if key == "format" and written.get("type") in ("integer", "number"):
                continue  # says how wide it is kept, which JSON does not know
            place = PLACES.get(key)
            if place == ONE:
                built[word] = self._schema(value, depth + 1)
            elif place == LIST and isinstance(value, list):
                built[word] = [self._schema(each, depth + 1) for each in value]
            elif place == MAP and isinstance(value, dict):
                built[word] = {name: self._schema(each, depth + 1) for name, each in value.items()}
            else:
                built[word] = value
        self._hide(built, mapping(written.get("properties")))
        return built

    def _reference(self, written: dict[str, Json], depth: int) -> Json:
        reference: str = written["$ref"]
        target = self._document.target(reference)
        if not isinstance(target, (dict, bool)) or reference == "#":
            self._notes[f"{reference[:100]} leads nowhere: anything is let through"] = None
            return {}
        name = self._names.get(reference) or self._named(reference)
        beside = {key: each for key, each in written.items() if key != "$ref"}
        ours = {"$ref": f"#/$defs/{name}"}
        return ours if self._document.nullable or not beside else {**self._schema(beside, depth + 1), **ours}

    def _named(self, reference: str) -> str:
        wanted = NAME.sub("_", reference.rpartition("/")[2].replace("~1", "/"))[:100].strip("_.") or "Schema"
        name, number, taken = wanted, 2, set(self._names.values())
        while name in taken:
            name, number = f"{wanted}_{number}", number + 1
        self._names[reference] = name
        return name

    def _hide(self, built: dict[str, Json], written: dict[str, Json]) -> None:
        """Leave out the properties of the other side."""
        gone = {name for name, each in written.items() if self._is_hidden(each)}
        if not gone:
            return
        built["properties"] = {name: each for name, each in built["properties"].items() if name not in gone}
        if isinstance(built.get("required"), list):
            built["required"] = [each for each in built["required"] if not (isinstance(each, str) and each in gone)]

    def _is_hidden(self, schema: Json) -> bool:
        own = mapping(schema)
        return own.get(self._hidden) is True or mapping(resolved_root(self._document, own)).get(self._hidden) is True
