"""Reads tool arguments generously and answers exactly. Not validation of business data: that is the contracts' work.

Models send JSON text where an object is meant, numbers in quotes, null for "nothing". What can only mean one thing is
accepted, and named as a warning where a value was corrected. What would change meaning is refused as BAD_ARGUMENT with
what to do, all faults of a call in one answer. Read by the same schemas that `tool_texts` publishes.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from process_orchestrator.core.errors import RefusedError
from process_orchestrator.doors.tool_texts import Schema, ToolText

LINEAGE_META: Final = "process-orchestrator/lineage"
"""Key of `_meta` under which the ids of the processes above travel (sub-orchestration)."""

PROBLEMS_SHOWN: Final = 4
NAME_SHOWN: Final = 60
"""Characters of a foreign name that an answer repeats."""

_KINDS: Final = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """The arguments of one call, read. `values` holds only what was given."""

    values: Mapping[str, Any]
    warnings: tuple[str, ...]

    def get(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)


class _UnreadableError(ValueError):
    """One argument that cannot be read; the text says what it must be."""


@dataclass
class _Reading:
    """What has been gathered while the arguments of one call are read."""

    tool: ToolText
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    warnings: list[str] = field(default_factory=list[str])
    problems: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def read_arguments(tool: ToolText, given: Mapping[str, Any]) -> Arguments:
    """Read what a client sent for `tool`. Raises RefusedError with BAD_ARGUMENT."""
    reading = _Reading(tool=tool)
    for name, value in given.items():
        if name not in tool.properties:
            reading.problems.append((name, _unknown(tool, name)))
        elif value is not None or "type" not in tool.properties[name]:
            _read_one(reading, name, value)
    missing = [(name, f"{name} is missing") for name in tool.required if name not in reading.values]
    known = {name for name, _ in reading.problems}
    reading.problems.extend(problem for problem in missing if problem[0] not in known)
    if not reading.problems:
        _read_together(reading)
    if reading.problems:
        _refuse(tool, reading.problems)
    return Arguments(values=reading.values, warnings=tuple(reading.warnings))


def read_lineage(value: Any) -> tuple[str, ...]:
    """The ids of the processes above, from `_meta`, the outermost first.

    Raises RefusedError (BAD_ARGUMENT) where it cannot be read: dropped, it would hide a circle.
    """
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise RefusedError(
            "BAD_ARGUMENT",
            f"_meta {LINEAGE_META} is no list of process ids.",
            do="pass on the lineage as it was received.",
            pointer=f"/_meta/{_escaped(LINEAGE_META)}",
        )
    return tuple(value)


def _refuse(tool: ToolText, problems: list[tuple[str, str]]) -> NoReturn:
    shown = problems[:PROBLEMS_SHOWN]
    names = " and ".join(dict.fromkeys(_short(name) for name, _ in shown))
    more = f"; and {len(problems) - len(shown)} more" if len(problems) > len(shown) else ""
    raise RefusedError(
        "BAD_ARGUMENT",
        "; ".join(text for _, text in shown) + f"{more}.",
        do=f"call {tool.name} again with {names} corrected; its arguments are {', '.join(tool.properties)}.",
        pointer=f"/{_escaped(problems[0][0])}",
    )


def _short(name: str) -> str:
    return name if len(name) <= NAME_SHOWN else f"{name[:NAME_SHOWN]}…"


def _escaped(name: str) -> str:
    return _short(name).replace("~", "~0").replace("/", "~1")


def _unknown(tool: ToolText, name: str) -> str:
    near = difflib.get_close_matches(_plain(name[:NAME_SHOWN]), list(tool.properties), n=1, cutoff=0.5)
    return f"{_short(name)} is no argument of {tool.name}" + (f", the nearest is {near[0]}" if near else "")


def _plain(name: str) -> str:
    """Other ways of joining words as snake_case, so that processId is near process_id."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).replace("-", "_").strip("_")


def _read_one(reading: _Reading, name: str, value: Any) -> None:
    schema = reading.tool.properties[name]
    try:
        read = _READERS[schema.get("type", "any")](value, schema)
        _check_finite(read)
        read = _bounded(read, name, schema, reading.warnings)
    except _UnreadableError as error:
        reading.problems.append((name, f"{name} must be {error}"))
        return
    if read == "" and name != "definition":
        if name not in reading.tool.required:
            reading.warnings.append(f"{name} was empty and is taken as not given.")
        return
    if isinstance(value, str) and not isinstance(read, str):
        reading.warnings.append(f"{name} came as a string and was read as JSON; send it as {_kind(read)}.")
    reading.values[name] = read


def _bounded(read: Any, name: str, schema: Schema, warnings: list[str]) -> Any:
    """Over-long waits and pages are corrected; a number below its least would mean something else."""
    if isinstance(read, bool) or not isinstance(read, int | float):
        return read
    if "maximum" in schema and read > schema["maximum"]:
        warnings.append(f"{name} {read} was lowered to {schema['maximum']}, the most there is.")
        return schema["maximum"]
    if "minimum" in schema and read < schema["minimum"]:
        raise _UnreadableError(f"at least {schema['minimum']}, not {read}")
    return read


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "something else")


def _as_text(value: Any, schema: Schema) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # an invoice number without quotes
    if not isinstance(value, str):
        raise _UnreadableError(f"a string, not {_kind(value)}")
    if "enum" not in schema:
        return value
    word = value.strip().lower()
    if word not in schema["enum"] and word:
        raise _UnreadableError(f"one of {', '.join(schema['enum'])}")
    return word


def _as_number(value: Any, schema: Schema) -> int | float:
    del schema
    if isinstance(value, str):
        try:
            value = int(value) if value.strip().lstrip("+-").isdigit() else float(value)
        except ValueError:
            raise _UnreadableError("a number, not other text") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _UnreadableError(f"a finite number, not {_kind(value)}")
    return value


def _as_integer(value: Any, schema: Schema) -> int:
    try:
        number = _as_number(value, schema)
    except _UnreadableError:
        raise _UnreadableError(f"a whole number, not {_kind(value)}") from None
    if number != int(number):
        raise _UnreadableError("a whole number, not a fraction")
    return int(number)


def _as_boolean(value: Any, schema: Schema) -> bool:
    del schema
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if not isinstance(value, bool):
        raise _UnreadableError(f"true or false, not {_kind(value)}")
    return value


def _as_object(value: Any, schema: Schema) -> Any:
    del schema
    if isinstance(value, str):
        if not value.strip():
            return ""
        try:
            value = read_json(value)
        except ValueError as error:
            raise _UnreadableError(f"an object, and the string sent instead is {error}") from None
    if not isinstance(value, dict):
        raise _UnreadableError(f"an object, not {_kind(value)}")
    return value


def _as_list(value: Any, schema: Schema) -> Any:
    words = schema["items"]["enum"]
    if isinstance(value, str):
        text = value.strip()
        if not text.startswith("["):
            value = [word for word in text.replace(",", " ").split() if word]
        else:
            try:
                value = read_json(text)
            except ValueError as error:
                raise _UnreadableError(f"a list, and the string sent instead is {error}") from None
    if not isinstance(value, list) or not all(isinstance(word, str) and word.lower() in words for word in value):
        raise _UnreadableError(f"a list of {', '.join(words)}")
    return list(dict.fromkeys(word.lower() for word in value))


def _as_any(value: Any, schema: Schema) -> Any:
    del schema
    if isinstance(value, str) and value.strip()[:1] in ("{", "["):
        try:
            return read_json(value)
        except ValueError:
            return value  # the contract says whether a plain string fits
    return value


_READERS: Final = {
    "string": _as_text,
    "number": _as_number,
    "integer": _as_integer,
    "boolean": _as_boolean,
    "object": _as_object,
    "array": _as_list,
    "any": _as_any,
}


def read_json(text: str) -> Any:
    """JSON without duplicate keys and without NaN. Raises ValueError that says what the text is instead."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("JSON with a key that stands twice")
    return members


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"JSON with {word}, which JSON does not know")


def _check_finite(value: Any) -> None:
    """The transport's parser lets NaN and Infinity pass; stored, they would silently turn into null."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, float) and not math.isfinite(part):
            raise _UnreadableError("free of NaN and Infinity, which JSON does not know")
        if isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _read_together(reading: _Reading) -> None:
    """What the arguments must be beside each other."""
    values, problems = reading.values, reading.problems
    match reading.tool.name:
        case "submit_process":
            if "task" not in values and "process_type" not in values:
                problems.append(("process_type", "task or process_type is missing"))
        case "list_trace":
            if values.get("data") and "step" not in values:
                problems.append(("step", "data=true needs step"))
        case "describe_agents":
            if len(values) > 1:
                problems.append((list(values)[1], "only one of process_type, contract and agent can be described"))
        case "resolve_escalation":
            if "data" in values and "decision" not in values:
                problems.append(("decision", "data without decision cannot be recorded"))
        case "validate_contract":
            _read_validation(reading)
        case _:
            pass


def _read_validation(reading: _Reading) -> None:
    values, problems = reading.values, reading.problems
    needed = ("contract", "direction", "payload")
    if "definition" in values:
        if any(name in values for name in (*needed, "version")):
            problems.append(("definition", "definition stands alone, without contract, direction and payload"))
        return
    for name in needed:
        if name not in values:
            problems.append((name, f"{name} is missing (or give definition alone)"))
