"""What a replay found: whether each journal is decided alike now, and what other definitions would change."""

from __future__ import annotations

from process_orchestrator.views.formats import one_line
from process_orchestrator.views.view import View


class ReplayedRow(View):
    """The first row of a journal that is decided otherwise now."""

    seq: int
    was: list[str]
    would_be: list[str]


class ReplayDifference(View):
    """The first decision about a step that would be another; `-` is the process itself."""

    step: str
    was: str
    would_be: str


class ReplayedProcess(View):
    """One recorded process. `undecided`: beyond a call that was never made, nothing can be said."""

    process_id: str
    process_type: str | None = None
    first_row: ReplayedRow | None = None
    differences: list[ReplayDifference] = []
    undecided: bool = False
    message: str | None = None

    @property
    def differs(self) -> bool:
        return self.first_row is not None or bool(self.differences) or self.message is not None


class ReplayView(View):
    processes: list[ReplayedProcess]
    differing: int


def replay_text(view: ReplayView) -> str:
    lines = [f"{len(view.processes)} replayed without a call, {view.differing} would go otherwise."]
    for each in view.processes:
        if not each.differs:
            continue
        lines.append(f"- {each.process_id} ({each.process_type or 'no type'})")
        if each.message is not None:
            lines.append(f"    {one_line(each.message)}")
        if each.first_row is not None:
            was, now = ", ".join(each.first_row.was), ", ".join(each.first_row.would_be)
            lines.append(f"    row {each.first_row.seq}: was {was or 'nothing'}; would be {now or 'nothing'}")
        lines += [f"    {one.step}: was {one.was}; would be {one.would_be}" for one in each.differences]
    return "\n".join(lines)
