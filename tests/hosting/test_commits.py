"""Where groups are committed: on the event loop while the disk is quick, else in a thread; in the order of the turns."""

import asyncio
import contextlib
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Self

import anyio
import pytest

from process_orchestrator.core.errors import StorageError
from process_orchestrator.core.facts.values import Ref
from process_orchestrator.core.ports import Body
from process_orchestrator.hosting.commits import HERE_MAX, QUICK_S, Commits
from process_orchestrator.hosting.database_file import DATABASE_FILE
from process_orchestrator.hosting.writer import Lane, Outcome, TurnWrite, Write, Writer

HERE = threading.get_ident()
TENANT: ContextVar[str] = ContextVar("tenant")


class SeenWriter(Writer):
    """The real writer, which notes in which thread each group was written, and waits where it is told to."""

    def __init__(self, state: Path) -> None:
        super().__init__(state)
        self.threads: list[int] = []
        self.sizes: list[int] = []
        self.interrupted = False
        self.always_quick = False  # whatever is measured on a busy machine
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def _write_turns(self, turns: Sequence[TurnWrite]) -> tuple[int, bytes]:
        if self.interrupted:
            self.interrupted = False
            raise KeyboardInterrupt  # Ctrl-C, in the middle of a transaction
        return super()._write_turns(turns)

    def waits_for_others(self, seconds: float) -> None:
        self._connection.execute(f"PRAGMA busy_timeout={round(seconds * 1000)}")

    def commit(self, group: Sequence[Write], *, last: bool = False) -> Outcome:
        self.threads.append(threading.get_ident())
        self.sizes.append(len(group))
        assert self.may_go_on.wait(10)
        try:
            return super().commit(group, last=last)
        finally:
            if self.always_quick:
                self.slowest_s = 0.0


class Setting:
    """Commits of a real file in `state`, whose writer is seen."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self.told: list[int] = []
        self._heard = anyio.Event()

    async def __aenter__(self) -> Self:
        self.writer = SeenWriter(self._state)
        self.commits = Commits(self.writer, asyncio.get_running_loop(), self._finish)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.commits.close()
        await anyio.to_thread.run_sync(self.commits.join)
        await anyio.lowlevel.checkpoint()  # the outcomes that the thread told last

    def _finish(self, outcome: Outcome) -> None:
        for write in outcome.settled:
            write.done(write.error)

    def quick(self) -> None:
        self.writer.slowest_s = 0.0

    def slow(self) -> None:
        self.writer.slowest_s = 1000 * QUICK_S

    def put(
        self,
        *numbers: int,
        patient: bool = False,
        artifacts: Sequence[Body] = (),
        heard: Callable[[], None] = lambda: None,
    ) -> None:
        for number in numbers:
            done = partial(self._done, number, heard)
            self.commits.put(
                TurnWrite(
                    lane=Lane(),
                    process="p",
                    seq=number,
                    at=1,
                    turn=b"{}",
                    done=done,
                    patient=patient,
                    artifacts=artifacts,
                )
            )

    def _done(self, number: int, heard: Callable[[], None], error: StorageError | None) -> None:
        assert error is None
        heard()
        self.told.append(number)
        self._heard.set()

    async def hear(self, count: int) -> None:
        with anyio.fail_after(10):
            while len(self.told) < count:
                self._heard = anyio.Event()
                await self._heard.wait()


@contextlib.contextmanager
def locked(state: Path, writer: SeenWriter) -> Generator[None]:
    """Another program has begun to write the file, and does not end; the writer waits for it only shortly."""
    writer.waits_for_others(0.2)
    with contextlib.closing(sqlite3.connect(state / DATABASE_FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path


@pytest.mark.anyio
async def test_a_disk_that_is_not_known_yet_is_written_by_the_thread(state: Path) -> None:
    async with Setting(state) as setting:
        setting.put(1)
        await setting.hear(1)
        assert HERE not in setting.writer.threads


@pytest.mark.anyio
async def test_a_quick_disk_is_written_on_the_event_loop_all_that_waits_at_once(state: Path) -> None:
    async with Setting(state) as setting:
        setting.quick()
        setting.put(*range(1, 6))
        assert setting.told == []
        await setting.hear(5)
        assert setting.writer.threads == [HERE]
        assert setting.writer.sizes == [5]
        assert setting.told == [1, 2, 3, 4, 5]


@pytest.mark.anyio
async def test_a_slow_disk_does_not_hold_up_the_event_loop(state: Path) -> None:
    async with Setting(state) as setting:
        setting.slow()
        setting.writer.may_go_on.clear()
        setting.put(1)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        setting.put(2)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        assert setting.told == []
        setting.writer.may_go_on.set()
        await setting.hear(2)
        assert HERE not in setting.writer.threads
        assert setting.told == [1, 2]


@pytest.mark.anyio
async def test_once_the_disk_is_quick_what_comes_is_written_on_the_event_loop_after_what_the_thread_has(
    state: Path,
) -> None:
    """A steady stream must not stay with the thread only because the thread always has something."""
    async with Setting(state) as setting:
        setting.slow()
        setting.writer.may_go_on.clear()
        setting.put(1)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        setting.quick()
        setting.writer.always_quick = True
        setting.put(2, 3)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        assert setting.told == []
        setting.writer.may_go_on.set()
        await setting.hear(3)
        assert setting.told == [1, 2, 3]
        assert setting.writer.threads[-1] == HERE
        assert setting.writer.sizes == [1, 2]


@pytest.mark.anyio
async def test_a_slow_sync_is_forgotten_after_many_quick_ones(state: Path) -> None:
    async with Setting(state) as setting:
        setting.slow()
        number = 0
        with anyio.fail_after(30):
            while HERE not in setting.writer.threads:
                number += 1
                setting.put(number)
                await setting.hear(number)
        assert number > 20


@pytest.mark.anyio
async def test_the_event_loop_commits_a_bounded_number_at_once(state: Path) -> None:
    async with Setting(state) as setting:
        setting.quick()
        setting.put(*range(1, 2 * HERE_MAX + 2))
        await setting.hear(2 * HERE_MAX + 1)
        here = [
            size for thread, size in zip(setting.writer.threads, setting.writer.sizes, strict=True) if thread == HERE
        ]
        assert max(here) == HERE_MAX
        assert setting.told == sorted(setting.told)


@pytest.mark.anyio
async def test_the_log_is_folded_into_the_file_in_the_thread_alone(state: Path) -> None:
    folded: list[int] = []
    async with Setting(state) as setting:
        fold = setting.writer.checkpoint
        setting.writer.checkpoint = lambda: (folded.append(threading.get_ident()), fold())[1]  # type: ignore[method-assign]
        number = 0
        with anyio.fail_after(30):
            while not folded:
                setting.quick()
                setting.put(*range(number + 1, number + 51))
                number += 50
                await setting.hear(number)
        assert HERE in setting.writer.threads
        assert HERE not in folded


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(8))
async def test_turns_are_told_in_their_order_wherever_they_are_written(state: Path, seed: int) -> None:
    draw = random.Random(seed)
    async with Setting(state) as setting:
        number = 0
        for _ in range(120):
            draw.choice((setting.quick, setting.slow))()
            count = draw.randrange(1, 12)
            setting.put(*range(number + 1, number + count + 1))
            number += count
            if draw.random() < 0.5:
                await anyio.lowlevel.checkpoint()
            else:
                await setting.hear(number)
        await setting.hear(number)
        assert setting.told == list(range(1, number + 1))
        assert {HERE} < set(setting.writer.threads)
        assert setting.writer.head[0] == number


@pytest.mark.anyio
async def test_what_waits_when_the_journal_closes_is_written_first(state: Path) -> None:
    async with Setting(state) as setting:
        setting.quick()
        setting.put(1, 2, 3)
    assert setting.told == [1, 2, 3]
    assert setting.writer.head[0] == 3


@pytest.mark.anyio
async def test_a_process_is_new_while_no_row_of_it_is_written_or_waits(state: Path) -> None:
    async with Setting(state) as setting:
        setting.quick()
        assert setting.commits.is_new("p")
        setting.put(1)
        assert not setting.commits.is_new("p")
        assert setting.commits.is_new("q")
        await setting.hear(1)
        setting.quick()  # whatever that sync took
        assert not setting.commits.is_new("p")
        assert setting.commits.is_new("q")


@pytest.mark.anyio
async def test_where_the_event_loop_may_not_wait_for_the_disk_nothing_is_surely_new(state: Path) -> None:
    async with Setting(state) as setting:
        setting.slow()
        assert not setting.commits.is_new("p")
        setting.writer.may_go_on.clear()
        setting.put(1)
        await anyio.lowlevel.checkpoint()
        setting.quick()
        assert not setting.commits.is_new("q"), "the thread has the connection"
        setting.writer.may_go_on.set()
        await setting.hear(1)


def test_a_commit_that_an_interrupt_breaks_off_is_made_again_before_any_later_one(state: Path) -> None:
    setting = Setting(state)

    async def work() -> None:
        async with setting:
            setting.quick()
            setting.writer.interrupted = True
            setting.put(1)
            try:
                await anyio.sleep_forever()
            finally:
                setting.put(2)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(work())
    assert not setting.writer.interrupted
    assert setting.told == [1, 2]
    with contextlib.closing(sqlite3.connect(state / DATABASE_FILE)) as connection:
        assert connection.execute("SELECT seq FROM journal ORDER BY id").fetchall() == [(1,), (2,)]


@pytest.mark.anyio
async def test_what_follows_a_commit_is_in_nobodys_context(state: Path) -> None:
    seen: list[str] = []
    async with Setting(state) as setting:
        for number, hurry in enumerate((setting.quick, setting.slow, setting.quick), 1):
            hurry()
            token = TENANT.set("whoever came first")
            setting.put(number, heard=lambda: seen.append(TENANT.get("nobody")))
            TENANT.reset(token)
            await setting.hear(number)
    assert seen == ["nobody"] * 3


@pytest.mark.anyio
async def test_what_the_thread_has_written_is_told_before_what_the_loop_writes_next(state: Path) -> None:
    async with Setting(state) as setting:
        with locked(state, setting.writer):
            setting.put(1, patient=True)
            with anyio.fail_after(10):
                while setting.writer.stalled is None:
                    await anyio.lowlevel.checkpoint()
        began = time.monotonic()
        while setting.writer.head[0] == 0:  # the loop stands still, as under a long callback: the thread writes turn 1
            assert time.monotonic() < began + 10
        setting.quick()
        setting.put(2)
        await setting.hear(2)
        assert setting.told == [1, 2]


@pytest.mark.anyio
async def test_a_program_that_keeps_the_file_locked_holds_up_the_loop_once(state: Path) -> None:
    async with Setting(state) as setting:
        setting.quick()
        setting.put(1)
        await setting.hear(1)
        setting.quick()
        setting.writer.threads.clear()
        with locked(state, setting.writer):
            setting.put(*range(2, 12), patient=True)
            with anyio.fail_after(10):
                while setting.writer.threads.count(HERE) == len(setting.writer.threads):
                    await anyio.lowlevel.checkpoint()
            assert setting.writer.threads.count(HERE) == 1
            assert setting.writer.slowest_s > QUICK_S
        await setting.hear(11)
        assert setting.told == list(range(1, 12))


@pytest.mark.anyio
async def test_large_bodies_are_written_by_the_thread(state: Path) -> None:
    data = b"x" * 100_000
    body = Body(ref=Ref(sha256="ab" * 32, bytes=len(data)), data=data)
    async with Setting(state) as setting:
        setting.quick()
        setting.put(*range(1, 12), artifacts=(body,))
        await setting.hear(11)
        assert HERE not in setting.writer.threads


@pytest.mark.anyio
async def test_what_is_put_after_the_end_fails(state: Path) -> None:
    async with Setting(state) as setting:
        setting.quick()
        setting.put(1)
        await setting.hear(1)
        setting.commits.close()
        failed: list[StorageError | None] = []
        setting.commits.put(TurnWrite(lane=Lane(), process="p", seq=2, at=1, turn=b"{}", done=failed.append))
        with anyio.fail_after(10):
            while not failed:
                await anyio.lowlevel.checkpoint()
    assert failed[0] is not None
    assert setting.writer.head[0] == 1
