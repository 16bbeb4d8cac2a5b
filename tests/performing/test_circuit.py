"""The circuit of an agent as a pure state machine on a clock of its own."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_orchestrator.checking.documents.definitions import Circuit
from process_orchestrator.performing.circuit import Breaker, CircuitState, Ending, began, ended, state_of, wait_ms

RULES = Circuit(failures=3, window_ms=1000, open_ms=5000)
CLOSED, HALF, OPEN = CircuitState.CLOSED, CircuitState.HALF_OPEN, CircuitState.OPEN


def after(*calls: tuple[int, str], rules: Circuit = RULES) -> Breaker:
    """The circuit after calls that each began and ended at a time: a(nswered), f(ailed) or b(roken off)."""
    endings = {"a": Ending.ANSWERED, "f": Ending.FAILED, "b": Ending.BROKEN_OFF}
    breaker = Breaker()
    for now, word in calls:
        assert wait_ms(breaker, rules, now) == 0
        breaker, era = began(breaker)
        breaker = ended(breaker, rules, now, era=era, ending=endings[word])
    return breaker


class Row(NamedTuple):
    calls: tuple[tuple[int, str], ...]
    now: int
    state: CircuitState
    wait: int


TABLE = {
    "no call": Row((), 0, CLOSED, 0),
    "two failures are not three": Row(((0, "f"), (1, "f")), 2, CLOSED, 0),
    "three failures open it": Row(((0, "f"), (1, "f"), (2, "f")), 3, OPEN, 4999),
    "failures leave the window": Row(((0, "f"), (1, "f"), (1001, "f")), 1002, CLOSED, 0),
    "failures just inside the window": Row(((0, "f"), (1, "f"), (999, "f")), 1000, OPEN, 4999),
    "an answer takes one failure back": Row(((0, "f"), (1, "f"), (2, "a"), (3, "f")), 4, CLOSED, 0),
    "only one": Row(((0, "f"), (1, "f"), (2, "a"), (3, "f"), (4, "f")), 5, OPEN, 4999),
    "answers are no credit": Row(((0, "a"), (0, "a"), (0, "f"), (1, "f"), (2, "f")), 2, OPEN, 5000),
    "what was broken off shows nothing": Row(((0, "f"), (1, "f"), (2, "b"), (3, "f")), 3, OPEN, 5000),
    "half open after its time": Row(((0, "f"), (1, "f"), (2, "f")), 5002, HALF, 0),
    "open until then": Row(((0, "f"), (1, "f"), (2, "f")), 5001, OPEN, 1),
    "an answered probe closes it": Row(((0, "f"), (1, "f"), (2, "f"), (6000, "a")), 6000, CLOSED, 0),
    "closed it starts anew": Row(
        ((0, "f"), (1, "f"), (2, "f"), (6000, "a"), (6001, "f"), (6002, "f")), 6003, CLOSED, 0
    ),
    "a failed probe opens it again": Row(((0, "f"), (1, "f"), (2, "f"), (6000, "f")), 6001, OPEN, 4999),
    "a probe that was broken off is nobody's": Row(((0, "f"), (1, "f"), (2, "f"), (6000, "b")), 6001, HALF, 0),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_a_circuit_stands_as_its_calls_have_shown(row: Row) -> None:
    breaker = after(*row.calls)
    assert (state_of(breaker, RULES, row.now), wait_ms(breaker, RULES, row.now)) == (row.state, row.wait)


def opened() -> Breaker:
    return after((0, "f"), (1, "f"), (2, "f"))


@pytest.mark.parametrize(("open_ms", "wait"), [(5000, 1000), (60_000, 6000), (300, 300)])
def test_while_one_call_probes_all_others_wait(open_ms: int, wait: int) -> None:
    rules = Circuit(failures=3, window_ms=1000, open_ms=open_ms)
    probing, _ = began(opened())
    assert (state_of(probing, rules, 100_000), wait_ms(probing, rules, 100_000)) == (HALF, wait)


@pytest.mark.parametrize("ending", list(Ending))
def test_a_call_from_before_the_opening_ends_without_a_say(ending: Ending) -> None:
    breaker, early = began(Breaker())
    breaker = ended(breaker, RULES, 0, era=early, ending=Ending.FAILED)
    for now in (1, 2):
        breaker = ended(breaker, RULES, now, era=early, ending=Ending.FAILED)
    assert state_of(breaker, RULES, 3) is OPEN
    assert ended(breaker, RULES, 4, era=early, ending=ending) == breaker


def test_a_call_from_before_the_closing_does_not_count_against_the_new_circuit() -> None:
    _, early = began(Breaker())
    closed = after((0, "f"), (1, "f"), (2, "f"), (6000, "a"))
    assert ended(closed, RULES, 6001, era=early, ending=Ending.FAILED) == closed


def test_rules_are_those_of_the_moment() -> None:
    shorter, longer = Circuit(failures=3, open_ms=10), Circuit(failures=3, open_ms=50_000)
    assert state_of(opened(), shorter, 100) is HALF
    assert state_of(opened(), longer, 10_000) is OPEN
    strict = Circuit(failures=1)
    assert state_of(after((0, "f"), rules=strict), strict, 0) is OPEN


@given(
    st.lists(
        st.tuples(st.integers(0, 3000), st.sampled_from(["begin", "answered", "failed", "broken_off"]), st.integers(0)),
        max_size=60,
    )
)
def test_whatever_calls_do_at_most_one_probes_and_no_circuit_stays_open_without_cause(
    moves: list[tuple[int, str, int]],
) -> None:
    breaker, now = Breaker(), 0
    under_way: list[tuple[int, bool]] = []
    for pause, move, which in moves:
        now += pause
        if move == "begin":
            if wait_ms(breaker, RULES, now) == 0:
                probe = breaker.opened_at is not None
                breaker, era = began(breaker)
                under_way.append((era, probe))
        elif under_way:
            era, _ = under_way.pop(which % len(under_way))
            breaker = ended(breaker, RULES, now, era=era, ending=Ending(move))
        probes = [era for era, probe in under_way if probe and era == breaker.era]
        assert len(probes) == breaker.probing
        assert len(breaker.failed_at) < RULES.failures
        state = state_of(breaker, RULES, now)
        assert (state is CLOSED) <= (wait_ms(breaker, RULES, now) == 0)
        assert (state is OPEN) <= (0 < wait_ms(breaker, RULES, now) <= RULES.open_ms)
        assert breaker.opened_at is None or breaker.opened_at <= now
    assert state_of(breaker, RULES, now + RULES.open_ms) is not OPEN
