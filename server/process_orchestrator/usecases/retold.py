"""Decisions in words that two tellings of one process have in common: no ids of questions, no times. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts.values import Phase
from process_orchestrator.core.keys import step_of_unit, unit_of_call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from process_orchestrator.core.facts.state import Process, Transition

PROCESS = "-"
SHOWN = 8
"""Characters of a digest that are shown: enough to tell two apart."""


def said(before: Process | None, told: Transition) -> Iterator[tuple[str, str]]:
    """What one event led to, by step: calls with agent and arguments, questions, waits, what is left out, the end."""
    state = told.state
    for command in told.commands:
        match command:
            case c.InvokeAgent():
                digest = state.units[command.unit].digest or ""
                yield command.step, f"call {command.unit} at {command.agent.name} with {digest[:SHOWN]}"
            case c.OpenEscalation():
                about = f" about {command.unit}" if command.unit is not None else ""
                yield command.step or PROCESS, f"ask {command.kind.value}{about}"
            case c.StartTimer() if "/" in command.timer and not command.timer.startswith(f"{command.process}."):
                unit = unit_of_call(command.timer.rpartition("/")[0])
                yield step_of_unit(unit), f"wait for {command.timer.rpartition('/')[2]} of {unit}"
            case c.StartChild():
                yield step_of_unit(unit_of_call(command.call)), f"start a process for {unit_of_call(command.call)}"
            case c.Finish():
                output = f" with {command.output.sha256[:SHOWN]}" if command.output is not None else ""
                yield PROCESS, f"end {command.status.value}" + (f" ({command.code})" if command.code else "") + output
            case _:
                pass
    if before is None or before.cancelling or before.failing is not None:
        return
    for name, unit in state.units.items():
        former = before.units.get(name)
        if former is not unit and unit.phase is Phase.SKIPPED and (former is None or former.phase is not Phase.SKIPPED):
            yield unit.step, f"leave {name} out"
