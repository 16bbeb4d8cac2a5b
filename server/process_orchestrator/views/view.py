"""What every result and request is: immutable data with a JSON form and a schema. Not what they say: see `models`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

Json = Any  # a JSON value


class View(BaseModel):
    """Root of every result."""

    model_config = ConfigDict(frozen=True)

    def payload(self) -> dict[str, Any]:
        """The structured result: JSON values only, fields without a value left out."""
        return self.model_dump(mode="json", exclude_none=True, by_alias=True)


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


def output_schema(view: type[View]) -> dict[str, Any]:
    """JSON Schema 2020-12 of a result: object root, no union at the root."""
    schema = view.model_json_schema(mode="serialization", schema_generator=_OutputSchema, by_alias=True)
    for part in (schema, *schema.get("$defs", {}).values()):
        part.pop("title", None)
        part.pop("description", None)
    return schema
