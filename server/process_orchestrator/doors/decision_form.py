"""The form in which a host application asks its user to decide an escalation, and how its answer is read.

Built from the escalation's options: hosts render flat fields only, and a form proves no more than A1, so an option that
needs more, or whose required data are nested, is left out. Knows no MCP; records nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from process_orchestrator.views.formats import one_line
from process_orchestrator.views.models import EscalationView, OptionView

EVIDENCE_SHOWN: Final = 6
VALUE_SHOWN: Final = 200
"""Pieces of evidence above the form, and characters of each."""

_ENOUGH: Final = frozenset({"A0", "A1"})
"""What an answer given through the host suffices for."""
_RESERVED: Final = frozenset({"decision", "note"})
_FORMATS: Final = frozenset({"email", "uri", "date", "date-time"})
_WORDS: Final = ("title", "description")
_KEPT: Final[Mapping[str, tuple[str, ...]]] = {
    "string": (*_WORDS, "minLength", "maxLength"),
    "integer": (*_WORDS, "minimum", "maximum"),
    "number": (*_WORDS, "minimum", "maximum"),
    "boolean": _WORDS,
}
"""What hosts understand of each flat type. The rest of the schema is checked when the answer arrives."""


@dataclass(frozen=True, kw_only=True)
class FormField:
    """One field of the form: which decisions it belongs to, and its name in their data."""

    name: str
    key: str
    decisions: tuple[str, ...]
    schema: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class DecisionForm:
    """What the user is shown. `version` is that of the escalation shown: an answer to another one does not count."""

    message: str
    schema: Mapping[str, Any]
    decisions: tuple[str, ...]
    fields: tuple[FormField, ...]
    version: int


@dataclass(frozen=True, kw_only=True)
class FormAnswer:
    """What the user chose."""

    decision: str
    data: Mapping[str, Any] | None
    note: str | None


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """What the calling model passed on. Data and note are filled in beforehand, the decision never: the user's own."""

    decision: str | None = None
    data: Mapping[str, Any] | None = None
    note: str | None = None


def build_form(escalation: EscalationView, suggested: Suggestion) -> DecisionForm | None:
    """The form, or None where the user is not asked.

    That is where no option fits a form, and where the suggested one is unknown, needs nobody (A0), or needs more.
    """
    if suggested.decision is not None:
        word = suggested.decision.strip().lower().replace("-", "_").replace(" ", "_")
        needs = next((option.needs for option in escalation.options if option.decision == word), None)
        if needs != "A1":
            return None
        suggested = replace(suggested, decision=word)
    options = [option for option in escalation.options if option.needs in _ENOUGH and _flat(option) is not None]
    names = tuple(option.decision for option in options)
    if not names or (suggested.decision is not None and suggested.decision not in names):
        return None
    fields = _fields(options)
    if not _shows_all(fields, suggested):
        return None  # the user would confirm data that the form does not show
    decision: dict[str, Any] = {"type": "string", "title": "Decision", "enum": list(names)}
    properties: dict[str, Any] = {"decision": decision}
    for field in fields:
        value = (suggested.data or {}).get(field.key) if suggested.decision in field.decisions else None
        properties[field.name] = {**field.schema} if value is None else {**field.schema, "default": value}
    note: dict[str, Any] = {"type": "string", "title": "Note", "description": "In your own words; may be left empty."}
    properties["note"] = note if suggested.note is None else {**note, "default": suggested.note}
    return DecisionForm(
        message=_message(escalation, options, suggested),
        schema={"type": "object", "properties": properties, "required": ["decision"]},
        decisions=names,
        fields=fields,
        version=escalation.version,
    )


def read_form(form: DecisionForm, content: Mapping[str, Any]) -> FormAnswer | None:
    """The user's choice, or None where the content holds none of those offered."""
    decision = content.get("decision")
    if not isinstance(decision, str) or decision not in form.decisions:
        return None
    data = {
        field.key: content[field.name]
        for field in form.fields
        if decision in field.decisions and content.get(field.name) not in (None, "")
    }
    note = content.get("note")
    takes_data = any(decision in field.decisions for field in form.fields)
    return FormAnswer(
        decision=decision, data=data if takes_data else None, note=note if isinstance(note, str) and note else None
    )


def _flat(option: OptionView) -> dict[str, dict[str, Any]] | None:
    """The data of an option as flat fields; None where a required part is nested. Optional nested ones are left out."""
    schema = option.data_schema
    if not schema:
        return {}
    if schema.get("type", "object") != "object":
        return None
    fields: dict[str, dict[str, Any]] = {}
    required = schema.get("required", [])
    properties = schema.get("properties", {})
    for key, part in properties.items():
        flat = _flat_part(part)
        if flat is not None:
            fields[key] = flat
        elif key in required:
            return None
    return None if any(key not in properties for key in required) else fields


def _flat_part(part: Any) -> dict[str, Any] | None:
    if not isinstance(part, Mapping):
        return None
    kind = part.get("type")
    if isinstance(kind, list):
        kinds = [name for name in kind if name != "null"]
        kind = kinds[0] if len(kinds) == 1 else None
    words = part.get("enum")
    if words is not None:
        texts = [word for word in words if isinstance(word, str)]
        if kind in (None, "string") and len(texts) == len([word for word in words if word is not None]):
            return {"type": "string", **_kept(part, _WORDS), "enum": texts}
        if kind is None:
            return None
    if not isinstance(kind, str) or kind not in _KEPT:
        return None
    flat = {"type": kind, **_kept(part, _KEPT[kind])}
    if kind == "string" and part.get("format") in _FORMATS:
        flat["format"] = part["format"]
    return flat


def _kept(part: Mapping[str, Any], keywords: tuple[str, ...]) -> dict[str, Any]:
    return {word: part[word] for word in keywords if word in part}


def _fields(options: list[OptionView]) -> tuple[FormField, ...]:
    """One field for each datum; options share a field only where it means the same to both."""
    fields: dict[str, FormField] = {}
    for option in options:
        for key, schema in (_flat(option) or {}).items():
            name = key
            taken = fields.get(name)
            if name in _RESERVED or (taken is not None and taken.schema != schema):
                name = f"{option.decision}_{key}"
                taken = fields.get(name)
            decisions = (*taken.decisions, option.decision) if taken else (option.decision,)
            fields[name] = FormField(name=name, key=key, decisions=decisions, schema=schema)
    several = len(options) > 1
    return tuple(_labelled(field, several=several) for field in fields.values())


def _labelled(field: FormField, *, several: bool) -> FormField:
    if not several:
        return field
    words = " ".join(text for text in (f"For {' or '.join(field.decisions)}.", field.schema.get("description")) if text)
    return FormField(
        name=field.name, key=field.key, decisions=field.decisions, schema={**field.schema, "description": words}
    )


def _shows_all(fields: tuple[FormField, ...], suggested: Suggestion) -> bool:
    shown = {field.key for field in fields if suggested.decision in field.decisions}
    return all(key in shown for key in suggested.data or {})


def _message(escalation: EscalationView, options: list[OptionView], suggested: Suggestion) -> str:
    """What the user reads above the form. The same escalation always reads the same: the answer is bound to it."""
    lines = [
        one_line(escalation.question),
        f"Why: {one_line(escalation.why.rule)}",
        f"Goal: {one_line(escalation.goal)}",
    ]
    for option in options:
        cost = f" Costs {option.cost_usd} USD." if option.cost_usd else ""
        lines.append(f"- {option.decision}: {one_line(option.consequence)}{cost}")
    lines.extend(
        f"{one_line(shown.label, limit=60)} (from {shown.from_}): {_short(shown.value)}"
        for shown in (escalation.evidence or [])[:EVIDENCE_SHOWN]
    )
    if suggested.decision is not None:
        lines.append(f"The assistant understood you to say: {suggested.decision}. Choose yourself.")
    if escalation.deadline_at:
        lines.append(f"Deadline {escalation.deadline_at}, then: {escalation.on_deadline}.")
    lines.append(f"Escalation {escalation.escalation_id}, version {escalation.version}. The evidence has the rest.")
    return "\n".join(lines)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return one_line(text, limit=VALUE_SHOWN)
