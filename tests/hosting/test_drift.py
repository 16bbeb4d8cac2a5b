"""A process whose journal another core decided: set aside, and taken up by a human alone. Real files, real engines."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from hosting.scripted import CLOCK, Script, chain, failure, finished, opened, resolution, spec, until
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts.commands import InvokeAgent
from process_orchestrator.core.facts.events import CancelRequested, DecisionsDrifted, Event
from process_orchestrator.core.facts.specs import PlanFacts, RetryFacts
from process_orchestrator.core.facts.state import Process, Transition
from process_orchestrator.core.facts.values import Decision, Effect, FailureClass, Status
from process_orchestrator.core.ports import Bodies
from process_orchestrator.core.process import apply
from process_orchestrator.hosting.folding import CORE, Core
from process_orchestrator.hosting.verification import verify

pytestmark = pytest.mark.anyio


def _doctored(state: Process | None, event: Event) -> Transition:
    """A core that gives every call a minute more: what it orders is not what the journal says."""
    told = apply(state, event)
    longer = (replace(o, timeout_ms=o.timeout_ms + 60_000) if isinstance(o, InvokeAgent) else o for o in told.commands)
    return replace(told, commands=tuple(longer))


OTHER = Core(apply=_doctored, admit=CORE.admit, outstanding=CORE.outstanding)


async def left_behind(state: Path, plan: PlanFacts) -> str:
    """A process whose first call was under way when its engine was closed."""
    called = anyio.Event()

    async def hang(call: InvokeAgent, delivery: int) -> Event | None:
        called.set()
        await anyio.sleep_forever()
        return None

    async with opened(state, Script(work=hang)) as host:
        started = await host.start(spec(plan), Bodies())
        with anyio.fail_after(10):
            await called.wait()
    return started.spec.process_id


async def set_aside(state: Process) -> bool:
    return state.set_aside is not None


async def events_of(host: object, process: str) -> list[Event]:
    page = await host.journal(process, after=0, limit=1000)  # type: ignore[attr-defined]
    return [event for row in page.items for event in row.events]


@pytest.mark.behaviour("drift")
async def test_an_engine_that_decides_otherwise_calls_nobody_until_a_human_has_said_so(state: Path) -> None:
    process = await left_behind(state, chain(2))
    script = Script()
    async with opened(state, script, core=OTHER) as host:
        waiting = await until(host, process, lambda now: any(e.package for e in now.escalations.values()))
        assert (waiting.status, waiting.set_aside, script.calls) == (Status.WAITING_HUMAN, f"{process}.e1", [])
        drifted = [event for event in await events_of(host, process) if isinstance(event, DecisionsDrifted)]
        assert [(event.was, event.now) for event in drifted] == [(("PrepareCall s0.1", "InvokeAgent s0.1"),) * 2]
    async with opened(state, script, core=OTHER) as host:  # asked once, and remembered
        again = await host.state(process)
        assert (again.seq, again.set_aside, script.calls) == (waiting.seq, f"{process}.e1", [])
        retry = resolution(f"{process}.e1", Decision.RETRY)
        await host.deliver(process, retry, Bodies(), request_id="r1", proof=None)
        done = await finished(host, process)
        assert (done.status, script.calls) == (Status.COMPLETED, [("s0.1", 2), ("s1.1", 1)])
    async with opened(state, Script(), core=OTHER) as host:
        assert len([e for e in await events_of(host, process) if isinstance(e, DecisionsDrifted)]) == 1


async def test_an_unsafe_call_that_was_under_way_is_not_repeated_by_adopting(state: Path) -> None:
    process = await left_behind(state, chain(1, effect=Effect.WRITE))
    script = Script()
    async with opened(state, script, core=OTHER) as host:
        await until(host, process, lambda now: now.set_aside is not None)
        await host.deliver(process, resolution(f"{process}.e1", Decision.RETRY), Bodies(), request_id="r", proof=None)
        asked = await until(host, process, lambda now: now.escalations_opened == 2)
        assert (asked.escalations[f"{process}.e2"].kind.value, script.calls) == ("outcome_unknown", [])


@pytest.mark.parametrize("how", ["abort", "cancel"])
async def test_abort_and_cancel_end_it_without_a_call(state: Path, how: str) -> None:
    process = await left_behind(state, chain(1))
    script = Script()
    async with opened(state, script, core=OTHER) as host:
        await until(host, process, lambda now: now.set_aside is not None)
        if how == "abort":
            end: CancelRequested | object = resolution(f"{process}.e1", Decision.ABORT)
        else:
            end = CancelRequested(at=0, by="local", reason="no", request_id="c")
        await host.deliver(process, end, Bodies(), request_id="x", proof=None)  # type: ignore[arg-type]
        done = await finished(host, process)
        assert (done.status.value, script.calls) == ("failed" if how == "abort" else "cancelled", [])


async def test_who_only_writes_sets_it_aside_before_anything_enters(state: Path) -> None:
    async def refuse(call: InvokeAgent, delivery: int) -> Event | None:
        return failure(call.call)

    async with opened(state, Script(work=refuse)) as host:
        started = await host.start(spec(chain(1)), Bodies())
        process = started.spec.process_id
        await until(host, process, lambda now: now.status is Status.WAITING_HUMAN)
    async with opened(state, core=OTHER, mode="write") as host:
        with pytest.raises(RefusedError, match="set aside"):
            await host.deliver(
                process, resolution(f"{process}.e1", Decision.RETRY), Bodies(), request_id="r", proof=None
            )
    script = Script()
    async with opened(state, script, core=OTHER) as host:
        await until(host, process, lambda now: bool(now.set_aside and now.escalations[now.set_aside].package))
        assert script.calls == []


async def test_a_timer_of_a_process_that_is_set_aside_fires_once_it_is_taken_up(state: Path) -> None:
    retries = RetryFacts(max_attempts=2, on=(FailureClass.TRANSIENT.value,), initial_ms=300, jitter=False)

    async def refuse(call: InvokeAgent, delivery: int) -> Event | None:
        return failure(call.call)

    async with opened(state, Script(work=refuse)) as host:
        started = await host.start(spec(chain(1, retry=retries)), Bodies())
        process = started.spec.process_id
        waiting = await until(host, process, lambda now: bool(now.live_timers))
    due = waiting.units["s0"].wait_until
    assert due is not None
    script = Script()
    async with opened(state, script, core=OTHER) as host:
        await until(host, process, lambda now: now.set_aside is not None)
        await CLOCK.sleep_until(due + 50)
        assert script.calls == []
        await host.deliver(process, resolution(f"{process}.e1", Decision.RETRY), Bodies(), request_id="r", proof=None)
        done = await finished(host, process)
        assert (done.status, script.calls) == (Status.COMPLETED, [("s0.2", 1)])


async def test_the_same_core_finds_nothing(state: Path) -> None:
    process = await left_behind(state, chain(2))
    async with opened(state) as host:
        done = await finished(host, process)
        assert not any(isinstance(event, DecisionsDrifted) for event in await events_of(host, process))
    assert done.status is Status.COMPLETED
    assert (await verify(state)).ok
