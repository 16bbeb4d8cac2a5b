"""The form of a journal row's `turn`: events, decisions in short form, and a digest of the full decisions.

Pure. PlanFacts, which a process carries unchanged for life, stand in a row as the sha256 of their own JSON, kept once
as a definition of kind `plan_facts`; reading puts them back. docs/journal-format.md is the written form.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from process_orchestrator.core.facts.commands import (
    BuildOutput,
    CheckPlan,
    ClassifyTask,
    Command,
    Finish,
    InvokeAgent,
    OpenEscalation,
    PrepareCall,
    ProposePlan,
    StartTimer,
    StopTimer,
    WriteBrief,
)
from process_orchestrator.core.facts.events import (
    EscalationResolved,
    Event,
    PlanChecked,
    ProcessStarted,
    TaskClassified,
)
from process_orchestrator.core.facts.specs import PlanFacts
from process_orchestrator.core.facts.values import Fact
from process_orchestrator.core.ports import DefinitionBody
from process_orchestrator.hosting.packing import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

PLAN_FACTS: Final = "plan_facts"
"""Kind of the definitions that hold PlanFacts."""
PLANS_KEPT: Final = 256
"""Plans whose JSON form is remembered, so that a thousand starts of one type encode it once."""
DIGEST_BYTES: Final = 8

PlanCarrier: TypeAlias = EscalationResolved | TaskClassified | PlanChecked
MAY_CARRY: Final = frozenset({ProcessStarted, EscalationResolved, TaskClassified, PlanChecked})
"""Events that may carry PlanFacts."""


class Turn(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """What stands in a row. `plans` maps the index of an event to the sha256 of the PlanFacts taken out of it."""

    events: tuple[Event, ...]
    decisions: tuple[str, ...] = ()
    digest: str = ""
    plans: dict[int, str] = {}


_ENCODER: Final = msgspec.json.Encoder()
_SORTED_ENCODER: Final = msgspec.json.Encoder(order="deterministic")  # for what is hashed
_DECODER: Final = msgspec.json.Decoder(Turn)
_PLAN_DECODER: Final = msgspec.json.Decoder(PlanFacts)


def short_form(command: Command) -> str:
    """One decision as a word and what it is about: `InvokeAgent post.1`."""
    return f"{type(command).__name__} {_subject(command)}".rstrip()


def _subject(command: Command) -> str:
    match command:
        case InvokeAgent(call=call) | PrepareCall(call=call):  # first: a step has one of each
            return call
        case StartTimer(timer=timer, fire_at=fire_at):
            return f"{timer} {fire_at}"
        case StopTimer(timer=timer):
            return timer
        case OpenEscalation(escalation=escalation, kind=kind):
            return f"{escalation} {kind}"
        case WriteBrief(escalation=escalation):
            return escalation
        case CheckPlan(round=number) | ProposePlan(round=number):
            return str(number)
        case Finish(status=status, code=code):
            return status if code is None else f"{status} {code}"
        case BuildOutput() | ClassifyTask():
            return ""
        case _:
            return getattr(command, "call", None) or getattr(command, "step", "")


def decisions_of(commands: Iterable[Command]) -> tuple[str, ...]:
    """Commands in short form, in order."""
    return tuple(map(short_form, commands))


def digest_of(commands: Sequence[Command]) -> str:
    """Hex of the first 8 bytes of sha256 over the JSON of the full commands; empty where there are none."""
    if not commands:
        return ""
    return hashlib.sha256(_SORTED_ENCODER.encode(commands)).digest()[:DIGEST_BYTES].hex()


class PlanFolder:
    """Takes PlanFacts out of events before they are written. Remembers the plans it has met (bounded)."""

    def __init__(self) -> None:
        self._met: OrderedDict[int, tuple[PlanFacts, DefinitionBody]] = OrderedDict()

    def definition_of(self, plan: PlanFacts) -> DefinitionBody:
        """The definition that holds `plan`. Remembered by identity: plans are immutable and shared by a snapshot."""
        met = self._met.get(id(plan))
        if met is not None:
            self._met.move_to_end(id(plan))
            return met[1]
        data = msgspec.json.encode(plan, order="sorted")
        body = DefinitionBody(
            sha256=hashlib.sha256(data).hexdigest(), kind=PLAN_FACTS, name=plan.sha256, version="", data=data
        )
        self._met[id(plan)] = (plan, body)
        if len(self._met) > PLANS_KEPT:
            self._met.popitem(last=False)
        return body

    def fold(self, events: Sequence[Event]) -> tuple[tuple[Event, ...], dict[int, str], tuple[DefinitionBody, ...]]:
        """Events without plans, which plan was where, and the definitions to store with the row."""
        if MAY_CARRY.isdisjoint(map(type, events)):  # as in nearly every turn
            return tuple(events), {}, ()
        kept: list[Event] = []
        plans: dict[int, str] = {}
        bodies: list[DefinitionBody] = []
        for index, event in enumerate(events):
            plan = plan_in(event)
            if plan is None:
                kept.append(event)
                continue
            body = self.definition_of(plan)
            kept.append(with_plan(event, None))
            plans[index] = body.sha256
            bodies.append(body)
        return tuple(kept), plans, tuple(bodies)


def plan_in(event: Event) -> PlanFacts | None:
    """The PlanFacts that an event carries, if it carries any."""
    if isinstance(event, ProcessStarted):
        return event.spec.plan
    return event.plan if isinstance(event, PlanCarrier) else None


def with_plan(event: Event, plan: PlanFacts | None) -> Event:
    """The same event carrying `plan`."""
    if isinstance(event, ProcessStarted):
        return msgspec.structs.replace(event, spec=msgspec.structs.replace(event.spec, plan=plan))
    if isinstance(event, PlanCarrier):
        return msgspec.structs.replace(event, plan=plan)
    raise TypeError(type(event).__name__)


def json_of_turn(turn: Turn) -> bytes:
    """A turn before it is packed."""
    return _ENCODER.encode(turn)


def encode_turn(turn: Turn) -> bytes:
    """A turn as its row stores it."""
    return pack(json_of_turn(turn))


def decode_turn(data: bytes, plan_of: Callable[[str], PlanFacts]) -> Turn:
    """Read a row's turn and put its plans back. Raises msgspec.ValidationError or DecodeError where it is not one."""
    turn = _DECODER.decode(unpack(data))
    if not turn.plans:
        return turn
    events = list(turn.events)
    for index, sha256 in turn.plans.items():
        events[index] = with_plan(events[index], plan_of(sha256))
    return msgspec.structs.replace(turn, events=tuple(events))


def decode_plan(data: bytes) -> PlanFacts:
    return _PLAN_DECODER.decode(data)
