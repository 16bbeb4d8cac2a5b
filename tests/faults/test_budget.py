"""A cap of 1.00 USD, twenty paid calls beside each other, five kill -9: what is spent never passes it."""

import random
import time
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from faults import spending
from faults.spending import BESIDE, CAP_USD_MICROS, RESERVE_USD_MICROS, agent, bill_of, billed, deliveries
from hosting.programs import first_line, kill, program
from hosting.scripted import opened, resolution, until
from process_orchestrator.conformance import violations
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.facts.values import Decision, EscalationKind, Phase, Status, Why
from process_orchestrator.core.ports import Bodies, Host, ProcessQuery
from process_orchestrator.hosting.verification import verify

KILLS = 5
RAISE_USD_MICROS = 2_000_000
LOOK_S, MOMENT_S = 0.002, 1.5


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


def kill_amid_calls(state: Path, *, more: int) -> None:
    """Let an engine drive until the agent was called `more` times, or for a moment where it waits, and kill it."""
    before = deliveries(state)
    with program(state, runs=Path(spending.__file__)) as engine:
        assert first_line(engine) == "started"
        latest = time.monotonic() + MOMENT_S  # nothing more happens where the process waits for money
        while deliveries(state) < before + more and time.monotonic() < latest:
            time.sleep(LOOK_S)
        kill(engine)


async def the_one(host: Host) -> Process:
    [row] = (await host.processes(ProcessQuery(limit=10))).items
    return await host.state(row.process_id)


async def broken_rules(host: Host, process: Process) -> list[str]:
    rows = (await host.journal(process.spec.process_id, after=0, limit=100_000)).items
    return [str(found) for found in violations([event for row in rows for event in row.events])]


def assert_under_the_cap(state: Path, process: Process, cap: int = CAP_USD_MICROS) -> None:
    assert process.usd_micros + process.reserved_usd_micros <= cap
    assert sum(billed(state).values()) <= cap, "the agent itself has billed more than the cap"


@pytest.mark.slow
@pytest.mark.behaviour("cap")
@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(3))
async def test_a_cap_holds_with_twenty_parallel_calls_and_across_five_kills(state: Path, seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(KILLS):
        await anyio.to_thread.run_sync(lambda: kill_amid_calls(state, more=draw.randrange(BESIDE // 4, BESIDE)))
        async with opened(state, agent(state), mode="read") as reader:
            assert_under_the_cap(state, await the_one(reader))
    async with opened(state, agent(state)) as host:
        name = (await the_one(host)).spec.process_id
        waiting = await until(host, name, lambda process: process.status is Status.WAITING_HUMAN)
        assert (waiting.why, waiting.reserved_usd_micros) == (Why.BUDGET, 0)
        assert_under_the_cap(state, waiting)
        assert waiting.usd_micros + RESERVE_USD_MICROS > CAP_USD_MICROS, "it asks only once the money is short"
        assert waiting.usd_micros == sum(billed(state).values())
        [question] = [each for each in waiting.escalations.values() if each.open]
        assert (question.kind, question.unit) == (EscalationKind.BUDGET, waiting.budget_waiting[0])

        answer = replace(resolution(question.id, Decision.RAISE_BUDGET), usd_micros=RAISE_USD_MICROS)
        await host.deliver(name, answer, Bodies(), request_id=answer.request_id, proof=None)
        done = await until(host, name, lambda process: process.finished)
        assert await broken_rules(host, done) == []
    assert done.status is Status.COMPLETED
    assert {unit.phase for unit in done.units.values()} == {Phase.DONE}
    assert_under_the_cap(state, done, CAP_USD_MICROS + RAISE_USD_MICROS)
    assert billed(state) == {key: bill_of(key) for key in billed(state)}
    assert (len(billed(state)), done.usd_micros) == (len(done.units), sum(billed(state).values()))
    assert (await verify(state)).ok
    print(f"seed {seed}: {deliveries(state)} deliveries of {len(billed(state))} calls, {done.usd_micros} micro-dollars")
