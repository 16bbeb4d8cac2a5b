"""Laws that hold for every sequence of events, sensible or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from core.journeys import (
    ALPHA,
    BETA,
    GATE,
    PROCESS,
    TRANSIENT,
    TYPE,
    Journey,
    failed,
    mapped,
    parent,
    plan_of,
    ref,
    repeated,
    resolution,
    step,
    undo,
    waiting,
)
from process_orchestrator.core.admit import admit
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.specs import Budget, Earlier, PlanFacts
from process_orchestrator.core.facts.values import (
    ApprovalMode,
    Assurance,
    Blame,
    Decision,
    Effect,
    EscalationKind,
    FailureClass,
    Idempotency,
    OnFailure,
    Outcome,
    Phase,
    Stage,
    Status,
    Usage,
)
from process_orchestrator.core.limits import Limits
from process_orchestrator.core.process import apply

if TYPE_CHECKING:
    from process_orchestrator.core.facts.state import Process

AGENTS = (ALPHA, BETA)
PRICED = {"intake": 2, "plan": 2, "brief": 3}

undos = st.one_of(
    st.none(),
    st.builds(
        lambda idempotency, attempts, human: undo(
            idempotency=idempotency, retry=replace(TRANSIENT, max_attempts=attempts), agents=AGENTS, human=human
        ),
        st.sampled_from(Idempotency),
        st.integers(1, 2),
        st.integers(0, 5).map(lambda n: n == 5),
    ),
)

steps = st.builds(
    lambda effect, idempotency, word, default, attempts, human, undone: {
        "effect": effect,
        "idempotency": idempotency,
        "on_failure": {"else": word, "unknown_vendor": OnFailure.SKIP},
        "has_default": default,
        "retry": replace(TRANSIENT, max_attempts=attempts),
        "agents": AGENTS,
        "human": human,
        "undo": undone,
    },
    st.sampled_from(Effect),
    st.sampled_from(Idempotency),
    st.sampled_from([OnFailure.ESCALATE, OnFailure.ESCALATE, OnFailure.ESCALATE, OnFailure.SKIP, *OnFailure]),
    st.booleans(),
    st.integers(1, 3),
    st.integers(0, 5).map(lambda n: n == 5),
    undos,
)


@st.composite
def plans(draw: st.DrawFn) -> PlanFacts:
    """A few steps in any order of needs; any of them may be mapped, repeated, or only wait."""
    made: list[Any] = []
    for number in range(draw(st.sampled_from([3, 4, 2, 1]))):
        needs = tuple(one.id for one in made if draw(st.booleans()))
        fields: dict[str, Any] = draw(steps)
        kind = draw(st.sampled_from(["call", "call", "call", "repeat", "wait", "process"]))
        if kind == "wait":
            word = {"on_failure": fields["on_failure"], "has_default": fields["has_default"]}
            made.append(waiting(f"s{number}", needs=needs, **word))
            continue
        if kind == "process":
            word = {
                "on_failure": fields["on_failure"],
                "has_default": fields["has_default"],
                "effect": fields["effect"],
            }
            made.append(parent(f"s{number}", needs=needs, usd_micros=draw(st.sampled_from([0, 4, 100])), **word))
            continue
        if kind == "repeat":
            every_ms = draw(st.sampled_from([0, 10]))
            made.append(repeated(f"s{number}", needs=needs, most=draw(st.integers(1, 3)), every_ms=every_ms, **fields))
            continue
        if draw(st.integers(0, 3)) == 3:
            word = draw(st.sampled_from([None, OnFailure.SKIP]))
            made.append(
                mapped(f"s{number}", needs=needs, parallel=draw(st.integers(1, 3)), item_failure=word, **fields)
            )
        else:
            made.append(step(f"s{number}", needs=needs, **fields))
    words = st.sampled_from(["leave", "compensate"])
    return plan_of(
        *made,
        on_failure=draw(st.sampled_from(OnFailure)),
        on_cancel=draw(words),
        on_abort=draw(words),
        deadline_ms=draw(st.sampled_from([None, 60_000])),
        on_deadline=draw(st.sampled_from(["reject", "abort", "role:chief"])),
    )


failures = st.builds(
    lambda code, class_, blame, outcome, jitter, after: {
        "code": code,
        "class_": class_,
        "blame": blame,
        "outcome": outcome,
        "jitter": jitter,
        "retry_after_ms": after,
    },
    st.sampled_from(
        ["busy", "unknown_vendor", "timeout", "output_mismatch", "circuit_open", "rate_limited", "drifted"]
    ),
    st.sampled_from(FailureClass),
    st.sampled_from(Blame),
    st.sampled_from(Outcome),
    st.integers(0, 999),
    st.sampled_from([None, 1, 500_000]),
)
gates = st.sampled_from([None, None, None, GATE])


def sensible_answer(draw: st.DrawFn, command: c.Command, state: Process) -> e.Event | None:
    """One of the answers that the table of commands names, as a true performer or host would give it."""
    fails = draw(st.integers(0, 2)) == 2  # small numbers are drawn more often
    match command:
        case c.PrepareCall(default_only=True, unit=unit):
            return e.StepSkipped(at=0, unit=unit, reason="default", output=ref("default"))
        case c.PrepareCall(unit=unit, round=int(number)) if number > 1 and draw(st.integers(0, 2)) == 2:
            return e.StepSkipped(at=0, unit=unit, reason="until")
        case c.PrepareCall(call=call, unit=unit, undoes=None) if fails and draw(st.booleans()):
            return e.StepSkipped(at=0, unit=unit, reason="condition")
        case c.PrepareCall(call=call) if fails:
            return failed(call, **(draw(failures) | {"outcome": Outcome.NOT_DONE}))
        case c.PrepareCall(call=call, tried=tried, only_agent=only):
            choice = [agent for agent in AGENTS if agent.name not in tried and only in (None, agent.name)]
            agent = draw(st.sampled_from(choice or [ALPHA]))
            return e.CallPrepared(
                at=0,
                call=call,
                agent=agent,
                input=ref("in"),
                digest=draw(st.sampled_from("xxyzuvw")),
                gate=draw(gates),
                reserve_usd_micros=draw(st.sampled_from([None, 0, 3, 5])),
            )
        case c.OpenMap(step=name):
            if fails:
                return e.StageFailed(at=0, stage=Stage.MAP, step=name, code="missing_binding", blame=Blame.PLANNER)
            return e.MapOpened(at=0, step=name, count=draw(st.integers(0, 4)), digest="m", gate=draw(gates))
        case c.CollectItems(step=name):
            if fails:
                return e.StageFailed(at=0, stage=Stage.COLLECT, step=name, code="too_large", blame=Blame.AGENT)
            return e.ItemsCollected(at=0, step=name, output=ref("list"))
        case c.StartChild(call=call) | c.CancelCall(call=call, child=str()):
            return child_end(draw, call, fails=fails)
        case c.InvokeAgent(call=call) | c.CancelCall(call=call):
            if not fails:
                return e.CallSucceeded(
                    at=0, call=call, output=ref(call), usd_micros=draw(st.sampled_from([None, 3, 9])), ms=1
                )
            return e.CallLost(at=0, call=call) if draw(st.booleans()) else failed(call, **draw(failures))
        case c.StartTimer(timer=timer):
            return e.TimerFired(at=0, timer=timer)
        case c.OpenEscalation(escalation=escalation):
            return e.EscalationOpened(at=0, escalation=escalation, package=ref("package"))
        case _:
            return stage_answer(draw, command, state, fails=fails)


def child_end(draw: st.DrawFn, call: str, *, fails: bool) -> e.Event:
    spent: dict[str, Any] = {"usd_micros": draw(st.sampled_from([0, 3])), "unknown_calls": draw(st.integers(0, 1))}
    if not fails:
        return e.ChildFinished(at=0, call=call, status=Status.COMPLETED, output=ref(call), **spent)
    status = draw(st.sampled_from([Status.FAILED, Status.CANCELLED]))
    left = draw(st.sampled_from([(), ("post",)]))
    return e.ChildFinished(
        at=0, call=call, status=status, code=draw(st.sampled_from([None, "busy"])), left=left, **spent
    )


models = st.sampled_from([{}, {"intake": None, "plan": None}, {"intake": 0, "plan": 0, "brief": 0}, PRICED, PRICED])
usages = st.sampled_from([Usage(), Usage(ms=3), Usage(usd_micros=0, tokens=1), Usage(usd_micros=2, tokens=1)])
absences = st.sampled_from(["unreachable", "timeout", "rate_limited", "not_json", "no_model", "refused"])


def stage_failed(draw: st.DrawFn, stage: Stage, escalation: str | None = None) -> e.StageFailed:
    return e.StageFailed(
        at=0,
        stage=stage,
        code=draw(absences),
        blame=Blame.TRANSPORT,
        usage=draw(usages),
        escalation=escalation,
        retry_after_ms=draw(st.sampled_from([None, None, 10, 10**9])),
    )


def made_plan(draw: st.DrawFn, state: Process, kept: tuple[str, ...]) -> PlanFacts:
    """A plan as a check lets it pass: kept steps as they were, then others. A faulty one forgets the first of them."""
    drawn = draw(plans())
    former = {one.id: one for one in state.plan.steps} if state.plan is not None else {}
    names = kept[1:] if draw(st.integers(0, 9)) == 9 else kept
    stay = [replace(former[name], needed_by=(), bound_by=()) for name in names]
    come = [replace(one, needed_by=(), bound_by=()) for one in drawn.steps if one.id not in kept]
    steps = stay + come if draw(st.booleans()) else come + stay
    known = {one.id for one in steps}
    linked = [replace(one, needs=tuple(need for need in one.needs if need in known)) for one in steps]
    return replace(drawn, steps=plan_of(*linked).steps, sha256=f"plan-{draw(st.integers(0, 60))}")


def stage_answer(draw: st.DrawFn, command: c.Command, state: Process, *, fails: bool) -> e.Event | None:
    match command:
        case c.BuildOutput():
            if fails:
                return e.StageFailed(at=0, stage=Stage.OUTPUT, code="output_mismatch", blame=Blame.PLANNER)
            return e.OutputBuilt(at=0, output=ref("output"))
        case c.ClassifyTask():
            if fails:
                return stage_failed(draw, Stage.INTAKE)
            plan, budget = draw(st.one_of(st.none(), plans())), draw(st.sampled_from([None, Budget(usd_micros=9)]))
            return e.TaskClassified(
                at=0,
                process_type=TYPE,
                plan=plan,
                input=ref("found"),
                by="model",
                budget=budget,
                limits=draw(st.sampled_from([None, Limits(replans=1)])),
                usage=draw(usages),
            )
        case c.ProposePlan(round=number):
            if fails:
                return stage_failed(draw, Stage.PLAN)
            return e.PlanProposed(at=0, plan=ref("plan"), round=number, usage=draw(usages))
        case c.CheckPlan(kept=kept):
            return e.PlanChecked(at=0, ok=not fails, plan=made_plan(draw, state, kept), report=ref("report"))
        case c.WriteBrief(escalation=escalation):
            if fails:
                return stage_failed(draw, Stage.BRIEF, escalation)
            return e.BriefWritten(at=0, escalation=escalation, brief=ref("prose"), usage=draw(usages))
        case _:
            return None


def human_answer(draw: st.DrawFn, state: Process) -> e.EscalationResolved | None:
    waiting = [question for question in state.escalations.values() if question.open]
    if not waiting:
        return None
    question = draw(st.sampled_from(waiting))
    forward = [one for one in question.decisions if one not in (Decision.ABORT, Decision.REJECT)]
    decision = draw(st.sampled_from(forward if forward and draw(st.integers(0, 9)) < 9 else question.decisions))
    fields: dict[str, Any] = {"assurance": Assurance.A3, "fresh_key": draw(st.booleans())}
    if decision is Decision.CHOOSE_TYPE:
        fields |= {"process_type": TYPE, "data": ref("chosen"), "checked": TYPE.sha256, "plan": draw(plans())}
    if decision is Decision.RAISE_BUDGET:
        fields["usd_micros"] = draw(st.sampled_from([1, 4]))
    if decision is Decision.USE_AGENT:
        fields["agent"] = draw(st.sampled_from(["alpha", "beta"]))
    event = resolution(decision, **fields)
    return replace(event, escalation=question.id, version=draw(st.sampled_from([None, question.version])))


names = st.sampled_from(
    ["s0", "s1", "s2", "s1[0]", "s1[1]", "s0#1", "s0#2", "s1#1", "s3", "s0!undo", "s1[0]!undo", "nobody", ""]
)
calls = st.builds(lambda unit, n: f"{unit}.{n}", names, st.integers(0, 3))
questions = st.integers(0, 4).map(lambda n: f"{PROCESS}.e{n}")
nonsense = st.one_of(
    st.builds(e.CallPrepared, at=st.integers(-9, 9), call=calls, agent=st.sampled_from(AGENTS), input=st.just(ref("x")),
              digest=st.sampled_from("xy"), gate=gates, reserve_usd_micros=st.sampled_from([None, 4])),
    st.builds(e.CallSucceeded, at=st.just(0), call=calls, output=st.just(ref("x")), ms=st.just(1)),
    st.builds(lambda call, fields: failed(call, **fields), calls, failures),
    st.builds(e.CallLost, at=st.just(0), call=calls),
    st.builds(e.StepSkipped, at=st.just(0), unit=names, reason=st.sampled_from(["condition", "until"]), output=st.sampled_from([None, ref("x")])),
    st.builds(e.MapOpened, at=st.just(0), step=names, count=st.sampled_from([0, 1, 3, 20_000]), digest=st.just("m"), gate=gates),
    st.builds(e.ItemsCollected, at=st.just(0), step=names, output=st.just(ref("x"))),
    st.builds(e.OutputBuilt, at=st.just(0), output=st.just(ref("x"))),
    st.builds(e.TimerFired, at=st.just(0), timer=st.builds(lambda call, kind: f"{call}/{kind}", calls, st.sampled_from(["retry", "wait"]))),
    st.builds(lambda stage, n: e.TimerFired(at=0, timer=f"{PROCESS}.{stage}.{n}/retry"), st.sampled_from(["intake", "plan"]), st.integers(0, 2)),
    st.builds(lambda asked, kind: e.TimerFired(at=0, timer=f"{asked}/{kind}"), questions, st.sampled_from(["remind", "deadline"])),
    st.builds(e.StageFailed, at=st.just(0), stage=st.sampled_from(Stage), step=st.one_of(st.none(), names), code=st.just("timeout"), blame=st.sampled_from(Blame)),
    st.builds(e.EscalationOpened, at=st.just(0), escalation=questions, package=st.just(ref("p"))),
    st.builds(e.BriefWritten, at=st.just(0), escalation=questions, brief=st.just(ref("b"))),
    st.builds(
        lambda decision, question, items, pin: replace(
            resolution(decision, assurance=Assurance.A3, agent="beta", reject_items=items, process_type=pin),
            escalation=question,
        ),
        st.sampled_from(Decision), questions, st.sampled_from([(), (0,), (0, 2)]), st.sampled_from([None, TYPE]),
    ),
    st.builds(e.CancelRequested, at=st.just(0), by=st.just("x"), reason=st.just("y"), request_id=st.just("z")),
    st.builds(e.ChildFinished, at=st.just(0), call=calls, status=st.sampled_from(Status), output=st.sampled_from([None, ref("x")])),
    st.builds(e.EngineResumed, at=st.just(0), engine=st.just(2)),
    st.builds(e.DecisionsDrifted, at=st.just(0), row=st.just(1)),
    st.builds(e.TaskClassified, at=st.just(0), process_type=st.just(TYPE), input=st.just(ref("x")), by=st.just("model")),
    st.builds(e.PlanProposed, at=st.just(0), plan=st.just(ref("x")), round=st.integers(0, 2)),
    st.builds(e.PlanChecked, at=st.just(0), ok=st.booleans(), report=st.just(ref("x"))),
)  # fmt: skip


earlier = st.builds(
    Earlier,
    call=st.just("s0.1"),
    agent=st.sampled_from(AGENTS),
    key=st.just("p_before/s0/g1"),
    digest=st.sampled_from("xy"),
    planned=st.sampled_from("xy"),
    output=st.sampled_from([None, ref("before")]),
    skipped=st.booleans(),
    acted=st.booleans(),
)


@st.composite
def started(draw: st.DrawFn) -> Journey:
    plan = draw(st.one_of(plans(), plans(), st.none(), st.none()))
    given = draw(st.sampled_from([ref("input"), ref("input"), None]))
    known = st.dictionaries(st.sampled_from(["s0", "s1", "s1[0]", "s2[1]"]), earlier, max_size=2)
    return Journey(
        plan,
        type=draw(st.sampled_from([TYPE, TYPE, None])) if plan is None else TYPE,
        task=draw(st.sampled_from([ref("task"), None])),
        input=given,
        models=draw(models),
        approval=draw(st.sampled_from([ApprovalMode.POLICY, ApprovalMode.POLICY, *ApprovalMode])),
        limits=Limits(open_escalations=draw(st.integers(1, 3)), calls=draw(st.sampled_from([100, 100, 4, 0]))),
        redrives="p_before",
        earlier=draw(known) if given is not None and plan is not None else {},  # what is redriven has a plan
        budget=Budget(
            usd_micros=draw(st.sampled_from([1_000_000, 7, 3])),
            tokens=draw(st.sampled_from([500_000, 500_000, 3])),
            unknown=draw(st.sampled_from(["allow", "allow", "allow", "refuse"])),
        ),
    )


common = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@settings(common, max_examples=150)
@given(journey=started(), data=st.data())
def test_no_sequence_of_events_breaks_the_laws(journey: Journey, data: st.DataObject) -> None:
    """`Journey.tell` checks each event: never raises, survives JSON, same answer twice, outstanding = unanswered."""
    for event in data.draw(st.lists(nonsense, max_size=25)):
        journey.tell(event)


@st.composite
def roads(draw: st.DrawFn) -> Journey:
    """A journey on which every answer is one that a true performer, host or human may give."""
    journey = draw(started())
    for _ in range(60):
        if journey.state.finished:
            break
        due = list(journey.unanswered.due.values())
        turn = draw(st.integers(0, 39))
        human = human_answer(draw, journey.state) if turn % 3 == 0 or not due else None
        if turn == 39:
            journey.cancel()
        elif human is not None:
            if admit(journey.state, human) is None:  # a host journals no answer that it refuses
                journey.tell(human)
        else:
            answer = sensible_answer(draw, draw(st.sampled_from(due)), journey.state)
            assert answer is not None
            journey.tell(answer)
        journey.passes(draw(st.sampled_from([0, 1, 5000])))
    return journey


@settings(common, max_examples=150)
@given(journey=roads())
def test_no_road_breaks_an_invariant_or_leads_nowhere(journey: Journey) -> None:
    assert journey.broken_rules() == ()
    state = journey.state
    something_is_due = bool(journey.unanswered.due) or any(one.open for one in state.escalations.values())
    assert state.finished is not something_is_due
    if state.status is Status.WAITING_HUMAN:
        assert not state.live_calls
        assert any(one.open for one in state.escalations.values())


def unasked(journey: Journey) -> int:
    """Calls that were ordered and reached no agent: they count against no limit."""
    ordered, codes = set[str](), ("circuit_open", "rate_limited")
    number = 0
    state: Process | None = None
    for event in journey.events:
        if isinstance(event, e.CallFailed) and event.call in ordered and event.code in codes:
            assert state is not None
            number += event.call in state.live_calls and event.outcome is Outcome.NOT_DONE
        moved = apply(state, event)
        state = moved.state
        ordered |= {order.call for order in moved.commands if isinstance(order, c.InvokeAgent)}
    return number


def spent_on_models(journey: Journey) -> int:
    """What models have billed, told from their work that was ordered and the answers to it."""
    spent, asked = 0, dict[str, int]()
    worst = journey.state.spec.models
    state: Process | None = None
    for event in journey.events:
        work = ""
        match event:
            case e.TaskClassified():
                work = "intake"
            case e.PlanProposed():
                work = "plan"
            case e.BriefWritten():
                work = f"brief {event.escalation}"
            case e.StageFailed():
                work = f"brief {event.escalation}" if event.stage is Stage.BRIEF else event.stage.value
            case _:
                pass
        if work in asked:
            held, usage = asked.pop(work), getattr(event, "usage", Usage())
            code = getattr(event, "code", "")
            free = code in ("unreachable", "rate_limited", "no_model") or (usage == Usage() and code != "timeout")
            spent += usage.usd_micros if usage.usd_micros is not None else 0 if free else held
        moved = apply(state, event)
        began = state is not None and not state.ending and (moved.state.ending or moved.state.finished)
        state = moved.state
        if began or state.finished:
            spent, asked = spent + sum(asked.values()), {}
        for order in moved.commands:
            match order:
                case c.ClassifyTask():
                    asked["intake"] = worst["intake"] or 0
                case c.ProposePlan():
                    asked["plan"] = worst["plan"] or 0
                case c.WriteBrief():
                    asked[f"brief {order.escalation}"] = worst["brief"] or 0
                case _:
                    pass
    return spent


@settings(common, max_examples=50)
@given(journey=roads())
def test_the_books_agree_with_what_they_count(journey: Journey) -> None:
    state = journey.state
    units = list(state.units.values())
    assert state.escalations_open == sum(one.open for one in state.escalations.values())
    bills = sum(unit.usd_micros for unit in (*units, *state.replanning.replaced.values()))
    assert state.usd_micros == bills + spent_on_models(journey)
    calling = [unit for unit in units if any(call.rpartition(".")[0] == unit.id for call in state.live_calls)]
    briefs = sum(one.brief_usd_micros or 0 for one in state.escalations.values() if one.brief_due)
    assert state.reserved_usd_micros == briefs + (state.thinking.held_usd_micros or 0) + sum(
        unit.reserve_usd_micros or 0 for unit in calling
    )
    queued = {unit.id for unit in units if unit.phase is Phase.ESCALATED and unit.wants is EscalationKind.BUDGET}
    assert set(state.budget_waiting) == (set() if state.finished else queued)
    made = [order.call for order in journey.orders if isinstance(order, c.InvokeAgent | c.StartChild)]
    assert len(made) == len(set(made)) == state.calls + unasked(journey)
    called = {order.unit for order in journey.unanswered.due.values() if isinstance(order, c.InvokeAgent)}
    assert {call.rpartition(".")[0] for call in state.live_calls} >= called
    for unit in units:
        items = [one for one in units if one.step == unit.id != one.id and one.undoes is None]
        if items:
            assert unit.items_asking == sum(one.phase.value == "asking" for one in items)
            assert unit.items_escalated == sum(one.phase.value == "escalated" for one in items)
