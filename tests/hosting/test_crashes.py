"""kill -9 at moments that nobody chose: nothing acknowledged is lost, no key is used by two effects of one step."""

import random
from collections import Counter
from pathlib import Path

import anyio
import pytest

from hosting.programs import first_line, kill, program
from hosting.scripted import Script, chain, failure, finished, opened, spec, until
from process_orchestrator.core.facts.commands import InvokeAgent
from process_orchestrator.core.facts.events import CallLost, EngineResumed, Event
from process_orchestrator.core.facts.values import Effect, Idempotency, Status
from process_orchestrator.core.limits import Limits
from process_orchestrator.core.ports import Bodies, ProcessQuery
from process_orchestrator.hosting.verification import verify

PROCESSES, STEPS = 12, 4


def effects(state: Path) -> Counter[str]:
    log = state.parent / "effects.log"
    return Counter(line.split()[0] for line in log.read_text().splitlines()) if log.exists() else Counter()


@pytest.mark.behaviour("P1")
@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(6))
async def test_an_engine_killed_amid_its_work_loses_nothing_that_it_acknowledged(state: Path, seed: int) -> None:
    moment = random.Random(seed).randrange(1, PROCESSES)
    with program(state, "start", str(PROCESSES), str(STEPS)) as engine:
        assert first_line(engine) == "ready"
        acknowledged = [first_line(engine) for _ in range(moment)]
        kill(engine)
    async with opened(state, Script()) as host:
        for process in acknowledged:
            assert (await finished(host, process)).status is Status.COMPLETED
        for row in (await host.processes(ProcessQuery(limit=100))).items:
            assert (await finished(host, row.process_id)).status is Status.COMPLETED
    report = await verify(state)
    assert report.ok, report.first_bad
    made = effects(state)
    assert all(key.endswith("/g1") for key in made), "no outcome was settled, so no key may have changed"
    assert all(count == 1 for count in made.values()), "the killed engine itself calls each key once"


@pytest.mark.anyio
async def test_an_engine_killed_again_and_again_comes_to_the_same_end(state: Path) -> None:
    draw = random.Random(20261122)
    for _ in range(5):
        with program(state, "start", str(PROCESSES), str(STEPS)) as engine:
            assert first_line(engine) == "ready"
            for _ in range(draw.randrange(0, PROCESSES)):
                first_line(engine)
            kill(engine)
    async with opened(state) as host:
        for row in (await host.processes(ProcessQuery(limit=100))).items:
            assert (await finished(host, row.process_id)).status is Status.COMPLETED
    assert (await verify(state)).ok
    assert len({key.split("/")[0] for key in effects(state)}) <= PROCESSES


async def interrupted(state: Path, *, effect: Effect, idempotency: Idempotency, limits: Limits | None = None) -> str:
    """A process whose engine left in the middle of its call."""
    began = anyio.Event()

    async def work(call: InvokeAgent, delivery: int) -> Event | None:
        began.set()
        await anyio.sleep_forever()
        return None

    async with opened(state, Script(work=work)) as host:
        plan = chain(1, effect=effect, idempotency=idempotency)
        started = await host.start(spec(plan, key="k", limits=limits), Bodies())
        await began.wait()
        return started.spec.process_id


@pytest.mark.behaviour("P2-once")
@pytest.mark.anyio
async def test_a_call_that_may_be_repeated_is_delivered_again_under_its_key(state: Path) -> None:
    process = await interrupted(state, effect=Effect.WRITE, idempotency=Idempotency.KEYED)
    script = Script()
    async with opened(state, script) as host:
        assert (await finished(host, process)).status is Status.COMPLETED
        rows = (await host.journal(process, after=0, limit=100)).items
    assert script.calls == [("s0.1", 2)]
    assert script.keys == [f"{process}/s0/g1"]
    assert sum(isinstance(event, EngineResumed) for row in rows for event in row.events) == 1


@pytest.mark.behaviour("P2-unsafe")
@pytest.mark.anyio
async def test_a_write_that_must_not_be_repeated_is_asked_about_instead(state: Path) -> None:
    process = await interrupted(state, effect=Effect.WRITE, idempotency=Idempotency.UNSAFE)
    script = Script()
    async with opened(state, script) as host:
        waiting = await until(host, process, lambda seen: seen.status is Status.WAITING_HUMAN)
        rows = (await host.journal(process, after=0, limit=100)).items
    assert script.calls == []
    assert [question.kind for question in waiting.escalations.values()] == ["outcome_unknown"]
    assert any(isinstance(event, CallLost) for row in rows for event in row.events)
    assert (await verify(state)).ok


@pytest.mark.anyio
async def test_a_call_delivered_as_often_as_allowed_is_lost(state: Path) -> None:
    limits = Limits(deliveries=2)
    await interrupted(state, effect=Effect.READ, idempotency=Idempotency.NATURAL, limits=limits)
    process = await interrupted(state, effect=Effect.READ, idempotency=Idempotency.NATURAL, limits=limits)
    script = Script()
    async with opened(state, script) as host:
        waiting = await until(host, process, lambda seen: seen.status is Status.WAITING_HUMAN)
    assert script.calls == []
    assert waiting.units["s0"].failure is not None
    assert waiting.units["s0"].failure.code == "lost"


@pytest.mark.anyio
async def test_a_parked_process_is_folded_again_by_the_next_engine(state: Path) -> None:
    async def work(call: InvokeAgent, delivery: int) -> Event | None:
        return failure(call.call)

    async with opened(state, Script(work=work)) as host:
        started = await host.start(spec(chain(1)), Bodies())
        parked = await until(host, started.spec.process_id, lambda seen: seen.status is Status.WAITING_HUMAN)
    async with opened(state) as host:
        assert await host.state(started.spec.process_id) == parked
        rows = (await host.journal(started.spec.process_id, after=0, limit=100)).items
    assert not any(isinstance(event, EngineResumed) for row in rows for event in row.events)


@pytest.mark.anyio
async def test_a_new_engine_takes_up_no_more_processes_than_it_has_places(state: Path) -> None:
    async def hang(call: InvokeAgent, delivery: int) -> Event | None:
        await anyio.sleep_forever()
        return None

    async with opened(state, Script(work=hang)) as host:
        started = [(await host.start(spec(chain(1)), Bodies())).spec.process_id for _ in range(10)]
        for process in started:
            await until(host, process, lambda seen: bool(seen.live_calls))
    script = Script(work=hang)
    async with opened(state, script, places=3) as host:
        with anyio.fail_after(30):
            while len(script.calls) < 3:
                await anyio.sleep(0.01)
        last = await host.start(spec(chain(0), key="last in the queue"), Bodies())
        taken_up = [len((await host.journal(process, after=0, limit=100)).items) for process in started]
    async with opened(state, places=3) as host:
        for process in (*started, last.spec.process_id):
            assert (await finished(host, process)).status is Status.COMPLETED
    assert sorted(taken_up) == [1] * 7 + [2] * 3, "only who had a place was resumed"
    assert (await verify(state)).ok
