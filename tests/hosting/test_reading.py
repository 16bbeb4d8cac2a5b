"""Reads that are asked for at once: each gets its own answer, whatever becomes of the others."""

import threading
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from hosting.scripted import opened
from process_orchestrator.core.errors import StorageError
from process_orchestrator.hosting.journal import JournalReader
from process_orchestrator.hosting.journal_view import JournalView


def broken(_view: JournalView) -> int:
    raise LookupError("its own")


@pytest.mark.anyio
async def test_reads_that_wait_for_one_another_each_get_their_own_answer(state: Path) -> None:
    async with opened(state):
        pass
    answers: list[int] = []
    release = threading.Event()

    async def ask(number: int) -> None:
        answers.append(await reader.read(lambda _: number, empty=-1))

    async def ask_in_vain() -> None:
        with pytest.raises(LookupError, match="its own"):
            await reader.read(broken, empty=-1)

    async with JournalReader(state) as reader:
        assert await reader.read(lambda view: view.meta("none"), empty="") is None
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: reader.read(lambda _: release.wait(30), empty=False))
            leaving = anyio.CancelScope()

            async def leave() -> None:
                with leaving:
                    answers.append(await reader.read(lambda _: 99, empty=-1))

            for asks in (lambda: ask(1), ask_in_vain, leave, lambda: ask(2)):
                group.start_soon(asks)
            await anyio.lowlevel.checkpoint()
            leaving.cancel()
            release.set()
    assert answers == [1, 2]


@pytest.mark.anyio
async def test_a_read_of_a_closed_journal_is_refused_and_does_not_wait(state: Path) -> None:
    async with opened(state):
        pass
    async with JournalReader(state) as reader:
        await reader.read(lambda view: view.meta("none"), empty=None)
    with anyio.fail_after(10), pytest.raises(StorageError, match="closed"):
        await reader.read(lambda view: view.meta("none"), empty=None)
