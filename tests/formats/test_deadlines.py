"""What the page of formats says of `escalation.deadline_s` and `on_deadline`, with a real engine and its real clock."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from formats.writing import opened, write_home

pytestmark = [pytest.mark.anyio, pytest.mark.behaviour("deadline")]

HOME = """
    contract: number.keep
    version: 1.0.0
    summary: Keep a number.
    input:  {type: object, required: [value], properties: {value: {type: integer}}}
    output: {type: object, required: [value], properties: {value: {type: integer}}}
    effects: {kind: write}
    approval: {role: approver, min_assurance: A0}
    ---
    agent: clerk
    summary: Small and plain.
    transport: {kind: mcp_stdio, command: ["{python}", CLERK, "{state}/clerk.log"]}
    serves:
      - {contract: number.keep@^1, bind: {tool: echo}}
    ---
    process: keeping
    version: 1.0.0
    summary: Keep a number once somebody has said so.
    input:  {type: object, required: [value], properties: {value: {type: integer}}}
    output: {type: object}
    plan:
      steps: [{id: keep, contract: number.keep, in: {value: $.input.value}}]
      output: {}
    escalation: {deadline_s: 1, on_deadline: reject, min_assurance: A0}
"""


async def test_a_question_that_nobody_answers_is_rejected_by_its_deadline(tmp_path: Path) -> None:
    home = write_home(tmp_path, HOME)
    async with opened(home) as use:
        asked = await use.run("keeping", {"value": 1})
        (question,) = asked.escalations
        assert (asked.status, question.on_deadline) == ("waiting_human", "reject")
        assert question.deadline_at is not None
        with anyio.fail_after(20):
            view = asked
            while view.status == "waiting_human":
                view = await use.orchestrator.state(view.process_id, wait_s=10, since=view.version)
        assert (view.status, view.error.code if view.error else None) == ("failed", "rejected")
        assert view.error is not None
        assert "rejected by deadline (timer, A0)" in (view.error.message or "")
        assert not (home.state / "clerk.log").exists()


async def test_a_deadline_that_passed_while_no_engine_ran_decides_at_the_next_start(tmp_path: Path) -> None:
    home = write_home(tmp_path, HOME)
    async with opened(home) as use:
        asked = await use.run("keeping", {"value": 1})
        assert asked.status == "waiting_human"
    deadline = asked.escalations[0].deadline_at
    assert deadline is not None
    with anyio.fail_after(20):
        while datetime.now(UTC) < datetime.fromisoformat(deadline):
            await anyio.sleep(0.05)
    async with opened(home) as use:
        with anyio.fail_after(20):
            view = await use.settled(asked)
            while view.status == "waiting_human":
                view = await use.orchestrator.state(view.process_id, wait_s=10, since=view.version)
        assert (view.status, view.error.code if view.error else None) == ("failed", "rejected")
