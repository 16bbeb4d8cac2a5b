"""What a model is asked to read out of a task for an input schema, and what becomes of its answer.

The schema it answers under names every property and lets each be null, so that nothing must be made up. A text that
may be long is not written again but named: one of the passages of the task. What comes back is held against the task
(`grounding`) and against the input schema itself; what then lacks is named, never filled in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from process_orchestrator.checking.schemas.validate import Validator
from process_orchestrator.checking.tasks.grounding import ground
from process_orchestrator.checking.tasks.requirements import without_requirements
from process_orchestrator.core.facts.values import Fact

Json = Any
Schema = dict[str, Any]

FIELDS_MAX: Final = 40
LEVELS_MAX: Final = 3
ITEMS_MAX: Final = 20
LONG_TEXT: Final = 1000
"""A text that may have so many characters takes a passage of the task."""

DESCRIPTION_MAX: Final = 160
WHOLE: Final = "whole_task"
BELOW: Final = "below_first_line"
AFTER: Final = "after_colon"
QUOTED: Final = "quoted"
_QUOTE: Final = re.compile(
    '["\u201c\u201e]([^"\u201c\u201d\u201e]{20,})["\u201d\u201c]|```[a-z]*\n(.+?)\n```', re.DOTALL
)
_COLON: Final = re.compile(r":\s+(?=\S)")
PASSAGE_MIN: Final = 20
WHOLE_MIN: Final = 200
"""A shorter task of one line is no text that an input requires, though it may be one that it allows."""


class Field(NamedTuple):
    """A member of the input, as it is told."""

    name: str
    description: str


class Passage(NamedTuple):
    """A part of the task that a long text may be."""

    name: str
    label: str
    text: str


class Reading(Fact, frozen=True, kw_only=True):
    """What was read. `missing` are names of what lacks or does not fit; empty where the value keeps the schema."""

    value: Json
    dropped: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class Extraction:
    """One input schema and one task; `words` are those that marks in it stand for (`requirements.held_out`)."""

    def __init__(self, schema: Schema, task: str, words: Mapping[str, str] = MappingProxyType({})) -> None:
        self._schema, self._task = schema, without_requirements(task)
        whole = str.maketrans(dict(words))  # who attached a text wrote all of it, whatever a rule read there
        self._passages = {each.name: each._replace(text=each.text.translate(whole)) for each in passages_of(task)}
        self.fields: tuple[Field, ...] = tuple(
            Field(name, _described(self._resolve(part))) for name, part in self._members(schema)
        )

    @property
    def passages(self) -> tuple[Passage, ...]:
        """Those that some field may take; none where no field is a long text."""
        required = self._schema.get("required", ())
        members = [(name, self._resolve(part)) for name, part in self._members(self._schema)]
        long = [(name, part) for name, part in members if self._is_long(part)]
        offered = {each for name, part in long for each in self._offered(part, required=name in required)}
        return tuple(each for name, each in self._passages.items() if name in offered)

    def asked(self) -> Schema:
        """The schema of the answer: each field is there, and may be null."""
        return self._object(self._schema, LEVELS_MAX)

    @property
    def silent(self) -> bool:
        """Whether there is nothing to ask: no field could be anything but null."""
        return all(each in ({"enum": [None]}, {"type": "null"}) for each in self.asked()["properties"].values())

    def read(self, answer: Json) -> Reading:
        """What of an answer is true of the task and keeps the input schema."""
        said = self._unfolded(answer, self._schema) if isinstance(answer, dict) else {}
        grounded = ground(said, self._schema, self._task, given={each.text for each in self._passages.values()})
        value, dropped = grounded.value, list(grounded.dropped)
        validator = Validator(self._schema)
        problems = validator.problems(value)
        required = set(self._schema.get("required", ()))
        if isinstance(value, dict) and problems:
            broken = {each.pointer.split("/")[1] for each in problems if each.pointer.count("/") >= 1}
            spare = [name for name in broken if name in value and name not in required]
            value = {name: each for name, each in value.items() if name not in spare}
            dropped += [f"/{name}" for name in sorted(spare)]
            problems = validator.problems(value)
        missing = [
            name for name in self._schema.get("required", ()) if not isinstance(value, dict) or name not in value
        ]
        missing += [each.pointer[1:] or each.message for each in problems if each.rule != "required"]
        if problems and not missing:
            missing = [problems[0].message]
        return Reading(value=value, dropped=tuple(dropped), missing=tuple(dict.fromkeys(missing)))

    # --- the schema of the answer ------------------------------------------------------------------------------

    def _members(self, schema: Schema) -> list[tuple[str, Json]]:
        return list(self._resolve(schema).get("properties", {}).items())[:FIELDS_MAX]

    def _object(self, schema: Schema, levels: int) -> Schema:
        required = schema.get("required", ())
        members = {
            name: self._nullable(self._resolve(part), levels, required=name in required)
            for name, part in self._members(schema)
        }
        return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}

    def _nullable(self, part: Schema, levels: int, *, required: bool) -> Schema:
        listed = [part["const"]] if "const" in part else part.get("enum")
        if isinstance(listed, list):
            return {"enum": [*listed, *([] if None in listed else [None])]}
        if self._is_long(part):
            return {"enum": [*self._offered(part, required=required), None]}
        kind = part.get("type")
        if kind == "object" or "properties" in part:
            return {"anyOf": [self._object(part, levels - 1), {"type": "null"}]} if levels > 1 else {"type": "null"}
        if kind == "array":
            items = self._resolve(part.get("items", {}))
            of = self._object(items, levels - 1) if "properties" in items and levels > 1 else _plain(items)
            return {"anyOf": [{"type": "array", "items": of, "maxItems": ITEMS_MAX}, {"type": "null"}]}
        return {"type": [_plain(part)["type"], "null"]}

    def _offered(self, part: Schema, *, required: bool) -> list[str]:
        """The passages that a long text may be. A line or two that ask for something are not what they ask about."""
        short = len(self._task) < WHOLE_MIN and "\n" not in self._task.strip()
        room = part.get("maxLength")
        fitting = [each.name for each in self._passages.values() if room is None or len(each.text) <= room]
        return [name for name in fitting if name != WHOLE or not (required and short)]

    def _is_long(self, part: Schema) -> bool:
        text = part.get("type") == "string" and not {"enum", "const", "pattern", "format"} & part.keys()
        return text and part.get("maxLength", LONG_TEXT) >= LONG_TEXT

    def _resolve(self, part: Json, depth: int = 0) -> Schema:
        """A part of the schema behind its `$ref`, its first branch where it has several."""
        if not isinstance(part, dict) or depth > LEVELS_MAX * 4:
            return {}
        reference = part.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/"):
            place: Json = self._schema
            for token in reference.split("/")[1:]:
                place = place.get(token.replace("~1", "/").replace("~0", "~")) if isinstance(place, dict) else None
            return {**self._resolve(place, depth + 1), **{name: each for name, each in part.items() if name != "$ref"}}
        for word in ("anyOf", "oneOf", "allOf"):
            branches = part.get(word)
            if isinstance(branches, list) and branches and "type" not in part and "properties" not in part:
                first = next((each for each in branches if isinstance(each, dict) and each.get("type") != "null"), {})
                return {
                    **self._resolve(first, depth + 1),
                    **{name: each for name, each in part.items() if name != word},
                }
        kind = part.get("type")
        if isinstance(kind, list):
            return {**part, "type": next((each for each in kind if each != "null"), "string")}
        return part

    def _unfolded(self, answer: Json, schema: Schema) -> Json:
        """The answer with each named passage replaced by its text."""
        if not isinstance(answer, dict):
            return answer
        parts = dict(self._members(schema))
        unfolded: dict[str, Json] = {}
        for name, value in answer.items():
            part = self._resolve(parts.get(name, {}))
            if self._is_long(part) and isinstance(value, str) and value in self._passages:
                unfolded[name] = self._passages[value].text  # never cut: half a text is another text
            else:
                unfolded[name] = self._unfolded(value, part) if "properties" in part else value
        return unfolded


def passages_of(task: str) -> tuple[Passage, ...]:
    """The parts of a task that may be a text of its own: all of it, what is attached below, what is quoted."""
    whole = task.strip()
    found = [Passage(WHOLE, "the whole task", whole)]
    _, line, below = whole.partition("\n")
    if line and len(below.strip()) >= PASSAGE_MIN:
        found.append(Passage(BELOW, "all below its first line", below.strip()))
    colon = _COLON.search(whole)
    if colon is not None and len(whole) - colon.end() >= PASSAGE_MIN:
        found.append(Passage(AFTER, "all after its first colon", whole[colon.end() :]))
    quoted = max((each[1] or each[2] for each in _QUOTE.finditer(whole)), key=len, default=None)
    if quoted is not None:
        found.append(Passage(QUOTED, "the text that it quotes", quoted.strip()))
    return tuple(found)


def _plain(part: Schema) -> Schema:
    kind = part.get("type")
    return {"type": kind if kind in {"string", "number", "integer", "boolean"} else "string"}


def _described(part: Schema) -> str:
    told = part.get("description") or part.get("title") or ""
    kind = part.get("type", "")
    inner = part.get("properties")
    text = str(told) if told else f"a {kind}" if kind else "as the task says"
    named = f" (with {', '.join(list(inner)[:8])})" if isinstance(inner, dict) else ""
    return " ".join(f"{text}{named}".split())[:DESCRIPTION_MAX]
