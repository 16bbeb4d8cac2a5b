"""Plans to travel over, and a traveller who checks the core's laws at every step.

`Journey` keeps its own list of unanswered commands, told from the commands and events alone.
"""

from __future__ import annotations

from typing import Any

import msgspec

from process_orchestrator.conformance import Violation, violations
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.specs import (
    Budget,
    ChildFacts,
    DeclaredError,
    Gate,
    PlanFacts,
    ProcessSpec,
    Repeat,
    RetryFacts,
    StepFacts,
    Undo,
)
from process_orchestrator.core.facts.state import Escalation, Process, Unit
from process_orchestrator.core.facts.values import (
    AgentPin,
    Assurance,
    Blame,
    ContractPin,
    Decision,
    Effect,
    FailureClass,
    Idempotency,
    OnFailure,
    Outcome,
    Phase,
    Ref,
    Stage,
    Status,
    StepKind,
    TypePin,
)
from process_orchestrator.core.limits import Limits
from process_orchestrator.core.outstanding import outstanding
from process_orchestrator.core.process import apply
from process_orchestrator.core.unit import NEXT

PROCESS = "p_test"
CONTRACT = ContractPin(name="ledger.post", version="1.0.0", sha256="contract-sha")
CHILD_TYPE = TypePin(name="part", version="1.0.0", sha256="part-sha")
TYPE = TypePin(name="payables", version="1.0.0", sha256="type-sha")
ALPHA, BETA, GAMMA = (AgentPin(name=name, sha256=f"{name}-sha") for name in ("alpha", "beta", "gamma"))
TRANSIENT = RetryFacts(max_attempts=3, on=("transient", "timeout", "lost"), initial_ms=1000, factor=2.0, max_ms=5000)
_BY_PLAN = (Phase.ESCALATED, Phase.PREPARING, Phase.SKIPPED, Phase.FAILED)
GATE = Gate(role="approver", min_assurance=Assurance.A1)


def ref(name: str) -> Ref:
    return Ref(sha256=name, bytes=len(name))


def step(name: str, *, needs: tuple[str, ...] = (), **fields: Any) -> StepFacts:
    """A step that reads, is tried three times, and escalates; any field may be given otherwise."""
    given: dict[str, Any] = {
        "kind": StepKind.CALL,
        "contract": CONTRACT,
        "effect": Effect.READ,
        "agents": (ALPHA,),
        "retry": TRANSIENT,
        "errors": {
            "busy": DeclaredError(class_=FailureClass.TRANSIENT),
            "unknown_vendor": DeclaredError(class_=FailureClass.PERMANENT),
        },
        "on_failure": {"else": OnFailure.ESCALATE},
        "decision_level": Assurance.A0,
    }
    return StepFacts(id=name, needs=needs, **(given | fields))


def mapped(name: str, *, needs: tuple[str, ...] = (), **fields: Any) -> StepFacts:
    return step(name, needs=needs, kind=StepKind.MAP, is_map=True, **fields)


def repeated(
    name: str, *, needs: tuple[str, ...] = (), most: int = 5, every_ms: int = 10_000, **fields: Any
) -> StepFacts:
    return step(name, needs=needs, repeat=Repeat(max=most, every_ms=every_ms), **fields)


def waiting(name: str, *, needs: tuple[str, ...] = (), ms: int = 1000, **fields: Any) -> StepFacts:
    """A step that only waits: no contract, no agent, nothing that could be tried again."""
    given: dict[str, Any] = {"contract": None, "agents": (), "errors": {}, "retry": RetryFacts(), "wait_ms": ms}
    return step(name, needs=needs, kind=StepKind.WAIT, **(given | fields))


def parent(
    name: str, *, needs: tuple[str, ...] = (), usd_micros: int = 100, depth: int = 3, **fields: Any
) -> StepFacts:
    """A step that starts a process of its own."""
    child = ChildFacts(
        type=CHILD_TYPE, plan="child-plan-facts", budget=Budget(usd_micros=usd_micros), limits=Limits(depth=depth)
    )
    given: dict[str, Any] = {"contract": None, "agents": (), "errors": {}, "retry": RetryFacts(), "child": child}
    return step(name, needs=needs, kind=StepKind.PROCESS, **(given | fields))


def writing(name: str, *, needs: tuple[str, ...] = (), **fields: Any) -> StepFacts:
    """A keyed write."""
    given: dict[str, Any] = {"effect": Effect.WRITE, "idempotency": Idempotency.KEYED}
    return step(name, needs=needs, **(given | fields))


UNDO = ContractPin(name="ledger.reverse", version="1.0.0", sha256="undo-sha")


def undo(**fields: Any) -> Undo:
    """A keyed write that takes another back: one agent, tried twice."""
    given: dict[str, Any] = {
        "contract": UNDO,
        "agents": (ALPHA,),
        "attempt_ms": 30_000,
        "total_ms": 180_000,
        "retry": msgspec.structs.replace(TRANSIENT, max_attempts=2),
        "idempotency": Idempotency.KEYED,
        "errors": {"busy": DeclaredError(class_=FailureClass.TRANSIENT)},
    }
    return Undo(**(given | fields))


def undoable(name: str, *, needs: tuple[str, ...] = (), **fields: Any) -> StepFacts:
    """A keyed write with an undo."""
    return writing(name, needs=needs, **({"undo": undo()} | fields))


def plan_of(*steps: StepFacts, **fields: Any) -> PlanFacts:
    """A plan whose `needed_by` and `bound_by` mirror its `needs`; its questions wait for ever unless it says more."""
    later = {one.id: tuple(two.id for two in steps if one.id in two.needs) for one in steps}
    linked = tuple(
        msgspec.structs.replace(one, needed_by=later[one.id], bound_by=one.bound_by or later[one.id]) for one in steps
    )
    given: dict[str, Any] = {"deadline_ms": None}
    return PlanFacts(sha256="plan-sha", steps=linked, **(given | fields))


def spec_of(plan: PlanFacts | None, **fields: Any) -> ProcessSpec:
    given: dict[str, Any] = {
        "process_id": PROCESS,
        "principal": "local",
        "request_sha256": "request-sha",
        "type": TYPE,
        "input": ref("input"),
        "limits": Limits(),
    }
    if plan is None:  # its stages ask models whose price nobody knows
        given["models"] = {"intake": None, "plan": None}
    return ProcessSpec(plan=plan, **(given | fields))


def failed(call: str, code: str = "busy", **fields: Any) -> e.CallFailed:
    """A transient, declared failure that surely did nothing; any field may be given otherwise."""
    given: dict[str, Any] = {
        "at": 0,
        "class_": FailureClass.TRANSIENT,
        "blame": Blame.AGENT,
        "outcome": Outcome.NOT_DONE,
        "ms": 7,
    }
    return e.CallFailed(call=call, code=code, **(given | fields))


def broken(call: str) -> e.CallFailed:
    """An answer that broke its contract, for good: the effect may have happened."""
    return failed(call, "output_mismatch", class_=FailureClass.CONTRACT, outcome=Outcome.UNKNOWN)


def refused(call: str, code: str = "unknown_vendor", **fields: Any) -> e.CallFailed:
    """A declared failure that no second try mends and that surely did nothing."""
    return failed(call, code, **({"class_": FailureClass.PERMANENT} | fields))


class Unanswered:
    """The commands whose answer is still due, told from commands and events alone."""

    def __init__(self, former: Unanswered | None = None) -> None:
        self.due: dict[tuple[str, str], c.Command] = dict(former.due) if former is not None else {}
        self.ending = former is not None and former.ending

    def answered(self, event: e.Event, state: Process) -> None:
        for slot, command in tuple(self.due.items()):
            if answers(event, command):
                del self.due[slot]
        for slot in tuple(self.due):  # a question that a human or a deadline has closed needs no package
            question = state.escalations.get(slot[1]) if slot[0] == "escalation" else None
            if question is not None and not question.open:
                del self.due[slot]
        if not self.ending and (state.finished or state.cancelling or state.failing is not None):
            self.ending = True
            self.only_calls()
        if isinstance(event, e.EngineResumed) and state.stage is None:  # a model that outlives no engine is given up
            self.due.pop(("stage", ""), None)
        for slot in tuple(self.due):  # nor is its paragraph waited for for ever
            if isinstance(event, e.EngineResumed) and slot[0] == "brief" and not state.escalations[slot[1]].brief_due:
                del self.due[slot]
        if isinstance(event, e.PlanChecked) and state.plan is not None:
            self.read_from(state.plan.sha256)
        if state.finished:
            self.due.clear()

    def read_from(self, plan: str) -> None:
        """Another plan is followed: what is yet to be read of kept steps would be read from it if ordered again."""
        for slot, command in self.due.items():
            if isinstance(command, c.PrepareCall | c.OpenMap | c.OpenEscalation) and command.context is not None:
                context = msgspec.structs.replace(command.context, plan=plan)
                self.due[slot] = msgspec.structs.replace(command, context=context)

    def ordered(self, commands: tuple[c.Command, ...]) -> None:
        for command in commands:
            match command:
                case c.Finish():
                    pass
                case c.StopTimer():
                    self.due.pop(("timer", command.timer), None)
                case c.InvokeAgent() | c.StartChild() | c.CancelCall():  # a call told to stop is not made again
                    self.due["call", command.call] = command
                case c.StartTimer():
                    self.due["timer", command.timer] = command
                case c.OpenEscalation():
                    self.due["escalation", command.escalation] = command
                case c.PrepareCall():
                    self.due["unit", command.unit] = command
                case c.OpenMap() | c.CollectItems():
                    self.due["unit", command.step] = command
                case c.WriteBrief():
                    self.due["brief", command.escalation] = command
                case _:
                    self.due["stage", ""] = command

    def only_calls(self) -> None:
        """A process that begins to end drops every order but the calls that are under way."""
        self.due = {slot: command for slot, command in self.due.items() if slot[0] == "call"}


def answers(event: e.Event, command: c.Command) -> bool:
    """Whether an event is one that the table of commands names as the answer of this command."""
    match command:
        case c.PrepareCall(call=call, unit=unit, undoes=undoes):
            skipped = undoes is None and _skips(event, unit)  # what undoes an effect has no condition
            return skipped or _about_call(event, call, e.CallPrepared, e.CallFailed)
        case c.OpenMap(step=name):
            opened = isinstance(event, e.MapOpened) and event.step == name
            return opened or _skips(event, name) or (_stage_failed(event, Stage.MAP) == name)
        case c.CollectItems(step=name):
            collected = isinstance(event, e.ItemsCollected) and event.step == name
            return collected or _stage_failed(event, Stage.COLLECT) == name
        case c.StartChild(call=call) | c.CancelCall(call=call, child=str()):
            return _about_call(event, call, e.ChildFinished)
        case c.InvokeAgent(call=call) | c.CancelCall(call=call):
            return _about_call(event, call, e.CallSucceeded, e.CallFailed, e.CallLost)
        case c.StartTimer(timer=timer):
            return isinstance(event, e.TimerFired) and event.timer == timer
        case c.OpenEscalation(escalation=escalation):
            return isinstance(event, e.EscalationOpened) and event.escalation == escalation
        case _:
            return _answers_stage(event, command)


def _answers_stage(event: e.Event, command: c.Command) -> bool:
    stage = event.stage if isinstance(event, e.StageFailed) else None
    match command:
        case c.BuildOutput():
            return isinstance(event, e.OutputBuilt) or stage is Stage.OUTPUT
        case c.ClassifyTask():
            return isinstance(event, e.TaskClassified) or stage is Stage.INTAKE
        case c.WriteBrief(escalation=escalation):
            brief = isinstance(event, e.BriefWritten | e.StageFailed) and event.escalation == escalation
            return brief and stage in (None, Stage.BRIEF)
        case c.ProposePlan(round=number):
            return (isinstance(event, e.PlanProposed) and event.round == number) or stage is Stage.PLAN
        case c.CheckPlan():
            return isinstance(event, e.PlanChecked) or stage is Stage.PLAN
        case _:
            return False


def _about_call(event: e.Event, call: str, *kinds: type[e.Event]) -> bool:
    return isinstance(event, kinds) and getattr(event, "call", None) == call


def _skips(event: e.Event, unit: str) -> bool:
    return isinstance(event, e.StepSkipped) and event.unit == unit


def _stage_failed(event: e.Event, stage: Stage) -> str | None:
    return event.step if isinstance(event, e.StageFailed) and event.stage is stage else None


class Journey:
    """One process, event by event. Every event must keep the laws of the core."""

    def __init__(self, plan: PlanFacts | None, **fields: Any) -> None:
        self.events: list[e.Event] = []
        self.orders: list[c.Command] = []
        self.last: tuple[c.Command, ...] = ()
        self.unanswered = Unanswered()
        self._now = 1000
        self._state: Process | None = None
        self.tell(e.ProcessStarted(at=self._now, spec=spec_of(plan, **fields)))

    @property
    def state(self) -> Process:
        assert self._state is not None
        return self._state

    def unit(self, name: str) -> Unit:
        return self.state.units[name]

    def phase(self, name: str) -> str:
        return self.unit(name).phase.value

    def phases(self) -> dict[str, str]:
        return {name: unit.phase.value for name, unit in self.state.units.items()}

    def passes(self, ms: int) -> None:
        self._now += ms

    def tell(self, event: e.Event) -> Journey:
        """Apply one event; `at` is the journey's clock."""
        event = msgspec.structs.replace(event, at=self._now)
        before, frozen = self._state, msgspec.json.encode(self._state)
        transition = apply(before, event)
        assert msgspec.json.encode(before) == frozen, "the state that was given has changed"
        again = apply(msgspec.json.decode(frozen, type=Process) if before is not None else None, through_json(event))
        assert again == transition, "the same input, through JSON, gave something else"
        self._state, self.last = transition.state, transition.commands
        assert self.state.seq == len(self.events) + 1
        assert msgspec.json.decode(msgspec.json.encode(self.state), type=Process) == self.state
        self._moved_by_the_table(before, event)
        self.events.append(event)
        self.orders.extend(transition.commands)
        self.unanswered.answered(event, self.state)
        self.unanswered.ordered(transition.commands)
        expected, due = list(self.unanswered.due.values()), list(outstanding(self.state))
        assert sorted(map(repr, due)) == sorted(map(repr, expected)), f"{due}\n\n{expected}"
        return self

    def _moved_by_the_table(self, before: Process | None, event: e.Event) -> None:
        """Units move as the table says, or because their needs closed, money came free, or the process is ending."""
        if before is None or self.state.cancelling or self.state.failing is not None:
            return
        for name, former in before.units.items():
            unit = self.state.units.get(name, former)
            begun = former.phase is Phase.WAITING and unit.phase in (Phase.PREPARING, Phase.CALLING)
            if former.phase is Phase.WAITING and former.failure is not None and unit.phase in _BY_PLAN:
                continue  # no other plan came
            if unit.phase is former.phase or begun or unit.rounds:  # a repeated step moves with its rounds
                continue
            if name in before.budget_waiting and unit.phase in (Phase.CALLING, *_BY_PLAN):
                continue
            decides = isinstance(event, e.TimerFired) and event.timer.endswith("/deadline")
            rule = NEXT.get((former.phase, e.EscalationResolved if decides else type(event)))
            assert rule is not None, f"{former.phase} moved by {type(event).__name__}"
            assert unit.phase in rule.leads_to, f"{former.phase} -> {unit.phase} by {type(event).__name__}"

    def ordered(self, kind: type[c.Command]) -> list[Any]:
        """The commands of a kind that the last event led to."""
        return [command for command in self.last if isinstance(command, kind)]

    def prepared(self, call: str, *, digest: str = "", **fields: Any) -> Journey:
        unit = call.rpartition(".")[0]
        given: dict[str, Any] = {"agent": ALPHA, "input": ref(f"{unit}-in"), "digest": digest or f"{unit}-digest"}
        return self.tell(e.CallPrepared(at=0, call=call, **(given | fields)))

    def succeeded(self, call: str, *, usd_micros: int | None = 5) -> Journey:
        return self.tell(
            e.CallSucceeded(at=0, call=call, output=ref(f"{call}-out"), usd_micros=usd_micros, tokens=2, ms=3)
        )

    def fails(self, call: str, event: e.CallFailed, *, agent: AgentPin = ALPHA) -> Journey:
        """Make a call and let it fail."""
        return self.prepared(call, agent=agent).tell(event)

    def done(self, call: str) -> Journey:
        """Make a call and let it succeed."""
        return self.prepared(call).succeeded(call)

    def ends(self, call: str, status: Status = Status.COMPLETED, **fields: Any) -> Journey:
        """The child that a call started has ended."""
        given: dict[str, Any] = {"usd_micros": 7, "tokens": 2}
        if status is Status.COMPLETED:
            given["output"] = ref(f"{call}-out")
        return self.tell(e.ChildFinished(at=0, call=call, status=status, **(given | fields)))

    def opened(self, name: str, count: int, *, gate: Gate | None = None, digest: str = "map-digest") -> Journey:
        return self.tell(
            e.MapOpened(at=0, step=name, count=count, digest=digest, items=ref(f"{name}-items"), gate=gate)
        )

    def timer(self, name: str) -> Journey:
        return self.tell(e.TimerFired(at=0, timer=name))

    def cancel(self) -> Journey:
        return self.tell(e.CancelRequested(at=0, by="local", reason="no longer needed", request_id="c"))

    def question(self, number: int = 1) -> Escalation:
        return self.state.escalations[f"{PROCESS}.e{number}"]

    def decide(self, decision: Decision, number: int = 1, **fields: Any) -> Journey:
        """Resolve an escalation as a verified human would, with data checked against the pinned definition."""
        given: dict[str, Any] = {"assurance": Assurance.A3, "by": "ana", "channel": "cli"}
        return self.tell(resolution(decision, number, **(given | fields)))

    def broken_rules(self) -> tuple[Violation, ...]:
        return violations(self.events, projection=self.state)


def resolution(decision: Decision, number: int = 1, **fields: Any) -> e.EscalationResolved:
    """A decision; those that need data bring it, checked against the contract of the plan."""
    given: dict[str, Any] = {"at": 0, "request_id": f"r{number}"}
    if decision in (Decision.ANSWER, Decision.USE_OUTPUT, Decision.RETRY_WITH_INPUT):
        given |= {"data": ref("human-data"), "checked": CONTRACT.sha256}
    return e.EscalationResolved(escalation=f"{PROCESS}.e{number}", decision=decision, **(given | fields))


def through_json(event: e.Event) -> e.Event:
    return msgspec.json.decode(msgspec.json.encode(event), type=e.Event)
