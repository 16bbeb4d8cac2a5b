"""The seeded simulation: whatever goes wrong in whatever order, every law holds and everything comes to an end."""

import random

import pytest

from faults.running import explain, kept, run_seeds
from faults.simulation import Setting, shrink, simulate

EVERYDAY, SLOW = 60, 1000


def clean(settings: list[Setting]) -> None:
    figures = run_seeds(settings)
    print(figures)
    assert figures.failed == [], explain(figures.failed[0])


def test_every_seed_that_failed_once_holds() -> None:
    clean(kept())


@pytest.mark.behaviour("P2-once")
@pytest.mark.behaviour("P2-unsafe")
@pytest.mark.behaviour("P8")
def test_sixty_seeded_worlds_break_no_law() -> None:
    clean([Setting(seed=seed) for seed in range(EVERYDAY)])


@pytest.mark.slow
def test_a_thousand_new_worlds_break_no_law() -> None:
    first = random.SystemRandom().randrange(1_000_000_000)
    print(f"first seed {first}")
    clean([Setting(seed=first + number) for number in range(SLOW)])


def test_one_seed_is_one_run() -> None:
    def told(seed: int) -> tuple[object, ...]:
        report = simulate(Setting(seed=seed))
        return report.statuses, report.events, report.deeds, report.decisions, report.disk_failures, report.wrong

    for seed in (5, 17, 4711):
        assert told(seed) == told(seed)


def test_a_setting_is_read_as_it_is_written() -> None:
    setting = Setting(seed=7, processes=1, disk=False, only="map")
    assert str(setting) == "seed=7 processes=1 disk=False only=map"
    assert Setting.read(str(setting)) == setting


def test_a_failure_is_shrunk_to_what_it_needs() -> None:
    """Said of a fault that shows with kills alone, in a world of two processes."""
    least = shrink(Setting(seed=1), fails=lambda setting: setting.kills and setting.processes > 1 and setting.lives > 0)
    assert str(least) == (
        "seed=1 processes=2 lives=1 agents=False disk=False cancels=False impatience=False duplicates=False clock=False "
        "models=False"
    )
