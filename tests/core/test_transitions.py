"""The life of a unit: the table, written out a second time, and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from core.journeys import ALPHA, GATE, Journey, failed, mapped, plan_of, ref, refused, resolution, step
from process_orchestrator.core.diagram import page
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.values import Blame, Decision, OnFailure, Phase, Stage
from process_orchestrator.core.unit import NEXT

TABLE = """
preparing StepSkipped: skipped
preparing CallPrepared: asking backoff calling done escalated failed preparing skipped
preparing MapOpened: asking calling escalated failed preparing skipped
preparing CallFailed: backoff escalated failed preparing skipped waiting
preparing StageFailed: escalated failed preparing skipped waiting
asking EscalationResolved: calling escalated failed preparing skipped
calling CallSucceeded: done
calling CallFailed: backoff escalated failed preparing skipped waiting
calling CallLost: backoff escalated failed preparing skipped waiting
calling ChildFinished: done escalated failed preparing skipped waiting
calling ItemsCollected: done
calling StageFailed: escalated failed preparing skipped waiting
backoff TimerFired: asking calling done escalated failed preparing skipped
escalated EscalationResolved: calling done failed preparing skipped
"""


def test_the_table_is_what_it_is_meant_to_be() -> None:
    said = [f"{phase} {event.__name__}: {' '.join(sorted(rule.leads_to))}" for (phase, event), rule in NEXT.items()]
    assert said == TABLE.strip().splitlines()


def test_the_page_of_the_docs_is_drawn_from_the_table() -> None:
    docs = Path(__file__).resolve().parents[2] / "docs" / "core-transitions.md"
    assert docs.read_text(encoding="utf-8") == page()


def in_phase(phase: Phase) -> Journey:
    """A process whose unit `a` is in a phase, with the event of every kind aimed at it."""
    if phase is Phase.WAITING:
        return Journey(plan_of(step("z"), step("a", needs=("z",))))
    journey = Journey(plan_of(step("a", on_failure={"else": OnFailure.ESCALATE}), step("z")))
    match phase:
        case Phase.PREPARING:
            return journey
        case Phase.ASKING:
            return journey.prepared("a.1", gate=GATE)
        case Phase.CALLING:
            return journey.prepared("a.1")
        case Phase.BACKOFF:
            return journey.fails("a.1", failed("a.1"))
        case Phase.ESCALATED:
            return journey.fails("a.1", refused("a.1"))
        case Phase.DONE:
            return journey.done("a.1")
        case Phase.SKIPPED:
            return journey.tell(e.StepSkipped(at=0, unit="a", reason="condition"))
        case _:
            fails = Journey(plan_of(step("a", on_failure={"else": OnFailure.FAIL}), step("z")))
            return fails.prepared("z.1").fails("a.1", refused("a.1"))


def aimed_at(call: str) -> dict[str, e.Event]:
    """One event of each kind that could concern a step that is called."""
    return {
        "StepSkipped": e.StepSkipped(at=0, unit="a", reason="condition"),
        "CallPrepared": e.CallPrepared(at=0, call=call, agent=ALPHA, input=ref("in"), digest="d"),
        "CallSucceeded": e.CallSucceeded(at=0, call=call, output=ref("out"), ms=1),
        "CallFailed": failed(call),
        "CallLost": e.CallLost(at=0, call=call),
        "TimerFired": e.TimerFired(at=0, timer=f"{call}/retry"),
        "EscalationResolved": resolution(Decision.ABORT),
        "MapOpened": e.MapOpened(at=0, step="a", count=1, digest="d"),
        "ItemsCollected": e.ItemsCollected(at=0, step="a", output=ref("out")),
        "StageFailed": e.StageFailed(at=0, stage=Stage.MAP, step="a", code="x", blame=Blame.US),
        "ChildFinished": e.ChildFinished(at=0, call=call, status="completed"),  # type: ignore[arg-type]
    }


# A call in preparing, calling and backoff is known by its id; a lost call was never made in preparing.
MOVES = {
    Phase.WAITING: "",
    Phase.PREPARING: "StepSkipped CallPrepared CallFailed",
    Phase.ASKING: "EscalationResolved",
    Phase.CALLING: "CallSucceeded CallFailed CallLost",
    Phase.BACKOFF: "TimerFired",
    Phase.ESCALATED: "EscalationResolved",
    Phase.DONE: "",
    Phase.SKIPPED: "",
    Phase.FAILED: "",
}


@pytest.mark.parametrize("phase", list(MOVES))
def test_only_the_pairs_of_the_table_move_a_step(phase: Phase) -> None:
    assert in_phase(phase).phase("a") == phase
    moved: list[str] = []
    for name, event in aimed_at("a.1").items():
        journey = in_phase(phase)
        before = journey.state
        journey.tell(event)
        if journey.unit("a") != before.units["a"]:
            moved.append(name)
        else:
            assert journey.last == ()
    assert sorted(moved) == sorted(MOVES[phase].split())


MAP_MOVES = {"preparing": "StepSkipped MapOpened StageFailed", "calling": "", "collecting": "ItemsCollected"}


@pytest.mark.parametrize("standing", list(MAP_MOVES))
def test_only_the_pairs_of_the_table_move_a_mapped_step(standing: str) -> None:
    moved: list[str] = []
    for name, event in aimed_at("a.1").items():
        journey = Journey(plan_of(mapped("a")))
        if standing != "preparing":
            journey.opened("a", 0 if standing == "collecting" else 1)
        before = journey.state
        journey.tell(event)
        if journey.state.units["a"] != before.units["a"]:
            moved.append(name)
    assert sorted(moved) == sorted(MAP_MOVES[standing].split())


def test_every_kind_of_event_is_known_by_name() -> None:
    """A new event must find its place in the tables of these tests."""
    assert sorted(event.__name__ for event in get_args(e.Event)) == sorted(
        [
            "ProcessStarted",
            "EscalationResolved",
            "CancelRequested",
            "TimerFired",
            "CallLost",
            "ChildFinished",
            "EngineResumed",
            "DecisionsDrifted",
            "TaskClassified",
            "PlanProposed",
            "PlanChecked",
            "MapOpened",
            "CallPrepared",
            "StepSkipped",
            "CallSucceeded",
            "CallFailed",
            "ItemsCollected",
            "OutputBuilt",
            "EscalationOpened",
            "StageFailed",
            "BriefWritten",
        ]
    )
