"""What stands between door and engine: no caller, and no door, can make nonsense of it for the others."""

import hashlib
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from hosting.scripted import Script, chain, opened, run, spec
from process_orchestrator.core.errors import EngineError, RefusedError
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.facts.values import Ref, Status
from process_orchestrator.core.ports import Bodies, Body, ProcessQuery
from process_orchestrator.hosting.engine_address import connect, find_address
from process_orchestrator.hosting.engine_socket import serve_doors
from process_orchestrator.hosting.folding import CORE
from process_orchestrator.hosting.journal import JournalReader
from process_orchestrator.hosting.journal_host import ReadOnlyHost
from process_orchestrator.hosting.remote_host import remote_host
from process_orchestrator.hosting.stored_artifacts import StoredArtifacts
from process_orchestrator.hosting.wire import FRAME_BYTES_MAX, EngineHealth, Hello, frame

MORE_THAN_A_SOCKET_HOLDS = 8_000_000


def large() -> Bodies:
    data = b'"' + b"x" * MORE_THAN_A_SOCKET_HOLDS + b'"'
    return Bodies(artifacts=(Body(ref=Ref(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data)), data=data),))


@pytest.mark.anyio
@pytest.mark.parametrize("moment", range(1, 6))
async def test_a_caller_that_gives_up_while_its_request_is_sent_disturbs_no_later_one(state: Path, moment: int) -> None:
    async with opened(state, Script()) as engine, opened(state) as door:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(door.start, spec(chain(1), key="given up"), large())
            for _ in range(moment):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        assert (await run(door, chain(1))).status is Status.COMPLETED
        again = await door.start(spec(chain(1), key="given up"), large())
        assert again.spec == (await engine.state(again.spec.process_id)).spec


@pytest.mark.anyio
@pytest.mark.parametrize("nonsense", [b"\0\0\0\1\x2a", b"\xff" * 64, frame(Hello())], ids=["number", "length", "hello"])
async def test_a_door_that_speaks_nonsense_is_hung_up_on_and_the_others_are_served(
    state: Path, nonsense: bytes
) -> None:
    async with opened(state, Script()) as engine, opened(state) as door:
        address = find_address(state)
        assert address is not None
        async with await connect(address) as stranger:
            await stranger.send(frame(Hello(token=address.token)) + nonsense)
            with anyio.fail_after(5), suppress(anyio.BrokenResourceError):
                assert [said async for said in stranger], "the engine had greeted, and then hung up"
        assert (await run(door, chain(1))).status is Status.COMPLETED
        assert (await run(engine, chain(1))).status is Status.COMPLETED


class FaultyHost(ReadOnlyHost):
    """A host with a fault that nobody foresaw."""

    async def state(self, process_id: str) -> Process:
        raise RuntimeError(process_id)


@pytest.mark.anyio
async def test_a_fault_that_one_request_meets_is_an_answer_and_not_the_end_of_the_engine(state: Path) -> None:
    async with JournalReader(state) as reader:
        host = FaultyHost(reader, StoredArtifacts(reader), CORE)
        async with serve_doors(state, host, lambda: EngineHealth(pid=1, rows=0, head="")):
            async with remote_host(state) as door:
                with pytest.raises(EngineError) as error:
                    await door.state("p_any")
                assert error.value.code == "ENGINE_UNAVAILABLE"
                assert not (await door.processes(ProcessQuery())).items
            await anyio.wait_all_tasks_blocked()  # anyio trips over a socket that is left and closed at once


@pytest.mark.anyio
async def test_a_request_that_no_message_can_hold_is_refused_before_it_is_sent(state: Path) -> None:
    data = b"x" * (FRAME_BYTES_MAX + 1)
    too_large = Bodies(artifacts=(Body(ref=Ref(sha256="0" * 64, bytes=len(data)), data=data),))
    async with opened(state, Script()), opened(state) as door:
        with pytest.raises(RefusedError) as error:
            await door.start(spec(chain(1)), too_large)
        assert error.value.code == "TOO_LARGE"
        assert (await run(door, chain(1))).status is Status.COMPLETED
