"""What may go on of a process that is set aside because this core decides otherwise than its journal says. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from process_orchestrator.core.facts.commands import OpenEscalation, StartTimer
from process_orchestrator.core.keys import owner_of_timer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_orchestrator.core.facts.commands import Command
    from process_orchestrator.core.facts.state import Process


def may_be_asked(state: Process) -> bool:
    """Whether a drift that was found is to be put before a human: it is not yet, and more than the end is to come."""
    return state.set_aside is None and not (state.finished or state.cancelling or state.failing is not None)


def adopted(before: Process | None, after: Process) -> bool:
    """Whether a turn took up a process again that was set aside."""
    return before is not None and before.set_aside is not None and after.set_aside is None and not after.finished


def waits_for(state: Process | None, timer: str) -> bool:
    """Whether a timer may fire. Those of a process that is set aside are set again when it goes on."""
    return state is None or state.set_aside is None or owner_of_timer(timer) == state.set_aside


def allowed(state: Process, outstanding: Sequence[Command]) -> Sequence[Command]:
    """What of the outstanding may be ordered again: of a process that is set aside the question alone."""
    if state.set_aside is None:
        return outstanding
    return [
        command
        for command in outstanding
        if (isinstance(command, OpenEscalation) and command.escalation == state.set_aside)
        or (isinstance(command, StartTimer) and owner_of_timer(command.timer) == state.set_aside)
    ]
