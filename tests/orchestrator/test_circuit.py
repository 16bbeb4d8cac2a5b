"""A process whose only agent dies again and again: its circuit opens, the step waits, one call tries, it goes on."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.memory_host import JumpingClock, MemoryHost
from process_orchestrator.checking.loading.loader import definition_from_dict
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.plans.compiled import Compiler
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.ports import Proof
from process_orchestrator.hosting.proofs import Derived
from process_orchestrator.orchestrator import Orchestrator, Surroundings
from process_orchestrator.performing.agent_pool import AgentPool
from process_orchestrator.performing.performer import LocalPerformer
from process_orchestrator.views.models import SubmitRequest

AGENTS = Path(__file__).parents[1] / "performing" / "agents"
TRIES: dict[str, Any] = {"type": "object", "properties": {"tries": {"type": "integer"}}, "required": ["tries"]}
GIVEN: dict[str, Any] = {
    "type": "object",
    "properties": {"file": {"type": "string"}, "bad": {"type": "integer"}},
    "required": ["file", "bad"],
}
CONTRACT: dict[str, Any] = {
    "contract": "mood.ask",
    "version": "1.0.0",
    "summary": "Ask.",
    "input": GIVEN,
    "output": TRIES,
    "effects": {"kind": "read"},
    "timeout": {"attempt_s": 10, "total_s": 3600},
    "retry": {"max_attempts": 3, "on": ["lost"], "initial_s": 0.01, "max_s": 0.01},
}
TYPE: dict[str, Any] = {
    "process": "asking",
    "version": "1.0.0",
    "summary": "Ask once.",
    "input": GIVEN,
    "output": TRIES,
    "plan": {
        "steps": [{"id": "ask", "contract": "mood.ask", "in": {"file": "$.input.file", "bad": "$.input.bad"}}],
        "output": {"tries": "$.steps.ask.output.tries"},
    },
}


def moody(name: str, prefer: int, serves: str = "mood.ask@^1") -> dict[str, Any]:
    return {
        "agent": name,
        "summary": "Dies now and then.",
        "transport": {"kind": "mcp_stdio", "command": ["{python}", str(AGENTS / "edgy.py")]},
        "serves": [{"contract": serves, "bind": {"tool": "moody"}}],
        "circuit": {"failures": 2, "window_s": 60, "open_s": 0.4},
        "prefer": prefer,
    }


def nobody(proof: Proof) -> Derived:
    raise AssertionError(f"no test here decides: {proof}")


async def run(tmp_path: Path, agents: list[dict[str, Any]], *, bad: int) -> tuple[Any, list[e.Event]]:
    clock = JumpingClock()
    host = MemoryHost(clock, nobody)
    registry = Registry.of(
        [definition_from_dict("contract", CONTRACT)],
        [definition_from_dict("process", TYPE)],
        [definition_from_dict("agent", agent) for agent in agents],
    )
    async with AgentPool(lambda: registry, state_dir=tmp_path, home=tmp_path, clock=clock) as pool:
        async with host.running(LocalPerformer(host, Compiler(), pool, clock)):
            orchestrator = Orchestrator(host, lambda: registry, Compiler(), surroundings=Surroundings())
            given = {"file": str(tmp_path / "tries"), "bad": bad}
            view = await orchestrator.submit(SubmitRequest(process_type="asking", input=given, wait_s=25))
            page = await host.journal(view.process_id, after=0, limit=10_000)
    return view, [event for row in page.items for event in row.events]


@pytest.mark.behaviour("circuit")
async def test_an_open_circuit_with_no_other_agent_is_waited_out_and_costs_no_attempt(tmp_path: Path) -> None:
    view, events = await run(tmp_path, [moody("only", 10)], bad=2)
    assert (view.status, view.output) == ("completed", {"tries": 3})
    refused = [event.code for event in events if isinstance(event, e.CallFailed)]
    assert refused[:3] == ["lost", "lost", "circuit_open"]
    assert set(refused[2:]) == {"circuit_open"}
    prepared = [event.why_agent for event in events if isinstance(event, e.CallPrepared)]
    assert len(prepared) == 3
    assert "half open" in prepared[-1]


@pytest.mark.behaviour("fallback")
async def test_only_an_agent_that_serves_the_version_of_the_step_is_its_fallback(tmp_path: Path) -> None:
    agents = [moody("first", 10), moody("later", 20, "mood.ask@^2"), moody("spare", 30, "mood.ask@1.0.0")]
    view, events = await run(tmp_path, agents, bad=3)
    assert (view.status, view.output) == ("completed", {"tries": 4})
    prepared = [event.agent.name for event in events if isinstance(event, e.CallPrepared)]
    assert set(prepared) == {"first", "spare"}
    assert prepared[-1] == "spare"
