"""Writes the golden journals of the version that runs it: `python tests/hosting/golden/make.py`, no arguments.

Each is one process of the pure core, turn by turn, as its rows are stored, and the state to which they lead. The folder
of a released version is never written again: the test beside it holds every later version to those files. As long as a
version is not released, a change of the format is followed by taking away what it changes and running this again: what
is there is left as it is.
"""

import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

GOLDEN: Final = Path(__file__).resolve().parent
sys.path[:0] = [str(GOLDEN.parents[2] / "server"), str(GOLDEN.parents[1])]

from core.journeys import (
    CHILD_TYPE,
    GATE,
    TYPE,
    Journey,
    failed,
    mapped,
    parent,
    plan_of,
    ref,
    refused,
    repeated,
    step,
    undoable,
    waiting,
    writing,
)
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.commands import Command, StartChild
from process_orchestrator.core.facts.specs import Budget
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.facts.values import Blame, Decision, FailureClass, OnFailure, Stage, Usage
from process_orchestrator.core.process import apply
from process_orchestrator.hosting.children import child_finished
from process_orchestrator.hosting.database_file import SCHEMA_VERSION
from process_orchestrator.hosting.turns import PlanFolder, Turn, decisions_of, digest_of, encode_turn

EVENTS_A_ROW: Final = 2
TIMES: Final = 1_795_000_000_000
"""Where the clock of every journey begins, in epoch milliseconds."""


def sequence() -> Journey:
    plan = plan_of(step("a"), step("b", needs=("a",)), writing("c", needs=("b",)))
    return built(Journey(plan).done("a.1").done("b.1").done("c.1"))


def mapping() -> Journey:
    plan = plan_of(step("a"), mapped("lines", needs=("a",)))
    journey = Journey(plan).done("a.1").opened("lines", 3)
    for number in range(3):
        journey.prepared(f"lines[{number}].1")
    for number in (2, 0, 1):
        journey.succeeded(f"lines[{number}].1")
    return built(journey.tell(e.ItemsCollected(at=0, step="lines", output=ref("lines-out"))))


def approval() -> Journey:
    plan = plan_of(step("a"), writing("post", needs=("a",)), deadline_ms=86_400_000)
    journey = asked(Journey(plan).done("a.1").prepared("post.1", gate=GATE))
    return built(journey.decide(Decision.APPROVE).succeeded("post.1"))


def retry() -> Journey:
    journey = Journey(plan_of(writing("post"))).fails("post.1", failed("post.1"))
    journey.passes(2000)
    journey.timer(journey.state.live_timers[0]).fails("post.2", failed("post.2"))
    journey.passes(2000)
    return built(journey.timer(journey.state.live_timers[0]).done("post.3"))


def question() -> Journey:
    """Ends unanswered: its escalation is open."""
    return asked(Journey(plan_of(step("a"), deadline_ms=86_400_000)).fails("a.1", refused("a.1")))


def compensation() -> Journey:
    doomed = step("doomed", needs=("b",), on_failure={"else": OnFailure.COMPENSATE})
    plan = plan_of(undoable("a"), undoable("b", needs=("a",)), doomed)
    journey = Journey(plan).done("a.1").done("b.1").fails("doomed.1", refused("doomed.1"))
    for name in ("b", "a"):
        journey.prepared(f"{name}!undo.1").succeeded(f"{name}!undo.1")
    return journey


def cancelled() -> Journey:
    journey = Journey(plan_of(step("a"), step("b"))).prepared("a.1").cancel()
    return journey.tell(e.CallLost(at=0, call="a.1", jitter=0))


def wait() -> Journey:
    plan = plan_of(step("a"), waiting("rest", ms=30_000, needs=("a",)), writing("post", needs=("rest",)))
    journey = Journey(plan).done("a.1").prepared("rest.1")
    journey.passes(30_000)
    return built(journey.timer("rest.1/wait").done("post.1"))


def repeat() -> Journey:
    """Two rounds, the first of them tried twice; the condition holds over what the second gave."""
    journey = Journey(plan_of(repeated("poll"), step("b", needs=("poll",)))).fails("poll#1.1", failed("poll#1.1"))
    journey.passes(2000)
    journey.timer(journey.state.live_timers[0]).done("poll#1.2").prepared("poll#2.1")
    journey.passes(10_000)
    journey.timer("poll#2.1/wait").succeeded("poll#2.1")
    journey.tell(e.StepSkipped(at=0, unit="poll#3", reason="until"))
    return built(journey.done("b.1"))


def planned() -> Journey:
    """Type and input are found in the task, a plan is proposed and followed, its second step fails, another is made."""
    journey = Journey(None, type=None, task=ref("task"), input=None, models={"intake": 900, "plan": 4000, "brief": 300})
    spent = Usage(usd_micros=200, tokens=70, ms=800)
    found = e.TaskClassified(at=0, process_type=TYPE, input=ref("found"), by="model", budget=Budget(), usage=spent)
    journey.tell(found).tell(
        e.StageFailed(at=0, stage=Stage.PLAN, code="rate_limited", blame=Blame.TRANSPORT, retry_after_ms=9000)
    )
    journey.passes(9000)
    journey.timer(f"{journey.state.spec.process_id}.plan.2/retry")
    first = plan_of(undoable("a"), step("b", needs=("a",)), step("last", needs=("b",)))
    second = plan_of(undoable("a"), step("x", needs=("a",)), step("last", needs=("x",)))
    for number, plan in ((1, first), (2, msgspec.structs.replace(second, sha256="plan-2-sha"))):
        journey.tell(e.PlanProposed(at=0, plan=ref(f"said-{number}"), round=number, usage=spent))
        journey.tell(e.PlanChecked(at=0, ok=True, plan=plan, report=ref(f"report-{number}")))
        if number == 1:
            journey.done("a.1").fails("b.1", refused("b.1", message="no such order"))
    asked(journey.fails("x.1", refused("x.1", class_=FailureClass.NEEDS_HUMAN)))
    journey.tell(e.BriefWritten(at=0, escalation=journey.question().id, brief=ref("prose"), usage=spent))
    return built(journey.decide(Decision.USE_OUTPUT, data=ref("by-hand"), checked="contract-sha").done("last.1"))


def planned_in_vain() -> Journey:
    """No model can be had for another plan: what the plan says holds, and the effect is undone."""
    doomed = step("b", needs=("a",), on_failure={"else": OnFailure.COMPENSATE})
    journey = Journey(None, task=ref("task"), models={"plan": None})
    journey.tell(e.PlanProposed(at=0, plan=ref("said"), round=1, usage=Usage(tokens=70, ms=800)))
    journey.tell(e.PlanChecked(at=0, ok=True, plan=plan_of(undoable("a"), doomed), report=ref("report")))
    journey.done("a.1").fails("b.1", refused("b.1"))
    journey.tell(e.StageFailed(at=0, stage=Stage.PLAN, code="not_configured", blame=Blame.POLICY))
    return journey.prepared("a!undo.1").succeeded("a!undo.1")


def with_part() -> tuple[Journey, Journey]:
    """A process that starts another, and that other."""
    journey = Journey(plan_of(step("a"), parent("part", needs=("a",)), step("b", needs=("part",))))
    [order] = journey.done("a.1").prepared("part.1", digest="part-digest").ordered(StartChild)
    assert isinstance(order, StartChild)
    given = {name: getattr(order.spec, name) for name in order.spec.__struct_fields__ if name != "plan"}
    part = built(Journey(plan_of(step("x"), writing("y", needs=("x",))), **given).done("x.1").done("y.1"))
    assert part.state.spec.type == CHILD_TYPE
    journey.tell(child_finished(part.state, at=0))
    return built(journey.done("b.1")), part


JOURNEYS: Final[dict[str, Callable[[], Journey]]] = {
    "sequence": sequence,
    "map": mapping,
    "approval": approval,
    "retry": retry,
    "question": question,
    "compensation": compensation,
    "cancelled": cancelled,
    "wait": wait,
    "repeat": repeat,
    "planned": planned,
    "planned-in-vain": planned_in_vain,
    "sub-process": lambda: with_part()[0],
    "sub-process-part": lambda: with_part()[1],
}


def built(journey: Journey) -> Journey:
    return journey.tell(e.OutputBuilt(at=0, output=ref("out")))


def asked(journey: Journey) -> Journey:
    """Let the question that the last event led to be put."""
    return journey.tell(
        e.EscalationOpened(at=0, escalation=journey.question().id, package=ref("package"), schema_sha256="schema-sha")
    )


def rows_of(journey: Journey) -> tuple[list[dict[str, Any]], Process]:
    """The definitions and rows that a host would have stored, and the last state."""
    plans, lines, state = PlanFolder(), list[dict[str, Any]](), None
    events = [msgspec.structs.replace(event, at=TIMES + event.at) for event in journey.events]
    for place in range(0, len(events), EVENTS_A_ROW):
        turn, commands = events[place : place + EVENTS_A_ROW], list[Command]()
        for event in turn:
            transition = apply(state, event)
            state = transition.state
            commands.extend(transition.commands)
        kept, pinned, definitions = plans.fold(turn)
        lines += [{"definition": to_text(each.data), "sha256": each.sha256, "name": each.name} for each in definitions]
        row = Turn(events=kept, decisions=decisions_of(commands), digest=digest_of(commands), plans=pinned)
        assert state is not None
        lines.append(
            {
                "seq": state.seq,
                "at": turn[-1].at,
                "turn": to_text(encode_turn(row)),
                "events": [type(event).__name__ for event in turn],
                "decisions": decisions_of(commands),
            }
        )
    assert state is not None
    return lines, state


def to_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def main() -> None:
    folder = GOLDEN / str(SCHEMA_VERSION)
    folder.mkdir(exist_ok=True)
    for name, travel in JOURNEYS.items():
        if (folder / f"{name}.jsonl").exists():  # what is written once is what later versions are held to
            continue
        journey = travel()
        assert journey.broken_rules() == (), name
        lines, state = rows_of(journey)
        lines.append({"process": state.spec.process_id, "state": msgspec.to_builtins(state)})
        text = "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
