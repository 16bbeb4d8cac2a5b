"""A database that cannot be trusted is refused by name, at every door, and not one byte of it changes."""

import json
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from acceptance.driving import PROGRAM, document, environment, run_cli
from process_orchestrator.home import Home

INPUT: Final = {"document": document("straight.xml")}


def foreign(database: Path) -> None:
    """Another program's."""
    database.unlink()
    with closing(sqlite3.connect(database)) as other:
        other.executescript("PRAGMA application_id = 7; CREATE TABLE photo (name TEXT); INSERT INTO photo VALUES ('x')")


def newer(database: Path) -> None:
    with closing(sqlite3.connect(database)) as later:
        later.execute("PRAGMA user_version = 99")


def damaged(database: Path) -> None:
    database.write_bytes(b"\0" * 64 + database.read_bytes()[64:])


def cut(database: Path) -> None:
    database.write_bytes(database.read_bytes()[:5000])


def emptied(database: Path) -> None:
    database.write_bytes(b"")


REFUSED: Final[dict[str, tuple[Callable[[Path], None], str]]] = {
    "foreign": (foreign, "belongs to another program"),
    "newer": (newer, "has schema 99"),
    "damaged": (damaged, "its header is damaged"),
    "cut": (cut, "is cut"),
    "emptied": (emptied, "its header is damaged"),
}


@pytest.fixture
def used_home(home: Home) -> Home:
    """A home with a journal in it."""
    submit(home)
    return home


def submit(home: Home) -> tuple[int, dict[str, dict[str, str]]]:
    file = home.path / "invoice.json"
    file.write_text(json.dumps(INPUT), encoding="utf-8")
    code, printed, stderr = run_cli(home, "submit", "invoice_approval", "--input", str(file))
    assert "Traceback" not in stderr
    return code, printed


def files(home: Home) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in home.state.iterdir() if path.name.startswith("orchestrator.db")}


@pytest.mark.slow
@pytest.mark.behaviour("P7")
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_database_that_cannot_be_trusted_is_refused_by_every_command_and_left_alone(
    used_home: Home, name: str
) -> None:
    home = used_home
    spoil, said = REFUSED[name]
    spoil(home.state / "orchestrator.db")
    before = files(home)
    for code, printed in (submit(home), run_cli(home, "processes")[:2], run_cli(home, "verify")[:2]):
        assert (code, printed["error"]["code"]) == (4, "STORAGE_UNTRUSTED")
        assert said in printed["error"]["message"]
    served = subprocess.run(
        [str(PROGRAM), "serve", "--home", str(home.path)],
        input=b"",
        capture_output=True,
        env=environment(),
        timeout=30,
        check=False,
    )
    assert (served.returncode, served.stdout) == (4, b"")
    assert served.stderr.decode().startswith("STORAGE_UNTRUSTED: ")
    assert said in served.stderr.decode()
    assert files(home) == before


@pytest.mark.slow
def test_a_journal_whose_rows_were_changed_is_named_by_verify(used_home: Home) -> None:
    with closing(sqlite3.connect(used_home.state / "orchestrator.db")) as journal:
        journal.execute("UPDATE journal SET at = at + 1 WHERE id = 1")
        journal.commit()
    code, report, _ = run_cli(used_home, "verify")
    assert (code, report["ok"], report["first_bad"]["id"]) == (4, False, 1)
    assert "changed" in report["first_bad"]["what"]
