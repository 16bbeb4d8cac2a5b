"""Mapped steps: their items are let in `parallel` at a time, and collected when all are closed.

An item is a unit like any other; an item that waits for a human keeps its place, so a broken agent is asked `parallel`
times, not once per item.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from msgspec.structs import replace

from process_orchestrator.core import calling, failures, orders
from process_orchestrator.core.facts.values import Phase

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.state import Unit


def open_items(draft: Draft, unit: Unit) -> None:
    """Let the first items of an opened map in."""
    unit = draft.put(
        replace(unit, phase=Phase.CALLING, items_next=0, items_done=0, escalation=None, wants=None, why=None)
    )
    _fill(draft, unit)


def item_closed(draft: Draft, item: Unit) -> None:
    """Count an item as closed and let the next one in."""
    unit = draft.units[item.step]
    _fill(draft, replace(unit, items_done=unit.items_done + 1))


def collect(draft: Draft, unit: Unit) -> None:
    """Order the outputs of all items collected."""
    unit = draft.put(
        replace(unit, phase=Phase.CALLING, collecting=True, escalation=None, wants=None, why=None, failure=None)
    )
    draft.order(orders.collect_items(draft, unit))


def all_closed(unit: Unit) -> bool:
    """Whether every item of an opened map is closed."""
    return unit.count is not None and unit.items_done == unit.count


def _fill(draft: Draft, unit: Unit) -> None:
    """Begin items while there are free places. `unit` is the map, not yet put."""
    count, parallel = unit.count or 0, max(1, draft.facts(unit).parallel)
    begun: list[Unit] = []
    while unit.items_next < count and unit.items_next - unit.items_done < parallel:
        item = draft.new_unit(draft.facts(unit), place=unit.place, item=unit.items_next)
        rejected = _is_rejected(unit, unit.items_next)
        unit = replace(unit, items_next=unit.items_next + 1, items_done=unit.items_done + rejected)
        if rejected:
            draft.put(replace(item, phase=Phase.SKIPPED, failure=failures.of_code("rejected", item)))
        else:
            begun.append(item)
    draft.put(unit)
    for item in begun:
        calling.prepare(draft, item)
    if all_closed(unit):
        collect(draft, unit)


def _is_rejected(unit: Unit, item: int) -> bool:
    place = bisect_left(unit.rejected, item)
    return place < len(unit.rejected) and unit.rejected[place] == item
