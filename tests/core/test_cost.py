"""What an event costs does not grow with the process: counted in calls of functions, not in time."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

from core.journeys import ALPHA, mapped, plan_of, ref, spec_of, step
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.limits import Limits
from process_orchestrator.core.process import apply

if TYPE_CHECKING:
    from process_orchestrator.core.facts.specs import PlanFacts


def answer(command: c.Command, *, items: int) -> e.Event | None:
    match command:
        case c.PrepareCall():
            return e.CallPrepared(at=0, call=command.call, agent=ALPHA, input=ref("in"), digest=command.call)
        case c.OpenMap():
            return e.MapOpened(at=0, step=command.step, count=items, digest="d")
        case c.InvokeAgent():
            return e.CallSucceeded(at=0, call=command.call, output=ref("out"), ms=1)
        case c.CollectItems():
            return e.ItemsCollected(at=0, step=command.step, output=ref("list"))
        case c.BuildOutput():
            return e.OutputBuilt(at=0, output=ref("output"))
        case _:
            return None


def counted(apply_once: Any) -> tuple[Any, int]:
    """The result, and how many calls of functions and of built-ins it took."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    gc.disable()  # other tests leave callbacks at the collector, which would be counted when it happens to run
    sys.setprofile(count)
    try:
        result = apply_once()
    finally:
        sys.setprofile(before)
        gc.enable()
    return result, calls


def costs(plan: PlanFacts, *, items: int = 0) -> list[int]:
    """Calls of functions that each event took, from start to end."""
    transition = apply(None, e.ProcessStarted(at=0, spec=spec_of(plan, limits=Limits(calls=10_000))))
    state, due, found = transition.state, list(transition.commands), list[int]()
    while due:
        event = answer(due.pop(0), items=items)
        if event is not None:
            transition, calls = counted(lambda state=state, event=event: apply(state, event))
            found.append(calls)
            state = transition.state
            due.extend(transition.commands)
    assert state.finished
    return found


def chain(length: int) -> PlanFacts:
    return plan_of(*(step(f"s{n}", needs=(f"s{n - 1}",) if n else ()) for n in range(length)))


def typical(found: list[int]) -> int:
    """The dearest event but for the last four: collecting and building output look at all outputs, once."""
    return max(found[:-4])


def test_an_event_of_a_long_chain_costs_what_one_of_a_short_chain_costs() -> None:
    assert typical(costs(chain(1000))) == typical(costs(chain(20)))


def test_an_event_of_a_wide_map_costs_what_one_of_a_narrow_map_costs() -> None:
    plan = plan_of(mapped("lines", parallel=8))
    assert typical(costs(plan, items=1000)) == typical(costs(plan, items=20))
