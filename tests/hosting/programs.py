"""Starts engine programs as real processes and kills them."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PROGRAM = Path(__file__).with_name("engine_program.py")


@contextmanager
def program(state: Path, *arguments: str, runs: Path = PROGRAM) -> Generator[subprocess.Popen[str]]:
    """A running program; killed at the latest when this context ends."""
    paths = os.pathsep.join((str(TESTS), str(TESTS.parent / "server")))
    with subprocess.Popen(
        [sys.executable, str(runs), str(state), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    ) as running:
        try:
            yield running
        finally:
            kill(running)


def kill(running: subprocess.Popen[str]) -> None:
    """Kill -9, and wait until it is gone. A stopped program dies of it as well."""
    if running.poll() is None:
        running.send_signal(signal.SIGKILL)
    running.wait(timeout=10)


def lines(running: subprocess.Popen[str]) -> Iterator[str]:
    """What it prints, until it ends."""
    assert running.stdout is not None
    for line in running.stdout:
        yield line.strip()


def first_line(running: subprocess.Popen[str]) -> str:
    """The next line it prints; empty where it ended."""
    return next(lines(running), "")
