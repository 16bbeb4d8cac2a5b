"""Steps that wait and steps that are repeated, driven by the real engine; time is the test's."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import anyio
import pytest

from flow.home import Agents, SteppedClock, open_flow
from process_orchestrator.core.facts.values import Decision, Status, Why
from process_orchestrator.core.ports import InProcessCall

PAUSE = """
process: pause
plan:
  steps:
    - {id: rest, wait: {seconds: 90}}
    - {id: look, contract: job.look, in: {job: x}, after: [rest]}
  output: {ready: $.steps.look.output.ready, rested: $.steps.rest.output.seconds}
"""

POLL = """
process: poll
plan:
  steps:
    - id: poll
      contract: job.look
      in: {job: x}
      repeat: {until: {let: {p: $.output.percent}, expr: "p >= 100"}, max: 4, every_s: 10}
    - {id: book, contract: job.add, in: {amount: 1.5}, after: [poll]}
  output: {file: $.steps.poll.output.file, total: $.steps.book.output.total}
"""


async def test_a_wait_ends_after_its_time_and_not_before(tmp_path: Path) -> None:
    async with open_flow(tmp_path, PAUSE) as flow:
        process = await flow.submit("pause")
        await flow.pauses(process, "rest.1/wait")
        view = await flow.view(process)
        assert (view.status, view.why) == ("running", "timer")
        assert (view.steps[0].status, view.steps[0].why, view.steps[0].agent) == ("backoff", "timer", None)
        assert view.wait_until == view.steps[0].wait_until is not None
        flow.advance(89.9)
        assert flow.agents.asked == []
        flow.advance(0.1)
        ended = await flow.ended(process)
        assert ended.status is Status.COMPLETED
        assert (await flow.view(process)).output == {"ready": True, "rested": 90.0}
        await flow.is_sound(process)


async def test_a_wait_goes_on_where_it_was_after_a_restart(tmp_path: Path) -> None:
    clock = SteppedClock()
    async with open_flow(tmp_path, PAUSE, clock=clock) as flow:
        process = await flow.submit("pause")
        await flow.pauses(process, "rest.1/wait")
    clock.advance(60_000)
    async with open_flow(tmp_path, PAUSE, clock=clock) as flow:
        await flow.pauses(process, "rest.1/wait")
        assert flow.agents.asked == []
        flow.advance(30)
        assert (await flow.ended(process)).status is Status.COMPLETED


async def test_a_cancel_ends_a_wait_at_once(tmp_path: Path) -> None:
    async with open_flow(tmp_path, PAUSE) as flow:
        process = await flow.submit("pause")
        await flow.pauses(process, "rest.1/wait")
        await flow.orchestrator.cancel(process, "no longer needed")
        assert (await flow.ended(process)).status is Status.CANCELLED


async def test_a_repeated_step_looks_again_until_its_condition_holds(tmp_path: Path) -> None:
    async with open_flow(tmp_path, POLL, agents=Agents(looks=(20, 60, 100))) as flow:
        process = await flow.submit("poll")
        for number in (2, 3):
            await flow.pauses(process, f"poll#{number}.1/wait")
            view = await flow.view(process)
            assert (view.why, view.steps[0].rounds) == ("timer", view.steps[0].rounds)
            assert view.steps[0].rounds is not None
            assert (view.steps[0].rounds.done, view.steps[0].rounds.total) == (number - 1, 4)
            flow.advance(10)
        await flow.ended(process)
        view = await flow.view(process, include=["report", "diagram", "plan"])
        assert view.output == {"file": "out.pdf", "total": 2.5}
        keys = [key for name, key in flow.agents.asked if name == "looker"]
        assert keys == [f"{process}/poll#{number}/g1" for number in (1, 2, 3)]
        assert "3 of at most 4 rounds" in str(view.report)
        assert "round 3/4" in str(view.diagram)
        assert view.steps[0].attempts == 3
        trace = await flow.orchestrator.trace(process, limit=50)
        told = [entry.summary for entry in trace.entries]
        assert "poll#4: not needed; what the step was repeated for is there." in told
        await flow.is_sound(process)


async def test_a_step_whose_condition_never_holds_is_a_loop_and_says_so(tmp_path: Path) -> None:
    text = POLL.replace("every_s: 10", "every_s: 0").replace("id: poll\n", "id: poll\n      on_failure: fail\n")
    async with open_flow(tmp_path, text, agents=Agents(looks=(1,))) as flow:
        process = await flow.submit("poll")
        state = await flow.ended(process)
        assert state.failing is not None
        assert (state.failing.code, state.failing.rule, state.failing.blame.value) == ("loop", "repeat.max", "policy")
        assert [name for name, _ in flow.agents.asked] == ["looker"] * 4
        await flow.is_sound(process)


async def test_a_person_may_let_a_step_go_on_that_has_used_its_rounds_up(tmp_path: Path) -> None:
    text = POLL.replace("every_s: 10", "every_s: 0")
    async with open_flow(tmp_path, text, agents=Agents(looks=(1, 2, 3, 4, 5, 100))) as flow:
        process = await flow.submit("poll")
        state = await flow.asks(process)
        [question] = state.escalations.values()
        assert Decision.RETRY in question.decisions
        await flow.decide(process, "retry")
        assert (await flow.ended(process)).status is Status.COMPLETED
        assert [name for name, _ in flow.agents.asked] == ["looker"] * 6 + ["adder"]


async def test_a_condition_that_cannot_be_told_is_a_failure_of_the_plan(tmp_path: Path) -> None:
    until = "{let: {file: $.output.file}, expr: \"file != ''\"}"
    text = POLL.replace('{let: {p: $.output.percent}, expr: "p >= 100"}', until)
    async with open_flow(tmp_path, text, agents=Agents(looks=(20,))) as flow:
        process = await flow.submit("poll")
        state = await flow.asks(process)
        failure = state.units["poll#2"].failure
        assert failure is not None
        assert (failure.code, failure.blame.value) == ("missing_binding", "planner")


async def test_a_round_waits_on_after_a_restart_and_no_look_is_made_twice(tmp_path: Path) -> None:
    clock, agents = SteppedClock(), Agents(looks=(20, 100))
    async with open_flow(tmp_path, POLL, agents=agents, clock=clock) as flow:
        process = await flow.submit("poll")
        await flow.pauses(process, "poll#2.1/wait")
    async with open_flow(tmp_path, POLL, agents=agents, clock=clock) as flow:
        flow.advance(10)
        assert (await flow.ended(process)).status is Status.COMPLETED
    assert [name for name, _ in agents.asked] == ["looker", "looker", "adder"]


SHAPES = tuple(product((1, 2, 5, 9, 40), ("0", "1"), ("read", "write"), (1, 3, 6)))[:56]


@pytest.mark.parametrize("group", range(4))
async def test_no_lawful_way_of_polling_is_taken_for_a_loop(tmp_path: Path, group: int) -> None:
    """Equal arguments again and again, many rounds, several polls side by side: none of it is a loop."""
    for number, (rounds, every_s, effect, beside) in enumerate(SHAPES[group::4]):
        contract = "{contract: job.look, in: {job: x}" if effect == "read" else "{contract: job.add, in: {amount: 1}"
        until = "$.output.ready" if effect == "read" else '{let: {t: $.output.total}, expr: "t >= 100.0"}'
        repeat = f"repeat: {{until: {until}, max: {rounds}, every_s: {every_s}}}"
        steps = "\n".join(f"    - {{id: s{place}, {contract[1:]}, {repeat}}}" for place in range(beside))
        limits = "limits: {same_call: 1}\nbudget: {calls: 1000, usd: 100}"
        text = f"process: shape\n{limits}\nplan:\n  steps:\n{steps}\n  output: {{}}\n"
        seen: dict[str, int] = {}

        async def looks(_given: dict[str, Any], told: InProcessCall, rounds: int = rounds, seen: Any = seen) -> Any:
            step = told.call.partition("#")[0]
            seen[step] = seen.get(step, 0) + 1
            return {"ready": seen[step] == rounds, "percent": 1}

        async def adds(_given: dict[str, Any], told: InProcessCall, rounds: int = rounds, seen: Any = seen) -> Any:
            step = told.call.partition("#")[0]
            seen[step] = seen.get(step, 0) + 1
            return {"total": 100.0 if seen[step] == rounds else 0.0}

        agents = Agents(doing={"looker": looks, "adder": adds})
        async with open_flow(tmp_path / str(number), text, agents=agents) as flow:
            process, moved_at = await flow.submit("shape"), 0
            while not (state := await flow.host.state(process)).finished:
                assert not state.escalations_open, state.escalations
                if state.why is Why.TIMER and state.seq != moved_at:
                    moved_at = state.seq
                    flow.advance(1)
                await anyio.lowlevel.checkpoint()
            assert state.status is Status.COMPLETED
            assert state.calls == rounds * beside
