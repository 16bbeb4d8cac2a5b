"""Which agent a call goes to, and what is said of it."""

from typing import Any

import pytest

from process_orchestrator.checking.plans.plan_document import PinnedAgent
from process_orchestrator.performing.choice import Standing, choose
from process_orchestrator.performing.circuit import CircuitState
from process_orchestrator.performing.failure import Failed, RefusedCallError

UP = Standing()
GONE = Standing(gone="is not registered")
OPEN = Standing(circuit=CircuitState.OPEN, circuit_wait_ms=700)
LONG_OPEN = Standing(circuit=CircuitState.OPEN, circuit_wait_ms=9000)
HALF = Standing(circuit=CircuitState.HALF_OPEN)
PROBED = Standing(circuit=CircuitState.HALF_OPEN, circuit_wait_ms=500)
TRIES = "; its circuit is half open, this call tries whether it is back"


def chosen(*stands: Standing, tried: tuple[str, ...] = (), only: str | None = None) -> tuple[str, str]:
    """The agent and why it, of agents a, b, c in order of preference."""
    agents = dict(zip("abc", stands, strict=False))
    served = tuple(PinnedAgent(name=name, sha256=f"sha-{name}", bind={}) for name in agents)
    pin, why = choose(served, tried=tried, only=only, standing=lambda agent: agents[agent.name])
    assert pin.sha256 == f"sha-{pin.name}"
    return pin.name, why


def refused(*stands: Standing, **changes: Any) -> Failed:
    with pytest.raises(RefusedCallError) as raised:
        chosen(*stands, **changes)
    return raised.value.failed


def test_preference_decides_among_closed_circuits() -> None:
    assert chosen(UP) == ("a", "the only agent that serves this contract")
    assert chosen(UP, UP, UP) == ("a", "first of 3 by preference")
    assert chosen(UP, UP, UP, tried=("a",)) == ("b", "next of 3 by preference: a was tried")
    assert chosen(GONE, UP) == ("b", "next of 2 by preference: a is not registered")


def test_a_closed_circuit_comes_before_a_half_open_one_and_that_before_an_open_one() -> None:
    assert chosen(OPEN, HALF, UP) == (
        "c",
        "next of 3 by preference: a has its circuit open, b has its circuit half open",
    )
    assert chosen(OPEN, HALF) == ("b", f"next of 2 by preference: a has its circuit open{TRIES}")
    assert chosen(UP, OPEN) == ("a", "first of 2 by preference")
    assert chosen(HALF) == ("a", f"the only agent that serves this contract{TRIES}")
    assert chosen(PROBED, HALF)[0] == "b"


def test_the_agent_that_a_call_is_bound_to_is_asked_alone() -> None:
    assert chosen(UP, UP, only="b") == ("b", "the only one that this call may go to")
    assert refused(UP, OPEN, only="b").code == "circuit_open"
    assert refused(UP, GONE, only="b").message == "b is not registered"
    assert refused(UP, UP, only="z").message == "z does not serve this contract"
    assert chosen(UP, UP, tried=("b",), only="b")[0] == "b"


def test_where_no_agent_may_be_called_yet_the_first_that_will_be_says_when() -> None:
    failed = refused(LONG_OPEN, OPEN)
    assert (failed.code, failed.retry_after_ms) == ("circuit_open", 700)
    assert refused(PROBED).retry_after_ms == 500
    assert refused(UP, OPEN, tried=("a",)).code == "circuit_open"


def test_where_no_agent_is_left_it_says_so() -> None:
    assert refused().message == "no agent is left for this contract: no agent"
    failed = refused(GONE, UP, tried=("b",))
    assert (failed.code, failed.message) == (
        "unreachable",
        "no agent is left for this contract: a, b (a is not registered)",
    )
