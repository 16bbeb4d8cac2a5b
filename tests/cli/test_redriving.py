"""Redrive and files of inputs from the command line, by copy and paste."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from cli.calling import call
from cli.conftest import Past
from redriving.shop import build


def test_the_redrive_command_of_why_works_by_copy_and_paste(own_past: Past) -> None:
    last = call("why", own_past.rejected, "--home", own_past.home).out.splitlines()[-1]
    command = last.removeprefix("Next: ").partition("  (")[0]
    program, *words = shlex.split(command)
    assert (program, words[:2]) == ("orchestrator", ["redrive", own_past.rejected])
    again = call(*words, "--json")
    assert again.code == 3
    assert again.json["redrives"] == own_past.rejected
    assert {step["id"]: (step["status"], step["attempts"]) for step in again.json["steps"]}["extract"] == ("done", 0)
    assert again.json["escalations"][0]["kind"] == "approval"


def test_a_redrive_that_cannot_be_is_refused(past: Past) -> None:
    for words in ((), (past.done,), (past.rejected, "--label", "x"), ("--label", "x", "--input", "{}")):
        called = call("redrive", *words, "--home", past.home, "--json")
        assert (called.code, called.json["error"]["code"]) == (2, "BAD_ARGUMENT")


def test_a_label_with_nothing_to_take_up_says_so(own_past: Past) -> None:
    called = call("redrive", "--label", "nobody", "--home", own_past.home)
    assert (called.code, called.out) == (0, "0 given, 0 processes: none.\n")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return build(tmp_path / "shop").path


def test_each_line_is_stored_once_however_often_the_file_is_given(shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "inputs.jsonl"
    file.write_text('{"item": "a"}\n\n{"item": "b"}\n{"item": "b"}\n{"item": ""}\n{"item": "c", "size": 3}\n')
    words = ("submit", "order", "--lines", file, "--label", "march", "--home", shop, "--json")
    first, second = call(*words), call(*words)
    assert "stored; no engine is running on this home. Do: `orchestrator" in first.err
    assert first.json == second.json
    assert (first.code, first.json["given"], first.json["processes"]) == (2, 4, 3)
    assert first.json["totals"] == {"queued": 3}
    assert [(row["of"], row["code"]) for row in first.json["refused"]] == [("line 6", "INPUT_MISMATCH")]
    assert len(call("processes", "--label", "march", "--home", shop, "--json").json["processes"]) == 3


@pytest.mark.parametrize(
    ("lines", "key", "said"),
    [
        ('{"item": "a"}\nnonsense\n', "/item", "line 2: it holds no usable JSON"),
        ('{"item": "a"}\n[1]\n', "/item", "line 2: it is no JSON object"),
        ('{"item": "a"}\n{"note": "x"}\n', "/item", "line 2: it has no text or whole number at /item"),
        ('{"item": "a"}\n{"item": "a", "note": "x"}\n', "/item", "line 2: it bears /item a as line 1 does"),
        ('{"item": "a"}\n', "item", "--key item is no JSON pointer"),
        (json.dumps({"item": "a" * 200}), "/item", "line 1: what it has at /item is over 120 characters"),
    ],
)
def test_a_file_that_cannot_be_read_as_it_is_meant_submits_nothing(
    shop: Path, tmp_path: Path, lines: str, key: str, said: str
) -> None:
    file = tmp_path / "inputs.jsonl"
    file.write_text(lines)
    called = call("submit", "order", "--lines", file, "--key", key, "--home", shop, "--json")
    assert (called.code, called.json["error"]["code"]) == (2, "BAD_ARGUMENT")
    assert called.json["error"]["message"].startswith(said)
    assert ".." not in called.json["error"]["message"]
    assert call("processes", "--home", shop, "--json").json["processes"] == []


def test_lines_and_one_input_are_not_given_at_once(shop: Path, tmp_path: Path) -> None:
    called = call("submit", "order", "--lines", tmp_path / "none", "--input", "{}", "--home", shop, "--json")
    assert (called.code, called.json["error"]["message"]) == (2, "--input and --lines are given.")
    missing = call("submit", "order", "--lines", tmp_path / "none", "--home", shop, "--json")
    assert missing.json["error"]["message"].endswith("cannot be read: No such file or directory.")
