"""A soak in real time: engines killed -9 at random amid clients, people and failing agents break no law."""

import random
from pathlib import Path

import pytest

from faults.soaking import soak


@pytest.mark.slow
@pytest.mark.behaviour("P1")
@pytest.mark.behaviour("P2-once")
def test_a_minute_of_kills_breaks_no_law(tmp_path: Path) -> None:
    report = soak(tmp_path, seed=random.SystemRandom().randrange(1_000_000), seconds=60)
    print(report.processes, report.kills, report.deeds, report.decisions)
    assert report.wrong == []
    assert report.kills > 5
    assert report.processes > 50
