"""Beginning a call: PrepareCall with the key it would have, then InvokeAgent. Whether it may is asked in `gate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from process_orchestrator.core import bounds, keys, orders
from process_orchestrator.core.facts.values import Phase

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.state import Unit


def prepare(draft: Draft, unit: Unit) -> None:
    """Order the unit's next call prepared. Its last one, if any, is over."""
    generation = keys.next_generation(unit)
    unit = draft.put(
        replace(
            unit,
            phase=Phase.PREPARING,
            call=unit.call + 1,
            attempts=unit.attempts + 1,
            generation=generation,
            key_used=unit.key_used and generation == unit.generation,
            skipping=False,
            timer=None,
            wait_until=None,
            why=None,
            escalation=None,
            wants=None,
            started_at=unit.started_at if unit.started_at is not None else draft.now,
        )
    )
    draft.order(orders.prepare_call(draft, unit))


def prepare_default(draft: Draft, unit: Unit) -> None:
    """Order the step's default evaluated, in place of a call: no attempt is counted, no key is used."""
    unit = draft.put(
        replace(unit, phase=Phase.PREPARING, call=unit.call + 1, skipping=True, why=None, escalation=None, wants=None)
    )
    draft.order(orders.prepare_call(draft, unit))


def afresh(unit: Unit, *, keep_agent: bool) -> Unit:
    """The unit as if no agent had been tried: a human gave it a new start. An unsettled key stays with its agent."""
    agent = unit.agent if keep_agent else None
    return replace(unit, attempts=0, agents_tried=(), only_agent=None, agent=agent, series_begun=False)


def invoke(draft: Draft, unit: Unit) -> None:
    """Order the prepared call made, or the process started that the step stands for."""
    child = draft.facts(unit).child
    if child is not None:
        key = orders.key_of(draft, unit)
        unit = replace(unit, child=keys.child_id(key), reserve_usd_micros=bounds.allotment(draft, child))
    first = unit.first_invoked_at if unit.first_invoked_at is not None else draft.now
    unit = draft.put(
        replace(
            unit,
            phase=Phase.CALLING,
            calls_total=unit.calls_total + 1,
            key_used=True,
            first_invoked_at=first,
            why=None,
            escalation=None,
            wants=None,
        )
    )
    draft.call_began(unit)
    draft.order(orders.invoke_agent(draft, unit) if child is None else orders.start_child(draft, unit))
