"""What agents billed today is read back from the journal of engines that are gone."""

from pathlib import Path

import anyio
import pytest

from hosting.scripted import CLOCK, Script, chain, failure, finished, opened, resolution, spec, until
from process_orchestrator.core.facts.commands import InvokeAgent
from process_orchestrator.core.facts.events import CallLost, Event
from process_orchestrator.core.facts.specs import Gate, RetryFacts
from process_orchestrator.core.facts.values import Assurance, Decision, Effect, Idempotency, Outcome, Status
from process_orchestrator.core.ports import Bill, Bodies
from process_orchestrator.hosting import bills
from process_orchestrator.hosting.bills import bills_since
from process_orchestrator.hosting.journal import JournalReader

ASKS_FIRST = Gate(role="approver", min_assurance=Assurance.A0)
PLAN = chain(
    3,
    effect=Effect.WRITE,
    idempotency=Idempotency.KEYED,
    retry=RetryFacts(max_attempts=3, on=("transient", "lost"), initial_ms=1, max_ms=1),
)


async def read(state: Path, since: int) -> list[Bill]:
    async with JournalReader(state) as reader:
        found = await reader.read(lambda view: bills_since(view, since), empty=())
    return sorted(found, key=lambda bill: bill.slot)


async def work(call: InvokeAgent, _delivery: int) -> Event | None:
    """The first step answers, the second refuses, then gets lost, then answers, the third never does."""
    match call.call:
        case "s1.1":
            return failure(call.call, outcome=Outcome.NOT_DONE)
        case "s1.2":
            return CallLost(at=CLOCK.now_ms(), call=call.call)
        case "s2.1":
            await anyio.sleep_forever()
        case _:
            pass
    return None


@pytest.mark.anyio
async def test_what_was_answered_is_billed_and_what_an_engine_left_open_counts_its_worst_case(state: Path) -> None:
    assert await read(state, 0) == []
    async with opened(state, Script(work=work, reserve_usd_micros=700)) as host:
        name = (await host.start(spec(PLAN), Bodies())).spec.process_id
        await until(host, name, lambda process: "s2.1" in process.live_calls)
    assert await read(state, 0) == [
        Bill(agent="worker", slot=f"{name}/s0.1", usd_micros=700),
        Bill(agent="worker", slot=f"{name}/s1.1", usd_micros=0),
        Bill(agent="worker", slot=f"{name}/s1.2", usd_micros=700),
        Bill(agent="worker", slot=f"{name}/s1.3", usd_micros=700),
        Bill(agent="worker", slot=f"{name}/s2.1", usd_micros=700, open=True),
    ]


@pytest.mark.anyio
async def test_only_what_was_answered_since_counts_however_early_it_was_prepared(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bills, "CLOCK_STEP_MS", 0)
    async with opened(state, Script(reserve_usd_micros=700)) as host:
        early = (await host.start(spec(chain(1), key="early"), Bodies())).spec.process_id
        assert (await finished(host, early)).status is Status.COMPLETED
    async with opened(state, Script(gate=ASKS_FIRST, reserve_usd_micros=700)) as host:
        name = (await host.start(spec(chain(1), key="late"), Bodies())).spec.process_id
        asked = await until(host, name, lambda process: process.status is Status.WAITING_HUMAN)
        since = asked.now + 1
        with anyio.fail_after(5):
            while CLOCK.now_ms() < since:
                await anyio.lowlevel.checkpoint()
        answer = resolution(f"{name}.e1", Decision.APPROVE)
        await host.deliver(name, answer, Bodies(), request_id=answer.request_id, proof=None)
        await finished(host, name)
    assert await read(state, since) == [Bill(agent="worker", slot=f"{name}/s0.1", usd_micros=700)]
    assert await read(state, CLOCK.now_ms() + 1) == []


@pytest.mark.anyio
async def test_a_call_that_ended_just_before_counts_nothing(state: Path) -> None:
    async with opened(state, Script(reserve_usd_micros=700)) as host:
        name = (await host.start(spec(chain(1)), Bodies())).spec.process_id
        await finished(host, name)
    assert await read(state, CLOCK.now_ms() + 1) == []
