"""A process type narrowed to the input that one process really has.

A made plan is for this process alone, so what its input holds is there, and what it lacks is not: bindings to the one
need no fallback, bindings to the other do not exist. Only names are looked at; no value gets into the narrowed schema.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from process_orchestrator.checking.documents.definitions import ProcessType
from process_orchestrator.checking.schemas.projection import Schema, resolve

Json = Any

DEPTH_MAX: Final = 6
"""Objects within objects that are narrowed; what lies deeper stays as declared."""


def at_hand(process_type: ProcessType, value: Json) -> ProcessType:
    """The type, its input narrowed to what `value` holds. It is the same type: name, version and hash stay."""
    narrowed = _narrowed(process_type.input, value, process_type.input, 0)
    return replace(process_type, input=narrowed) if isinstance(narrowed, dict) else process_type


def _narrowed(schema: Schema, value: Json, root: Schema, depth: int) -> Schema:
    found = resolve(schema, root)
    if depth > DEPTH_MAX or not isinstance(value, dict) or isinstance(found, bool) or "properties" not in found:
        return schema
    declared: dict[str, Schema] = found["properties"]
    required: list[str] = found.get("required", [])
    here = {name: each for name, each in declared.items() if name in value or name in required}
    kept = {name: _narrowed(each, value.get(name), root, depth + 1) for name, each in here.items()}
    also = [name for name in here if name in value and name not in required]
    definitions = {"$defs": root["$defs"]} if depth == 0 and isinstance(root, dict) and "$defs" in root else {}
    return {**definitions, **found, "properties": kept, "required": [*required, *also]}
