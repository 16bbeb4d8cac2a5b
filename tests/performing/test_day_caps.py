"""`limits.usd_per_day`: an agent that has cost what it may is passed over, and nobody calls it before midnight UTC."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from performing.desk import Desk, honest, open_desk
from performing.fleet import Directory, agent
from process_orchestrator.checking.documents.definitions import AgentLimits, Transport
from process_orchestrator.core.facts.events import CallFailed, CallPrepared, CallSucceeded
from process_orchestrator.core.facts.values import Blame, FailureClass, Outcome
from process_orchestrator.core.ports import Bill, InProcessCall
from process_orchestrator.performing.agent_pool import AgentPool
from process_orchestrator.performing.choice import WELL
from process_orchestrator.performing.day_caps import DAY_MS, DayCaps, nothing_billed

pytestmark = pytest.mark.anyio

GIVEN = {"total": 12.5, "vendor": "ACME"}
NOON = 19_675 * DAY_MS + DAY_MS // 2  # 2023-11-14
TWO_CALLS = 0.004  # a call costs 0.002


class DayClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def now_ms(self) -> int:
        return self.now

    def jitter(self) -> int:
        return 0

    async def sleep_until(self, at_ms: int) -> None:
        raise AssertionError("the data plane keeps no timers")


async def prepared(desk: Desk, number: int, **changes: Any) -> CallPrepared:
    event = await desk.prepare(desk.context(GIVEN), call=f"post.{number}", **changes)
    assert isinstance(event, CallPrepared), event
    return event


async def refused(desk: Desk, number: int = 9, **changes: Any) -> CallFailed:
    event = await desk.prepare(desk.context(GIVEN), call=f"post.{number}", **changes)
    assert isinstance(event, CallFailed), event
    return event


async def spend(desk: Desk, calls: int) -> None:
    for number in range(calls):
        assert isinstance(await desk.invoke(await prepared(desk, number)), CallSucceeded)


async def test_an_agent_that_has_cost_what_it_may_is_not_called_and_it_is_said_when_that_ends(tmp_path: Path) -> None:
    async with open_desk(tmp_path, usd_per_day=TWO_CALLS, clock=DayClock()) as desk:
        await spend(desk, 2)
        failure = await refused(desk)
    assert (failure.code, failure.rule, failure.class_, failure.blame, failure.outcome) == (
        "over_budget",
        "usd_per_day",
        FailureClass.PERMANENT,
        Blame.POLICY,
        Outcome.NOT_DONE,
    )
    assert failure.message == ("ledger has 0.004 USD spent of its 0.004 USD a day, which frees at 2023-11-15T00:00Z")


async def test_another_agent_is_called_instead_and_it_is_said_why(tmp_path: Path) -> None:
    async with open_desk(tmp_path, spare=honest, usd_per_day=TWO_CALLS, clock=DayClock()) as desk:
        await spend(desk, 2)
        instead = await prepared(desk, 3)
    assert instead.agent.name == "spare"
    assert instead.why_agent == "next of 2 by preference: ledger has reached its cap of today"


async def test_at_midnight_everything_is_free_again(tmp_path: Path) -> None:
    clock = DayClock()
    async with open_desk(tmp_path, usd_per_day=TWO_CALLS, clock=clock) as desk:
        await spend(desk, 2)
        clock.now += DAY_MS // 2 - 1
        await refused(desk)
        clock.now += 1
        await prepared(desk, 3)


async def test_what_calls_under_way_may_cost_is_held_back_and_the_last_to_come_asks_again_later(tmp_path: Path) -> None:
    answers = anyio.Event()

    async def slow(arguments: dict[str, Any], call: InProcessCall) -> Any:
        await answers.wait()
        return await honest(arguments, call)

    async with open_desk(tmp_path, slow, usd_per_day=TWO_CALLS, clock=DayClock()) as desk:
        ready = [await prepared(desk, number) for number in range(3)]
        ended: list[CallSucceeded | CallFailed] = []

        async def call(each: CallPrepared) -> None:
            ended.append(await desk.invoke(each))

        async with anyio.create_task_group() as tasks:
            for each in ready:
                tasks.start_soon(call, each)
            await anyio.wait_all_tasks_blocked()
            [late] = ended
            assert isinstance(late, CallFailed)
            assert (late.code, late.usd_micros, late.outcome) == ("rate_limited", 0, Outcome.NOT_DONE)
            assert late.retry_after_ms is not None
            told = await refused(desk)
            assert told.message is not None
            assert "0.00 USD spent and 0.004 USD held back" in told.message
            answers.set()
    assert [type(each) for each in ended[1:]] == [CallSucceeded, CallSucceeded]


async def test_a_call_that_is_broken_off_counts_what_it_may_have_cost(tmp_path: Path) -> None:
    async def mute(arguments: dict[str, Any], call: InProcessCall) -> Any:
        await anyio.sleep_forever()

    async with open_desk(tmp_path, mute, usd_per_day=TWO_CALLS, clock=DayClock()) as desk:
        for number in range(2):
            call = await prepared(desk, number)
            with anyio.move_on_after(0.01):
                await desk.invoke(call)
        assert (await refused(desk)).code == "over_budget"


async def test_what_earlier_engines_spent_today_counts_and_a_call_they_left_open_is_let_through(tmp_path: Path) -> None:
    asked: list[int] = []

    async def bills(since: int) -> tuple[Bill, ...]:
        asked.append(since)
        return (
            Bill(agent="ledger", slot="p_x/post.1", usd_micros=2000),
            Bill(agent="ledger", slot="p_x/post.2", usd_micros=2000, open=True),
            Bill(agent="spare", slot="p_x/post.3", usd_micros=9000),
        )

    async with open_desk(tmp_path, usd_per_day=TWO_CALLS, clock=DayClock(), bills=bills) as desk:
        assert (await refused(desk)).code == "over_budget"
        other = await desk.prepare(desk.context(GIVEN), call="post.2")
        assert isinstance(other, CallFailed)
        left = CallPrepared(
            at=0,
            call="post.2",
            agent=desk.facts.steps[0].agents[0],
            input=desk.store.put({**GIVEN, "request_id": "p_x/post/g1"}),
            digest="d",
        )
        assert isinstance(await desk.invoke(left, delivery=2), CallSucceeded)
        told = await refused(desk)
    assert asked == [NOON - DAY_MS // 2]
    assert told.message is not None
    assert "0.004 USD spent of" in told.message


async def test_a_call_left_open_that_nobody_sends_again_is_forgotten_at_midnight(tmp_path: Path) -> None:
    async def bills(_since: int) -> tuple[Bill, ...]:
        return (Bill(agent="ledger", slot="p_x/post.1", usd_micros=4000, open=True),)

    clock = DayClock()
    async with open_desk(tmp_path, usd_per_day=TWO_CALLS, clock=clock, bills=bills) as desk:
        await refused(desk)
        clock.now += DAY_MS
        await spend(desk, 2)


async def test_an_agent_without_a_price_is_called_until_what_it_billed_reaches_the_cap(tmp_path: Path) -> None:
    async def bills(_since: int) -> tuple[Bill, ...]:
        return (Bill(agent="ledger", slot="p_x/post.1", usd_micros=4000),)

    async with open_desk(
        tmp_path, usd_per_day=TWO_CALLS, prices={"cost": {"model_tokens": {"in": 10, "out": 10}}}, clock=DayClock()
    ) as desk:
        await spend(desk, 5)
    async with open_desk(
        tmp_path,
        usd_per_day=TWO_CALLS,
        prices={"cost": {"model_tokens": {"in": 10, "out": 10}}},
        clock=DayClock(),
        bills=bills,
    ) as desk:
        await refused(desk)


async def test_an_agent_without_a_cap_is_never_counted(tmp_path: Path) -> None:
    async def bills(_since: int) -> tuple[Bill, ...]:
        raise AssertionError("nobody needs to know")

    async with open_desk(tmp_path, bills=bills) as desk:
        await spend(desk, 5)


async def test_a_cap_that_is_set_or_lifted_while_the_engine_runs_holds_from_then_on(tmp_path: Path) -> None:
    transport = Transport(kind="in_process")
    free, capped = agent("ledger", transport), agent("ledger", transport, AgentLimits(usd_per_day=TWO_CALLS))
    snapshot = Directory(free)
    async with AgentPool(lambda: snapshot, state_dir=tmp_path, home=tmp_path, clock=DayClock()) as pool:
        caps = DayCaps(pool.caps_usd, bills=nothing_billed, clock=DayClock())
        assert not caps.live_usd()
        snapshot = Directory(free, capped)
        assert caps.live_usd()
        await caps.learn(["ledger"])
        assert caps.standing(WELL, "ledger", reserve=1_000_000).capped is not None
        snapshot = Directory(free)
        assert not caps.live_usd()
        assert caps.standing(WELL, "ledger", reserve=1_000_000) is WELL


async def test_a_cap_that_is_set_while_bills_are_read_holds_from_the_next_call_on(tmp_path: Path) -> None:
    transport, limits = Transport(kind="in_process"), AgentLimits(usd_per_day=TWO_CALLS)
    ledger = agent("ledger", transport, limits)
    snapshot = Directory(ledger, agent("spare", transport))

    async def bills(_since: int) -> tuple[Bill, ...]:
        nonlocal snapshot
        snapshot = Directory(ledger, agent("spare", transport, limits))
        return ()

    async with AgentPool(lambda: snapshot, state_dir=tmp_path, home=tmp_path, clock=DayClock()) as pool:
        caps = DayCaps(pool.caps_usd, bills=bills, clock=DayClock())
        for expected in (False, True):
            await caps.learn(["ledger", "spare"])
            assert (caps.standing(WELL, "spare", reserve=1_000_000).capped is not None) is expected
