"""Whether a changed definition says so by its version: what `check` compares with the last commit.

A contract or process type that changed must have a version that its change asks for; a file that is new may have any.
Where the earlier texts come from is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from process_orchestrator.checking.changes.evolution import Difference, difference
from process_orchestrator.checking.documents.definitions import Contract, Problem, ProcessType
from process_orchestrator.checking.documents.versions import order
from process_orchestrator.checking.loading.loader import load_bytes
from process_orchestrator.checking.loading.registry import LoadedFile, Registry

Versioned = Contract | ProcessType


def bump_problems(registry: Registry, before: Mapping[str, bytes]) -> tuple[Problem, ...]:
    """What is wrong with the versions of changed files. `before`: their texts then, and those of files gone since."""
    earlier = {file: load_bytes(data, file=file, path=file).definition for file, data in before.items()}
    known = {file: each for file, each in earlier.items() if isinstance(each, Contract | ProcessType)}
    return tuple(problem for loaded in registry.files.values() for problem in _problems(loaded, known, registry))


def _problems(loaded: LoadedFile, known: Mapping[str, Versioned], registry: Registry) -> Iterator[Problem]:
    new = loaded.definition
    if not isinstance(new, Contract | ProcessType):
        return
    old = known.get(loaded.file)
    if old is None or not _same_thing(old, new):
        moved = (each for file, each in known.items() if file not in registry.files and _same_thing(each, new))
        old = max(moved, key=lambda each: order(each.version), default=None)
    if old is None or (isinstance(old, Contract) and old.status == "draft"):  # nobody can have planned a draft
        return
    found = difference(old, new)
    if not found.enough:
        yield loaded.document.error("BUMP_TOO_SMALL", "/version", _said(found), f"write `version: {found.least}`")


def _same_thing(one: Versioned, other: Versioned) -> bool:
    return type(one) is type(other) and one.name == other.name


def _said(found: Difference) -> str:
    if not found.changes:
        return f"the version was {found.old} in the last commit and is {found.new}: a version never goes down"
    first = max(found.changes, key=lambda change: change.judgement is found.judgement)
    same = "still" if found.old == found.new else "only"
    place = f"{first.pointer}: " if first.pointer else ""
    return (
        f"since the last commit ({found.old}) there is a {found.judgement} change, {place}{first.message}; "
        f"the version is {same} {found.new}, and must be {found.least} or higher"
    )
