"""A contract made of examples: schemas inferred, the examples kept, what they cannot show left as todos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from process_orchestrator.checking.schemas.infer import infer_schema

Json = Any


def new_contract(
    name: str, *, inputs: Sequence[dict[str, Json]], outputs: Sequence[dict[str, Json]]
) -> dict[str, Json]:
    """A draft. Inputs and outputs belong to each other by their order, where there are as many of each."""
    paired = list(zip(inputs, outputs, strict=True)) if len(inputs) == len(outputs) else []
    examples = [
        {"name": f"example_{number}", "input": given, "output": back} for number, (given, back) in enumerate(paired, 1)
    ]
    return {
        "contract": name,
        "version": "1.0.0",
        "summary": f"To be written: what {name} does.",
        "status": "draft",
        "todo": [
            "/summary: say in one sentence what it does; it is all that a planner sees",
            _about("input", len(inputs), "which arguments are required, which limits hold"),
            _about("output", len(outputs), "what is always there, what a value may be"),
            "/effects: taken for irreversible until you say otherwise: none, read, write or irreversible",
            "/errors: which refusals can a caller do something about?",
        ],
        "input": _side(inputs),
        "output": _side(outputs),
        "effects": {"kind": "irreversible"},
        **({"examples": examples} if examples else {}),
    }


def _side(values: Sequence[dict[str, Json]]) -> dict[str, Json]:
    return {"type": "object", **infer_schema(list(values))}


def _about(side: str, count: int, what: str) -> str:
    if not count:
        return f"/{side}: anything is let through; write its schema"
    return f"/{side}: inferred from {count} example{'' if count == 1 else 's'}; look at {what}"
