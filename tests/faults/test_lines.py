"""A file of 500 inputs, `submit --lines … --follow`, killed twice: each input once, totals and exit code right."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from acceptance.building import PROGRAMS, TEXT, TEXTS, HomeBuilder, record
from acceptance.driving import PROGRAM, environment, run_cli
from process_orchestrator.home import Home

LINES: Final = 500
BOOM: Final = 77
"""The line whose agent refuses it for good."""
KILLED_AT: Final = (60, 250)
"""Bookings after which the program is killed."""


def build(path: Path) -> Home:
    made = HomeBuilder(path)
    made.contract(
        "books.book",
        given=record({"ref": TEXT, "script": TEXTS}, request_id=TEXT),
        answer=record({"id": {"type": "integer"}}),
        kind="write",
        idempotency={"key": "request_id"},
        errors={"boom": {"class": "permanent"}},
    )
    made.stdio_agent("books", PROGRAMS / "books.py", str(path / "books.db"), serves={"books.book": {"tool": "book"}})
    step = {
        "id": "book",
        "contract": "books.book",
        "in": {"ref": "$.input.ref", "script": "$.input.script"},
        "on_failure": "fail",
    }
    made.process("entry", step, given=record({"ref": TEXT, "script": TEXTS}))
    return made.built()


def bookings(home: Home) -> dict[str, int]:
    """How often each input was booked, as the agent's own books say."""
    try:
        with closing(sqlite3.connect(f"{(home.path / 'books.db').as_uri()}?mode=ro", uri=True, timeout=5)) as books:
            return Counter(ref for (ref,) in books.execute("SELECT ref FROM booking"))
    except sqlite3.OperationalError:  # nothing was booked yet
        return {}


def killed_at(home: Home, command: list[str], count: int) -> None:
    """Run a command until so many inputs are booked, then kill it."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()) as program:
        until = time.monotonic() + 120
        while len(bookings(home)) < count:
            assert program.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < until, "the moment never came"
            time.sleep(0.01)
        family = psutil.Process(program.pid).children(recursive=True)
        program.kill()
        program.wait(timeout=10)
        psutil.wait_procs(family, timeout=10)


@pytest.mark.slow
@pytest.mark.behaviour("lines")
def test_five_hundred_inputs_restarted_twice_are_each_done_once(tmp_path: Path) -> None:
    home = build(tmp_path / "home")
    file = tmp_path / "inputs.jsonl"
    inputs = [{"ref": f"R-{number}", "script": ["boom" if number == BOOM else "book"]} for number in range(LINES)]
    file.write_text("".join(json.dumps(each) + "\n" for each in inputs), encoding="utf-8")
    words = ["submit", "entry", "--lines", str(file), "--key", "/ref", "--label", "march", "--follow"]

    for count in KILLED_AT:
        killed_at(home, [str(PROGRAM), *words, "--home", str(home.path)], count)
    code, totals, said = run_cli(home, *words, timeout_s=300)

    assert (code, totals["given"], totals["processes"]) == (1, LINES, LINES), said
    assert totals["totals"] == {"completed": LINES - 1, "failed": 1}
    assert [(row["of"], row["status"]) for row in totals["failed"]] == [(f"line {BOOM + 1}", "failed")]
    assert totals["next_command"] == "orchestrator redrive --label march"
    booked = bookings(home)
    assert {ref for ref, times in booked.items() if times != 1} <= {f"R-{BOOM}"}
    assert len(set(booked) | {f"R-{BOOM}"}) == LINES
    again: tuple[int, Any, str] = run_cli(home, *words, timeout_s=300)
    assert (again[0], again[1]["totals"], bookings(home)) == (1, totals["totals"], booked)
    report = run_cli(home, "verify", timeout_s=120)
    assert (report[0], report[1]["ok"]) == (0, True)
