"""Redrive: an ended process is taken up by a new one, from where it failed. What was done is not done again.

Whatever would do an effect a second time is refused before anything is stored, as far as its arguments can be known by
then; the rest is asked of each call by the core (`core.redriven`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from process_orchestrator.checking.schemas.nearest import nearest
from process_orchestrator.checking.schemas.validate import encode_body, ref_of
from process_orchestrator.core import keys
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.specs import PlanFacts, ProcessSpec
from process_orchestrator.core.facts.values import ApprovalMode, Effect, EscalationKind, Idempotency, Phase, Status
from process_orchestrator.core.limits import CORE_VERSION
from process_orchestrator.core.ports import Bodies, Body, ProcessQuery
from process_orchestrator.llm.bounds import worst_cases
from process_orchestrator.usecases.done_before import DoneBefore, past_of
from process_orchestrator.usecases.identifiers import read_name, shown
from process_orchestrator.usecases.rehearsal import Overlay, Rehearsal
from process_orchestrator.usecases.submitting import find_type
from process_orchestrator.views.process_view import ENDED, Extras

if TYPE_CHECKING:
    from collections.abc import Mapping

    from process_orchestrator.core.facts.specs import StepFacts
    from process_orchestrator.core.facts.state import Process, Unit
    from process_orchestrator.core.facts.values import Ref, TypePin
    from process_orchestrator.core.limits import Limits
    from process_orchestrator.core.ports import DefinitionBody
    from process_orchestrator.usecases.reading import Reader
    from process_orchestrator.usecases.redrive_request import RedriveRequest
    from process_orchestrator.usecases.submitting import Submitter
    from process_orchestrator.usecases.surroundings import Workplace
    from process_orchestrator.views.models import Caller, ProcessView

TAKEN_UP: Final = (Status.FAILED, Status.CANCELLED)
HARMLESS: Final = (Effect.NONE, Effect.READ)
SETTLED: Final = (Phase.DONE, Phase.SKIPPED)
PAGE: Final = 100
OTHERWISE: Final = "{} was done, with other arguments or under another contract"
UNSAFE: Final = "{} was done, and its contract does not make a repeat safe"


@dataclass(frozen=True, kw_only=True)
class _Ground:
    """What the new process is pinned to; `document` is its plan."""

    pin: TypePin | None
    facts: PlanFacts
    definitions: tuple[DefinitionBody, ...]
    limits: Limits
    document: DefinitionBody


@dataclass(frozen=True, kw_only=True)
class _Foreseen:
    """A new process before its first call. `digests` are of units that wait, where their arguments are known."""

    state: Process
    digests: Mapping[str, str | None]


class Redriver:
    def __init__(self, workplace: Workplace, reader: Reader, submitter: Submitter) -> None:
        self._host, self._registry, self._compiler = workplace.host, workplace.registry, workplace.compiler
        self._bodies, self._reader, self._submitter = workplace.bodies, reader, submitter
        self._model = workplace.surroundings.model

    async def redrive(self, request: RedriveRequest, caller: Caller) -> ProcessView:
        """Start the process that takes an ended one up, or meet the one that this request started before."""
        old = await self._reader.find(request.process_id, caller)
        _check_ended(old)
        ground = await self._ground(old, request)
        again = frozenset(_step_named(each, ground.facts) for each in request.again)
        start = _step_named(request.from_step, ground.facts) if request.from_step is not None else None
        given, bodies = await self._input(old, request, ground)
        past = await past_of(old, self._bodies)
        done = DoneBefore(past, Overlay(self._host, bodies), self._compiler)
        earlier = await done.earlier(ground.facts, from_here=_with_dependents(ground.facts, start), again=again)
        digest = _request_sha256(request, ground, given)
        spec = ProcessSpec(
            principal=caller.principal,
            key=request.key or f"redrive of {old.spec.process_id}: {digest[:32]}",
            request_sha256=digest,
            lineage=old.spec.lineage,
            task=old.spec.task,
            input=given,
            type=ground.pin,
            classified_by=old.spec.classified_by,
            plan=ground.facts,
            label=request.label or old.spec.label,
            budget=old.spec.budget,
            approval=old.spec.approval,
            limits=ground.limits,
            core_version=CORE_VERSION,
            redrives=old.spec.process_id,
            earlier=earlier,
            models=worst_cases(self._model),
            requirements=old.spec.requirements,
        )
        foreseen = await self._foreseen(spec, bodies)
        _check_repeats(old, foreseen, again=again)
        state = await self._host.start(spec, bodies)
        return await self._reader.view(state, extras=Extras(warnings=_told(foreseen.state, state), whole=True))

    async def unfinished(self, label: str, status: str, caller: Caller) -> tuple[str, ...]:
        """The ended processes of a label that no other has taken up yet, oldest first."""
        if status not in TAKEN_UP:
            raise RefusedError(
                "BAD_ARGUMENT", f"a process that is {shown(status)} is not redriven.", do="use failed or cancelled."
            )
        principal = None if caller.principal == "local" else caller.principal
        ended: list[str] = []
        taken_up: set[str | None] = set()
        cursor: str | None = None
        while True:
            page = await self._host.processes(ProcessQuery(label=label, principal=principal, limit=PAGE, cursor=cursor))
            for row in page.items:
                ended += [row.process_id] if row.status == status else []
                taken_up.add((await self._host.state(row.process_id)).spec.redrives)
            cursor = page.next
            if cursor is None:
                return tuple(each for each in reversed(ended) if each not in taken_up)

    async def _ground(self, old: Process, request: RedriveRequest) -> _Ground:
        """The definitions of the files, or those that the process was pinned to."""
        plan = old.plan
        if plan is None:
            raise RefusedError(
                "BAD_ARGUMENT",
                f"{old.spec.process_id} ended before it had a plan: nothing of it can be taken over.",
                do="submit its task again.",
            )
        pinned = _Ground(
            pin=old.spec.type,
            facts=plan,
            definitions=(),
            limits=old.spec.limits,
            document=await self._host.definition(plan.sha256),
        )
        if request.pinned or old.spec.type is None:
            return pinned
        registry = self._registry()
        process_type = find_type(old.spec.type.name, registry)
        if process_type.plan is None:  # the plan was made for that process alone: no file holds another
            return pinned
        checked = self._submitter.checked_type(process_type, registry)
        assert checked.facts is not None  # it has a plan without errors
        return _Ground(
            pin=checked.pin,
            facts=checked.facts,
            definitions=checked.definitions,
            limits=checked.limits,
            document=checked.plan_document,
        )

    async def _input(self, old: Process, request: RedriveRequest, ground: _Ground) -> tuple[Ref | None, Bodies]:
        """The input, checked against the type that the new process has, and all that is stored with the process."""
        value = request.input
        if value is None and old.spec.input is not None:
            value = await self._bodies.raw(old.spec.input)
        name = ground.pin.name if ground.pin is not None else "the process"
        data = self._submitter.fitting(self._compiler.plan(ground.document), {} if value is None else value, name=name)
        body = Body(ref=ref_of(data), data=data)
        return body.ref, Bodies(artifacts=(body,), definitions=ground.definitions)

    async def _foreseen(self, spec: ProcessSpec, bodies: Bodies) -> _Foreseen:
        """Where the new process will stand once all that needs no call is decided; a plan's approval is not awaited."""
        rehearsal = Rehearsal(Overlay(self._host, bodies), self._compiler)
        here = replace(spec, process_id="p_rehearsal", approval=ApprovalMode.POLICY)
        await rehearsal.tell(e.ProcessStarted(at=0, spec=here))
        state = rehearsal.state
        waiting = [name for name in spec.earlier if name in state.units and state.units[name].phase is Phase.WAITING]
        return _Foreseen(state=state, digests={name: await rehearsal.known_digest(name) for name in waiting})


def _check_ended(old: Process) -> None:
    process_id = old.spec.process_id
    if old.status in TAKEN_UP:
        return
    if old.status in ENDED:
        raise RefusedError(
            "BAD_ARGUMENT", f"{process_id} is completed: there is nothing to take up.", do="submit it again."
        )
    raise RefusedError(
        "BAD_ARGUMENT",
        f"{process_id} has not ended; it is {old.status.value}.",
        do="decide what it asks (list_escalations), wait for its end, or cancel it first (cancel_process).",
    )


def _step_named(given: str, plan: PlanFacts) -> str:
    name = keys.step_of_unit(read_name(given))
    steps = [step.id for step in plan.steps]
    if name in steps:
        return name
    raise RefusedError(
        "UNKNOWN_STEP",
        f"the plan has no step {shown(given)}.",
        do=f"use one of {', '.join(steps)}.",
        details={"nearest": list(nearest(name, steps))},
    )


def _with_dependents(plan: PlanFacts, start: str | None) -> frozenset[str]:
    """A step and all that needs it, directly or not. A plan lists a step after its needs."""
    found = set[str]() if start is None else {start}
    for step in plan.steps:
        if found.intersection(step.needs):
            found.add(step.id)
    return frozenset(found)


def _request_sha256(request: RedriveRequest, ground: _Ground, given: Ref | None) -> str:
    """What must be equal for a redrive to be the same one: not its label."""
    body = {
        "redrives": read_name(request.process_id).lower(),
        "from": request.from_step,
        "input": given.sha256 if given is not None else None,
        "again": sorted(request.again),
        "plan": ground.facts.sha256,
        "process_type": ground.pin.sha256 if ground.pin is not None else None,
    }
    return hashlib.sha256(encode_body(body)).hexdigest()


# --- what would happen a second time --------------------------------------------------------------------------------


def _check_repeats(old: Process, foreseen: _Foreseen, *, again: frozenset[str]) -> None:
    """Refuse what would do an effect a second time. Raises RefusedError REPEAT_REFUSED with every such step."""
    plan = foreseen.state.plan
    steps = {step.id: step for step in plan.steps} if plan is not None else {}
    refused: dict[str, str] = {}
    for unit in old.units.values():
        now = steps.get(unit.step)
        if now is None or unit.step in again or unit.step in refused or keys.is_undo(unit.id):
            continue
        why = _repeats(old, unit, now, foreseen) if _acted(old, unit) and now.effect not in HARMLESS else None
        if why is not None:
            refused[unit.step] = why
    if not refused:
        return
    named = "; ".join(f"{step}: {why}" for step, why in refused.items())
    flags = " ".join(f"--again {step}" for step in refused)
    raise RefusedError(
        "REPEAT_REFUSED",
        f"an effect would happen a second time. {named}.",
        do=f"look there first; where a second time is wanted or harmless, add {flags}.",
        details={"steps": list(refused)},
    )


def _acted(old: Process, unit: Unit) -> bool:
    """Whether a unit made a call of its own, or took one over, whose effect is there or may be."""
    step = old.facts(unit)
    if (step.is_map and unit.item is None) or step.effect in HARMLESS:
        return False
    return unit.digest is not None and (unit.phase is Phase.DONE or unit.outcome_unknown or unit.id in old.left)


def _repeats(old: Process, unit: Unit, now: StepFacts, foreseen: _Foreseen) -> str | None:
    """Why the new process would repeat what a unit did; None where it does not, or a person is asked first."""
    here, earlier = foreseen.state.units.get(unit.id), foreseen.state.spec.earlier.get(unit.id)
    unsafe = now.idempotency is Idempotency.UNSAFE
    if earlier is None:
        return f"{unit.id} was done, and the step runs over a list now, or over none any more"
    if unit.outcome_unknown or (here is not None and here.phase in SETTLED):
        return None
    if here is None:
        return None if _same_list(old, unit, foreseen.state) or not unsafe else f"{unit.id} was done, in another list"
    if here.phase is Phase.WAITING:
        digest = foreseen.digests.get(unit.id)
        if digest is not None and digest not in (earlier.planned, earlier.digest):
            return OTHERWISE.format(unit.id)
        return UNSAFE.format(unit.id) if unsafe and earlier.output is None else None
    if here.wants is not EscalationKind.OUTCOME_UNKNOWN:
        return None
    return OTHERWISE.format(unit.id) if here.digest != earlier.digest else UNSAFE.format(unit.id)


def _same_list(old: Process, unit: Unit, foreseen: Process) -> bool:
    """Whether an item that is not let in yet stands in the list that it stood in, and will be taken over."""
    here = foreseen.units.get(unit.step)
    same = here is not None and here.digest is not None and here.digest == old.units[unit.step].digest
    return same and foreseen.spec.earlier[unit.id].output is not None


def _told(foreseen: Process, state: Process) -> list[str]:
    """What is taken over, in words; and that this redrive was made before, where it was."""
    kept = [unit.id for unit in foreseen.units.values() if unit.phase is Phase.DONE and unit.item is None]
    asks = [unit.id for unit in foreseen.units.values() if unit.wants is EscalationKind.OUTCOME_UNKNOWN]
    lines = [f"Taken over from {state.spec.redrives}, not called again: {', '.join(kept) or 'nothing'}."]
    if asks:
        lines.append(f"Asked first, because it may have happened already: {', '.join(asks)}.")
    if state.status in ENDED:
        lines.append(
            f"This redrive was made before and has {state.status.value}; redrive {state.spec.process_id}, "
            "or give another key."
        )
    return lines
