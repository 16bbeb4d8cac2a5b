"""Renders a question to a person from core state and its stored package. Pure: bodies are read by the use cases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from process_orchestrator.core.assurance import highest, required_assurance, sufficient
from process_orchestrator.core.facts.values import Assurance, Decision, EscalationKind
from process_orchestrator.core.money import usd
from process_orchestrator.views.formats import timestamp
from process_orchestrator.views.models import (
    EscalationView,
    EscalationWhy,
    EvidenceView,
    HowToDecide,
    NextAction,
    OptionView,
    ParagraphView,
    PrecedentView,
    Recorded,
    RecordedResolution,
    TriedView,
)

if TYPE_CHECKING:
    from process_orchestrator.core.facts.events import EscalationResolved
    from process_orchestrator.core.facts.state import Escalation, Process, Unit

SAME_USER_CHANNEL: Final = "passphrase"
"""A passphrase typed on the machine that holds the state folder: whoever runs under that user could forge it."""

REJECTABLE: Final = frozenset({EscalationKind.APPROVAL, EscalationKind.TASK, EscalationKind.PLAN})


@dataclass(frozen=True, kw_only=True)
class EscalationBodies:
    """What the state only references: the package, and of a resolved one its data (masked) and what followed.

    `effect` are the seqs of the events that the resolution led to at once.
    """

    package: dict[str, Any] | None = None
    brief: dict[str, Any] | None = None
    data: Any = None
    effect: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where people decide."""

    console_url: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """The package as far as it is there: an escalation exists a moment before its package does."""

    question: str
    rule: str
    goal: str
    options: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    evidence: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    warnings: list[str] = field(default_factory=list[str])
    precedents: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


def escalation_view(
    state: Process, escalation: Escalation, bodies: EscalationBodies, *, whole: bool, places: Places | None = None
) -> EscalationView:
    """One question; `whole` adds evidence, tried and the options' schemas, which rows leave out."""
    asked = _asked(escalation, bodies.package)
    unit = state.units.get(escalation.unit) if escalation.unit else None
    needs = required_of(escalation)
    status = "open" if escalation.open else "withdrawn" if escalation.withdrawn else "resolved"
    return EscalationView(
        escalation_id=escalation.id,
        process_id=state.spec.process_id,
        step=escalation.step,
        call=escalation.call,
        kind=escalation.kind.value,
        question=asked.question,
        why=EscalationWhy(rule=asked.rule, seq=escalation.opened_seq),
        goal=asked.goal,
        paragraph=_paragraph(bodies.brief),
        precedents=[_precedent(each) for each in asked.precedents] if whole else None,
        options=[_option(decision, escalation, asked, whole=whole) for decision in escalation.decisions],
        evidence=_evidence(state, unit, asked) if whole else None,
        tried=_tried(unit) if whole else None,
        blame=unit.failure.blame.value if unit and unit.failure else None,
        spent_usd=usd(unit.usd_micros if unit else state.usd_micros),
        role=escalation.role,
        required_assurance=needs.value,
        opened_at=timestamp(escalation.opened_at),
        deadline_at=timestamp(escalation.deadline_at) if escalation.deadline_at is not None else None,
        reminded_at=timestamp(escalation.reminded_at) if escalation.reminded_at is not None else None,
        on_deadline=_on_deadline(state, escalation),
        version=escalation.version,
        status=status,
        how_to_decide=how_to_decide(escalation, needs, places or Places()) if escalation.open else [],
        resolution=_resolution(escalation.resolution, bodies) if escalation.resolution else None,
        warnings=asked.warnings,
    )


def required_of(escalation: Escalation, decision: Decision | None = None) -> Assurance:
    """What one decision needs, or the highest that any offered decision needs."""
    decisions = (decision,) if decision is not None else escalation.decisions
    levels = (
        required_assurance(
            each, kind=escalation.kind, level=escalation.min_assurance, answer_level=escalation.answer_level
        )
        for each in decisions
    )
    return highest(Assurance.A0, *levels)


def how_to_decide(escalation: Escalation, needs: Assurance, places: Places) -> list[HowToDecide]:
    """The ways by which a person decides; none of them carries authority itself."""
    command = f"orchestrator resolve {escalation.id}"
    typed = sufficient(Assurance.A1, needs)
    ways = [HowToDecide(channel="cli", command=command if typed else f"{command} --as REVIEWER")]
    if places.console_url is not None:
        ways.append(HowToDecide(channel="console", url=f"{places.console_url}/escalations/{escalation.id}"))
    return ways


def answer_action(view: EscalationView) -> NextAction:
    """How the user's decision about an open question is passed on."""
    return NextAction(
        tool="resolve_escalation",
        args={"escalation_id": view.escalation_id, "decision": "…", "version": view.version},
        command=f"orchestrator resolve {view.escalation_id}",
        reason="Show the question to the user, then call again with their decision.",
    )


def recorded(resolution: EscalationResolved) -> Recorded:
    """Who decided, how it reached us, how strong the proof is."""
    return Recorded(
        by=resolution.by,
        channel=resolution.channel,
        assurance=assurance_label(resolution.assurance, resolution.channel),
        at=timestamp(resolution.at),
    )


def assurance_label(assurance: Assurance, channel: str) -> str:
    """The level as people read it: a reviewer's passphrase under the same user is `A2-local`."""
    return f"{assurance.value}-local" if assurance is Assurance.A2 and channel == SAME_USER_CHANNEL else assurance.value


def _asked(escalation: Escalation, package: dict[str, Any] | None) -> _Asked:
    if package is None:
        place = f"step {escalation.unit or escalation.step}" if escalation.unit or escalation.step else "the process"
        return _Asked(
            question=f"A person must decide about {place} ({escalation.kind.value}).",
            rule=escalation.kind.value,
            goal="",
            warnings=["Its evidence and what each decision does are not written yet: an engine does that."],
        )
    return _Asked(
        question=package["question"],
        rule=package["why"]["rule"],
        goal=package["goal"],
        options={option["decision"]: option for option in package["options"]},
        evidence=package["evidence"],
        warnings=package.get("warnings", []),
        precedents=package.get("precedents", []),
    )


def _paragraph(brief: dict[str, Any] | None) -> ParagraphView | None:
    if brief is None:
        return None
    return ParagraphView(text=brief["text"], written_by="model", model=brief.get("model", ""))


def _precedent(row: dict[str, Any]) -> PrecedentView:
    channel, assurance = row["channel"], Assurance(row["assurance"])
    return PrecedentView(
        escalation_id=row["escalation"],
        kind=row["kind"],
        code=row.get("code"),
        decision=row["decision"],
        by=row["by"],
        channel=channel,
        assurance=assurance_label(assurance, channel),
        at=timestamp(row["at"]),
        uri=f"escalation://{row['escalation']}",
    )


def _option(decision: Decision, escalation: Escalation, asked: _Asked, *, whole: bool) -> OptionView:
    written = asked.options.get(decision.value, {})
    return OptionView(
        decision=decision.value,
        consequence=written.get("consequence", ""),
        needs=required_of(escalation, decision).value,
        cost_usd=written.get("cost_usd"),
        data_schema=written.get("data_schema") if whole else None,
    )


def _evidence(state: Process, unit: Unit | None, asked: _Asked) -> list[EvidenceView]:
    """The package's evidence, and first what the failure itself says: a cap or a limit has no answer to show."""
    message = unit.failure.message if unit is not None and unit.failure is not None else None
    uri = f"process://{state.spec.process_id}/trace"
    said = [EvidenceView.model_validate({"label": "what went wrong", "from": "engine", "value": message, "uri": uri})]
    return [*(said if message else []), *(EvidenceView.model_validate(entry) for entry in asked.evidence)]


def _tried(unit: Unit | None) -> list[TriedView]:
    if unit is None:
        return []
    return [
        TriedView(agent=attempt.agent, attempt=number, code=attempt.code, ms=attempt.ms)
        for number, attempt in enumerate(unit.tried, start=1)
    ]


def _on_deadline(state: Process, escalation: Escalation) -> str:
    """`reject` reads as `abort` where rejecting is not offered, another role as `reject` once it has the question."""
    word = state.plan.on_deadline if state.plan else "abort"
    word = "reject" if escalation.passed_on else word
    return "abort" if word == "reject" and escalation.kind not in REJECTABLE else word


def _resolution(resolution: EscalationResolved, bodies: EscalationBodies) -> RecordedResolution:
    return RecordedResolution(
        decision=resolution.decision.value,
        data=_given(resolution, bodies.data),
        note=resolution.note,
        by=resolution.by,
        channel=resolution.channel,
        assurance=assurance_label(resolution.assurance, resolution.channel),
        at=timestamp(resolution.at),
        effect=list(bodies.effect),
    )


def _given(resolution: EscalationResolved, body: Any) -> Any:
    """What was answered beside the decision: the body, or the small fields that the event itself carries."""
    if body is not None:
        return body
    small: dict[str, Any] = {}
    if resolution.reject_items:
        small["reject"] = list(resolution.reject_items)
    if resolution.fresh_key:
        small["fresh_key"] = True
    if resolution.agent is not None:
        small["agent"] = resolution.agent
    if resolution.usd_micros is not None:
        small["usd"] = usd(resolution.usd_micros)
    return small or None
