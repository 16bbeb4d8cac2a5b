"""The answer of `check`: what is wrong in each file, and how each binding of each plan fits.

`msgspec.to_builtins(report)` is exactly what `check --json` prints.
"""

from __future__ import annotations

from collections.abc import Iterable

from process_orchestrator.checking.documents.definitions import Problem, ProcessType
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.plans.plan_rows import PlanRow
from process_orchestrator.core.facts.values import Fact


class ProblemRow(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """One problem of a file. `level`: error or warning."""

    level: str
    code: str
    line: int
    pointer: str
    message: str
    fix: str


class FileReport(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """A file and its problems, by line; none where it is sound."""

    file: str
    problems: tuple[ProblemRow, ...] = ()


class CheckReport(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """What `check` found. `ok` where no problem is an error."""

    ok: bool
    files: tuple[FileReport, ...]
    plans: tuple[PlanRow, ...]


def check_report(registry: Registry, files: Iterable[str] | None = None) -> CheckReport:
    """The report of a registry, of all its files or of those named alone."""
    wanted = [*registry.files, *_unloaded(registry)] if files is None else list(files)
    by_file: dict[str, list[Problem]] = {file: [] for file in wanted}
    for problem in registry.problems:
        if problem.file in by_file:
            by_file[problem.file].append(problem)
    return CheckReport(
        ok=not any(problem.level == "error" for problems in by_file.values() for problem in problems),
        files=tuple(
            FileReport(file=file, problems=tuple(_row(problem) for problem in by_file[file])) for file in wanted
        ),
        plans=tuple(row for process_type in _types(registry, wanted) for row in _plan_rows(registry, process_type)),
    )


def _unloaded(registry: Registry) -> Iterable[str]:
    """Files that hold no definition and are wrong all the same: the lock."""
    return dict.fromkeys(each.file for each in registry.problems if each.file not in registry.files)


def _types(registry: Registry, files: list[str]) -> Iterable[ProcessType]:
    for file in files:
        loaded = registry.files.get(file)
        if loaded is not None and isinstance(loaded.definition, ProcessType):
            yield loaded.definition


def _plan_rows(registry: Registry, process_type: ProcessType) -> Iterable[PlanRow]:
    yield from registry.plan(process_type).rows


def _row(problem: Problem) -> ProblemRow:
    return ProblemRow(
        level=problem.level,
        code=problem.code,
        line=problem.line,
        pointer=problem.pointer,
        message=problem.message,
        fix=problem.fix,
    )
