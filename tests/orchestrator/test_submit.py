"""Submitting: what is refused before anything is stored, what is pinned, and what a repeat means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.home import AGENTS, CONTRACTS, PROCESSES, READ, Desk, Fleet, open_desk, process_type
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.views.models import Caller, SubmitRequest

pytestmark = pytest.mark.anyio


async def refused(desk: Desk, caller: Caller | None = None, **request: Any) -> RefusedError:
    with pytest.raises(RefusedError) as raised:
        await desk.orchestrator.submit(SubmitRequest(**request), caller=caller or Caller())
    return raised.value


async def test_a_process_runs_to_its_output(desk: Desk) -> None:
    view = await desk.settled(label="march", task="please book this")

    assert (view.status, view.label, view.task, view.classified_by) == (
        "completed",
        "march",
        "please book this",
        "caller",
    )
    assert view.output["id"] == "L-LB-1"
    assert [(step.id, step.status, step.attempts) for step in view.steps] == [
        ("read", "done", 1),
        ("lines", "done", 2),
        ("post", "done", 1),
    ]
    assert (view.step.done, view.step.total, view.poll_after_ms) == (3, 3, 0)


async def test_without_a_wait_it_answers_while_the_process_runs(tmp_path: Path) -> None:
    release = anyio.Event()

    async def slow(arguments: dict[str, Any], told: Any) -> Any:
        await release.wait()
        return {"allowed": True}

    async with open_desk(tmp_path, fleet=Fleet(doing={"policy": slow})) as desk:
        view = await desk.submit()
        assert view.status in ("queued", "running")
        assert view.next_actions[0].tool == "get_state"
        assert view.next_actions[0].args == {"process_id": view.process_id, "wait_s": 20, "since": view.version}
        release.set()


async def test_the_rules_find_the_type_of_a_task(desk: Desk) -> None:
    view = await desk.orchestrator.submit(SubmitRequest(task="Please book this invoice", input={"text": "x"}, wait_s=5))

    assert (view.process_type, view.classified_by, view.status) == ("booking", "rules", "completed")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({}, "BAD_ARGUMENT"),
        ({"task": "   "}, "BAD_ARGUMENT"),
        ({"process_type": "bokking", "input": {"text": "x"}}, "UNKNOWN_PROCESS_TYPE"),
        ({"task": "make me a sandwich"}, "AMBIGUOUS_TASK"),
        ({"task": "review and read and remind"}, "AMBIGUOUS_TASK"),
        ({"process_type": "dreaming", "input": {"text": "x"}}, "NEEDS_MODEL"),
        ({"process_type": "booking", "input": {}}, "INPUT_MISMATCH"),
        ({"process_type": "booking"}, "INPUT_MISMATCH"),
        ({"process_type": "booking", "input": {"text": 4}}, "INPUT_MISMATCH"),
        ({"process_type": "booking", "input": "text"}, "INPUT_MISMATCH"),
        ({"process_type": "booking", "input": {"text": "x" * 1_100_000}}, "TOO_LARGE"),
        ({"process_type": "booking", "input": {"text": float("nan")}}, "INPUT_MISMATCH"),
        ({"process_type": "booking", "input": {"text": "x"}, "budget_usd": 0}, "BUDGET_INVALID"),
        ({"process_type": "booking", "input": {"text": "x"}, "budget_usd": -1}, "BUDGET_INVALID"),
        ({"process_type": "booking", "input": {"text": "x"}, "budget_usd": "much"}, "BUDGET_INVALID"),
        ({"process_type": "booking", "input": {"text": "x"}, "budget_usd": float("inf")}, "BUDGET_INVALID"),
        ({"process_type": "booking", "input": {"text": "x"}, "budget_usd": 0.51}, "BUDGET_INVALID"),
        ({"process_type": "booking", "input": {"text": "x"}, "budget_usd": "0.00000001"}, "BUDGET_INVALID"),
        ({"task": "x" * 20_001}, "TOO_LARGE"),
        ({"process_type": "booking", "input": {"text": "x"}, "idempotency_key": "k" * 201}, "TOO_LARGE"),
    ],
)
async def test_what_does_not_fit_is_refused_before_a_process_exists(
    desk: Desk, request_: dict[str, Any], code: str
) -> None:
    error = await refused(desk, **request_)

    assert error.code == code
    assert error.do
    assert (await desk.orchestrator.processes()).processes == []


async def test_a_mismatch_names_the_place_and_never_the_value(desk: Desk) -> None:
    error = await refused(desk, process_type="booking", input={"text": 4711, "extra": 1})

    view = desk.orchestrator.error_view(error).error
    assert {problem.pointer for problem in view.errors or []} == {"/text", "/extra"}
    assert "4711" not in view.model_dump_json()


async def test_an_unknown_type_names_the_nearest(desk: Desk) -> None:
    error = await refused(desk, process_type="bokking", input={})

    assert (desk.orchestrator.error_view(error).error.nearest or [])[0] == "booking"


async def test_an_ambiguous_task_names_candidates_with_what_they_need(desk: Desk) -> None:
    error = await refused(desk, task="review, then read it")

    candidates = desk.orchestrator.error_view(error).error.candidates or []
    assert {candidate.process_type for candidate in candidates} == {"review", "reading"}
    assert all(candidate.input_required == ["text"] for candidate in candidates)


async def test_a_type_whose_plan_does_not_hold_together_is_refused_with_the_command(tmp_path: Path) -> None:
    broken = process_type("broken", plan={"steps": [READ], "output": {"x": "$.steps.raed.output.number"}})
    async with open_desk(tmp_path, registry=Registry.of(CONTRACTS, (*PROCESSES, broken), AGENTS)) as desk:
        error = await refused(desk, process_type="broken", input={"text": "x"})

    assert error.code == "BAD_ARGUMENT"
    assert "orchestrator check" in error.do


async def test_names_are_read_generously(desk: Desk) -> None:
    assert (await desk.settled(" `Booking` ")).process_type == "booking"
    assert (await desk.settled("booking@1.0.0", idempotency_key="a")).process_type == "booking"


async def test_a_lower_budget_is_taken(desk: Desk) -> None:
    assert (await desk.settled(budget_usd="0.25")).cost.budget_usd == "0.25"


@pytest.mark.behaviour("P4-same")
async def test_the_same_key_and_body_meet_the_same_process(desk: Desk) -> None:
    first = await desk.settled(idempotency_key="invoice-1", label="one")
    again = await desk.settled(idempotency_key="invoice-1", label="two")

    assert again.process_id == first.process_id
    assert len((await desk.orchestrator.processes()).processes) == 1


@pytest.mark.behaviour("P4-reused")
@pytest.mark.parametrize(
    "changed", [{"input": {"text": "other"}}, {"task": "a task"}, {"budget_usd": 0.1}, {"approval": "every_step"}]
)
async def test_the_same_key_with_another_body_is_refused(desk: Desk, changed: dict[str, Any]) -> None:
    await desk.settled(idempotency_key="invoice-1")

    body: dict[str, Any] = {"process_type": "booking", "input": {"text": "an invoice"}, **changed}
    assert (await refused(desk, idempotency_key="invoice-1", **body)).code == "KEY_REUSED"


@pytest.mark.behaviour("P4-same")
async def test_fifty_submits_at_once_under_one_key_are_one_process(desk: Desk) -> None:
    found: list[str] = []

    async def submit() -> None:
        found.append((await desk.submit(idempotency_key="invoice-1")).process_id)

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(submit)

    assert len(found) == 50
    assert len(set(found)) == 1


async def test_a_second_one_without_a_key_starts_and_names_the_first(tmp_path: Path) -> None:
    release = anyio.Event()

    async def slow(arguments: dict[str, Any], told: Any) -> Any:
        await release.wait()
        return {"allowed": True}

    async with open_desk(tmp_path, fleet=Fleet(doing={"policy": slow})) as desk:
        first = await desk.submit()
        second = await desk.submit()
        other = await desk.submit(input={"text": "another"})
        keyed = await desk.submit(idempotency_key="k")

        assert first.warnings == []
        assert any(first.process_id in warning for warning in second.warnings)
        assert other.warnings == []
        assert keyed.warnings == []
        release.set()


async def test_what_the_door_corrected_is_named(desk: Desk) -> None:
    view = await desk.submit(warnings=("input was a string",))

    assert "input was a string" in view.warnings


@pytest.mark.parametrize("lineage", [("p_a", "p_b", "p_c", "p_d"), ("p_a", "p_b", "p_a")], ids=["too deep", "a circle"])
async def test_lineage_stops_depth_and_circles(desk: Desk, lineage: tuple[str, ...]) -> None:
    error = await refused(desk, Caller(lineage=lineage), process_type="booking", input={"text": "x"})

    assert error.code == "LINEAGE_REFUSED"


async def test_a_process_cannot_wait_for_itself(desk: Desk) -> None:
    first = await desk.settled(idempotency_key="invoice-1")

    error = await refused(
        desk,
        Caller(lineage=(first.process_id,)),
        process_type="booking",
        input={"text": "an invoice"},
        idempotency_key="invoice-1",
    )

    assert error.code == "LINEAGE_REFUSED"


@pytest.mark.behaviour("single-call")
async def test_a_single_call_says_so(desk: Desk) -> None:
    view = await desk.settled("reading")

    assert view.verdict is not None
    assert view.verdict.kind == "single_call"


async def test_approval_of_the_plan_stops_before_the_first_call(desk: Desk) -> None:
    view = await desk.settled(approval="plan")

    assert (view.status, [row.kind for row in view.escalations]) == ("waiting_human", ["plan"])
    assert desk.fleet.calls == []


async def test_approval_of_every_step_asks_before_each_effect(desk: Desk) -> None:
    view = await desk.settled(approval="every_step")

    assert [(row.kind, row.step) for row in view.escalations] == [("approval", "post")]
