"""Many programs at one state folder: one engine, the others its doors; one of them takes over."""

import os
import signal
import time
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from hosting.programs import first_line, kill, lines, program
from hosting.scripted import Script, chain, finished, opened, resolution, run, spec, until
from process_orchestrator.core.errors import EngineError, RefusedError
from process_orchestrator.core.facts.specs import Gate
from process_orchestrator.core.facts.values import Assurance, Decision, Status, Why
from process_orchestrator.core.ports import Bodies, EscalationQuery, ProcessQuery
from process_orchestrator.hosting import remote_host, switching_host, wire
from process_orchestrator.hosting.engine_socket import serve_doors
from process_orchestrator.hosting.folding import CORE
from process_orchestrator.hosting.journal import JournalReader
from process_orchestrator.hosting.journal_host import ReadOnlyHost
from process_orchestrator.hosting.lock import try_lock
from process_orchestrator.hosting.stored_artifacts import StoredArtifacts
from process_orchestrator.hosting.verification import verify
from process_orchestrator.hosting.wire import EngineHealth

ASKS_FIRST = Gate(role="approver", min_assurance=Assurance.A0)


@pytest.mark.anyio
async def test_a_door_offers_all_that_the_engine_offers(state: Path) -> None:
    script = Script(gate=ASKS_FIRST)
    async with opened(state, script) as engine, opened(state) as door:
        started = await door.start(spec(chain(1), key="k"), Bodies())
        process = started.spec.process_id
        waiting = await until(door, process, lambda seen: seen.status is Status.WAITING_HUMAN)
        assert waiting == await engine.state(process)
        (question,) = (await door.escalations(EscalationQuery())).items
        with pytest.raises(RefusedError) as refused:
            await door.deliver(
                process, resolution(question.escalation_id, Decision.SKIP), Bodies(), request_id="r0", proof=None
            )
        assert refused.value.code == "DECISION_NOT_ALLOWED"
        assert refused.value.record == waiting.escalations[question.escalation_id]
        event = resolution(question.escalation_id, Decision.APPROVE)
        await door.deliver(process, event, Bodies(), request_id="r1", proof=None)
        done = await finished(door, process)
        assert done == await engine.state(process)
        assert await door.journal(process, after=0, limit=9) == await engine.journal(process, after=0, limit=9)
        assert await door.processes(ProcessQuery()) == await engine.processes(ProcessQuery())
        assert done.output is not None
        assert await door.body(done.output) == await engine.body(done.output)
        assert (await door.start(spec(chain(1), key="k"), Bodies())).spec.process_id == process
    assert script.calls == [("s0.1", 1)]


@pytest.mark.anyio
async def test_a_door_refuses_words_that_cannot_travel_and_stays_open(state: Path) -> None:
    async with opened(state), opened(state) as door:
        with pytest.raises(RefusedError) as refused:
            await door.start(replace(spec(chain(1)), label="half a pair: \ud800"), Bodies())
        assert refused.value.code == "BAD_ARGUMENT"
        assert (await run(door, chain(1))).status is Status.COMPLETED


@pytest.mark.behaviour("P6-takeover")
@pytest.mark.anyio
async def test_a_door_becomes_the_engine_when_the_engine_is_killed_and_the_process_goes_on(state: Path) -> None:
    with program(state, "serve") as engine:
        assert first_line(engine) == "ready"
        async with opened(state) as host:
            before = await run(host, chain(2))
            assert before.status is Status.COMPLETED
            kill(engine)
            killed_at = time.monotonic()
            after = await run(host, chain(2))
            took_s = time.monotonic() - killed_at
            assert after.status is Status.COMPLETED
            assert took_s < 3
            assert try_lock(state) is None
            assert (await host.state(before.spec.process_id)).status is Status.COMPLETED
    assert (await verify(state)).ok


@pytest.mark.anyio
async def test_ten_doors_lose_nothing_when_their_engine_is_killed(state: Path) -> None:
    count = 30
    with anyio.fail_after(120):
        with program(state, "serve") as engine:
            assert first_line(engine) == "ready"
            doors = [program(state, "door", str(count)) for _ in range(10)]
            running = [door.__enter__() for door in doors]
            try:
                for door in running:
                    assert first_line(door) == "ready"
                kill(engine)
                said = [await anyio.to_thread.run_sync(list, lines(door)) for door in running]
            finally:
                for door in doors:
                    door.__exit__(None, None, None)
    for ended in said:
        assert len(ended) == count
        assert {line.split()[1] for line in ended} == {"completed"}
    report = await verify(state)
    assert report.ok, report.first_bad


@pytest.mark.behaviour("P6-one")
@pytest.mark.anyio
@pytest.mark.skipif(os.name != "posix", reason="a program can be stopped by a signal only on POSIX")
async def test_a_stopped_engine_is_never_joined_by_a_second_one(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_host, "ANSWER_S", 0.5)
    with program(state, "serve") as engine:
        assert first_line(engine) == "ready"
        async with opened(state) as host:
            await run(host, chain(1))
            engine.send_signal(signal.SIGSTOP)
            with pytest.raises(EngineError) as error:
                await host.start(spec(chain(1)), Bodies())
            assert error.value.code == "ENGINE_UNAVAILABLE"
            assert try_lock(state) is None
            engine.send_signal(signal.SIGCONT)
            assert (await run(host, chain(1))).status is Status.COMPLETED
    assert (await verify(state)).ok


@pytest.mark.anyio
async def test_an_engine_of_another_protocol_is_named_with_what_to_do(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = try_lock(state)
    assert lock is not None
    async with JournalReader(state) as reader:
        old = ReadOnlyHost(reader, StoredArtifacts(reader), CORE)
        async with serve_doors(state, old, lambda: EngineHealth(pid=1, rows=0, head="")):
            monkeypatch.setattr(remote_host, "PROTOCOL", wire.PROTOCOL + 1)
            monkeypatch.setattr(remote_host, "__version__", "0.4.0")
            with pytest.raises(EngineError) as error:
                async with opened(state):
                    pass
    lock.close()
    assert error.value.code == "ENGINE_VERSION"
    assert str(error.value) == (
        f"ENGINE_VERSION: engine 0.1.0 (pid {os.getpid()}) holds this home, this is 0.4.0. "
        "Do: quit the assistant fully, or use the 0.1.0 command."
    )


@pytest.mark.anyio
async def test_a_lock_held_without_an_engine_is_reported_as_unavailable(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switching_host, "ANSWER_S", 0.5)
    lock = try_lock(state)
    assert lock is not None
    with pytest.raises(EngineError) as error:
        async with opened(state):
            pass
    lock.close()
    assert error.value.code == "ENGINE_UNAVAILABLE"


@pytest.mark.anyio
async def test_a_program_that_only_writes_commits_and_leaves_the_driving_to_the_next_engine(state: Path) -> None:
    script = Script()
    async with opened(state, script, mode="write") as host:
        written = await host.start(spec(chain(1)), Bodies())
        process = written.spec.process_id
        assert written.status is Status.QUEUED
        assert written.why is Why.QUEUE
    assert script.calls == []
    async with opened(state, script) as host:
        assert (await finished(host, process)).status is Status.COMPLETED
    assert script.calls == [("s0.1", 1)]


@pytest.mark.anyio
async def test_a_resolution_written_without_an_engine_is_carried_out_by_the_next_one(state: Path) -> None:
    async with opened(state, Script(gate=ASKS_FIRST)) as host:
        started = await host.start(spec(chain(1)), Bodies())
        process = started.spec.process_id
        waiting = await until(host, process, lambda seen: seen.status is Status.WAITING_HUMAN)
    event = resolution(next(iter(waiting.escalations)), Decision.APPROVE)
    async with opened(state, mode="write") as host:
        await host.deliver(process, event, Bodies(), request_id="r1", proof=None)
    script = Script()
    async with opened(state, script) as host:
        assert (await finished(host, process)).status is Status.COMPLETED
    assert len(script.calls) == 1
    assert (await verify(state)).ok


@pytest.mark.anyio
async def test_a_reader_needs_no_engine_and_sees_one_at_work(state: Path) -> None:
    async with opened(state, mode="read") as reader:
        assert not (await reader.processes(ProcessQuery())).items
        with pytest.raises(RefusedError, match="UNKNOWN_PROCESS"):
            await reader.state("p_nobody")
        with pytest.raises(EngineError):
            await reader.start(spec(chain(1)), Bodies())
        async with opened(state) as host:
            started = await host.start(spec(chain(2)), Bodies())
            seen = await finished(reader, started.spec.process_id)
            assert seen == await host.state(started.spec.process_id)
        assert (await reader.processes(ProcessQuery())).items[0].status == "completed"


@pytest.mark.anyio
async def test_a_state_folder_with_a_long_path_is_reached_through_a_private_folder(tmp_path: Path) -> None:
    state = tmp_path.joinpath(*["a folder with a long name"] * 5)
    state.mkdir(parents=True)
    async with opened(state), opened(state) as door:
        assert (state / "engine.addr").exists()
        assert not (state / "engine.sock").exists()
        assert (await run(door, chain(1))).status is Status.COMPLETED
    assert not (state / "engine.addr").exists()


@pytest.mark.anyio
@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
async def test_what_lies_in_the_state_folder_is_for_its_owner_alone(state: Path) -> None:
    async with opened(state) as host:
        await run(host, chain(1))
        modes = {path.name: path.stat().st_mode & 0o077 for path in state.iterdir()}
    assert {"orchestrator.db", "chain.key", "home.key", "engine.lock", "engine.sock"} <= set(modes)
    assert {name: mode for name, mode in modes.items() if mode} == {}
