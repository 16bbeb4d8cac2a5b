"""The definitions that an import writes, as data and as text, and whether the strict loader takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from process_orchestrator.checking.documents.definitions import Problem
from process_orchestrator.checking.importers.draft import Draft
from process_orchestrator.checking.importers.yaml_text import yaml_text
from process_orchestrator.checking.loading.loader import load_bytes

Json = Any

ORDER: Final = (
    *("version", "summary", "status", "todo", "input", "output", "errors", "effects", "idempotency", "timeout"),
    *("retry", "limits", "cost", "data", "requires", "ensures", "approval", "examples", "deprecated"),
    *("transport", "serves", "circuit", "prefer", "x-todo", "x-imported"),
)
"""Keys in the order in which people read them; the name comes before them all, others behind them."""

DRAFT_LINE: Final = "A draft: no plan may use it. `orchestrator contracts activate` answers what todo says."


def ordered(kind: str, name: str, document: Mapping[str, Json]) -> dict[str, Json]:
    """A contract's or agent's keys in that order; those without a value are left out."""
    keys = [*(key for key in ORDER if key in document), *(key for key in document if key not in ORDER)]
    return {kind: name, **{key: document[key] for key in keys if key != kind and document[key] not in (None, [])}}


def contract_text(draft: Draft, document: Mapping[str, Json]) -> str:
    """The file of a freshly imported contract."""
    key = document["x-imported"]["key"]
    header = (
        f"Imported from {draft.source} ({draft.kind}): {key}",
        DRAFT_LINE,
        "`--update` keeps what you write here.",
    )
    return yaml_text(document, header=tuple(_comment(each) for each in header))


def agent_text(draft: Draft, document: Mapping[str, Json]) -> str:
    """The file of a freshly imported agent."""
    header = (f"Imported from {draft.source} ({draft.kind}). `--update` keeps what you write here.",)
    return yaml_text(document, header=tuple(_comment(each) for each in header))


def first_error(kind: str, text: str) -> Problem | None:
    """The first reason for which the loader would refuse a file."""
    return next(iter(errors_of(kind, text)), None)


def errors_of(kind: str, text: str) -> list[Problem]:
    """Why the loader would refuse a file; none where it takes it."""
    file = f"imported.{kind}.yaml"
    problems = load_bytes(text.encode("utf-8", "surrogatepass"), file=file, path=file).problems
    return [each for each in problems if each.level == "error"]


def _comment(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text)[:200]
