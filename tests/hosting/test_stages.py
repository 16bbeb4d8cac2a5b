"""Stages that ask a model, in a real host: one that breaks in our hands, one that nobody waits for any more."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from msgspec.structs import replace

from hosting.scripted import (
    CLOCK,
    HurriedClock,
    Script,
    ScriptedPerformer,
    body,
    chain,
    failure,
    opened,
    resolution,
    spec,
    until,
)
from process_orchestrator.core.facts.commands import (
    CheckPlan,
    ClassifyTask,
    Command,
    InvokeAgent,
    ProposePlan,
    WriteBrief,
)
from process_orchestrator.core.facts.events import (
    BriefWritten,
    CancelRequested,
    Event,
    PlanChecked,
    PlanProposed,
    StageFailed,
)
from process_orchestrator.core.facts.specs import ProcessSpec
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.facts.values import Blame, Decision, EscalationKind, Stage, Status
from process_orchestrator.core.limits import Limits
from process_orchestrator.core.ports import Artifacts, Bodies, Host, Performed, Performer
from process_orchestrator.hosting.verification import verify

MODELS = {"intake": 5, "plan": 5, "brief": 5}


@dataclass
class Thought(Script):
    """What models do: `breaks` are faults of ours, in `hangs` one thinks until it is stopped."""

    breaks: tuple[type[Command], ...] = ()
    hangs: tuple[type[Command], ...] = ()
    absent: int = 0  # how often the planner cannot be had
    stopped: list[str] = field(default_factory=list)
    ordered: list[str] = field(default_factory=list)

    def build(self, artifacts: Artifacts) -> AbstractAsyncContextManager[Performer]:
        return _performer(artifacts, self)


@asynccontextmanager
async def _performer(artifacts: Artifacts, script: Thought) -> AsyncGenerator[Performer]:
    yield ThinkingPerformer(artifacts, script)


class ThinkingPerformer(ScriptedPerformer):
    def __init__(self, artifacts: Artifacts, script: Thought) -> None:
        super().__init__(artifacts, script)
        self._thought = script

    async def perform(self, command: Command, *, delivery: int, heartbeat: Callable[[], None]) -> Performed:
        script = self._thought
        if not isinstance(command, ClassifyTask | ProposePlan | CheckPlan | WriteBrief):
            return await super().perform(command, delivery=delivery, heartbeat=heartbeat)
        name = type(command).__name__
        script.ordered.append(name)
        if isinstance(command, script.breaks):
            raise ZeroDivisionError
        if isinstance(command, script.hangs):
            try:
                await anyio.sleep_forever()
            finally:
                script.stopped.append(name)
        now, said = CLOCK.now_ms(), body(f'{{"said":"{name} {command.process}"}}')
        match command:
            case ProposePlan() if script.absent:
                script.absent -= 1
                event: Event = StageFailed(at=now, stage=Stage.PLAN, code="unreachable", blame=Blame.TRANSPORT)
            case ProposePlan(round=number):
                event = PlanProposed(at=now, plan=said.ref, round=number)
            case CheckPlan():
                event = PlanChecked(at=now, ok=True, plan=chain(2), report=said.ref)
            case WriteBrief(escalation=escalation):
                event = BriefWritten(at=now, escalation=escalation, brief=said.ref)
            case _:
                raise AssertionError(command)
        return Performed(event=event, bodies=(said,))


def wish(**fields: Any) -> ProcessSpec:
    given = replace(spec(chain(1)), plan=None, input=None, models=MODELS, limits=Limits(replans=0))
    return replace(given, **fields)


async def first_question(host: Host, process: str) -> Process:
    return await until(host, process, lambda state: bool(state.escalations))


@pytest.mark.anyio
async def test_a_plan_is_proposed_checked_and_run_after_a_wait_for_the_model(state: Path) -> None:
    script = Thought(absent=1)
    async with opened(state, script, clock=HurriedClock(100)) as host:
        started = await host.start(wish(), Bodies())
        done = await until(host, started.spec.process_id, lambda state: state.finished)
        assert (done.status, script.ordered) == (Status.COMPLETED, ["ProposePlan", "ProposePlan", "CheckPlan"])
    assert (await verify(state)).ok


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("broken", "kind"), [(ClassifyTask, EscalationKind.INTAKE), (ProposePlan, EscalationKind.FAILED)]
)
async def test_a_stage_that_breaks_in_our_own_hands_is_a_question_with_our_blame(
    state: Path, broken: type[Command], kind: EscalationKind
) -> None:
    task = body('{"task":"do it"}')
    async with opened(state, Thought(breaks=(broken,))) as host:
        more = {"type": None, "task": task.ref} if broken is ClassifyTask else {}
        started = await host.start(wish(**more), Bodies(artifacts=(task,)))
        asked = await first_question(host, started.spec.process_id)
        [question] = asked.escalations.values()
        assert (question.kind, asked.stage_failure and asked.stage_failure.blame) == (kind, Blame.US)


@pytest.mark.anyio
async def test_a_paragraph_that_breaks_leaves_the_question_as_it_is(state: Path) -> None:
    async def fail(call: InvokeAgent, _delivery: int) -> Event | None:
        return failure(call.call, code="lost_it")

    async with opened(state, Thought(work=fail, breaks=(WriteBrief,))) as host:
        started = await host.start(wish(plan=chain(1)), Bodies())
        asked = await first_question(host, started.spec.process_id)
        [name] = asked.escalations
        asked = await until(host, started.spec.process_id, lambda state: not state.escalations[name].brief_due)
        assert (asked.escalations[name].open, asked.escalations[name].brief) == (True, None)


@pytest.mark.anyio
@pytest.mark.parametrize("hanging", [ProposePlan, WriteBrief])
async def test_a_model_that_hangs_is_stopped_when_its_process_has_ended(state: Path, hanging: type[Command]) -> None:
    async def fail(call: InvokeAgent, _delivery: int) -> Event | None:
        return failure(call.call, code="lost_it")

    script = Thought(work=fail, hangs=(hanging,))
    async with opened(state, script) as host:
        fixed = {"plan": chain(1)} if hanging is WriteBrief else {}
        process = (await host.start(wish(**fixed), Bodies())).spec.process_id
        while not script.ordered:
            await anyio.lowlevel.checkpoint()
        if hanging is WriteBrief:
            asked = await first_question(host, process)
            answer = resolution(next(iter(asked.escalations)), Decision.ABORT)
            await host.deliver(process, answer, Bodies(), request_id="r1", proof=None)
        else:
            cancel = CancelRequested(at=0, by="ana", reason="enough", request_id="c")
            await host.deliver(process, cancel, Bodies(), request_id="c", proof=None)
        done = await until(host, process, lambda state: state.finished)
        while not script.stopped:
            await anyio.lowlevel.checkpoint()
        assert (done.usd_micros, done.reserved_usd_micros) == (5, 0)
    assert (await verify(state)).ok


@pytest.mark.anyio
async def test_a_paragraph_that_was_being_written_at_a_crash_is_written_by_the_next_engine(state: Path) -> None:
    async def fail(call: InvokeAgent, _delivery: int) -> Event | None:
        return failure(call.call, code="lost_it")

    script = Thought(work=fail, hangs=(WriteBrief,))
    async with opened(state, script) as host:
        process = (await host.start(wish(plan=chain(1)), Bodies())).spec.process_id
        while not script.ordered:
            await anyio.lowlevel.checkpoint()
    async with opened(state, Thought(work=fail)) as host:
        told = await until(host, process, lambda state: all(one.brief for one in state.escalations.values()))
        assert told.reserved_usd_micros == 0


@pytest.mark.anyio
async def test_a_task_that_has_only_waited_for_a_place_is_not_paid_as_if_a_model_had_been_asked_before(
    state: Path,
) -> None:
    script = Thought(hangs=(ClassifyTask,))
    task = body('{"task":"do it"}')
    async with opened(state, script, places=1) as host:
        first = await host.start(wish(type=None, task=task.ref), Bodies(artifacts=(task,)))
        waits = (await host.start(wish(), Bodies())).spec.process_id
        cancel = CancelRequested(at=0, by="ana", reason="enough", request_id="c")
        await host.deliver(first.spec.process_id, cancel, Bodies(), request_id="c", proof=None)
        done = await until(host, waits, lambda state: state.finished)
        assert (done.status, done.usd_micros, done.unknown_calls) == (Status.COMPLETED, 0, 2)
        assert script.ordered.count("ProposePlan") == 1


@pytest.mark.anyio
async def test_a_model_that_was_waited_for_is_not_paid_twice_because_its_process_was_read_from_the_journal(
    state: Path,
) -> None:
    """The wait ends in the next engine: the model is asked for the first time since."""
    async with opened(state, Thought(absent=1)) as host:
        process = (await host.start(wish(), Bodies())).spec.process_id
        await until(host, process, lambda state: state.thinking.timer is not None)
    async with opened(state, Thought(), clock=HurriedClock(100)) as host:
        done = await until(host, process, lambda state: state.finished)
        assert (done.status, done.usd_micros) == (Status.COMPLETED, 0)
