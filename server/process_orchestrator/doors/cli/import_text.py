"""What an import has done, as prose: files, changes, and what a person must decide."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from process_orchestrator.checking.importers.deciding import Activated
    from process_orchestrator.checking.importers.draft import Outcome

NAMES_SHOWN: Final = 3
TOOL_CALLED: Final = re.compile(r"(`orchestrator agents call \S+) (?:'[^']*'|\S+) ")
"""Where a question names its own tool: it is one question all the same."""

ROWS_SHOWN: Final = 60


def outcome_text(outcome: Outcome, *, options: str) -> str:
    """Files first, what to decide next, what to do last. `options` name the home, for the commands."""
    counts = {action: [each for each in outcome.files if each.action == action] for action in ACTIONS}
    said = ", ".join(f"{len(each)} {action}" for action, each in counts.items() if each)
    lines = [f"agent {outcome.agent}, from {outcome.source}: {said or 'nothing changed'}"]
    lines += _rows(f"  {each.file}  {each.action}" for each in outcome.files if each.action != "unchanged")
    if outcome.changes:
        lines.append("Changes:")
        lines += _rows(f"  {each.how}: {each.file} {each.pointer} {each.message}" for each in outcome.changes)
    if outcome.left_out:
        lines.append("Left out:")
        lines += _rows(f"  {each}" for each in outcome.left_out)
    lines += _decisions(outcome, options)
    return "\n".join(lines)


ACTIONS: Final = ("written", "updated", "removed", "unchanged")


def _decisions(outcome: Outcome, options: str) -> list[str]:
    """What is open, each question once with those that it is asked of."""
    asked: dict[str, list[str]] = {}
    for each in outcome.files:
        for line in each.todo:
            asked.setdefault(TOOL_CALLED.sub(r"\1 TOOL ", line), []).append(each.name)
    if not asked:
        return []
    lines = ["To decide, before a plan may use them:"]
    for line, names in asked.items():
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        lines += [f"  {', '.join(names[:NAMES_SHOWN])}{more}", f"    {line}"]
    first = next((each.name for each in outcome.files if each.todo and each.name != outcome.agent), outcome.agent)
    return [*lines, f"Next: `orchestrator contracts activate {first} ...{options}`"]


def _rows(rows: Iterable[str]) -> list[str]:
    listed = list(rows)
    more = [f"  and {len(listed) - ROWS_SHOWN} more"] if len(listed) > ROWS_SHOWN else []
    return [*listed[:ROWS_SHOWN], *more]


def activated_text(done: Iterable[Activated]) -> str:
    """What plans may use now, and what was confirmed for it."""
    lines: list[str] = []
    for each in done:
        lines.append(f"{each.name} is active: {each.summary}")
        lines.append(f"  effects: {each.effects}; written to {each.file}")
        lines += [f"  confirmed: {decision}" for decision in each.decided]
    return "\n".join(lines)
