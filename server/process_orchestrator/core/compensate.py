"""Taking effects back: where the plan says so, what was done is undone before the process ends, the newest first.

One at a time, each by a unit of its own (`post!undo`) that is prepared, approved, called and tried again like any
other. What cannot be undone is asked about, and named in `left` if it stays. Not why a process ends: that is `ending`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from process_orchestrator.core import calling, ending, escalate, failures, keys
from process_orchestrator.core.facts.state import Unit
from process_orchestrator.core.facts.values import EscalationKind, Phase

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft

_OVER: Final = frozenset({Phase.DONE, Phase.SKIPPED})
"""Of an undo: it was done, or a human has said that the effect stays."""


def go_on(draft: Draft) -> None:
    """Undo what is next, unless an undo is under way; end the process when nothing is left. No call is live."""
    if draft.compensating and draft.to_undo is None:
        draft.to_undo = _effects(draft)
    while draft.to_undo:
        unit = draft.units[draft.to_undo[0]]
        undo = draft.units.get(keys.undo_id(unit.id))
        if undo is None:
            _begin(draft, unit)
            return
        if undo.phase not in _OVER:
            return
        draft.to_undo = draft.to_undo[1:]
        _close(draft, unit, undone=undo.phase is Phase.DONE)
    ending.finish(draft)


def stop(draft: Draft, undo: Unit) -> None:
    """Undo nothing more: the effect that was asked about stays, and so do all older ones."""
    draft.put(replace(undo, phase=Phase.SKIPPED, escalation=None, wants=None, why=None))
    left = draft.to_undo or ()
    draft.to_undo = left[:1]
    for name in left[1:]:
        _close(draft, draft.units[name], undone=False)


def _effects(draft: Draft) -> tuple[str, ...]:
    """Every unit that changed the world or may have, the one that closed last first. Counts the items of each map."""
    units = [unit for unit in draft.units.values() if ending.left_an_effect(draft, unit)]
    items: dict[str, int] = {}
    for unit in units:
        if unit.id != unit.step:
            items[unit.step] = items.get(unit.step, 0) + 1
    for step, count in items.items():
        draft.put(replace(draft.units[step], items_undoing=count))
    return tuple(unit.id for unit in sorted(units, key=lambda unit: unit.closed, reverse=True))


def _begin(draft: Draft, unit: Unit) -> None:
    """Order the undo prepared; what nothing undoes, or what perhaps never happened, is a human's to judge."""
    undo = Unit(id=keys.undo_id(unit.id), step=unit.step, place=unit.place, undoes=unit.id)
    declared = draft.facts(unit).undo is not None
    if declared and unit.phase is Phase.DONE and unit.input is not None:
        draft.put(replace(unit, phase=Phase.UNDOING))
        parent = draft.units[unit.step]
        if parent.phase is Phase.DONE:
            draft.put(replace(parent, phase=Phase.UNDOING))
        calling.prepare(draft, undo)
        return
    failure = unit.failure if unit.outcome_unknown else None
    # Its detail holds what an agent answered, under another contract than the one that is asked about.
    failure = replace(failure, unit=undo.id, detail=None) if failure is not None else failures.of_code("no_undo", undo)
    escalate.ask(draft, replace(undo, failure=failure), EscalationKind.UNDO_FAILED)


def _close(draft: Draft, unit: Unit, *, undone: bool) -> None:
    """Write down what became of an effect; a mapped step is undone once all its items are."""
    if unit.phase is Phase.UNDOING:
        draft.put(replace(unit, phase=Phase.UNDONE if undone else Phase.DONE))
    if undone:
        draft.undone += (unit.id,)
    if unit.id == unit.step:
        return
    parent = draft.put(replace(draft.units[unit.step], items_undoing=draft.units[unit.step].items_undoing - 1))
    if parent.phase is Phase.UNDOING and not parent.items_undoing:
        stays = any(ending.left_an_effect(draft, one) for one in draft.units.values() if one.step == parent.id)
        draft.put(replace(parent, phase=Phase.DONE if stays else Phase.UNDONE))
