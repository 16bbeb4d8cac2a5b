"""What must be ordered again after a crash or a roll-over: every command whose answer is still due.

A call that was told to stop is not made again: only CancelCall is repeated, and a host that knows no such call answers
it with CallLost, as after the kill grace. Finish and StopTimer have no answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from process_orchestrator.core import orders
from process_orchestrator.core.facts.values import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from process_orchestrator.core.facts.commands import Command
    from process_orchestrator.core.facts.state import Process, Unit


def outstanding(state: Process) -> tuple[Command, ...]:
    """All local, outward and host commands without their answer, in an order that depends on the state alone."""
    return tuple(_commands(state)) if not state.finished else ()


def _commands(state: Process) -> Iterator[Command]:
    if state.thinking.timer is not None:
        yield orders.stage_timer(state)
    elif state.stage is not None:
        yield orders.stage_command(state, state.stage)
    for unit in state.units.values():
        if unit.phase is Phase.PREPARING:
            yield _preparing(state, unit)
        elif unit.phase is Phase.BACKOFF:
            yield orders.start_timer(state, unit)
        elif unit.phase is Phase.CALLING and not unit.whole:
            if state.ending and unit.undoes is None:
                yield orders.cancel_call(state, unit)
            elif state.facts(unit).child is not None:
                yield orders.start_child(state, unit)
            else:
                yield orders.invoke_agent(state, unit)
        elif unit.collecting:
            yield orders.collect_items(state, unit)
    for escalation in state.escalations.values():
        if not escalation.open:
            continue
        if escalation.package is None:
            yield orders.open_escalation(state, escalation)
        timer = orders.escalation_timer(state, escalation)
        if timer is not None:
            yield timer
    for escalation in state.escalations.values():
        if escalation.brief_due:
            yield orders.write_brief(state, escalation)


def _preparing(state: Process, unit: Unit) -> Command:
    if unit.whole and not unit.skipping:
        return orders.open_map(state, unit)
    return orders.prepare_call(state, unit)
