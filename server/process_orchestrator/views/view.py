"""What every result and request is: immutable data with a JSON form and a schema. Not what they say: see `models`."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

Json = Any  # a JSON value
Value = TypeVar("Value")


class _Stated:
    """Marks a field that is always there, null where it has no value. Its schema says so."""

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        produced = handler(schema)
        kind = produced.get("type")
        if kind is None:
            return {"anyOf": [produced, {"type": "null"}]} if produced else produced
        options = {"enum": [*produced["enum"], None]} if "enum" in produced else {}
        return {**produced, "type": [kind, "null"], **options}


Stated = Annotated[Value | None, _Stated()]
"""A field that every result of its kind has, so that a reader need not ask whether it is there."""


class View(BaseModel):
    """Root of every result."""

    model_config = ConfigDict(frozen=True)

    def payload(self) -> dict[str, Any]:
        """The structured result: JSON values only. Without a value a `Stated` field is null, another is left out."""
        return {
            field.serialization_alias or name: _json(value)
            for name, field in type(self).model_fields.items()
            if (value := getattr(self, name)) is not None or any(isinstance(each, _Stated) for each in field.metadata)
        }


def _json(value: Any) -> Any:
    if isinstance(value, View):
        return value.payload()
    if isinstance(value, list | tuple):
        return [_json(each) for each in value]
    return value


class Request(BaseModel):
    """Root of every request; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class _OutputSchema(GenerateJsonSchema):
    """Absent instead of null, and no titles: a model reads these schemas, so every word costs."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        produced = super().default_schema(schema)
        if produced.get("default", ...) is None:
            produced.pop("default")
        return produced

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  named by pydantic
        return False


@cache
def output_schema(view: type[View]) -> dict[str, Any]:
    """JSON Schema 2020-12 of a result: object root, no union at the root.

    Made once, since that takes 5 ms; who wants it changed makes a copy.
    """
    schema = view.model_json_schema(mode="serialization", schema_generator=_OutputSchema, by_alias=True)
    for part in (schema, *schema.get("$defs", {}).values()):
        part.pop("title", None)
        part.pop("description", None)
    return schema


def brief_schema(view: type[View], *, depth: int, bare: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The schema of a result with names and types of its fields, and of the views in them `depth` levels down.

    Every result that keeps `output_schema` keeps this one. Hosts load it with the list of tools: whole, the schemas of
    ten tools are ten times as long as their descriptions. Views named in `bare` are shown as an object, no more.
    """
    whole = output_schema(view)
    return _brief(whole, whole.get("$defs", {}), depth + 1, bare)


def _brief(schema: dict[str, Any], definitions: dict[str, Any], depth: int, bare: frozenset[str]) -> dict[str, Any]:
    """`depth` is how many levels of fields are still shown."""
    if "anyOf" in schema:
        shown = _brief(schema["anyOf"][0], definitions, depth, bare)
        return {**shown, "type": [shown["type"], "null"]}
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        schema, depth = definitions[name], 0 if name in bare else depth
    shown = {name: schema[name] for name in ("type", "enum", "const") if name in schema}
    if "items" in schema and (items := _brief(schema["items"], definitions, depth, bare)):
        shown["items"] = items
    if "properties" in schema and depth > 0:
        fields = schema["properties"].items()
        shown["properties"] = {name: _brief(each, definitions, depth - 1, bare) for name, each in fields}
    return shown
