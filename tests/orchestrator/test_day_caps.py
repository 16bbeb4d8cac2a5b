"""A cap of a day outlives the engine: real files, a real journal, one engine after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from formats.writing import write_home
from process_orchestrator.assemble import Mode, open_orchestrator
from process_orchestrator.settings import Settings
from process_orchestrator.views.models import SubmitRequest
from process_orchestrator.views.text import escalation_text

if TYPE_CHECKING:
    from pathlib import Path

    from process_orchestrator.core.ports import InProcessCall
    from process_orchestrator.home import Home
    from process_orchestrator.views.models import ProcessView

pytestmark = pytest.mark.anyio

HOME = """
    contract: thing.look
    version: 1.0.0
    summary: Look.
    input:  {type: object}
    output: {type: object}
    effects: {kind: read}
    cost: {per_call_usd: 0.40}
    ---
    agent: desk
    summary: Looks.
    transport: {kind: http, base_url: "https://desk.example"}
    serves: [{contract: thing.look@^1, bind: {method: GET, path: /}}]
    limits: {usd_per_day: 1.00}
    ---
    process: looking
    version: 1.0.0
    summary: Look once.
    input:  {type: object}
    output: {type: object}
    plan:
      steps: [{id: look, contract: thing.look, in: {}, on_failure: fail}]
      output: {}
"""


async def looked(home: Home, times: int) -> list[ProcessView]:
    """Look some times, in an engine of its own."""

    async def desk(_arguments: dict[str, Any], _told: InProcessCall) -> Any:
        return {}

    async with open_orchestrator(home, Settings(), mode=Mode.DRIVE, in_process={"desk": desk}) as orchestrator:
        request = SubmitRequest(process_type="looking", input={}, wait_s=20)
        return [await orchestrator.submit(request) for _ in range(times)]


async def test_what_an_agent_cost_before_a_restart_counts_after_it(tmp_path: Path) -> None:
    home = write_home(tmp_path, HOME)
    assert [view.status for view in await looked(home, 2)] == ["completed", "completed"]

    [refused] = await looked(home, 1)

    assert (refused.status, refused.cost.spent_usd) == ("failed", "0.00")
    assert refused.error is not None
    assert (refused.error.code, refused.error.blame, refused.error.rule) == ("over_budget", "policy", "usd_per_day")
    assert refused.error.message is not None
    assert refused.error.message.startswith("desk has 0.80 USD spent of its 1.00 USD a day, which frees at 20")


async def test_a_person_who_is_asked_about_a_cap_reads_which_one_and_when_it_frees(tmp_path: Path) -> None:
    home = write_home(tmp_path, HOME.replace("on_failure: fail", "on_failure: escalate"))
    await looked(home, 2)
    [asking] = await looked(home, 1)

    assert asking.status == "waiting_human"
    async with open_orchestrator(home, Settings(), mode=Mode.READ) as orchestrator:
        question = await orchestrator.escalation(asking.escalations[0].escalation_id)
    assert "limits.usd_per_day" in question.question
    assert question.evidence is not None
    first = question.evidence[0]
    assert (first.label, first.from_) == ("what went wrong", "engine")
    assert first.value.startswith("desk has 0.80 USD spent of its 1.00 USD a day, which frees at 20")
    assert "Tried: no agent over_budget after 0 ms" in escalation_text(question)
