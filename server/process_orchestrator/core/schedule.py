"""What may begin: a step whose needs are all closed; and what follows when a unit closes.

Every step carries the number of its open needs, so closing one looks at its dependents alone, never at the whole plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from process_orchestrator.core import calling, maps, orders, rounds
from process_orchestrator.core.facts.values import Phase, Stage

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.state import Unit


def begin_ready(draft: Draft) -> None:
    """Begin every step whose needs are closed, in the order of the plan; a plan with nothing left is done at once."""
    if draft.ending or not draft.may_begin:
        return
    for step, needs in tuple(draft.needs_left.items()):
        if needs == 0 and draft.units[step].phase is Phase.WAITING:
            begin(draft, draft.units[step])
    _build_output_when_done(draft)


def begin(draft: Draft, unit: Unit) -> None:
    """Take a step out of waiting: its arguments, its list of items, or the arguments of its first round are asked for.

    A wait step has no arguments, but perhaps a condition; a sub-process has its input.
    """
    if draft.is_map(unit):
        open_map(draft, unit)
    elif unit.whole:
        rounds.begin(draft, unit)
    else:
        calling.prepare(draft, unit)


def open_map(draft: Draft, unit: Unit) -> None:
    """Ask for the items of a mapped step."""
    started_at = unit.started_at if unit.started_at is not None else draft.now
    unit = draft.put(
        replace(
            unit,
            phase=Phase.PREPARING,
            skipping=False,
            escalation=None,
            wants=None,
            why=None,
            started_at=started_at,
        )
    )
    draft.order(orders.open_map(draft, unit))


def close(draft: Draft, unit: Unit) -> None:
    """Put a unit that is done or skipped, and begin what waited for it."""
    unit = draft.put(replace(unit, escalation=None, wants=None, timer=None, wait_until=None, why=None))
    if draft.ending:
        return
    if unit.item is not None:
        maps.item_closed(draft, unit)
        return
    if unit.round is not None:
        whole = rounds.closed(draft, unit)
        if whole is None:
            return
        unit = draft.put(whole)
    draft.steps_done += 1
    for step in draft.facts(unit).needed_by:
        if draft.need_closed(step) and draft.may_begin:
            begin(draft, draft.units[step])
    _build_output_when_done(draft)


def skip(draft: Draft, unit: Unit) -> None:
    """Close a unit without an answer; a step's default is evaluated first. A skipped item is a hole in the list."""
    if unit.item is None and draft.facts(unit).has_default:
        calling.prepare_default(draft, unit)
    else:
        close(draft, replace(unit, phase=Phase.SKIPPED))


def _build_output_when_done(draft: Draft) -> None:
    assert draft.plan is not None
    if draft.steps_done == len(draft.plan.steps) and draft.may_begin and draft.stage is None:
        draft.stage = Stage.OUTPUT
        draft.order(orders.stage_command(draft, Stage.OUTPUT))
