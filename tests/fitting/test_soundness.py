"""Proofs held against random values: what is said to fit always is never refuted, what is said never to fit never fits."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from fitting.random_schemas import random_schema, random_value
from process_orchestrator.checking.schemas.containing import Containing, Pair
from process_orchestrator.checking.schemas.generate import Limits, valid_values
from process_orchestrator.checking.schemas.validate import Containment, Validator

FEW = Limits(draws=20, nodes=200, all_nodes=2_000, depth=8, seconds=1.0)


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_proof_is_never_refuted_by_a_value(count: int) -> None:
    random = Random(7)
    pairs = [Pair(_schema(random), _schema(random)) for _ in range(count)]
    pool = [random_value(random) for _ in range(600)]
    seen: Counter[str] = Counter()
    for pair, decided in zip(pairs, Containing().decide(pairs), strict=True):
        seen[decided.value] += 1
        if decided is Containment.UNPROVEN:
            continue
        producer, consumer = Validator(pair.producer), Validator(pair.consumer)
        generated = valid_values(pair.producer, count=5, limits=FEW) if seen.total() % 5 == 0 else ()
        for value in (*(each for each in pool if producer.is_valid(each)), *generated):
            assert consumer.is_valid(value) is (decided is Containment.INSIDE), (pair, value)
            seen["values"] += 1
    print(seen)
    assert seen["inside"] > count / 20
    assert seen["disjoint"] > count / 20
    assert seen["values"] > count


def _schema(random: Random) -> Any:
    return random_schema(random, random.randint(1, 3))
