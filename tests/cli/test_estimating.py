"""`orchestrator estimate`: the twin of estimate_cost on a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.calling import call

ROOT = Path(__file__).resolve().parents[2]


def estimate(folder: Path, *arguments: str) -> tuple[str, ...]:
    return ("estimate", *arguments, "--home", str(ROOT), "--state", str(folder))


def test_the_first_line_is_the_answer(tmp_path: Path) -> None:
    called = call(*estimate(tmp_path, "invoice_approval", "--cases", "500"))
    assert called.code == 0
    assert called.out.splitlines()[0] == "About 0.0055 USD (0.0027\N{EN DASH}0.074) a case; 500 cases 2.75 USD."
    assert "Assumed: step lines runs over 10 items (at most 100 by its maxItems)." in called.out
    assert f"Next: `orchestrator run invoice_approval --input FILE --home {ROOT}" in called.out
    assert list(tmp_path.iterdir()) == []  # nothing is stored, not even a database


def test_figures_alone_need_no_home(tmp_path: Path) -> None:
    figures = ("--calls", "3", "--context-tokens", "2000", "--output-tokens", "500", "--rate-usd-per-mtok", "0.60")
    called = call("estimate", *figures, "--cases", "1000", "--json", "--home", tmp_path, "--state", tmp_path)
    assert called.code == 0
    assert called.json["total_usd"] == {"low": "4.50", "likely": "4.50", "high": "4.50"}
    assert called.json["single_call_usd"] == "0.0015"
    assert called.json["unknowns"] == []


def test_a_task_in_plain_words_finds_its_type(tmp_path: Path) -> None:
    called = call(*estimate(tmp_path, "Write a release report for /srv/git/shop", "--json"))
    assert called.code == 0
    assert called.json["process_type"] == "release_report"
    assert called.json["case_usd"]["high"] == "0.00"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "BAD_ARGUMENT: nothing is given that has a price."),
        (("--manual-review-share", "6"), "give a share from 0 to 1: 6 of 100 cases are 0.06."),
        (("--calls", "many"), "calls is no such figure: many. Do: give a whole number from 0 to 1000000."),
        (("invoice_aproval",), "UNKNOWN_PROCESS_TYPE"),
        (("invoice_approval", "--history", "--cases", "3"), "Do: run `orchestrator estimate --history [TYPE]`."),
        (("invoice_approval", "--input", "{}"), "INPUT_MISMATCH"),
    ],
)
def test_what_cannot_be_estimated_is_refused_with_what_to_do(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    called = call(*estimate(tmp_path, *arguments))
    assert called.code == 2
    assert called.out == ""
    assert said in called.err


def test_history_says_that_nothing_has_run(tmp_path: Path) -> None:
    called = call(*estimate(tmp_path, "--history"))
    assert (called.code, called.out) == (0, "No run has ended yet: estimates come from contracts and prices.\n")
    assert call(*estimate(tmp_path, "--history", "invoice_approval", "--json")).json["types"] == []
