"""Waiting on purpose: a step that only waits, and the time between two rounds of a repeated step.

Not the wait before a call is tried again, which is `settle`'s. A pause ends by its timer alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from process_orchestrator.core import failures, gate, keys, orders, rounds, schedule, settle
from process_orchestrator.core.facts.values import Phase, Why

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.state import Unit


def before_call(draft: Draft, unit: Unit) -> None:
    """What follows when a unit is prepared: a pause where its step says so, else the call."""
    step = draft.facts(unit)
    if step.wait_ms is not None:
        _begin(draft, unit, ms=step.wait_ms)
    elif step.repeat is None or unit.round is None:
        gate.proceed(draft, unit)
    elif unit.round > draft.units[unit.step].rounds_max:
        call = keys.call_id(unit.id, unit.call)
        settle.settle_by_plan(draft, unit, failures.of_code("loop", unit, call=call, rule=rounds.TOO_MANY))
    elif unit.round > 1 and step.repeat.every_ms and not unit.paused:
        _begin(draft, replace(unit, paused=True), ms=step.repeat.every_ms)
    else:
        gate.proceed(draft, unit)


def over(draft: Draft, unit: Unit) -> None:
    """The time is up: a step that only waits is done, a round is called."""
    unit = replace(unit, timer=None, wait_until=None, why=None)
    if draft.facts(unit).wait_ms is not None:
        schedule.close(draft, replace(unit, phase=Phase.DONE, output=unit.input, failure=None))
    else:
        gate.proceed(draft, unit)


def _begin(draft: Draft, unit: Unit, *, ms: int) -> None:
    timer = keys.timer_id(keys.call_id(unit.id, unit.call), keys.TimerKind.WAIT)
    unit = draft.put(
        replace(unit, phase=Phase.BACKOFF, timer=timer, wait_until=draft.now + ms, why=Why.TIMER, failure=None)
    )
    draft.live_timers += (timer,)
    draft.order(orders.start_timer(draft, unit))
