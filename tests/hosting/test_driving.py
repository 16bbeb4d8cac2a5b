"""One engine in one program: turns, acknowledgements, keys, decisions, waiting, places."""

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from msgspec.structs import replace

from hosting.scripted import (
    HurriedClock,
    Script,
    body,
    chain,
    failure,
    finished,
    opened,
    resolution,
    run,
    spec,
    until,
)
from process_orchestrator.core.errors import EngineError, RefusedError, StorageError
from process_orchestrator.core.facts.commands import InvokeAgent
from process_orchestrator.core.facts.events import (
    CallFailed,
    CallLost,
    CancelRequested,
    EscalationResolved,
    Event,
    ProcessStarted,
)
from process_orchestrator.core.facts.specs import Gate, RetryFacts
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.facts.values import Assurance, Decision, Effect, Outcome, Ref, Status, Why
from process_orchestrator.core.ports import Bodies, DefinitionBody, EscalationQuery, Host, ProcessQuery
from process_orchestrator.hosting.verification import verify

ASKS_FIRST = Gate(role="approver", min_assurance=Assurance.A0)


def first_open(state: Process) -> str:
    return next(escalation.id for escalation in state.escalations.values() if escalation.open)


async def asking(host: Host) -> Process:
    """A started process that waits for its approval."""
    started = await host.start(spec(chain(1)), Bodies())
    return await until(host, started.spec.process_id, lambda state: state.status is Status.WAITING_HUMAN)


@pytest.mark.anyio
async def test_a_chain_runs_to_its_end_and_its_journal_verifies(state: Path) -> None:
    script = Script()
    async with opened(state, script) as host:
        done = await run(host, chain(3))
        assert done.status is Status.COMPLETED
        assert script.calls == [("s0.1", 1), ("s1.1", 1), ("s2.1", 1)]
        assert done.output is not None
        assert await host.body(done.output) == f'{{"process":"{done.spec.process_id}","done":true}}'.encode()
    report = await verify(state)
    assert report.ok, report.first_bad
    assert report.rows == 4


@pytest.mark.anyio
async def test_a_sequential_step_is_one_row(state: Path) -> None:
    async with opened(state) as host:
        done = await run(host, chain(3))
        page = await host.journal(done.spec.process_id, after=0, limit=100)
    assert [[type(event).__name__ for event in row.events] for row in page.items] == [
        ["ProcessStarted", "CallPrepared"],
        ["CallSucceeded", "CallPrepared"],
        ["CallSucceeded", "CallPrepared"],
        ["CallSucceeded", "OutputBuilt"],
    ]
    assert [row.seq for row in page.items] == [2, 4, 6, 8]
    assert page.items[0].decisions == ("PrepareCall s0.1", "InvokeAgent s0.1")
    assert page.items[-1].decisions == ("BuildOutput", "Finish completed")


@pytest.mark.anyio
async def test_the_journal_gives_the_pinned_plan_back(state: Path) -> None:
    plan = chain(2)
    async with opened(state) as host:
        done = await run(host, plan)
        rows = (await host.journal(done.spec.process_id, after=0, limit=1)).items
    started = rows[0].events[0]
    assert isinstance(started, ProcessStarted)
    assert started.spec.plan == plan


@pytest.mark.anyio
async def test_the_journal_is_read_in_pages(state: Path) -> None:
    async with opened(state) as host:
        process = (await run(host, chain(4))).spec.process_id
        first = await host.journal(process, after=0, limit=2)
        second = await host.journal(process, after=int(first.next or 0), limit=100)
    assert [row.seq for row in first.items] == [2, 4]
    assert [row.seq for row in second.items] == [6, 8, 10]
    assert second.next is None


@pytest.mark.behaviour("P4-same")
@pytest.mark.anyio
async def test_fifty_starts_with_one_key_are_one_process(state: Path) -> None:
    script = Script()
    started: list[str] = []
    async with opened(state, script) as host:

        async def start() -> None:
            process = await host.start(spec(chain(1), key="invoice 7"), Bodies())
            started.append(process.spec.process_id)

        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(start)
        await finished(host, started[0])
        assert len((await host.processes(ProcessQuery(limit=100))).items) == 1
    assert len(started) == 50
    assert len(set(started)) == 1
    assert len(script.calls) == 1


@pytest.mark.behaviour("P4-reused")
@pytest.mark.anyio
async def test_a_key_used_again_with_another_body_is_refused_and_names_the_process(state: Path) -> None:
    async with opened(state) as host:
        first = await host.start(spec(chain(1), key="k", request="one"), Bodies())
        with pytest.raises(RefusedError) as refusal:
            await host.start(spec(chain(1), key="k", request="two"), Bodies())
    assert refusal.value.code == "KEY_REUSED"
    assert first.spec.process_id in str(refusal.value)


@pytest.mark.anyio
async def test_a_key_leads_to_the_same_process_after_the_engine_was_closed(state: Path) -> None:
    async with opened(state) as host:
        first = await run(host, chain(1), key="k")
    async with opened(state) as host:
        second = await host.start(spec(chain(1), key="k"), Bodies())
    assert second.spec.process_id == first.spec.process_id
    assert second.status is Status.COMPLETED


@pytest.mark.anyio
async def test_fifty_starts_at_once_share_transactions(state: Path) -> None:
    acknowledged: list[str] = []
    async with opened(state) as host:

        async def start(number: int) -> None:
            process = await host.start(spec(chain(1), request=str(number)), Bodies())
            acknowledged.append(process.spec.process_id)

        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(start, number)
        for process in acknowledged:
            assert (await finished(host, process)).status is Status.COMPLETED
    assert len(set(acknowledged)) == 50


@pytest.mark.behaviour("P3")
@pytest.mark.anyio
async def test_fifty_resolutions_have_one_winner_and_all_others_get_its_record(state: Path) -> None:
    winners: list[Process] = []
    losers: list[RefusedError] = []
    async with opened(state, Script(gate=ASKS_FIRST)) as host:
        waiting = await asking(host)
        escalation = first_open(waiting)

        async def resolve(number: int) -> None:
            event = resolution(escalation, Decision.APPROVE, f"r{number}")
            try:
                winners.append(
                    await host.deliver(
                        waiting.spec.process_id, event, Bodies(), request_id=event.request_id, proof=None
                    )
                )
            except RefusedError as error:
                losers.append(error)

        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(resolve, number)
        done = await finished(host, waiting.spec.process_id)
    assert len(winners) == 1
    record = done.escalations[escalation].resolution
    assert record is not None
    assert {error.code for error in losers} == {"ALREADY_RESOLVED"}
    assert len(losers) == 49
    assert {error.record.resolution.request_id for error in losers if error.record and error.record.resolution} == {
        record.request_id
    }


@pytest.mark.anyio
async def test_a_request_that_is_sent_again_gets_its_first_answer(state: Path) -> None:
    async with opened(state, Script(gate=ASKS_FIRST)) as host:
        waiting = await asking(host)
        process = waiting.spec.process_id
        event = resolution(first_open(waiting), Decision.APPROVE)
        await host.deliver(process, event, Bodies(), request_id="r1", proof=None)
        done = await finished(host, process)
        again = await host.deliver(process, event, Bodies(), request_id="r1", proof=None)
        rows = (await host.journal(process, after=0, limit=100)).items
    assert again == done
    assert sum(isinstance(event, EscalationResolved) for row in rows for event in row.events) == 1


@pytest.mark.anyio
async def test_a_resolution_is_recorded_with_what_its_proof_gave_not_with_what_it_claims(state: Path) -> None:
    async with opened(state, Script(gate=ASKS_FIRST)) as host:
        waiting = await asking(host)
        claim = EscalationResolved(
            at=0,
            escalation=first_open(waiting),
            decision=Decision.APPROVE,
            by="the king",
            channel="court",
            assurance=Assurance.A3,
            request_id="r1",
        )
        after = await host.deliver(waiting.spec.process_id, claim, Bodies(), request_id="r1", proof=None)
    record = after.escalations[claim.escalation].resolution
    assert record is not None
    assert (record.by, record.channel, record.assurance) == ("local", "argument", Assurance.A2)
    assert record.at > 0


@pytest.mark.anyio
async def test_what_nobody_knows_is_refused_by_name(state: Path) -> None:
    async with opened(state) as host:
        with pytest.raises(RefusedError, match="UNKNOWN_PROCESS"):
            await host.state("p_nobody")
        with pytest.raises(RefusedError, match="UNKNOWN_PROCESS"):
            await host.journal("p_nobody", after=0, limit=1)
        cancel = CancelRequested(at=0, by="me", reason="none", request_id="r")
        with pytest.raises(RefusedError, match="UNKNOWN_PROCESS"):
            await host.deliver("p_nobody", cancel, Bodies(), request_id="r", proof=None)
        done = await run(host, chain(1))
        with pytest.raises(RefusedError, match="UNKNOWN_ESCALATION"):
            await host.deliver(
                done.spec.process_id,
                resolution(f"{done.spec.process_id}.e9", Decision.ABORT),
                Bodies(),
                request_id="r",
                proof=None,
            )


@pytest.mark.anyio
async def test_wait_returns_at_the_next_version_and_else_when_its_time_is_over(state: Path) -> None:
    held = anyio.Event()

    async def work(call: InvokeAgent, delivery: int) -> Event | None:
        await held.wait()
        return None

    async with opened(state, Script(work=work)) as host:
        started = await host.start(spec(chain(1)), Bodies())
        process = started.spec.process_id
        unchanged = await host.wait(process, since=started.seq, timeout_s=0.05)
        assert unchanged.seq == started.seq
        held.set()
        changed = await host.wait(process, since=started.seq, timeout_s=30)
        assert changed.seq > started.seq


@pytest.mark.anyio
async def test_the_listener_hears_of_every_committed_change(state: Path) -> None:
    heard: list[tuple[str, int, tuple[str, ...]]] = []

    def listen(process: str, seq: int, escalations: object) -> None:
        assert isinstance(escalations, tuple)
        heard.append((process, seq, escalations))

    async with opened(state, Script(gate=ASKS_FIRST), listener=listen) as host:
        waiting = await asking(host)
        process, escalation = waiting.spec.process_id, first_open(waiting)
        await host.deliver(process, resolution(escalation, Decision.APPROVE), Bodies(), request_id="r1", proof=None)
        done = await finished(host, process)
    assert heard[0] == (process, waiting.seq, (escalation,))
    assert heard[1][2] == (escalation,)
    assert heard[-1][:2] == (process, done.seq)


@pytest.mark.anyio
async def test_a_failed_call_is_tried_again_after_its_backoff_under_the_same_journal(state: Path) -> None:
    async def work(call: InvokeAgent, delivery: int) -> Event | None:
        return failure(call.call) if call.call == "s0.1" else None

    script = Script(work=work)
    retry = RetryFacts(max_attempts=2, on=("transient",), initial_ms=30, jitter=False)
    async with opened(state, script) as host:
        done = await run(host, chain(1, retry=retry))
        names = [
            type(event).__name__
            for row in (await host.journal(done.spec.process_id, after=0, limit=100)).items
            for event in row.events
        ]
    assert done.status is Status.COMPLETED
    assert [call for call, _ in script.calls] == ["s0.1", "s0.2"]
    assert names.count("TimerFired") == 1
    assert (await verify(state)).ok


@pytest.mark.anyio
async def test_a_backoff_outlives_the_engine(state: Path) -> None:
    async def work(call: InvokeAgent, delivery: int) -> Event | None:
        return failure(call.call) if call.call == "s0.1" else None

    retry = RetryFacts(max_attempts=2, on=("transient",), initial_ms=400, jitter=False)
    async with opened(state, Script(work=work)) as host:
        started = await host.start(spec(chain(1, retry=retry)), Bodies())
        process = started.spec.process_id
        await until(host, process, lambda seen: seen.why is Why.RETRY)
    script = Script(work=work)
    async with opened(state, script) as host:
        done = await finished(host, process)
    assert done.status is Status.COMPLETED
    assert script.calls == [("s0.2", 1)]


@pytest.mark.anyio
async def test_a_cancel_stops_the_call_that_is_under_way_and_ends_the_process(state: Path) -> None:
    began = anyio.Event()

    async def work(call: InvokeAgent, delivery: int) -> Event | None:
        began.set()
        await anyio.sleep_forever()
        return None

    async with opened(state, Script(work=work)) as host:
        started = await host.start(spec(chain(2)), Bodies())
        process = started.spec.process_id
        await began.wait()
        cancel = CancelRequested(at=0, by="me", reason="changed my mind", request_id="c1")
        await host.deliver(process, cancel, Bodies(), request_id="c1", proof=None)
        done = await finished(host, process)
        again = await host.deliver(process, cancel, Bodies(), request_id="c1", proof=None)
        rows = (await host.journal(process, after=0, limit=100)).items
    assert done.status is Status.CANCELLED
    assert again.seq == done.seq
    assert any(isinstance(event, CallLost) for row in rows for event in row.events)
    assert (await verify(state)).ok


@pytest.mark.anyio
async def test_an_agent_that_says_how_its_call_ended_is_believed_when_it_is_cancelled(state: Path) -> None:
    began = anyio.Event()

    async def work(call: InvokeAgent, delivery: int) -> Event | None:
        began.set()
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()
        return failure(call.call, code="cancelled")

    async with opened(state, Script(work=work)) as host:
        started = await host.start(spec(chain(2)), Bodies())
        process = started.spec.process_id
        await began.wait()
        cancel = CancelRequested(at=0, by="me", reason="changed my mind", request_id="c1")
        await host.deliver(process, cancel, Bodies(), request_id="c1", proof=None)
        await finished(host, process)
        rows = (await host.journal(process, after=0, limit=100)).items
    ends = [event for row in rows for event in row.events if isinstance(event, CallFailed | CallLost)]
    assert [type(event) for event in ends] == [CallFailed]


@pytest.mark.anyio
async def test_a_performer_that_breaks_in_a_call_leaves_the_call_lost(state: Path) -> None:
    async def work(call: InvokeAgent, delivery: int) -> Event | None:
        raise ZeroDivisionError

    async with opened(state, Script(work=work)) as host:
        started = await host.start(spec(chain(1, effect=Effect.WRITE)), Bodies())
        waiting = await until(host, started.spec.process_id, lambda seen: seen.status is Status.WAITING_HUMAN)
        healthy = await host.processes(ProcessQuery())
    question = waiting.escalations[first_open(waiting)]
    assert question.kind == "outcome_unknown"
    assert waiting.units["s0"].failure is not None
    assert waiting.units["s0"].failure.outcome is Outcome.UNKNOWN
    assert len(healthy.items) == 1


@pytest.mark.anyio
async def test_a_fault_of_the_performer_sets_one_process_aside_and_no_other(state: Path) -> None:
    async with opened(state, Script(breaks_at="s0.1")) as host:
        with pytest.raises(EngineError, match="is set aside"):
            await host.start(spec(chain(1)), Bodies())
        assert not (await host.processes(ProcessQuery())).items
    async with opened(state, Script(breaks_at="s2.1")) as host:
        broken = await host.start(spec(chain(3)), Bodies())
        assert (await run(host, chain(2))).status is Status.COMPLETED
        process = broken.spec.process_id
        stuck = await until(host, process, lambda seen: seen.steps_done == 1)
    async with opened(state) as host:
        assert (await finished(host, process)).status is Status.COMPLETED
    assert stuck.units["s1"].output is None
    assert (await verify(state)).ok


@pytest.mark.anyio
async def test_a_turn_that_has_no_stored_form_sets_one_process_aside_and_no_other(state: Path) -> None:
    async def work(call: InvokeAgent, delivery: int) -> Event | None:
        return failure(call.call, code="half a pair: \ud800")

    async with opened(state, Script(work=work)) as host:
        broken = await host.start(spec(chain(1)), Bodies())
        done = await host.start(spec(chain(0)), Bodies())
        assert (await finished(host, done.spec.process_id)).status is Status.COMPLETED
        process = broken.spec.process_id
    async with opened(state) as host:
        assert (await finished(host, process)).status is Status.COMPLETED
    assert (await verify(state)).ok


@pytest.mark.anyio
async def test_words_that_have_no_stored_form_are_refused_and_harm_no_process(state: Path) -> None:
    async with opened(state, Script(gate=ASKS_FIRST)) as host:
        with pytest.raises(RefusedError) as refused:
            await host.start(replace(spec(chain(1)), label="half a pair: \ud800"), Bodies())
        assert refused.value.code == "BAD_ARGUMENT"
        waiting = await asking(host)
        process = waiting.spec.process_id
        said = replace(resolution(first_open(waiting), Decision.REJECT), note="half a pair: \ud800")
        with pytest.raises(RefusedError) as refused:
            await host.deliver(process, said, Bodies(), request_id="r1", proof=None)
        assert refused.value.code == "BAD_ARGUMENT"
        await host.deliver(process, replace(said, note="whole"), Bodies(), request_id="r2", proof=None)
        assert (await finished(host, process)).status is Status.FAILED


@pytest.mark.anyio
async def test_a_call_that_is_free_and_harmless_leaves_the_same_journal_in_the_same_order(state: Path) -> None:
    script = Script()
    async with opened(state, script) as host:
        done = await run(host, chain(5, free=True))
        rows = (await host.journal(done.spec.process_id, after=0, limit=100)).items
    assert [call for call, _ in script.calls] == [f"s{number}.1" for number in range(5)]
    assert [row.seq for row in rows] == [2, 4, 6, 8, 10, 12]
    assert (await verify(state)).ok


@pytest.mark.anyio
async def test_a_call_that_does_not_end_when_it_is_cancelled_is_lost_after_the_kill_grace(state: Path) -> None:
    began, release = anyio.Event(), anyio.Event()

    async def work(call: InvokeAgent, delivery: int) -> Event | None:
        began.set()
        with anyio.CancelScope(shield=True):
            await release.wait()
        return None

    async with opened(state, Script(work=work), clock=HurriedClock(100)) as host:
        started = await host.start(spec(chain(2)), Bodies())
        process = started.spec.process_id
        await began.wait()
        cancel = CancelRequested(at=0, by="me", reason="changed my mind", request_id="c1")
        await host.deliver(process, cancel, Bodies(), request_id="c1", proof=None)
        done = await finished(host, process)
        release.set()
        late = await host.wait(process, since=done.seq, timeout_s=30)
    assert done.status is late.status is Status.CANCELLED
    assert late.seq == done.seq + 1, "the late answer is journaled, and stale"
    assert (await verify(state)).ok


@pytest.mark.anyio
async def test_a_body_that_is_not_there_is_named(state: Path) -> None:
    async with opened(state) as host:
        await run(host, chain(1))
        with pytest.raises(StorageError, match="f" * 64):
            await host.body(Ref(sha256="f" * 64, bytes=1))
        with pytest.raises(StorageError, match="f" * 64):
            await host.definition("f" * 64)


@pytest.mark.anyio
async def test_bodies_and_definitions_are_read_by_the_next_engine(state: Path) -> None:
    pinned = DefinitionBody(sha256="9" * 64, kind="contract", name="work.do", version="1.0.0", data=b"{}")
    given = body("[1,2,3]")
    async with opened(state) as host:
        await host.start(spec(chain(1)), Bodies(artifacts=(given,), definitions=(pinned,)))
        assert await host.body(given.ref) == b"[1,2,3]"
    async with opened(state) as host:
        assert await host.body(given.ref) == b"[1,2,3]"
        assert await host.definition("9" * 64) == pinned


@pytest.mark.anyio
async def test_listings_page_and_filter(state: Path) -> None:
    async with opened(state, Script(gate=ASKS_FIRST)) as host:
        waiting = [await asking(host) for _ in range(5)]
        ids = {state.spec.process_id for state in waiting}
        first = await host.processes(ProcessQuery(limit=2))
        second = await host.processes(ProcessQuery(limit=2, cursor=first.next))
        third = await host.processes(ProcessQuery(limit=2, cursor=second.next))
        seen = [row.process_id for page in (first, second, third) for row in page.items]
        assert set(seen) == ids
        assert len(seen) == 5
        assert third.next is None
        assert [row.created_at for row in (*first.items, *second.items, *third.items)] == sorted(
            (state.created_at for state in waiting), reverse=True
        )
        assert not (await host.processes(ProcessQuery(status="completed"))).items
        assert len((await host.processes(ProcessQuery(prefix=seen[0][:12]))).items) == 1
        with pytest.raises(RefusedError, match="BAD_ARGUMENT"):
            await host.processes(ProcessQuery(cursor="yesterday"))

        questions = await host.escalations(EscalationQuery(limit=3))
        rest = await host.escalations(EscalationQuery(limit=3, cursor=questions.next))
        assert len({row.escalation_id for row in (*questions.items, *rest.items)}) == 5
        assert rest.next is None
        one = waiting[0]
        event = resolution(first_open(one), Decision.REJECT)
        await host.deliver(one.spec.process_id, event, Bodies(), request_id="r1", proof=None)
        assert len((await host.escalations(EscalationQuery())).items) == 4
        assert [row.process_id for row in (await host.escalations(EscalationQuery(status="resolved"))).items] == [
            one.spec.process_id
        ]
        everything = await host.escalations(EscalationQuery(status="all", limit=100))
        assert [row.status for row in everything.items][-1] == "resolved"


@pytest.mark.anyio
async def test_more_processes_than_there_are_places_queue_and_all_are_driven(state: Path) -> None:
    release, busy = anyio.Event(), 0

    async def work(call: InvokeAgent, delivery: int) -> Event | None:
        nonlocal busy
        busy += 1
        await release.wait()
        return None

    async with opened(state, Script(work=work)) as host:
        started = [await host.start(spec(chain(1), request=str(number)), Bodies()) for number in range(130)]
        with anyio.fail_after(30):
            while busy < 100:
                await anyio.sleep(0.01)
        queued = [each for each in started if (await host.state(each.spec.process_id)).status is Status.QUEUED]
        assert len(queued) == 30
        assert {(await host.state(each.spec.process_id)).why for each in queued} == {Why.QUEUE}
        assert busy == 100
        release.set()
        for each in started:
            assert (await finished(host, each.spec.process_id)).status is Status.COMPLETED
    assert busy == 130
    assert (await verify(state)).ok


@pytest.mark.anyio
async def test_an_error_in_the_callers_body_comes_out_as_it_went_in(state: Path) -> None:
    with pytest.raises(RefusedError, match="UNKNOWN_PROCESS"):
        async with opened(state) as host:
            await host.state("p_nobody")
