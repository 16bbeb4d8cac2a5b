"""Processes that a process starts, driven by the real engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio

from flow.home import PATIENCE_S, Agents, Flow, SteppedClock, open_flow
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.facts.values import Status, Why
from process_orchestrator.core.ports import InProcessCall, ProcessQuery

PART = """
process: part
input: {type: object, required: [amount], additionalProperties: false, properties: {amount: {type: number}}}
output: {type: object, required: [total], properties: {total: {type: number}}}
budget: {usd: 0.5}
plan:
  steps:
    - {id: add, contract: job.add, in: {amount: $.input.amount}, on_failure: fail}
  output: {total: $.steps.add.output.total}
"""

WHOLE = """
process: whole
plan:
  steps:
    - {id: part, process: part@^1, in: {amount: 2.5}}
    - {id: add, contract: job.add, in: {amount: $.steps.part.output.total}}
  output: {total: $.steps.add.output.total}
"""

LIST = """
process: lists
budget: {usd: 5}
plan:
  steps:
    - {id: parts, process: part, for_each: $.input.amounts, parallel: 3, in: {amount: $.item}}
  output: {totals: $.steps.parts.output}
input:
  type: object
  properties: {amounts: {type: array, items: {type: number}}}
"""


def childs(state: Process) -> dict[str, str]:
    """The child of each unit that started one."""
    return {unit.id: unit.child for unit in state.units.values() if unit.child is not None}


async def child_of(flow: Flow, process: str, unit: str = "part") -> str:
    """The child of a unit, once it is there."""
    state = await flow.until(process, lambda state: unit in childs(state))
    child = childs(state)[unit]
    with anyio.fail_after(PATIENCE_S):
        while not (await flow.host.processes(ProcessQuery(prefix=child))).items:
            await anyio.lowlevel.checkpoint()
    return child


def gate(agents: Agents) -> anyio.Event:
    """The adder waits until this is set."""
    opened = anyio.Event()

    async def add(arguments: dict[str, Any], _told: InProcessCall) -> Any:
        await opened.wait()
        return {"total": arguments["amount"] + 1}

    agents.doing["adder"] = add
    return opened


async def test_a_step_starts_a_process_and_goes_on_with_its_output(tmp_path: Path) -> None:
    async with open_flow(tmp_path, PART, WHOLE) as flow:
        process = await flow.submit("whole")
        state = await flow.ended(process)
        assert (state.status, (await flow.view(process)).output) == (Status.COMPLETED, {"total": 4.5})
        child = await flow.host.state(childs(state)["part"])
        assert (child.spec.lineage, child.spec.parent_call, child.status) == ((process,), "part.1", Status.COMPLETED)
        assert (child.usd_micros, state.usd_micros) == (100_000, 200_000)
        assert [key for _, key in flow.agents.asked] == [
            f"{child.spec.process_id}/add/g1",
            f"{process}/add/g1",
        ]
        await flow.is_sound(process)
        await flow.is_sound(child.spec.process_id)


async def test_a_list_is_gone_through_by_children(tmp_path: Path) -> None:
    async with open_flow(tmp_path, PART, LIST) as flow:
        process = await flow.submit("lists", {"amounts": [1, 2, 3, 4, 5]})
        state = await flow.ended(process)
        assert (await flow.view(process)).output == {"totals": [{"total": n + 1} for n in range(1, 6)]}
        assert len(set(childs(state).values())) == 5
        await flow.is_sound(process)


async def test_parents_that_wait_for_children_take_no_place_from_them(tmp_path: Path) -> None:
    async with open_flow(tmp_path, PART, LIST, places=1) as flow:
        processes = [await flow.submit("lists", {"amounts": [1, 2, 3]}) for _ in range(4)]
        for process in processes:
            assert (await flow.ended(process)).status is Status.COMPLETED


async def test_a_childs_failure_is_its_steps_and_says_where_it_was(tmp_path: Path) -> None:
    async def full(_arguments: dict[str, Any], _told: InProcessCall) -> Any:
        raise AgentCallError("full", "there is no room")

    agents = Agents(doing={"adder": full})
    text = WHOLE.replace("in: {amount: 2.5}", "in: {amount: 2.5}, on_failure: {full: fail}")
    async with open_flow(tmp_path, PART, text, agents=agents) as flow:
        process = await flow.submit("whole")
        state = await flow.ended(process)
        assert state.failing is not None
        assert (state.failing.code, state.failing.step, state.failing.blame.value) == ("full", "part", "agent")
        assert state.failing.message == "its step add failed: there is no room"


async def test_a_cancel_goes_down_the_tree(tmp_path: Path) -> None:
    agents = Agents()
    gate(agents)
    top = "process: top\nplan: {steps: [{id: whole, process: whole}], output: {}}\n"
    async with open_flow(tmp_path, PART, WHOLE, top, agents=agents) as flow:
        process = await flow.submit("top")
        middle = await child_of(flow, process, "whole")
        bottom = await child_of(flow, middle)
        await flow.until(bottom, lambda state: bool(state.live_calls))
        await flow.orchestrator.cancel(process, "no longer needed")
        for each in (bottom, middle, process):
            assert (await flow.ended(each)).status is Status.CANCELLED
            await flow.is_sound(each)


async def test_three_levels_are_as_deep_as_the_default_allows(tmp_path: Path) -> None:
    lowest = PART.replace("process: part", "process: p0")
    levels = [
        f"process: p{level}\nplan:\n  steps: [{{id: down, process: p{level - 1}, in: {{amount: 1}}}}]\n"
        "  output: {total: $.steps.down.output.total}\n"
        "input: {type: object, properties: {amount: {type: number}}}\n"
        "output: {type: object, required: [total], properties: {total: {type: number}}}\n"
        for level in range(1, 4)
    ]
    async with open_flow(tmp_path, lowest, *levels) as flow:
        process = await flow.submit("p3")
        state = await flow.ended(process)
        assert (state.status, (await flow.view(process)).output) == (Status.COMPLETED, {"total": 2})
        assert state.usd_micros == 100_000


async def test_one_budget_holds_for_the_tree_and_the_child_that_lacks_money_is_shown_above_it(tmp_path: Path) -> None:
    """0.35 for four times 0.1: the last child gets what is left, and asks."""
    text = LIST.replace("usd: 5", "usd: 0.35")
    async with open_flow(tmp_path, PART, text) as flow:
        process = await flow.submit("lists", {"amounts": [1, 2, 3, 4]})
        state = await flow.until(process, lambda state: "parts[3]" in childs(state))
        last = childs(state)["parts[3]"]
        await child_of(flow, process, "parts[3]")
        child = await flow.asks(last)
        assert (child.why, child.spec.budget.usd_micros) == (Why.BUDGET, 50_000)
        view = await flow.view(process)
        assert (view.status, view.why, view.cost.spent_usd, view.cost.reserved_usd) == (
            *("running", "agent", "0.30", "0.05"),
        )
        [action] = [each for each in view.next_actions if each.tool == "list_escalations"]
        assert action.args == {"escalation_id": f"{last}.e1"}
        assert view.next_actions[0] == action, "what nothing goes on without comes first"
        assert view.steps[0].child == last
        await flow.decide(last, "raise_budget", data={"usd": "0.05"})
        assert (await flow.ended(process)).status is Status.COMPLETED


async def test_a_question_below_is_shown_above_and_the_tree_goes_on_once_it_is_answered(tmp_path: Path) -> None:
    ask = """
process: part
input: {type: object}
output: {type: object, required: [total], properties: {total: {type: number}}}
plan:
  steps:
    - {id: ask, contract: desk.ask, in: {question: really}}
    - {id: add, contract: job.add, in: {amount: 1}, after: [ask]}
  output: {total: $.steps.add.output.total}
"""
    top = "process: top\nplan: {steps: [{id: down, process: whole}], output: {}}\n"
    async with open_flow(tmp_path, ask, WHOLE, top) as flow:
        process = await flow.submit("top")
        middle = await child_of(flow, process, "down")
        bottom = await child_of(flow, middle)
        await flow.asks(bottom)
        view = await flow.view(process)
        told = [(each.tool, each.args) for each in view.next_actions]
        assert ("list_escalations", {"escalation_id": f"{bottom}.e1"}) in told
        assert ("get_state", {"process_id": middle}) in told
        await flow.decide(bottom, "answer", data={"yes": True})
        assert (await flow.ended(process)).status is Status.COMPLETED
        trace = await flow.orchestrator.trace(process, limit=50)
        told = [entry.summary for entry in trace.entries]
        assert "down.1: arguments keep whole@1.0.0, for whole." in told
        assert "down.1: its process ended completed." in told


async def test_what_is_sensitive_below_is_masked_above(tmp_path: Path) -> None:
    async with open_flow(tmp_path, PART, WHOLE) as flow:
        process = await flow.submit("whole")
        await flow.ended(process)
        trace = await flow.orchestrator.trace(process, step="part", limit=50, data=True)
        [prepared] = [each for each in trace.entries if each.call == "part.1" and each.event == "CallPrepared"]
        assert "2.5" not in str(prepared.input)


async def test_a_child_is_polled_until_what_it_gives_is_enough(tmp_path: Path) -> None:
    given: list[float] = [1.0, 2.0, 3.0]

    async def add(_arguments: dict[str, Any], _told: InProcessCall) -> Any:
        return {"total": given.pop(0)}

    text = WHOLE.replace(
        "in: {amount: 2.5}",
        'in: {amount: 2.5}, repeat: {until: {let: {t: $.output.total}, expr: "t > 1.5"}, every_s: 0}',
    )
    async with open_flow(tmp_path, PART, text, agents=Agents(doing={"adder": add})) as flow:
        process = await flow.submit("whole")
        state = await flow.ended(process)
        assert sorted(childs(state)) == ["part#1", "part#2"]
        assert (await flow.view(process)).output == {"total": 3}


async def test_a_parent_meets_the_end_of_its_child_that_it_was_never_told(tmp_path: Path) -> None:
    """The child ended while nobody drove: at the next start the parent is told, and goes on."""
    agents, clock = Agents(), SteppedClock()
    gate(agents)
    async with open_flow(tmp_path, PART, WHOLE, agents=agents, clock=clock) as flow:
        process = await flow.submit("whole")
        child = await child_of(flow, process)
        await flow.until(child, lambda state: bool(state.live_calls))
    clock.advance(60_000)
    async with open_flow(tmp_path, PART, WHOLE, clock=clock) as flow:
        state = await flow.ended(process)
        assert (state.status, state.running_ms) == (Status.COMPLETED, 0)
        resumed = [row for row in (await flow.host.journal(process, after=0, limit=100)).items if "Resumed" in str(row)]
        assert len(resumed) == 1
        await flow.is_sound(process)
        await flow.is_sound(child)
