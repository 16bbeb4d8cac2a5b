"""The keywords of JSON Schema 2020-12, and which of them hold schemas themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ONE: Final = "one"  # the value is a schema
LIST: Final = "list"  # the value is a list of schemas
MAP: Final = "map"  # the value is a mapping of schemas
PLAIN: Final = "plain"  # the value holds no schema

KEYWORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("additionalProperties", "propertyNames", "unevaluatedProperties", "items", "contains", "unevaluatedItems"), ONE
    ),
    **dict.fromkeys(("not", "if", "then", "else", "contentSchema"), ONE),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), LIST),
    **dict.fromkeys(("properties", "patternProperties", "dependentSchemas", "$defs"), MAP),
    **dict.fromkeys(("$schema", "$ref", "$anchor", "$comment", "$dynamicRef", "$dynamicAnchor"), PLAIN),
    **dict.fromkeys(("type", "enum", "const", "format", "pattern", "required", "dependentRequired"), PLAIN),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), PLAIN),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "uniqueItems"), PLAIN),
    **dict.fromkeys(("minContains", "maxContains", "minProperties", "maxProperties"), PLAIN),
    **dict.fromkeys(("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"), PLAIN),
    **dict.fromkeys(("contentEncoding", "contentMediaType"), PLAIN),
}
"""JSON Schema 2020-12, core to content; without `$id` and `$vocabulary`, which would change what the rest means."""
