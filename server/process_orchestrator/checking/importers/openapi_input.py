"""What an operation takes: parameters and body as one object schema, and where the `bind` puts each of them.

Arguments keep their names where those are words; another name, or one that stands in two places, gets a word of its
own and the bind says what it is called on the wire. What no agent can send is said in todos.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from process_orchestrator.checking.importers.draft import Todo
from process_orchestrator.checking.importers.naming import free_name, one_line, valid_name
from process_orchestrator.checking.importers.openapi_document import OpenApi, Operation, listed, mapping, text
from process_orchestrator.checking.importers.openapi_schema import kinds, resolved_root

Json = Any

WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PLACEHOLDER: Final = re.compile(r"\{([^{}/]+)\}")
BODY: Final = "body"
NAME_CHARS_MAX: Final = 100
FLATTENED_MAX: Final = 100
"""Schemas looked at for one body; each once."""

KEY_HEADER: Final = "idempotency-key"
UNSENT_HEADERS: Final = frozenset(
    (
        *("accept", "content-type", "authorization", "cookie", "host", "content-length", "transfer-encoding"),
        *("connection", "te", "trailer", "upgrade", "expect", "accept-encoding", "range", "keep-alive"),
    )
)
"""Headers that the engine writes, or that carry a right: they are no arguments (OpenAPI ignores three of them too)."""

FLAT: Final = frozenset(
    ("type", "properties", "required", "additionalProperties", "title", "description", "example", "examples", "xml")
)
"""Keywords of an object whose properties can stand beside the parameters."""

FILE: Final[dict[str, Json]] = {
    "type": "string",
    "contentEncoding": "base64",
    "description": "A file: its bytes in base64.",
}


class Taken(NamedTuple):
    """What an operation takes."""

    schema: dict[str, Json]  # with references into the document
    bind: dict[str, Json]  # path, query, headers, body, files, input
    key: str | None  # the argument that carries the idempotency key
    todo: tuple[Todo, ...]


class CannotBeCalledError(Exception):
    """Why no agent can call an operation."""


def taken(document: OpenApi, operation: Operation, *, secret: frozenset[tuple[str, str]]) -> Taken:
    """Parameters and body. `secret` are the places (in, name) that the agent's auth fills.

    Raises CannotBeCalledError where a part that must be sent cannot be.
    """
    builder = _Builder(document, operation)
    for parameter in sorted(_parameters(document, operation), key=_order):
        place, name = text(parameter.get("in")), text(parameter.get("name"))
        if (place, name.lower()) not in secret and name:
            builder.parameter(place, name, parameter)
    builder.unnamed_placeholders()
    builder.body(document.followed(operation.body.get("requestBody")))
    return builder.taken()


def _order(parameter: dict[str, Json]) -> int:
    """Path first, then query: they keep their names where two places want one."""
    return {"path": 0, "query": 1}.get(text(parameter.get("in")), 2)


def _parameters(document: OpenApi, operation: Operation) -> Iterator[dict[str, Json]]:
    """The parameters of an operation; its own before those of its path."""
    seen: set[tuple[str, str]] = set()
    for each in (*listed(operation.body.get("parameters")), *listed(operation.shared.get("parameters"))):
        parameter = document.followed(each)
        name = (text(parameter.get("in")), text(parameter.get("name")))
        if name not in seen:
            seen.add(name)
            yield parameter


class _Builder:
    """One object schema, argument by argument."""

    def __init__(self, document: OpenApi, operation: Operation) -> None:
        self._document, self._operation = document, operation
        self._properties: dict[str, Json] = {}
        self._required: list[str] = []
        self._more: Json = False
        self._path = operation.path
        self._query: list[str] = []
        self._headers: dict[str, str] = {}
        self._renamed: dict[str, str] = {}
        self._bind: dict[str, Json] = {}
        self._key: str | None = None
        self._todo: list[Todo] = []
        self._flattened: dict[int, dict[str, Json] | None] = {}

    def taken(self) -> Taken:
        schema = {
            "type": "object",
            "additionalProperties": self._more,
            **({"required": self._required} if self._required else {}),
            "properties": self._properties,
        }
        bind: dict[str, Json] = {"path": self._path}
        if self._query:
            bind["query"] = self._query
        if self._headers:
            bind["headers"] = self._headers
        bind |= self._bind
        if self._renamed:
            bind["input"] = {wire: f"$.{name}" for wire, name in self._renamed.items()}
        return Taken(schema=schema, bind=bind, key=self._key, todo=tuple(self._todo))

    def parameter(self, place: str, name: str, parameter: dict[str, Json]) -> None:
        schema = self._schema(parameter)
        required = parameter.get("required") is True or place == "path"
        if place == "path":
            argument = self._add(name, place, self._single(name, schema), required=True)
            self._path = self._path.replace(f"{{{name}}}", f"{{{argument}}}")
        elif place == "query":
            self._query_parameter(name, schema, parameter, required=required)
        elif place == "header":
            self._header(name, schema, required=required)
        elif required:
            raise CannotBeCalledError(f"it needs the cookie {one_line(name, chars=60)}, and cookies are not sent")

    def unnamed_placeholders(self) -> None:
        """Placeholders of the path that no parameter describes."""
        for name in PLACEHOLDER.findall(self._path):
            if name not in self._properties and name not in self._renamed:
                argument = self._add(name, "path", {"type": "string"}, required=True)
                self._path = self._path.replace(f"{{{name}}}", f"{{{argument}}}")

    def body(self, body: dict[str, Json]) -> None:
        content = mapping(body.get("content"))
        if not content:
            if self._operation.method in ("POST", "PUT", "PATCH") and self._properties:
                self._no_body()
            return
        required = body.get("required") is True
        media = _media(content)
        if media is None:
            wanted = one_line(", ".join(content), chars=100)
            if required:
                raise CannotBeCalledError(f"its body is {wanted}; json, form and multipart bodies are sent")
            self._say("/input", f"its optional body ({wanted}) is left out: json, form and multipart bodies are sent")
            return
        name, kind = media
        schema = mapping(content[name]).get("schema", {})
        if kind == "json" and name.partition(";")[0].strip().lower() != "application/json":
            self._say("/input", f"the API names {one_line(name, chars=60)}; the body is sent as application/json")
        if kind == "json":
            self._json(schema, required=required)
        else:
            self._form(schema, kind, mapping(mapping(content[name]).get("encoding")), required=required)

    # --- parameters ----------------------------------------------------------------------------------------------

    def _schema(self, parameter: dict[str, Json]) -> Json:
        content = mapping(parameter.get("content"))
        holder = mapping(next(iter(content.values()))) if content else parameter
        schema = holder.get("schema", {})
        described = text(parameter.get("description"))
        if described and isinstance(schema, dict) and "$ref" not in schema and "description" not in schema:
            return {"description": described, **schema}
        return schema

    def _single(self, name: str, schema: Json) -> Json:
        """A value that is written as one text."""
        if kinds(self._document, schema) & {"array", "object"}:
            self._say(_argument(name), "a list goes into one text here, as `a,b,c`: write it so")
            return {"type": "string", "minLength": 1}
        return schema

    def _query_parameter(self, name: str, schema: Json, parameter: dict[str, Json], *, required: bool) -> None:
        style, found = text(parameter.get("style")) or "form", kinds(self._document, schema)
        explode = parameter.get("explode", style == "form") is not False
        if "object" in found and "content" not in parameter:
            inner = mapping(resolved_root(self._document, schema))
            if not mapping(inner.get("properties")) or (style != "deepObject" and not explode):
                if required:
                    raise CannotBeCalledError(
                        f"its query holds the object {one_line(name, chars=60)} in a form not sent"
                    )
                self._say("/input", f"the query's {one_line(name, chars=60)} is left out: an object is not sent so")
                return
            must = listed(inner.get("required")) if required else []
            for key, each in mapping(inner.get("properties")).items():
                wire = f"{name}[{key}]" if style == "deepObject" else key
                self._in_query(wire, self._single(wire, each), required=key in must)
            return
        if "array" in found and not (style == "form" and explode) and "content" not in parameter:
            mark = {"spaceDelimited": " ", "pipeDelimited": "|"}.get(style, ",")
            self._say(_argument(name), f"a list goes into one text here, as `a{mark}b{mark}c`: write it so")
            schema = {"type": "string", "description": f"Several, as a{mark}b{mark}c."}
        self._in_query(name, schema, required=required)

    def _in_query(self, wire: str, schema: Json, *, required: bool) -> None:
        argument = self._add(wire, "query", schema, required=required)
        if argument != wire:
            self._renamed[wire] = argument
            if f"{{{wire}}}" in self._path:  # the query needs the name on the wire, a path only a place
                self._path = self._path.replace(f"{{{wire}}}", f"{{path_{wire}}}")
                self._renamed[f"path_{wire}"] = wire
        self._query.append(wire)

    def _header(self, name: str, schema: Json, *, required: bool) -> None:
        lowered = name.lower()
        if lowered == KEY_HEADER:
            word = {"type": "string", "minLength": 1, "maxLength": 200, "description": "Filled by the engine."}
            self._key = self._add("idempotency_key", "header", word, required=False)
            return
        if lowered in UNSENT_HEADERS or lowered.startswith(("proxy-", "sec-")):
            if required and lowered not in ("accept", "content-type", "authorization"):
                raise CannotBeCalledError(f"it needs the header {one_line(name, chars=60)}, which is no argument")
            return
        self._headers[name] = self._add(valid_name(name), "header", self._single(name, schema), required=required)

    def _add(self, wire: str, place: str, schema: Json, *, required: bool) -> str:
        """One more argument, under a name that is a word and free."""
        name = wire if WORD.fullmatch(wire) and len(wire) <= NAME_CHARS_MAX else valid_name(wire, otherwise="argument")
        if name in self._properties:
            name = free_name(f"{place}_{name}", self._properties)
        self._properties[name] = schema
        if required:
            self._required.append(name)
        return name

    # --- bodies --------------------------------------------------------------------------------------------------

    def _no_body(self) -> None:
        """A method that may have a body, and has none: whatever is no path, query or header would become one."""
        self._bind["body"] = []

    def _json(self, schema: Json, *, required: bool) -> None:
        flat = self._flat(schema)
        if flat is not None and not required and listed(flat.get("required")):
            flat = None  # all of it or nothing
        if flat is not None and not self._clashes(flat):
            self._beside(flat)
            if self._key is not None:
                self._bind["body"] = [name for name in mapping(flat.get("properties")) if name in self._properties]
                self._more = False
            else:
                self._bind["body"] = "json"
            return
        argument = self._add(free_name(BODY, self._properties), "body", schema, required=required)
        self._bind["body"] = f"$.{argument}"

    def _form(self, schema: Json, kind: str, encoding: dict[str, Json], *, required: bool) -> None:
        flat = self._flat(schema)
        if flat is None or self._clashes(flat):
            raise CannotBeCalledError(f"its {kind} body is no plain object whose fields have names of their own")
        fields = mapping(flat.get("properties"))
        files = [name for name, each in fields.items() if self._is_file(each, mapping(encoding.get(name)))]
        if kind == "multipart":
            fields = {name: self._file(each) if name in files else each for name, each in fields.items()}
        if self._key is not None:
            del self._properties[self._key]
            self._key = None
            self._say("/idempotency", "a form cannot carry the Idempotency-Key apart from its fields; repeat with care")
        self._beside({**flat, "properties": fields, **({} if required else {"required": []})})
        self._bind["body"] = kind
        if kind == "multipart" and files:
            self._bind["files"] = files

    def _clashes(self, flat: dict[str, Json]) -> bool:
        """Whether a field of a body has the name of a parameter, as an argument or on the wire."""
        return bool(set(mapping(flat.get("properties"))) & {*self._properties, *self._renamed})

    def _beside(self, flat: dict[str, Json]) -> None:
        """Put the fields of a body beside the parameters."""
        for name, each in mapping(flat.get("properties")).items():
            if mapping(resolved_root(self._document, each)).get("readOnly") is not True:
                self._properties[name] = each
        must = [name for name in listed(flat.get("required")) if isinstance(name, str)]
        self._required += [name for name in must if name in self._properties and name not in self._required]
        more = flat.get("additionalProperties", False)
        self._more = more if isinstance(more, (dict, bool)) else False

    def _flat(self, schema: Json) -> dict[str, Json] | None:
        """An object schema that is nothing but its properties; several such under `allOf` put together."""
        found = resolved_root(self._document, schema)
        if not isinstance(found, dict) or len(self._flattened) > FLATTENED_MAX:
            return None
        if id(found) not in self._flattened:
            self._flattened[id(found)] = None  # what a circle is
            self._flattened[id(found)] = self._flat_object(found)
        return self._flattened[id(found)]

    def _flat_object(self, found: dict[str, Json]) -> dict[str, Json] | None:
        parts = [self._flat(each) for each in listed(found.get("allOf"))]
        own = {key: each for key, each in found.items() if key != "allOf" and not key.startswith("x-")}
        unusual = set(own) - FLAT - {"discriminator", "externalDocs", "deprecated"}
        if unusual or own.get("type", "object") != "object" or any(part is None for part in parts):
            return None
        if not parts and "properties" not in own:
            return None
        whole: dict[str, Json] = {"properties": {}, "required": []}
        for part in (*(part for part in parts if part is not None), own):
            properties = mapping(part.get("properties"))
            if any(whole["properties"].get(name, each) != each for name, each in properties.items()):
                return None
            whole["properties"] |= properties
            whole["required"] += listed(part.get("required"))
            if "additionalProperties" in part:
                whole["additionalProperties"] = part["additionalProperties"]
        return whole

    def _is_file(self, schema: Json, encoding: dict[str, Json]) -> bool:
        found = mapping(resolved_root(self._document, schema))
        if found.get("type") == "array":
            found = mapping(resolved_root(self._document, found.get("items", {})))
        sent = text(encoding.get("contentType"))
        named = text(found.get("contentMediaType"))
        return (
            found.get("format") == "binary"
            or bool(named)
            or (bool(sent) and not sent.startswith(("text/", "application/json")))
        )

    def _file(self, schema: Json) -> Json:
        found = mapping(resolved_root(self._document, schema))
        described = one_line(found.get("description"))
        one = {**FILE, "description": f"{FILE['description']} {described}".strip()}
        return {"type": "array", "items": one} if found.get("type") == "array" else one

    def _say(self, pointer: str, what: str) -> None:
        self._todo.append(Todo(pointer=pointer, text=what))


def _argument(name: str) -> str:
    word = name if WORD.fullmatch(name) else valid_name(name, otherwise="argument")
    return f"/input/properties/{word}"


def _media(content: dict[str, Json]) -> tuple[str, str] | None:
    """The best way to send a body: its media type, and json, multipart or form."""
    known = {name: name.partition(";")[0].strip().lower() for name in content}
    for wanted, kind in (
        ("application/json", "json"),
        ("*/*", "json"),
        ("multipart/form-data", "multipart"),
        ("application/x-www-form-urlencoded", "form"),
    ):
        found = next((name for name, plain in known.items() if plain == wanted), None)
        if found is not None:
            return found, kind
    patched = next((name for name, plain in known.items() if plain.endswith("+json")), None)
    return None if patched is None else (patched, "json")
