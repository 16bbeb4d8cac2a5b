"""Schemas that cost without bound: an answer in bounded time and memory, and never the end of the process."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psutil
import pytest

from fitting.hostile import PAIRS, chain, circle, twice, wide
from process_orchestrator.checking.plans.fitting import Fitting, Verdict
from process_orchestrator.checking.plans.lifted import UnliftableError, lifted
from process_orchestrator.checking.schemas import containing
from process_orchestrator.checking.schemas.containing import BATCH_S, Containing, Pair, small
from process_orchestrator.checking.schemas.projection import (
    Shape,
    items_of,
    kinds_of,
    names_of,
    project,
    required_names,
)
from process_orchestrator.checking.schemas.validate import Containment, Validator
from process_orchestrator.checking.schemas.value_types import type_of

EVERYDAY = ("12 groups of 6 choices", "9,000 references in a row", "190 levels", "a pattern that doubles")
PAIR_S = 4.0
"""Of one question, with the search for a witness, on a machine that does other things too."""

GROWN_BYTES = 150_000_000


@pytest.mark.parametrize(
    "name", [name if name in EVERYDAY else pytest.param(name, marks=pytest.mark.slow) for name in PAIRS]
)
def test_an_answer_comes_in_bounded_time_and_memory(name: str) -> None:
    producer, consumer = PAIRS[name]
    before, started = psutil.Process().memory_info().rss, time.perf_counter()
    fit = Fitting().fit(producer, consumer)
    took, grown = time.perf_counter() - started, psutil.Process().memory_info().rss - before
    print(f"{name:45} {fit.verdict.value:10} {took * 1000:7.0f} ms {grown / 1e6:6.0f} MB")
    assert took < PAIR_S
    assert grown < GROWN_BYTES
    if fit.verdict in {Verdict.SOMETIMES, Verdict.NEVER}:
        assert Validator(producer).is_valid(fit.witness)
        assert not Validator(consumer).is_valid(fit.witness)


def test_pairs_behind_one_that_ends_the_helper_are_decided() -> None:
    constants = {"enum": [f"c{number}" for number in range(300)]}
    good = Pair(constants, {"type": "string"})
    pairs = [good, Pair(chain(9_000), {"type": "integer"}), Pair(constants, {"minLength": 1})]
    assert not any(small(pair) for pair in pairs)
    assert Containing().decide(pairs) == [Containment.INSIDE, Containment.UNPROVEN, Containment.INSIDE]


@pytest.mark.slow
def test_a_batch_of_hostile_pairs_ends_with_its_deadline() -> None:
    pairs = [Pair(wide(12, 6), wide(12, 2 + number % 4) | {"maxProperties": number}) for number in range(20)]
    started = time.perf_counter()
    assert set(Containing().decide(pairs)) == {Containment.UNPROVEN}
    assert time.perf_counter() - started < BATCH_S + 2.0


def test_where_no_helper_can_be_started_nothing_is_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert Containing().decide([Pair(wide(4, 4), wide(4, 3))]) == [Containment.UNPROVEN]


def test_a_decision_is_kept_by_content() -> None:
    decided = Containing()
    pair = Pair(wide(4, 4), wide(4, 4) | {"type": "object"})
    first = decided.decide([pair])
    started = time.perf_counter()
    assert decided.decide([Pair(*reversed_keys(pair))]) == first
    assert time.perf_counter() - started < 0.05


def reversed_keys(pair: Pair) -> tuple[Any, Any]:
    """The same schemas, written in another order."""
    return tuple(dict(reversed(each.items())) if isinstance(each, dict) else each for each in pair)  # type: ignore[return-value]


def test_what_is_too_large_is_not_looked_at() -> None:
    huge = {"enum": ["x" * 1000 + str(number) for number in range(containing.SCHEMA_BYTES_MAX // 1000)]}
    assert Containing().decide([Pair(huge, {"type": "string"})]) == [Containment.UNPROVEN]


@pytest.mark.parametrize("word", ["anyOf", "oneOf", "allOf"])
@pytest.mark.parametrize("make", [lambda word: twice(24, word=word), lambda word: twice(3_000, word=word), circle])
def test_a_path_through_doubled_or_circular_definitions_is_followed_at_once(
    word: str, make: Callable[[str], Any]
) -> None:
    schema = make(word)
    started = time.perf_counter()
    whole = project(Shape.of(schema), ("x",)).shape
    found = project(whole, ("a",))
    for look in (kinds_of, names_of, items_of, type_of):
        look(whole)
    required_names(schema)
    with suppress(UnliftableError):
        lifted(found.shape)
    assert time.perf_counter() - started < 2.0
    assert found.declared or make is not circle
