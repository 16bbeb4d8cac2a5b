"""The corpus of pairs with hand-given truth: no false alarm, and what is faulty is found with a witness."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

import pytest

from fitting.pairs_of_lists import LISTED
from fitting.pairs_of_objects import OBJECTS
from fitting.pairs_of_values import VALUES, Pair
from process_orchestrator.checking.plans.fitting import Fit, Fitting, Verdict
from process_orchestrator.checking.schemas.validate import Validator

FAMILIES: dict[str, list[Pair]] = {**VALUES, **OBJECTS, **LISTED}
PAIRS = [pytest.param(*rest, id=f"{family}: {name}") for family, pairs in FAMILIES.items() for name, *rest in pairs]

UNDECIDED_ALWAYS = 10
"""Pairs that always fit, and for which the canonical form has no proof: the most that there may be."""


@pytest.fixture(scope="module")
def fitting() -> Fitting:
    return Fitting()


@pytest.mark.behaviour("fits")
@pytest.mark.parametrize(("producer", "consumer", "truth"), PAIRS)
def test_no_verdict_is_false(producer: Any, consumer: Any, truth: str, fitting: Fitting) -> None:
    fit = fitting.fit(producer, consumer)
    allowed = {truth, Verdict.UNKNOWN}
    if truth == Verdict.NEVER:  # one that is refused shows that it does not always fit; that none fits is a proof
        allowed.add(Verdict.SOMETIMES)
    assert fit.verdict in allowed
    if fit.verdict in {Verdict.SOMETIMES, Verdict.NEVER}:
        assert Validator(producer).is_valid(fit.witness)
        assert not Validator(consumer).is_valid(fit.witness)
        assert fit.problem is not None


def test_what_is_faulty_is_found_and_what_fits_is_proven(fitting: Fitting) -> None:
    judged = [(truth, fitting.fit(producer, consumer)) for _, producer, consumer, truth in chain(*FAMILIES.values())]
    faulty = [fit for truth, fit in judged if truth != Verdict.ALWAYS]
    caught = [fit for fit in faulty if fit.verdict in {Verdict.SOMETIMES, Verdict.NEVER}]
    exactly = sum(fit.verdict == truth for truth, fit in judged)
    print(f"{len(judged)} pairs, {len(faulty)} faulty, {len(caught)} caught, {exactly} judged exactly")
    assert len(judged) >= 300
    assert len(faulty) >= 100
    assert len(caught) >= 0.95 * len(faulty)
    assert _undecided(judged) <= UNDECIDED_ALWAYS


def test_the_names_of_pairs_are_unique() -> None:
    for family, pairs in FAMILIES.items():
        twice = [name for name, count in Counter(pair[0] for pair in pairs).items() if count > 1]
        assert not twice, family


def _undecided(judged: list[tuple[str, Fit]]) -> int:
    return sum(truth == Verdict.ALWAYS and fit.verdict is Verdict.UNKNOWN for truth, fit in judged)
