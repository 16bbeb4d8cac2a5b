"""Folds a process's journal into what an engine must know to go on with it. Pure but for the view it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec

from process_orchestrator.core.admit import admit
from process_orchestrator.core.facts.commands import InvokeAgent
from process_orchestrator.core.facts.events import DecisionsDrifted, EngineResumed
from process_orchestrator.core.outstanding import outstanding
from process_orchestrator.core.process import apply
from process_orchestrator.hosting.turns import decisions_of, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from process_orchestrator.core.facts.commands import Command
    from process_orchestrator.core.facts.events import Event, OutsideEvent
    from process_orchestrator.core.facts.state import Process, Refusal, Transition
    from process_orchestrator.core.facts.values import Assurance
    from process_orchestrator.core.ports import JournalRow
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
    """A process as its journal says, and how often each of its live calls was handed to the performer.

    `drift` is the first row that this core decides otherwise and nobody has been asked about.
    """

    state: Process
    deliveries: dict[str, int]
    drift: DecisionsDrifted | None = None


def fold(view: JournalView, core: Core, process: str, *, compare: bool = False) -> Folded | None:
    """Fold all rows of a process; None where there is none. Raises StorageError for a row that cannot be read.

    Who goes on with the process has the decisions compared; to look at it they need not be.
    """
    state: Process | None = None
    deliveries: dict[str, int] = {}
    drift: DecisionsDrifted | None = None
    for row in view.every_row(process):
        commands: list[Command] = []
        for event in row.events:
            if isinstance(event, DecisionsDrifted) and state is not None:  # known of, as far as it leads where it led
                drift = None if not compare else _drift(row, core.outstanding(state), event.digest)
            if isinstance(event, EngineResumed) and state is not None:
                for call in state.live_calls:
                    deliveries[call] = deliveries.get(call, 0) + 1
            transition = core.apply(state, event)
            state = transition.state
            commands.extend(transition.commands)
            for command in transition.commands:
                if isinstance(command, InvokeAgent):
                    deliveries[command.call] = 1
        if compare and drift is None:
            drift = _drift(row, commands, row.digest)
    if state is None:
        return None
    if drift is not None:
        drift = msgspec.structs.replace(drift, digest=digest_of(core.outstanding(state)))
    live = set(state.live_calls)
    return Folded(state, {call: count for call, count in deliveries.items() if call in live}, drift)


def _drift(row: JournalRow, commands: Sequence[Command], digest: str) -> DecisionsDrifted | None:
    """How the decisions of a row differ from what the journal says, by their digest; None where they do not."""
    if digest_of(commands) == digest:
        return None
    return DecisionsDrifted(at=row.at, row=row.seq, was=row.decisions, now=decisions_of(commands))
