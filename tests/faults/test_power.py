"""Power cuts at any moment: what was acknowledged is there, whole and in order, and nothing is corrupt."""

import pytest

pytest.importorskip("apsw", reason="a development package of the lock: ./dev setup brings it")

from faults.power import Recording, cut_power, record, recordings
from faults.simulation import Setting

EVERYDAY, SLOW = 100, 1000


@pytest.fixture(scope="module")
def recording() -> Recording:
    return record(Setting(seed=4, processes=6, lives=2))


@pytest.mark.behaviour("P1")
def test_a_power_cut_loses_nothing_that_was_acknowledged(recording: Recording) -> None:
    found = cut_power(recording, EVERYDAY, seed=20261122)
    print(found)
    assert recording.wrong == []
    assert (found.lost, found.corrupt, found.found) == (0, 0, [])


@pytest.mark.slow
def test_a_thousand_power_cuts_lose_nothing_that_was_acknowledged() -> None:
    for number, each in enumerate(recordings(4711, 5)):
        found = cut_power(each, SLOW // 5, seed=number)
        print(found)
        assert (found.lost, found.corrupt, found.found) == (0, 0, [])


def test_the_first_start_of_all_may_be_cut_at_any_write(recording: Recording) -> None:
    """Nothing was acknowledged then, and nothing may be left that the next start refuses."""
    first = recording.acknowledged[0][0]
    made = Recording(log=recording.log[:first], chain_key=recording.chain_key)
    found = cut_power(made, EVERYDAY, seed=1)
    assert (found.lost, found.corrupt, found.found) == (0, 0, [])


def test_a_weaker_sync_would_lose_acknowledged_rows() -> None:
    """The measure can see a loss: with NORMAL for FULL there is one."""
    weak = record(Setting(seed=4, processes=6, lives=2), pragmas=("synchronous=NORMAL",))
    assert cut_power(weak, 60, seed=1).lost > 10


def test_a_disk_that_lies_about_syncs_is_noticed(recording: Recording) -> None:
    found = cut_power(recording, 60, seed=1, drop_syncs=True)
    assert found.corrupt + found.lost > 10
