"""A prompt in the words of a client: how the schema is asked for, and where its answer then stands."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any, Final

from process_orchestrator.llm.port import Prompt
from process_orchestrator.llm.tiers import Structured

ANSWER: Final = "answer"
TOLD: Final = "Answer with one JSON value that keeps this JSON Schema, and with nothing beside it:\n"


def asked(prompt: Prompt, structured: Structured) -> dict[str, Any]:
    """The part of a request that says what is asked: messages, and the schema as the tier's host takes it.

    The schema is a copy: clients rewrite what they are given (litellm takes enums out for some hosts), and the answer
    is judged by the prompt's own.
    """
    schema = deepcopy(prompt.schema)
    messages = [{"role": each.role, "content": each.content} for each in prompt.messages]
    if structured is Structured.NATIVE:
        named = {"name": ANSWER, "schema": schema, "strict": keeps_strict(prompt.schema)}
        return {"messages": messages, "response_format": {"type": "json_schema", "json_schema": named}}
    if structured is Structured.TOOL and prompt.schema.get("type") == "object":
        tool = {"name": ANSWER, "description": "Gives the answer.", "parameters": schema}
        choice = {"type": "function", "function": {"name": ANSWER}}
        return {"messages": messages, "tools": [{"type": "function", "function": tool}], "tool_choice": choice}
    written = json.dumps(schema, ensure_ascii=False, sort_keys=True)
    return {"messages": [*messages, {"role": "system", "content": TOLD + written}]}


def keeps_strict(schema: dict[str, Any]) -> bool:
    """Whether a host's strict mode takes a schema: an object at the root, every object closed, all of it required."""
    return schema.get("type") == "object" and "anyOf" not in schema and _closed(schema)


def _closed(node: Any) -> bool:
    if isinstance(node, list):
        return all(_closed(each) for each in node)
    if not isinstance(node, dict):
        return True
    names = node.get("properties")
    if isinstance(names, dict):
        if node.get("additionalProperties") is not False or set(node.get("required", ())) != set(names):
            return False
        return all(_closed(each) for each in names.values()) and all(
            _closed(each) for key, each in node.items() if key not in {"properties", "enum", "const", "required"}
        )
    if node.get("type") == "object":
        return False
    return all(_closed(each) for key, each in node.items() if key not in {"enum", "const"})
