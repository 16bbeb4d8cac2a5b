"""What a person at a terminal is asked, and what their word is worth. No agent is needed for that."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.calling import call
from cli.conftest import Past

pexpect = pytest.importorskip("pexpect", reason="a terminal is driven with pexpect, which Windows has not")

PROGRAM = Path(sys.executable).parent / "orchestrator"


@contextmanager
def terminal(*arguments: str, home: Path, width: int = 80) -> Generator[Any]:
    """A command on a terminal of its own."""
    child = pexpect.spawn(
        str(PROGRAM),
        [*arguments, "--home", str(home)],
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": str(width)},
        encoding="utf-8",
        timeout=30,
        dimensions=(50, width),
    )
    try:
        yield child
    finally:
        child.close(force=True)


def ended(child: Any) -> int:
    child.expect(pexpect.EOF)
    child.close()
    return int(child.exitstatus)


def test_a_decision_typed_on_a_terminal_counts_a1(own_past: Past) -> None:
    with terminal("resolve", own_past.question, home=own_past.home) as child:
        child.expect("Enter leaves it open")
        assert "8107.0" in child.before  # what is approved stands above the question
        child.sendline("perhaps")
        child.expect("none of them")
        child.expect("Enter leaves it open")
        child.sendline("Appr")
        child.expect("no engine is running on this home")
        assert ended(child) == 0
    resolution = call("escalations", own_past.question, "--home", own_past.home, "--json").json["resolution"]
    assert (resolution["decision"], resolution["assurance"], resolution["channel"]) == ("approve", "A1", "terminal")


def test_enter_leaves_a_question_open_and_ctrl_c_too(own_past: Past) -> None:
    with terminal("resolve", own_past.question, home=own_past.home) as child:
        child.expect("Enter leaves it open")
        child.sendline("")
        child.expect("nothing was recorded")
        assert ended(child) == 3
    with terminal("resolve", own_past.question, home=own_past.home) as child:
        child.expect("Enter leaves it open")
        child.sendintr()
        assert ended(child) == 130
    assert call("escalations", own_past.question, "--home", own_past.home, "--json").json["status"] == "open"


def test_a_reviewer_types_a_passphrase_twice_and_nobody_sees_it(fresh_home: Path) -> None:
    with terminal("reviewers", "add", "ana", home=fresh_home) as child:
        child.expect("Passphrase of ana:")
        child.sendline("correct horse")
        child.expect("Once more:")
        child.sendline("other horse")
        child.expect("differ")
        assert "horse" not in child.before
        assert ended(child) == 2
    assert call("reviewers", "list", "--home", fresh_home, "--json").json == {"reviewers": []}
    with terminal("reviewers", "add", "ana", home=fresh_home) as child:
        for question in ("Passphrase of ana:", "Once more:"):
            child.expect(question)
            child.sendline("correct horse")
        child.expect("--as ana")
        assert ended(child) == 0
    assert call("reviewers", "list", "--home", fresh_home, "--json").json == {"reviewers": ["ana"]}
    assert call("reviewers", "revoke", "ana", "--home", fresh_home).code == 0
    assert call("reviewers", "list", "--home", fresh_home, "--json").json == {"reviewers": []}
