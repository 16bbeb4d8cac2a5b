"""Folds a process's journal into what an engine must know to go on with it. Pure but for the view it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from process_orchestrator.core.admit import admit
from process_orchestrator.core.facts.commands import InvokeAgent
from process_orchestrator.core.facts.events import EngineResumed
from process_orchestrator.core.outstanding import outstanding
from process_orchestrator.core.process import apply

if TYPE_CHECKING:
    from collections.abc import Callable

    from process_orchestrator.core.facts.commands import Command
    from process_orchestrator.core.facts.events import Event, OutsideEvent
    from process_orchestrator.core.facts.state import Process, Refusal, Transition
    from process_orchestrator.core.facts.values import Assurance
    from process_orchestrator.hosting.journal_view import JournalView


@dataclass(frozen=True, kw_only=True)
class Core:
    """The three functions of the core that a host calls."""

    apply: Callable[[Process | None, Event], Transition]
    admit: Callable[[Process, OutsideEvent], Refusal | None]
    outstanding: Callable[[Process], tuple[Command, ...]]


CORE: Final = Core(apply=apply, admit=admit, outstanding=outstanding)
"""The real core. A simulation may wrap it; nothing else stands in its place."""


class Derived(Protocol):
    """What the engine derived from a proof: who decided, over which channel, how strong the evidence is."""

    @property
    def by(self) -> str: ...

    @property
    def channel(self) -> str: ...

    @property
    def assurance(self) -> Assurance: ...


class Folded(NamedTuple):
    """A process as its journal says, and how often each of its live calls was handed to the performer."""

    state: Process
    deliveries: dict[str, int]


def fold(view: JournalView, core: Core, process: str) -> Folded | None:
    """Fold all rows of a process; None where there is none. Raises StorageError for a row that cannot be read."""
    state: Process | None = None
    deliveries: dict[str, int] = {}
    for row in view.every_row(process):
        for event in row.events:
            if isinstance(event, EngineResumed) and state is not None:
                for call in state.live_calls:
                    deliveries[call] = deliveries.get(call, 0) + 1
            transition = core.apply(state, event)
            state = transition.state
            for command in transition.commands:
                if isinstance(command, InvokeAgent):
                    deliveries[command.call] = 1
    if state is None:
        return None
    live = set(state.live_calls)
    return Folded(state, {call: count for call, count in deliveries.items() if call in live})
