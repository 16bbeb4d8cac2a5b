"""The live view of a run: its graph, its steps, what it costs, why it waits. Off a terminal, a plain log on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from process_orchestrator.views.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from process_orchestrator.doors.cli.session import Session
    from process_orchestrator.orchestrator import Orchestrator
    from process_orchestrator.views.models import ProcessView, StepView

MARKS: Final = {
    "waiting": ("○", "dim"),
    "preparing": ("◔", "cyan"),
    "asking": ("?", "bold yellow"),
    "calling": ("◑", "bold cyan"),
    "backoff": ("↻", "yellow"),
    "escalated": ("!", "bold yellow"),
    "done": ("●", "green"),
    "skipped": ("-", "dim"),
    "failed": ("✗", "bold red"),
    "undoing": ("↶", "magenta"),
    "undone": ("↶", "magenta"),
}
STATUS_STYLE: Final = {
    "completed": "bold green",
    "failed": "bold red",
    "cancelled": "bold red",
    "waiting_human": "bold yellow",
}
ENDED: Final = frozenset({"completed", "failed", "cancelled"})
NODE_WIDTH: Final = 20
ARROW_WIDTH: Final = 4


class Watcher:
    """Shows one process after another; remembers what its log has said."""

    def __init__(self, session: Session, orchestrator: Orchestrator) -> None:
        self._session, self._orchestrator = session, orchestrator
        self._live = not session.json and sys.stdout.isatty()
        self._log = PlainLog()

    async def follow(self, view: ProcessView) -> ProcessView:
        """Show a process until it ends or a person is asked; returns its last view."""
        caller = self._session.caller
        last = view
        if not self._live:
            async for last in self._orchestrator.changes(view.process_id, caller=caller):
                self._log.show(last)
            return last
        whole = await self._orchestrator.state(view.process_id, include=("plan",), caller=caller)
        needs, console = needs_of(whole.plan), Console()
        with Live(render(whole, needs, width=console.width), console=console, refresh_per_second=12) as live:
            async for last in self._orchestrator.changes(view.process_id, caller=caller):
                live.update(render(last, needs, width=console.width))
        return last


def needs_of(plan: Mapping[str, Any] | None) -> dict[str, tuple[str, ...]]:
    """Give what each step needs, from the plan that a view includes."""
    steps: Sequence[Mapping[str, Any]] = (plan or {}).get("steps", ())
    return {str(step["id"]): tuple(step.get("needs", ())) for step in steps}


def levels_of(needs: Mapping[str, tuple[str, ...]]) -> list[list[str]]:
    """Put every step into the column after the last of its needs."""
    level: dict[str, int] = {}
    for step, wanted in needs.items():  # a plan lists a step after its needs
        level[step] = 1 + max((level.get(need, 0) for need in wanted), default=-1)
    columns: list[list[str]] = [[] for _ in range(1 + max(level.values(), default=-1))]
    for step, column in level.items():
        columns[column].append(step)
    return columns


def render(view: ProcessView, needs: Mapping[str, tuple[str, ...]], *, width: int) -> RenderableType:
    """Draw one frame."""
    rows = {step.id: step for step in view.steps}
    columns = levels_of(needs) if set(needs) == set(rows) else []
    fits = columns and len(columns) * (NODE_WIDTH + ARROW_WIDTH) <= width
    body = _graph(columns, rows) if fits else _list(view.steps)
    return Group(_headline(view), body, _cost(view), *_questions(view))


def _headline(view: ProcessView) -> Text:
    style = STATUS_STYLE.get(view.status, "bold cyan")
    line = Text.assemble(
        (f"{view.process_type or 'task'} ", "bold"), (f"{view.process_id}  ", "dim"), (view.status, style)
    )
    if view.why:
        line.append(f" · waits for {view.why}", "yellow" if view.status == "waiting_human" else "dim")
    if view.error is not None:
        line.append(f" · {view.error.code} at {view.error.step or '-'}, fault of {view.error.blame}", "red")
    return line


def _graph(columns: Sequence[Sequence[str]], rows: Mapping[str, StepView]) -> Table:
    grid = Table.grid(padding=0)
    for number in range(len(columns)):
        if number:
            grid.add_column(width=ARROW_WIDTH, vertical="middle")
        grid.add_column(width=NODE_WIDTH)
    cells: list[RenderableType] = []
    for number, column in enumerate(columns):
        if number:
            cells.append(Text("──▶", "dim"))
        cells.append(Group(*(_node(rows[step]) for step in column)))
    grid.add_row(*cells)
    return grid


def _node(step: StepView) -> Panel:
    mark, style = MARKS.get(step.status, ("·", ""))
    name = Text.assemble((f"{mark} ", style), (step.id, "bold" if step.status == "calling" else ""))
    return Panel(
        Group(name, Text(_doing(step), "dim", overflow="ellipsis", no_wrap=True)),
        border_style=style.replace("bold ", "") or "none",
        padding=(0, 1),
    )


def _doing(step: StepView) -> str:
    """Say in a few words what a step is at."""
    parts = [f"{step.items.done}/{step.items.total}" if step.items else "", clean(step.agent or "")]
    if step.attempts > 1 and step.items is None:
        parts.append(f"try {step.attempts}")
    return " ".join(part for part in parts if part) or step.status


def _list(steps: Sequence[StepView]) -> Table:
    table = Table.grid(padding=(0, 2))
    for step in steps:
        mark, style = MARKS.get(step.status, ("·", ""))
        table.add_row(Text(mark, style), step.id, Text(_doing(step), "dim"), step.cost_usd or "")
    return table


def _cost(view: ProcessView) -> Text:
    unknown = f" + {view.cost.unknown_calls} of unknown price" if view.cost.unknown_calls else ""
    return Text(
        f"{view.step.done}/{view.step.total} steps · {view.cost.spent_usd} of {view.cost.budget_usd} USD{unknown}",
        "dim",
    )


def _questions(view: ProcessView) -> list[Text]:
    return [
        Text.from_markup(f"[bold yellow]?[/] {escape(clean(row.question))}  [dim]{row.escalation_id}[/]")
        for row in view.escalations
        if row.status == "open"
    ]


class PlainLog:
    """One line on stderr for each change of a step or of the process."""

    def __init__(self) -> None:
        self._steps: dict[tuple[str, str], str] = {}
        self._process = ("", "")

    def show(self, view: ProcessView) -> None:
        for step in view.steps:
            words = f"{step.status} {_doing(step)}".strip()
            key = (view.process_id, step.id)
            if self._steps.get(key, "waiting waiting") != words:
                self._steps[key] = words
                self._write(view, f"{step.id}: {words}")
        process = f"process {view.status}{f' (waits for {view.why})' if view.why else ''}, {view.cost.spent_usd} USD"
        if (view.process_id, process) != self._process:
            self._process = (view.process_id, process)
            self._write(view, process)

    def _write(self, view: ProcessView, words: str) -> None:
        sys.stderr.write(f"{view.updated_at} {view.process_id} {words}\n")
