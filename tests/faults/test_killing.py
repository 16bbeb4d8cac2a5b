"""kill -9 of real engine programs, before and after each write of their journal."""

import os

import pytest

from faults.killing import REFERENCES, in_a_zygote

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="engines are forked, and killed by a signal")


@pytest.mark.behaviour("P1")
@pytest.mark.behaviour("P2-once")
@pytest.mark.behaviour("P2-unsafe")
@pytest.mark.parametrize(("name", "number"), [("sequence", 4), ("approval", 3), ("compensation", 9)])
def test_an_engine_program_killed_at_a_write_changes_nothing_of_the_end(name: str, number: int) -> None:
    found = in_a_zygote(name, number)
    assert (found.points, found.wrong) == (2, [])


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCES)
def test_an_engine_program_killed_at_any_write_changes_nothing_of_the_end(name: str) -> None:
    found = in_a_zygote(name)
    print(found)
    assert found.points >= 8
    assert found.commits >= 4
    assert found.wrong == []
