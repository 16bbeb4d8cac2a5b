"""Which agent a call goes to, and why it: pinned by the step, then by circuit, then by preference, then by name.

The step's agents arrive in the order of the last two; here they are taken as they stand at this moment. Pure, and the
only place where agents are ordered. That a chosen agent can still be called is asked again just before the call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from process_orchestrator.checking.plans.plan_document import PinnedAgent
from process_orchestrator.core.facts.values import AgentPin, Fact
from process_orchestrator.performing.circuit import CircuitState
from process_orchestrator.performing.failure import Failed, RefusedCallError

USD_PER_DAY: Final = "usd_per_day"
"""The rule of `over_budget` where every agent that is left has reached its cap of today."""

RANK: Final = {CircuitState.CLOSED: 0, CircuitState.HALF_OPEN: 1, CircuitState.OPEN: 2}


class Standing(Fact, frozen=True, kw_only=True):
    """How an agent stands now. `gone` says why it may not be called at all: "is not registered"."""

    gone: str | None = None
    unset: bool = False  # gone because no model is set up for it: trying again does not help
    circuit: CircuitState = CircuitState.CLOSED
    capped: str | None = None  # it has cost all that it may cost today: how much, and when that frees
    circuit_wait_ms: int = 0  # until its circuit lets a call through; 0: it does now


WELL: Final = Standing()
"""It may be called, and no other that is well comes before it but by preference."""


class _Candidate(NamedTuple):
    agent: PinnedAgent
    standing: Standing


def choose(
    served: Sequence[PinnedAgent],
    *,
    tried: tuple[str, ...],
    only: str | None,
    standing: Callable[[PinnedAgent], Standing],
) -> tuple[AgentPin, str]:
    """The agent of the next call, and why it.

    Raises RefusedCallError: `unreachable` where none is left, `no_model` where only models are left that are not set
    up, `over_budget` where all that are left have reached their caps of today, `circuit_open` where none may be called
    yet, with the time after which one may.
    """
    first = served[0] if served else None
    if first is not None and first.name not in tried and (only or first.name) == first.name and standing(first) == WELL:
        pin = AgentPin(name=first.name, sha256=first.sha256)
        return pin, _why_first(len(served), only)  # as nearly always: the others need not be asked
    asked = [agent for agent in served if agent.name == only or (only is None and agent.name not in tried)]
    stands = [_Candidate(agent, standing(agent)) for agent in asked]
    able = [each for each in stands if each.standing.gone is None]
    ranked = sorted((each for each in able if each.standing.capped is None), key=_rank)
    if able and not ranked:
        message = "; ".join(each.standing.capped for each in able if each.standing.capped is not None)
        raise RefusedCallError(Failed(code="over_budget", message=message, rule=USD_PER_DAY))
    if not ranked:
        unset = bool(stands) and all(each.standing.unset for each in stands)
        code = "no_model" if unset else "unreachable"
        raise RefusedCallError(Failed(code=code, message=_nobody(served, stands, only)))
    agent, state = ranked[0]
    if state.circuit_wait_ms:
        names = ", ".join(each.agent.name for each in ranked)
        wait = min(each.standing.circuit_wait_ms for each in ranked)
        message = f"no agent may be called before its circuit closes again: {names}"
        raise RefusedCallError(Failed(code="circuit_open", message=message, retry_after_ms=wait))
    pin = AgentPin(name=agent.name, sha256=agent.sha256)
    return pin, _why(served, stands, ranked[0], tried=tried, only=only)


def _rank(candidate: _Candidate) -> tuple[int, bool]:
    """Sorting is stable: equals keep the order of preference and name. A half-open agent with a probe comes late."""
    return RANK[candidate.standing.circuit], candidate.standing.circuit_wait_ms > 0


def _why(
    served: Sequence[PinnedAgent],
    stands: Sequence[_Candidate],
    chosen: _Candidate,
    *,
    tried: tuple[str, ...],
    only: str | None,
) -> str:
    if only is not None or chosen.agent is served[0]:
        why = _why_first(len(served), only)
    else:
        before = [f"{name} was tried" for name in tried]
        before += [f"{agent.name} {state.gone}" for agent, state in stands if state.gone is not None]
        before += [f"{agent.name} has reached its cap of today" for agent, state in stands if state.capped is not None]
        before += [
            f"{agent.name} has its circuit {state.circuit.replace('_', ' ')}"
            for agent, state in stands[: stands.index(chosen)]
            if state.gone is None and state.capped is None
        ]
        why = f"next of {len(served)} by preference: {', '.join(before)}"
    if chosen.standing.circuit is CircuitState.HALF_OPEN:
        why += "; its circuit is half open, this call tries whether it is back"
    return why


def _why_first(served: int, only: str | None) -> str:
    if only is not None:
        return "the only one that this call may go to"
    return "the only agent that serves this contract" if served == 1 else f"first of {served} by preference"


def _nobody(served: Sequence[PinnedAgent], stands: Sequence[_Candidate], only: str | None) -> str:
    gone = ", ".join(f"{agent.name} {state.gone}" for agent, state in stands)
    if only is not None:
        return gone or f"{only} does not serve this contract"
    names = ", ".join(agent.name for agent in served) or "no agent"
    return f"no agent is left for this contract: {names}" + (f" ({gone})" if gone else "")
