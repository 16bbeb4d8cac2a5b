"""What `contracts verify` found of an agent: as data, as prose, and as JUnit XML for a CI server."""

from __future__ import annotations

import json
import re
from typing import Any, Final, Literal
from xml.sax.saxutils import escape, quoteattr

from process_orchestrator.views.formats import one_line
from process_orchestrator.views.view import View

SHOWN_MAX: Final = 400
"""Characters of an input or answer that prose shows; JSON has it whole, up to 4 KB."""

TOLD_MAX: Final = 10
"""Failures that prose tells whole."""

NO_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold."""

NAMES: Final = {
    "example": "examples",
    "valid": "valid inputs",
    "invalid": "broken inputs",
    "repeated": "same call twice",
}

Verdict = Literal["passed", "failed", "warned", "skipped"]


class VerifiedCase(View):
    """One case that was tried. `code` is the failure that came, `again` the command that makes the same call."""

    id: str
    check: str
    verdict: Verdict
    what: str | None = None
    code: str | None = None
    message: str | None = None
    pointer: str | None = None
    rule: str | None = None
    ms: int | None = None
    input: Any = None
    answer: Any = None
    again: str | None = None


class CheckTotals(View):
    check: str
    passed: int = 0
    failed: int = 0
    warned: int = 0
    skipped: int = 0
    note: str | None = None


class Measured(View):
    """The longest or largest of all calls, beside what the contract allows."""

    typical: int
    most: int
    limit: int


class VerifyView(View):
    ok: bool
    contract: str
    version: str
    agent: str
    effects: str
    seed: int
    cases: int
    calls: int
    checks: list[CheckTotals]
    latency_ms: Measured
    size_bytes: Measured
    failures: list[VerifiedCase]
    warnings: list[VerifiedCase]
    notes: list[str]
    passed: list[VerifiedCase] = []


def verify_text(view: VerifyView) -> str:
    """The report as prose: totals, then every failure with the command that repeats it."""
    head = "keeps" if view.ok else "does not keep"
    lines = [
        f"{view.agent} {head} {view.contract}@{view.version} ({view.effects}): {view.calls} calls, seed {view.seed}.",
        "",
    ]
    for each in view.checks:
        counts = [(each.passed, "passed"), (each.failed, "FAILED"), (each.warned, "with a warning")]
        counts.append((each.skipped, "skipped"))
        told = ", ".join(f"{count} {word}" for count, word in counts if count) or "none"
        lines.append(f"  {NAMES[each.check]:16} {told}" + (f" ({each.note})" if each.note else ""))
    time, size = view.latency_ms, view.size_bytes
    lines.append(f"  {'latency':16} typically {time.typical} ms, at most {time.most} ms; the limit is {time.limit} ms")
    lines.append(f"  {'size':16} typically {size.typical} bytes, at most {size.most}; the limit is {size.limit}")
    for row in view.failures[:TOLD_MAX]:
        lines += ["", *_case_lines("FAILED", row)]
    if len(view.failures) > TOLD_MAX:
        lines += ["", f"and {len(view.failures) - TOLD_MAX} more failures: --json and --junit have them all."]
    for rows in _alike(view.warnings):
        many = f" ({len(rows)} alike: {', '.join(row.id for row in rows[:TOLD_MAX])})" if len(rows) > 1 else ""
        lines += ["", *_case_lines("warning", rows[0], many)]
    lines += ["", *(f"note: {one_line(note)}" for note in view.notes)] if view.notes else []
    return "\n".join(lines)


def _alike(rows: list[VerifiedCase]) -> list[list[VerifiedCase]]:
    """Warnings that say the same of other inputs."""
    groups: dict[tuple[str, str | None, str], list[VerifiedCase]] = {}
    for row in rows:
        groups.setdefault((row.check, row.code, (row.message or "")[:40]), []).append(row)
    return list(groups.values())


def _case_lines(word: str, row: VerifiedCase, many: str = "") -> list[str]:
    place = f" at {row.pointer}" if row.pointer else ""
    lines = [f"{word} {row.id}{many}: {row.code}{place}: {one_line(row.message or '')}"]
    if row.what:
        lines.append(f"  case:   {one_line(row.what)}")
    lines.append(f"  input:  {_shown(row.input)}")
    if row.answer is not None:
        lines.append(f"  answer: {_shown(row.answer)}")
    if row.again:
        lines.append(f"  again:  {row.again}")
    return lines


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}… ({len(text)} characters)"


def junit_xml(view: VerifyView) -> str:
    """The same as JUnit XML: a suite for each kind of case, a failure with its message and how to repeat it."""
    rows = [*view.failures, *view.warnings, *view.passed]
    total, failed = len(rows), len(view.failures)
    named = f"contracts verify {view.contract}@{view.version} --agent {view.agent} --seed {view.seed}"
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append(f'<testsuites name={_attribute(named)} tests="{total}" failures="{failed}" errors="0">')
    for check in view.checks:
        own = sorted((row for row in rows if row.check == check.check), key=lambda row: _order(row.id))
        skipped = sum(row.verdict == "skipped" for row in own)
        counts = f'tests="{len(own)}" failures="{check.failed}" errors="0" skipped="{skipped}"'
        lines.append(f"  <testsuite name={_attribute(NAMES[check.check])} {counts}>")
        for row in own:
            lines += _testcase(view, row)
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>", ""])


def _testcase(view: VerifyView, row: VerifiedCase) -> list[str]:
    classname = _attribute(f"{view.agent}.{view.contract}")
    name = _attribute(f"{row.id} {row.what or ''}".strip())
    opened = f'    <testcase classname={classname} name={name} time="{(row.ms or 0) / 1000:.3f}"'
    if row.verdict == "passed":
        return [f"{opened}/>"]
    body = "\n".join(_case_lines(row.verdict, row))
    tag = {"failed": "failure", "skipped": "skipped"}.get(row.verdict, "system-out")
    said = f" message={_attribute(f'{row.code}: {row.message}')}" if tag != "system-out" else ""
    return [f"{opened}>", f"      <{tag}{said}>{escape(NO_XML.sub('?', body))}</{tag}>", "    </testcase>"]


def _attribute(text: str) -> str:
    return quoteattr(NO_XML.sub("?", one_line(text)))


def _order(case_id: str) -> int:
    return int(case_id.rpartition("-")[2])
