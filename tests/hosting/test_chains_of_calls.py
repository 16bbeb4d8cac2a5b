"""Calls that follow each other go on in one task: nothing of one may reach the next, and no task outlives its chain."""

import asyncio
import contextlib
from contextvars import ContextVar
from pathlib import Path
from unittest import mock

import anyio
import anyio.lowlevel
import pytest

from hosting.scripted import Script, chain, finished, opened, run, spec
from process_orchestrator.core.errors import StorageError
from process_orchestrator.core.facts.commands import InvokeAgent
from process_orchestrator.core.facts.events import CallLost, CallSucceeded, CancelRequested, Event
from process_orchestrator.core.facts.values import Status
from process_orchestrator.core.ports import Bodies
from process_orchestrator.hosting import driver, outward
from process_orchestrator.hosting.verification import verify

TENANT: ContextVar[str] = ContextVar("tenant")


def this_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None
    return task


@pytest.mark.anyio
async def test_the_calls_of_a_chain_are_made_in_one_task(state: Path) -> None:
    tasks: list[asyncio.Task[object]] = []

    async def work(_call: InvokeAgent, _delivery: int) -> Event | None:
        tasks.append(this_task())
        await anyio.lowlevel.checkpoint()
        return None

    async with opened(state, Script(work=work)) as host:
        done = await run(host, chain(4))
    assert done.status is Status.COMPLETED
    assert (len(tasks), len(set(tasks))) == (4, 1)


@pytest.mark.anyio
async def test_what_an_agent_leaves_in_its_context_no_other_call_sees(state: Path) -> None:
    seen: list[str] = []

    async def work(call: InvokeAgent, _delivery: int) -> Event | None:
        seen.append(TENANT.get("nobody"))
        TENANT.set(call.call)
        return None

    async with opened(state, Script(work=work)) as host:
        await run(host, chain(3))
    assert seen == ["nobody"] * 3


@pytest.mark.anyio
async def test_a_cancel_that_an_agent_swallows_stays_with_its_own_call(state: Path) -> None:
    requests: list[int] = []

    async def work(_call: InvokeAgent, _delivery: int) -> Event | None:
        task = this_task()
        requests.append(task.cancelling())
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await anyio.lowlevel.checkpoint()
        return None

    async with opened(state, Script(work=work)) as host:
        done = await run(host, chain(3))
    assert done.status is Status.COMPLETED
    assert requests == [0, 0, 0]


@pytest.mark.anyio
@pytest.mark.parametrize("under_way", [0, 1, 2])
async def test_a_cancel_stops_the_call_that_is_under_way_and_no_turn(state: Path, under_way: int) -> None:
    began = anyio.Event()

    async def work(call: InvokeAgent, _delivery: int) -> Event | None:
        if call.call.startswith(f"s{under_way}."):
            began.set()
            await anyio.sleep_forever()
        return None

    async with opened(state, Script(work=work)) as host:
        process = (await host.start(spec(chain(3)), Bodies())).spec.process_id
        await began.wait()
        cancel = CancelRequested(at=0, by="me", reason="changed my mind", request_id="c1")
        await host.deliver(process, cancel, Bodies(), request_id="c1", proof=None)
        done = await finished(host, process)
        rows = (await host.journal(process, after=0, limit=100)).items
    ends = [event for row in rows for event in row.events if isinstance(event, CallSucceeded | CallLost)]
    assert done.status is Status.CANCELLED
    assert [type(event) for event in ends] == [CallSucceeded] * under_way + [CallLost]
    assert (await verify(state)).ok


@pytest.mark.anyio
@pytest.mark.parametrize("breaks", [False, True])
async def test_no_task_waits_for_a_process_that_has_nothing_on_its_way(state: Path, *, breaks: bool) -> None:
    async def work(call: InvokeAgent, _delivery: int) -> Event | None:
        if breaks and call.call.startswith("s1."):
            raise StorageError("its bodies cannot be read")
        return None

    async with opened(state, Script(work=work)) as host:
        before = asyncio.all_tasks()
        process = (await host.start(spec(chain(2)), Bodies())).spec.process_id
        if not breaks:
            await finished(host, process)
        for _ in range(10_000):
            if asyncio.all_tasks() == before:
                break
            await anyio.lowlevel.checkpoint()
        assert asyncio.all_tasks() == before


class Incomparable:
    """A value of a variable, as arrays are: to compare two of them is an error."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("which of its elements?")

    __hash__ = object.__hash__


HELD: ContextVar[Incomparable] = ContextVar("held")


@pytest.mark.anyio
async def test_an_agent_may_leave_values_that_cannot_be_compared(state: Path) -> None:
    async def work(_call: InvokeAgent, _delivery: int) -> Event | None:
        HELD.set(Incomparable())
        return None

    HELD.set(Incomparable())
    async with opened(state, Script(work=work)) as host:
        done = await run(host, chain(3))
    assert done.status is Status.COMPLETED


@pytest.mark.anyio
async def test_a_call_that_ends_long_after_it_was_given_up_touches_no_other_process(state: Path) -> None:
    began, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(_call: InvokeAgent, _delivery: int) -> Event | None:
        if began.is_set() or not hangs:
            return None
        began.set()
        with anyio.CancelScope(shield=True):
            await may_end.wait()
        ended.set()
        raise RuntimeError("late")

    hangs = False
    with mock.patch.object(driver, "IDLE_KEPT", 1), mock.patch.object(outward, "KILL_GRACE_S", 0.05):
        async with opened(state, Script(work=work)) as host:
            innocent = await run(host, chain(1), key="innocent")
            hangs = True
            hung = (await host.start(spec(chain(1), key="hung"), Bodies())).spec.process_id
            await began.wait()
            cancel = CancelRequested(at=0, by="me", reason="enough", request_id="c")
            await host.deliver(hung, cancel, Bodies(), request_id="c", proof=None)
            await finished(host, hung)
            for _ in range(2):  # they take the place of the one that hangs
                await run(host, chain(1))
            may_end.set()
            await ended.wait()
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
            again = await host.start(spec(chain(1), key="innocent"), Bodies())
            assert again.spec.process_id == innocent.spec.process_id
            assert (await run(host, chain(1))).status is Status.COMPLETED
    assert (await verify(state)).ok
