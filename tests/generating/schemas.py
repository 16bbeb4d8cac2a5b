"""Schemas of every kind for the generator: what authors write, and what only a specification writes."""

from typing import Any, Final

NODE: Final = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    "required": ["value", "next"],
    "additionalProperties": False,
}
LINE: Final = {
    "type": "object",
    "required": ["sku", "quantity", "price"],
    "properties": {
        "sku": {"type": "string", "pattern": "^[A-Z]{2,4}-[0-9]{3,}$"},
        "quantity": {"type": "integer", "minimum": 1, "maximum": 999},
        "price": {"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.01},
    },
}

SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "integer bounds": {"type": "integer", "minimum": 3, "maximum": 5},
    "integer multiple": {"type": "integer", "multipleOf": 7, "minimum": 20},
    "number open": {"type": "number"},
    "number between": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "money": {"type": "number", "minimum": 0, "multipleOf": 0.01},
    "only a fraction": {"type": "number", "not": {"type": "integer"}, "minimum": 0},
    "boolean": {"type": "boolean"},
    "null or text": {"type": ["null", "string"]},
    "text length": {"type": "string", "minLength": 3, "maxLength": 5},
    "long text": {"type": "string", "minLength": 400},
    "pattern": {"type": "string", "pattern": "^V-[0-9]{4,8}$"},
    "pattern alternatives": {"type": "string", "pattern": "^(?:EUR|USD|[A-Z]{3})$"},
    "pattern unanchored": {"type": "string", "pattern": "ab+c"},
    "pattern escapes": {"type": "string", "pattern": "^\\d{2}\\.\\w+[^\\s@]*\\\\$"},
    "pattern classes": {"type": "string", "pattern": "^\\p{Lu}[a-z\\-]*$"},
    "pattern and length": {"type": "string", "pattern": "^[a-z]+$", "minLength": 30, "maxLength": 40},
    "pattern with words": {"type": "string", "pattern": "\\bcode\\b", "examples": ["a code here"]},
    "two patterns": {"allOf": [{"pattern": "^a"}, {"pattern": "z$"}], "type": "string", "examples": ["az"]},
    "enum": {"enum": ["a", 1, None, {"b": [1]}]},
    "const": {"const": {"a": [1, 2.5, None]}},
    "enum but one": {"enum": ["a", "b"], "not": {"const": "a"}},
    "anything": {},
    "anything but a text": {"not": {"type": "string"}},
    "list of dates": {"type": "array", "items": {"type": "string", "format": "date"}, "minItems": 1, "maxItems": 3},
    "tuple": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False, "minItems": 2},
    "tuple open": {"type": "array", "prefixItems": [{"const": "x"}], "items": {"type": "boolean"}},
    "unique": {"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True, "minItems": 3},
    "contains": {"type": "array", "contains": {"type": "integer", "minimum": 10}, "minContains": 2, "maxContains": 3},
    "many items": {"type": "array", "items": {"type": "integer"}, "minItems": 500},
    "closed object": {
        "type": "object",
        "additionalProperties": False,
        "required": ["id"],
        "properties": {"id": {"type": "string", "format": "uuid"}, "note": {"type": "string", "maxLength": 10}},
    },
    "open object": {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}},
    "map": {"type": "object", "additionalProperties": {"type": "number"}, "minProperties": 2, "maxProperties": 4},
    "pattern properties": {
        "type": "object",
        "patternProperties": {"^x_[a-z]+$": {"type": "integer"}},
        "additionalProperties": False,
        "minProperties": 1,
    },
    "property names": {"type": "object", "propertyNames": {"pattern": "^[a-z]{3}$"}, "minProperties": 2},
    "dependent": {
        "type": "object",
        "properties": {"card": {"type": "string"}, "owner": {"type": "string"}},
        "dependentRequired": {"card": ["owner"]},
    },
    "dependent schema": {
        "type": "object",
        "properties": {"kind": {"type": "string"}},
        "dependentSchemas": {"kind": {"required": ["size"], "properties": {"size": {"type": "integer"}}}},
    },
    "if then else": {
        "type": "object",
        "properties": {"country": {"enum": ["DE", "US"]}, "code": {"type": "string"}},
        "required": ["country", "code"],
        "if": {"properties": {"country": {"const": "DE"}}},
        "then": {"properties": {"code": {"pattern": "^[0-9]{5}$"}}},
        "else": {"properties": {"code": {"pattern": "^[0-9]{5}-[0-9]{4}$"}}},
    },
    "one of by tag": {
        "oneOf": [
            {"type": "object", "required": ["kind", "iban"], "properties": {"kind": {"const": "iban"}}},
            {"type": "object", "required": ["kind", "card"], "properties": {"kind": {"const": "card"}}},
        ]
    },
    "one of overlapping": {"oneOf": [{"type": "integer", "minimum": 0}, {"type": "number", "maximum": 10}]},
    "any of": {"anyOf": [{"type": "string", "format": "email"}, {"type": "integer", "minimum": 1}]},
    "all of": {
        "allOf": [
            {"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "minLength": 2}}},
            {"required": ["b"], "properties": {"a": {"maxLength": 4}, "b": {"type": "integer"}}},
        ]
    },
    "chain": {"$defs": {"node": NODE}, "$ref": "#/$defs/node"},
    "tree": {
        "type": "object",
        "required": ["children"],
        "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
    },
    "anchored": {"$defs": {"a": {"$anchor": "amount", "type": "number", "minimum": 1}}, "$ref": "#amount"},
    "unevaluated": {
        "type": "object",
        "allOf": [{"properties": {"a": {"type": "integer"}}}],
        "properties": {"b": {"type": "string"}},
        "unevaluatedProperties": False,
    },
    "invoice": {
        "$defs": {"line": LINE},
        "type": "object",
        "additionalProperties": False,
        "required": ["number", "issued", "lines", "total"],
        "properties": {
            "number": {"type": "string", "minLength": 1, "maxLength": 64},
            "issued": {"type": "string", "format": "date"},
            "lines": {"type": "array", "minItems": 1, "maxItems": 100, "items": {"$ref": "#/$defs/line"}},
            "total": {"type": "number", "minimum": 0},
            "pay": {
                "oneOf": [
                    {
                        "type": "object",
                        "required": ["iban"],
                        "properties": {"iban": {"type": "string", "minLength": 15}},
                    },
                    {"type": "null"},
                ]
            },
            "mail": {"type": "string", "format": "email"},
        },
    },
}

FORMATS: Final = (
    *("date", "time", "date-time", "duration", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6"),
    *("uri", "uri-reference", "iri", "iri-reference", "uri-template", "uuid", "json-pointer"),
    *("relative-json-pointer", "regex"),
)
SCHEMAS.update({f"format {name}": {"type": "string", "format": name} for name in FORMATS})

NOTHING: Final[dict[str, dict[str, Any]]] = {
    "bounds crossed": {"type": "integer", "minimum": 5, "maximum": 4},
    "required but false": {"type": "object", "required": ["a"], "properties": {"a": False}},
    "endless": {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}},
    "only itself": {
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
        "allOf": [False, {"$ref": "#/$defs/a"}],
    },
    "more items than there are": {"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": True, "minItems": 3},
}
"""Schemas that no value keeps."""

HOSTILE: Final[dict[str, dict[str, Any]]] = {
    "alternatives of alternatives": {
        "allOf": [
            {"anyOf": [{"properties": {f"p{i}{j}": {"const": j}}, "required": [f"p{i}{j}"]} for j in range(6)]}
            for i in range(12)
        ],
        "type": "object",
    },
    "doubling references": {
        "$defs": {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}, {"$ref": f"#/$defs/d{i + 1}"}]} for i in range(24)}
        | {"d24": {"type": "integer"}},
        "$ref": "#/$defs/d0",
    },
    "huge list": {"type": "array", "minItems": 10_000_000, "items": {"type": "integer"}},
    "huge text": {"type": "string", "minLength": 50_000_000},
    "repeats of repeats": {"type": "string", "pattern": "^(?:(?:a{1,30}){1,30}){1,30}$"},
    "wide": {
        "type": "object",
        "properties": {f"p{i}": {"oneOf": [{"type": "integer"}, {"type": "null"}]} for i in range(1500)},
    },
}
