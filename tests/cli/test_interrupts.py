"""Ctrl-C while a person is asked: heard at once, whatever the program was doing in that moment."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import pytest
import typer

from process_orchestrator.doors.cli.asking import aside
from process_orchestrator.doors.cli.session import INTERRUPTED, Exit, open_session, run

HEARD_S: Final = 5.0

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there the loop hears of signals by itself")


@pytest.fixture
def _loop_sleeps_first() -> Generator[None]:
    """No thread that waits for its turn gets it before the loop falls asleep."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(HEARD_S)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_loop_sleeps_first")
def test_ctrl_c_that_the_thread_at_the_prompt_takes_wakes_the_loop(fresh_home: Path) -> None:
    """The same as one that comes just before the loop sleeps: noted, and the main thread does not run."""
    last_before_sleep, cancelled = threading.Event(), threading.Event()
    heard = SimpleQueue[bool]()

    def person() -> None:
        last_before_sleep.wait()
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        heard.put(cancelled.wait(HEARD_S))

    async def work() -> Exit:
        asyncio.get_running_loop().call_soon(last_before_sleep.set)
        try:
            await aside(person)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return Exit.OK

    with pytest.raises(typer.Exit) as left:
        run(open_session(fresh_home, None, as_json=False), work)
    assert left.value.exit_code == INTERRUPTED
    assert heard.get(timeout=HEARD_S)


def test_an_answer_that_comes_after_ctrl_c_is_dropped(fresh_home: Path) -> None:
    """The thread that reads outlives the loop; what it brings then is no error."""
    asked, ended = threading.Event(), threading.Event()
    readers: list[threading.Thread] = []

    def person() -> str:
        readers.append(threading.current_thread())
        asked.set()
        ended.wait(HEARD_S)
        return "approve"

    async def work() -> Exit:
        asyncio.get_running_loop().call_soon(lambda: asked.wait(HEARD_S) and signal.raise_signal(signal.SIGINT))
        await aside(person)
        return Exit.OK

    with pytest.raises(typer.Exit) as left:
        run(open_session(fresh_home, None, as_json=False), work)
    ended.set()
    readers[0].join(HEARD_S)  # an error in it fails the test
    assert left.value.exit_code == INTERRUPTED


def test_ctrl_c_stays_ignored_where_it_was_ignored(fresh_home: Path) -> None:
    """A shell starts what runs in the background so."""

    async def work() -> Exit:
        signal.raise_signal(signal.SIGINT)
        return Exit.OK

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(typer.Exit) as left:
            run(open_session(fresh_home, None, as_json=False), work)
        assert left.value.exit_code == Exit.OK
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
