"""Requirements in plain words: what is read, what is left to the data, and that nothing read ever widens anything."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from time import process_time
from typing import Any

import pytest
import yaml

from process_orchestrator.checking.tasks.requirements import (
    held_out,
    narrowed,
    read_requirements,
    stricter,
    without_requirements,
)
from process_orchestrator.core.facts.specs import Budget, Requirement
from process_orchestrator.core.facts.values import ApprovalMode
from process_orchestrator.core.limits import Limits

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=timezone(timedelta(hours=1)))
LABELLED: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "data" / "requirements.yaml").read_text())


@pytest.mark.parametrize("row", LABELLED, ids=lambda row: row["task"][:60])
def test_each_labelled_sentence_is_read_as_a_person_reads_it(row: dict[str, Any]) -> None:
    read = read_requirements(row["task"], NOW)

    assert {each.kind: each.value for each in read.requirements} == row["asks"]
    assert len(read.warnings) == row.get("warns", 0)
    assert all(each.quote and each.quote in " ".join(row["task"].split()) for each in read.requirements)


def test_enough_sentences_are_labelled() -> None:
    assert len(LABELLED) >= 60
    assert sum(not row["asks"] for row in LABELLED) >= 30


@pytest.mark.parametrize(
    "unit",
    [
        "spend at most ",
        "1,",
        "1.",
        "before you ",
        "ask me ",
        '"',
        "> ",
        "by Friday ",
        "(",
        ", ",
        "a",
        "\u202e",
        "frag mich ",
        "don't ",
    ],
)
def test_no_text_of_the_greatest_length_takes_long(unit: str) -> None:
    began = process_time()
    read_requirements((unit * 20_000)[:20_000], NOW)
    assert process_time() - began < 1.0


def test_what_hides_in_marks_of_direction_is_read_as_it_is_shown() -> None:
    read = read_requirements("Book it, at\u200b most\u202e 5 USD.", NOW)
    assert [each.value for each in read.requirements] == ["5.00"]


def test_a_requirement_only_ever_narrows() -> None:
    own, limits = Budget(usd_micros=500_000, total_ms=60_000), Limits(total_ms=60_000)
    wide = (
        Requirement(kind="budget", quote="q", value="9.00"),
        Requirement(kind="deadline", quote="q", value="999999"),
    )
    tight = (Requirement(kind="budget", quote="q", value="0.10"), Requirement(kind="deadline", quote="q", value="5"))

    assert narrowed(own, limits, wide) == (own, limits)
    budget, shorter = narrowed(own, limits, tight)
    assert (budget.usd_micros, budget.total_ms, shorter.total_ms) == (100_000, 5, 5)
    assert budget.calls == own.calls


@pytest.mark.parametrize("given", list(ApprovalMode))
def test_a_task_never_loosens_what_the_caller_wants_approved(given: ApprovalMode) -> None:
    order = [ApprovalMode.POLICY, ApprovalMode.PLAN, ApprovalMode.EVERY_STEP]
    for wanted in ApprovalMode:
        found = stricter(given, (Requirement(kind="approval", quote="q", value=wanted.value),))
        assert order.index(found) == max(order.index(given), order.index(wanted))


def test_what_was_read_is_taken_out_of_what_a_model_reads() -> None:
    task = "Refund SO-1042.\nSpend  at most 0.05 USD, within 10 minutes, and tell Ana."
    read = read_requirements(task, NOW).requirements

    marked, words = held_out(task, read)
    assert without_requirements(marked).split() == ["Refund", "SO-1042.", ",", ",", "and", "tell", "Ana."]
    assert marked.translate(str.maketrans(words)) == task
    nothing_else = "At most 5 USD"
    assert held_out(nothing_else, read_requirements(nothing_else, NOW).requirements) == (nothing_else, {})
    assert held_out(task, ()) == (task, {})
