"""Makes the journal row of a turn, with the projections that change with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from process_orchestrator.hosting.projection import (
    changed_escalations,
    escalation_row,
    is_due,
    must_project,
    process_row,
)
from process_orchestrator.hosting.turns import PlanFolder, Turn, decisions_of, digest_of, json_of_turn
from process_orchestrator.hosting.writer import TurnWrite

if TYPE_CHECKING:
    from collections.abc import Callable

    from process_orchestrator.core.errors import StorageError
    from process_orchestrator.hosting.live import Live, TurnDraft


def turn_write(
    live: Live,
    draft: TurnDraft,
    plans: PlanFolder,
    done: Callable[[StorageError | None], None],
    held: Callable[[StorageError], None],
) -> TurnWrite:
    """What must be written for a turn that has at least one event; sets which escalations it changed.

    A turn that nobody waits for may wait for room itself: it holds what agents answered.
    """
    state = draft.after
    assert state is not None
    events, pinned, definitions = plans.fold(draft.events)
    turn = Turn(events=events, decisions=decisions_of(draft.commands), digest=digest_of(draft.commands), plans=pinned)
    escalations = changed_escalations(draft.before, state)
    if escalations:
        draft.changed = tuple(escalation.id for escalation in escalations)
    projects = must_project(draft.before, state, escalations)
    return TurnWrite(
        lane=live.lane,
        process=live.process,
        seq=state.seq,
        at=draft.events[-1].at,
        turn=json_of_turn(turn),
        artifacts=draft.artifacts,
        definitions=(*draft.definitions, *definitions),
        row=process_row(state) if projects else None,
        due=projects and is_due(state),
        escalations=[escalation_row(state, escalation) for escalation in escalations] if escalations else (),
        timers=draft.timers,
        done=done,
        patient=not draft.settles,
        held=held,
    )
