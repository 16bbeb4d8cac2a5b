"""kill -9 before and after every write of the journal, of a reference process of each shape, in virtual time."""

import pytest

from faults.catalogue import SHAPES
from faults.crash_points import every_point, run_shape
from faults.thinking import MADE_SHAPES


@pytest.mark.behaviour("P1")
@pytest.mark.behaviour("P2-once")
@pytest.mark.behaviour("P2-unsafe")
@pytest.mark.parametrize("name", [*SHAPES, *MADE_SHAPES])
def test_a_kill_at_any_write_changes_nothing_of_the_end(name: str) -> None:
    found = every_point(name)
    print(found)
    assert found.points == 2 * found.commits > 4
    assert found.wrong == []


def test_the_reference_processes_end_well() -> None:
    names = [*SHAPES, *MADE_SHAPES]
    expected = dict.fromkeys(names, "completed") | {"compensation": "failed", "planned-in-vain": "failed"}
    assert {name: run_shape(name).outcome.status for name in names} == expected
