"""The live view of a run: its graph, its steps, what it costs, why it waits. Off a terminal, a plain log on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from process_orchestrator.views.formats import one_line
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
ARROW: Final = "──▶"
NODE_WIDTH_MIN: Final = 15
NODE_WIDTH_MAX: Final = 24
NODE_FRAME: Final = 4
"""Columns of a node's border and padding."""


class Watcher:
    """Shows one process after another; remembers what it has shown."""

    def __init__(self, session: Session, orchestrator: Orchestrator) -> None:
        self._session, self._orchestrator = session, orchestrator
        self._live = not session.json and sys.stdout.isatty()
        self._log = PlainLog()
        self._shown = ("", -1)

    async def follow(self, view: ProcessView) -> ProcessView:
        """Show a process until it ends or a person is asked; returns its last view."""
        if (view.process_id, view.version) == self._shown:
            return view
        caller = self._session.caller
        last = view
        if not self._live:
            async for last in self._orchestrator.changes(view.process_id, caller=caller):
                self._log.show(last)
        else:
            whole = await self._orchestrator.state(view.process_id, include=("plan",), caller=caller)
            needs, console = needs_of(whole.plan), Console(highlight=False)
            with Live(render(whole, needs, width=console.width), console=console, refresh_per_second=12) as live:
                async for last in self._orchestrator.changes(view.process_id, caller=caller):
                    live.update(render(last, needs, width=console.width))
        self._shown = (last.process_id, last.version)
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
    """Draw one frame: the graph where it fits into `width`, else a list."""
    rows = {step.id: step for step in view.steps}
    columns = levels_of(needs) if set(needs) == set(rows) else []
    node_width = _node_width(columns, rows, width=width)
    body = _graph(columns, rows, node_width=node_width) if node_width else _list(view.steps)
    return Group(_headline(view), body, _cost(view), *_questions(view))


def _node_width(columns: Sequence[Sequence[str]], rows: Mapping[str, StepView], *, width: int) -> int:
    """How wide a node may be; 0 where the graph does not fit. Does not change while a process runs."""
    if not columns:
        return 0
    room = (width - 1 - (len(columns) - 1) * (len(ARROW) + 1)) // len(columns)
    wanted = max(len(step) + len("● ") for step in rows) + NODE_FRAME
    if room < max(NODE_WIDTH_MIN, min(wanted, NODE_WIDTH_MAX)):
        return 0
    return min(room, NODE_WIDTH_MAX)


def _headline(view: ProcessView) -> Text:
    style = STATUS_STYLE.get(view.status, "bold cyan")
    label = f"({one_line(view.label, limit=40)}) " if view.label else ""
    line = Text.assemble(
        (f"{view.process_type or 'task'} ", "bold"), label, (f"{view.process_id}  ", "dim"), (view.status, style)
    )
    if view.why and view.why != "human":  # the questions below say it better
        until = f" until {view.wait_until}" if view.wait_until else ""
        line.append(f" · waits for {view.why}{until}", "dim")
    if view.error is not None:
        line.append(f" · {view.error.code} at {view.error.step or '-'}, blame {view.error.blame}", "red")
    return line


def _graph(columns: Sequence[Sequence[str]], rows: Mapping[str, StepView], *, node_width: int) -> Table:
    grid = Table.grid(padding=0)
    for number in range(len(columns)):
        if number:
            grid.add_column(width=len(ARROW) + 1)
        grid.add_column(width=node_width)
    cells: list[RenderableType] = []
    for number, column in enumerate(columns):
        if number:
            cells.append(Padding(Text(ARROW, "dim"), (1, 0, 0, 0)))  # beside the name in the upper node
        cells.append(Group(*(_node(rows[step]) for step in column)))
    grid.add_row(*cells)
    return grid


def _node(step: StepView) -> Panel:
    mark, style = MARKS.get(step.status, ("·", ""))
    name = Text.assemble((f"{mark} ", style), (step.id, "bold" if step.status == "calling" else ""))
    name.overflow, name.no_wrap = "ellipsis", True
    return Panel(
        Group(name, Text(_doing(step), "dim", overflow="ellipsis", no_wrap=True)),
        border_style=style.replace("bold ", "") or "none",
        padding=(0, 1),
    )


def _doing(step: StepView) -> str:
    """Say in a few words what a step is at; the most telling first, since a narrow node cuts the rest."""
    match step.status:
        case "asking" | "escalated":
            return "asks a person"
        case "backoff":
            return f"again at {step.wait_until[11:19]}" if step.wait_until else "will try again"
        case "failed":
            return clean(step.why or "failed")
        case "waiting" | "skipped":
            return step.status
        case _:
            tries = f"try {step.attempts}" if step.attempts > 1 and step.items is None else ""
            items = f"{step.items.done}/{step.items.total}" if step.items else ""
            return " ".join(part for part in (items, tries, clean(step.agent or "")) if part) or step.status


def _list(steps: Sequence[StepView]) -> Table:
    table = Table.grid(padding=(0, 2))
    for step in steps:
        mark, style = MARKS.get(step.status, ("·", ""))
        cost = f"{step.cost_usd} USD" if step.cost_usd else ""
        table.add_row(Text(mark, style), step.id, Text(step.status, style), Text(_doing(step), "dim"), cost)
    return table


def _cost(view: ProcessView) -> Text:
    unknown = f" + {view.cost.unknown_calls} calls of unknown price" if view.cost.unknown_calls else ""
    return Text(
        f"{view.step.done} of {view.step.total} steps · {view.cost.spent_usd} of {view.cost.budget_usd} USD{unknown}",
        "dim",
    )


def _questions(view: ProcessView) -> list[Text]:
    return [
        Text.assemble(("? ", "bold yellow"), one_line(row.question), (f"  {row.escalation_id}", "dim"), overflow="fold")
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
            doing = _doing(step)
            words = step.status if doing == step.status else f"{step.status}, {doing}"
            key = (view.process_id, step.id)
            if self._steps.get(key, "waiting") != words:
                self._steps[key] = words
                self._write(view, f"{step.id}: {words}")
        why = f", waits for {view.why}" if view.why else ""
        if (view.process_id, view.status + why) != self._process:
            self._process = (view.process_id, view.status + why)
            self._write(view, f"process {view.status}{why}, {view.cost.spent_usd} USD")

    def _write(self, view: ProcessView, words: str) -> None:
        sys.stderr.write(f"{view.updated_at} {view.process_id} {words}\n")
