"""Submit: find the type, check all that can be checked, pin, start. Nothing is stored before everything fits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from process_orchestrator.checking.schemas.validate import Validator, check_value, encode_body, ref_of
from process_orchestrator.checking.tasks.intake import Ambiguous, classify
from process_orchestrator.checking.tasks.requirements import Asked, narrowed, read_requirements, stricter
from process_orchestrator.checking.tasks.starting import newest_of, startable, widest
from process_orchestrator.core.errors import BodyError, RefusedError
from process_orchestrator.core.facts.specs import ProcessSpec
from process_orchestrator.core.facts.values import ApprovalMode, Tier
from process_orchestrator.core.limits import CORE_VERSION
from process_orchestrator.core.money import usd, usd_micros
from process_orchestrator.core.ports import Bodies, Body, ProcessQuery
from process_orchestrator.llm.bounds import worst_cases
from process_orchestrator.usecases.identifiers import read_name, shown
from process_orchestrator.usecases.refusals import mismatch, unknown, unreadable
from process_orchestrator.views.models import Candidate
from process_orchestrator.views.process_view import ENDED, Extras

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from process_orchestrator.checking.documents.definitions import ProcessType
    from process_orchestrator.checking.loading.registry import Registry
    from process_orchestrator.checking.plans.compiled import CompiledPlan
    from process_orchestrator.checking.schemas.validate import ValueProblem
    from process_orchestrator.checking.tasks.starting import Startable
    from process_orchestrator.core.facts.specs import Budget
    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.core.limits import Limits
    from process_orchestrator.usecases.reading import Reader
    from process_orchestrator.usecases.surroundings import Workplace
    from process_orchestrator.views.models import Caller, ProcessView, SubmitRequest

TASK_CHARACTERS_MAX: Final = 20_000
NAME_CHARACTERS_MAX: Final = 200
CANDIDATES_MAX: Final = 5
TWINS_LOOKED_AT: Final = 20
NOTHING: Final = (None, {})
"""Who gives a task and an empty object has no input to give: models do that."""

READS_TYPE: Final = "With [models.light] set up, a model would read it."
READS_INPUT: Final = "With [models.light] set up, a model would read it out of the task."
TASK_MEDIA_TYPE: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, kw_only=True)
class _Request:
    """A request as it was read. `asked` is what the task's own words ask for, beside what the caller gives."""

    given: SubmitRequest
    task: str | None
    key: str | None
    label: str | None
    budget_micros: int | None
    asked: Asked


@dataclass(frozen=True, kw_only=True)
class _Ground:
    """What a new process stands on. `type` is None where intake is to find it, `input` where intake is to read it."""

    type: Startable | None
    by: str
    input: bytes | None
    budget: Budget
    limits: Limits


class Submitter:
    def __init__(self, workplace: Workplace, reader: Reader) -> None:
        self._host, self._registry, self._compiler = workplace.host, workplace.registry, workplace.compiler
        self._around, self._reader = workplace.surroundings, reader

    async def submit(self, request: SubmitRequest, caller: Caller) -> ProcessView:
        read = _read(request)
        ground = self._ground(read, caller)
        budget, limits = narrowed(ground.budget, ground.limits, read.asked.requirements)
        body = Body(ref=ref_of(ground.input), data=ground.input) if ground.input is not None else None
        text = _task_body(read.task) if read.task is not None else None
        spec = ProcessSpec(
            principal=caller.principal,
            key=read.key,
            request_sha256=_request_sha256(read),
            lineage=caller.lineage,
            task=text.ref if text is not None else None,
            input=body.ref if body is not None else None,
            type=ground.type.pin if ground.type is not None else None,
            classified_by=ground.by,
            plan=ground.type.facts if ground.type is not None else None,
            label=read.label,
            budget=budget,
            approval=stricter(ApprovalMode(request.approval), read.asked.requirements),
            limits=limits,
            core_version=CORE_VERSION,
            models=worst_cases(self._around.model),
            requirements=read.asked.requirements,
        )
        artifacts = tuple(each for each in (body, text) if each is not None)
        definitions = ground.type.definitions if ground.type is not None else ()
        state = await self._host.start(spec, Bodies(artifacts=artifacts, definitions=definitions))
        if state.spec.process_id in caller.lineage:
            raise _circle(f"it would wait for process {state.spec.process_id}, which called it")
        warnings = [*request.warnings, *read.asked.warnings]
        if read.key is None:
            warnings += await self._twins(state)
        state = await self._reader.settled(state, wait_s=request.wait_s)
        return await self._reader.view(state, extras=Extras(warnings=warnings, whole=caller.channel == "cli"))

    # --- what it stands on -------------------------------------------------------------------------------------

    def _ground(self, read: _Request, caller: Caller) -> _Ground:
        """Type and input as far as they are known now. Raises RefusedError for what can be known to be wrong."""
        registry = self._registry()
        named = self._named(read, registry)
        if isinstance(named, Ambiguous):
            return self._untyped(read, named, registry, caller)
        process_type, by = named
        checked = self.checked_type(process_type, registry)
        _check_lineage(caller, checked.limits.depth)
        _check_budget(read.budget_micros, checked.budget, f"process type {process_type.name} allows")
        data = self._input(read, checked)
        return _Ground(
            type=checked, by=by, input=data, budget=_lowered(checked.budget, read.budget_micros), limits=checked.limits
        )

    def _named(self, read: _Request, registry: Registry) -> tuple[ProcessType, str] | Ambiguous:
        """The type that is meant, and who found it."""
        wanted = read.given.process_type
        if wanted is not None and wanted.strip():
            return find_type(wanted, registry), "caller"
        if read.task is None:
            raise RefusedError(
                "BAD_ARGUMENT",
                "neither task nor process_type is given.",
                do="call describe_agents to find a process_type.",
            )
        found = classify(registry, read.task, read.given.input)
        return found if isinstance(found, Ambiguous) else (found.process_type, "rules")

    def _untyped(self, read: _Request, found: Ambiguous, registry: Registry, caller: Caller) -> _Ground:
        """A model is to find the type. Nothing that any type would refuse is let in."""
        if not self._may_read or not found.candidates:
            raise ambiguous(found)
        budget, limits = widest(newest_of(registry))
        _check_lineage(caller, limits.depth)
        _check_budget(read.budget_micros, budget, "any process type allows")
        data = None if read.given.input in NOTHING else _stored(read.given.input)
        return _Ground(type=None, by="model", input=data, budget=_lowered(budget, read.budget_micros), limits=limits)

    def _input(self, read: _Request, checked: Startable) -> bytes | None:
        """The stored form of the input; None where a model is to read it out of the task."""
        given = read.given.input
        to_read = given in NOTHING and read.task is not None and checked.input_problems({})
        if to_read and self._may_read:
            return None
        return self.checked_input(checked, {} if given is None else given, readable=bool(to_read))

    @property
    def _may_read(self) -> bool:
        """Whether a model is set up that reads tasks."""
        return self._around.model.tier(Tier.LIGHT) is not None

    def checked_type(self, process_type: ProcessType, registry: Registry) -> Startable:
        """The type with its plan, if it needs none. Raises RefusedError NEEDS_MODEL, or BAD_ARGUMENT for errors."""
        checked = startable(process_type, registry, server_floor=self._around.server_floor)
        if checked.problem is not None:
            raise RefusedError(
                "BAD_ARGUMENT",
                f"process type {process_type.name} {process_type.version} has errors: {checked.problem}.",
                do="ask the user to run `orchestrator check`, which says what to change.",
            )
        if checked.facts is None and self._around.model.tier(Tier.STRONG) is None:
            raise RefusedError(
                "NEEDS_MODEL",
                f"process type {process_type.name} has no fixed plan, and no model is configured to make one.",
                do="use a process type whose plan is fixed (describe_agents says which), or ask the user to set up "
                "[models.strong].",
            )
        return checked

    def checked_input(self, checked: Startable, value: Any, *, readable: bool = False) -> bytes:
        """The stored form of an input that keeps its type's schema. Raises RefusedError INPUT_MISMATCH, TOO_LARGE.

        `readable`: a model could have read it out of the task, were one set up.
        """
        name = checked.process_type.name
        if checked.facts is None:
            return _fitting(checked.input_problems, value, name=name, readable=readable)
        return _fitting(self._compiler.plan(checked.plan_document).input_problems, value, name=name, readable=readable)

    def fitting(self, plan: CompiledPlan, value: Any, *, name: str) -> bytes:
        """As `checked_input`, of a plan alone; `name` is its type's."""
        return _fitting(plan.input_problems, value, name=name)

    # --- warnings ----------------------------------------------------------------------------------------------

    async def _twins(self, state: Process) -> list[str]:
        """Names the first process of the same type and input that still runs: a repeat without a key doubles work."""
        others = await (self._same_task(state) if state.spec.input is None else self._same_input(state))
        if not others:
            return []
        same = "task" if state.spec.input is None else "type and input"
        return [
            f"Process {others[-1]} has the same {same} and has not ended; this is a second one. "
            "Give an idempotency_key to meet the first instead."
        ]

    async def _same_input(self, state: Process) -> list[str]:
        if state.spec.input is None or state.spec.type is None:
            return []
        query = ProcessQuery(
            process_type=state.spec.type.name,
            principal=state.spec.principal,
            input_sha256=state.spec.input.sha256,
            limit=100,
        )
        page = await self._host.processes(query)
        return [
            row.process_id for row in page.items if row.process_id != state.spec.process_id and row.status not in ENDED
        ]

    async def _same_task(self, state: Process) -> list[str]:
        """Of the newest processes those that were given the same words; where intake reads, no input is known yet."""
        page = await self._host.processes(ProcessQuery(principal=state.spec.principal, limit=TWINS_LOOKED_AT))
        rows = [row for row in page.items if row.process_id != state.spec.process_id and row.status not in ENDED]
        states = [await self._host.state(row.process_id) for row in rows]
        return [each.spec.process_id for each in states if each.spec.task == state.spec.task]


def find_type(reference: str, registry: Registry) -> ProcessType:
    """A process type by name, or name and version. Raises RefusedError UNKNOWN_PROCESS_TYPE with the nearest three."""
    name = read_name(reference)
    found = registry.process(name) or registry.process(name.lower())
    if found is not None:
        return found
    raise unknown(registry, "process", reference)


def check_optional_input(process_type: ProcessType, value: Any) -> None:
    """Raises RefusedError INPUT_MISMATCH, TOO_LARGE for an input that is given and does not keep its type's schema."""
    if value is not None:
        _fitting(Validator(process_type.input).problems, value, name=process_type.name, otherwise=", or leave it out")


def _fitting(
    problems_of: Callable[[Any], Sequence[ValueProblem]],
    value: Any,
    *,
    name: str,
    readable: bool = False,
    otherwise: str = "",
) -> bytes:
    data = _stored(value)
    problems = problems_of(value)
    if problems:
        do = f"call describe_agents with process_type {name} and send an input that keeps its schema{otherwise}."
        raise mismatch(f"the input of {name}", problems, do=f"{do} {READS_INPUT}" if readable else do)
    return data


def _stored(value: Any) -> bytes:
    try:
        return check_value(value)
    except BodyError as error:
        raise unreadable("the input", error) from error


def ambiguous(found: Ambiguous) -> RefusedError:
    """AMBIGUOUS_TASK with the types that might be meant."""
    candidates = [
        Candidate(process_type=each.name, summary=each.summary, input_required=list(each.input_required))
        for each in found.candidates[:CANDIDATES_MAX]
    ]
    choose = "choose one of the candidates (ask the user if unsure) and submit again with process_type and its input."
    return RefusedError(
        "AMBIGUOUS_TASK",
        "the rules find no single process type for this task."
        if candidates
        else "no process type is defined in this home.",
        do=f"{choose} {READS_TYPE}" if candidates else "ask the user to add one, or to run `orchestrator init`.",
        details={"candidates": candidates},
    )


def _check_lineage(caller: Caller, depth: int) -> None:
    """Refuses what would go round in a circle, or too deep. Raises RefusedError LINEAGE_REFUSED."""
    if len(set(caller.lineage)) != len(caller.lineage):
        raise _circle("its lineage names one process twice")
    if len(caller.lineage) > depth:
        raise RefusedError(
            "LINEAGE_REFUSED",
            f"there are {len(caller.lineage)} processes above this one; the limit is {depth}.",
            do="do this work in the process that asked.",
        )


def _circle(why: str) -> RefusedError:
    return RefusedError("LINEAGE_REFUSED", f"the call would close a circle: {why}.", do="do not call it from there.")


def _text(text: str | None, name: str, *, most: int) -> str | None:
    stripped = (text or "").strip()
    if len(stripped) > most:
        raise RefusedError("TOO_LARGE", f"{name} has {len(stripped)} characters.", do=f"send at most {most}.")
    return stripped or None


def _task_body(task: str) -> Body:
    data = task.encode()
    return Body(ref=ref_of(data, TASK_MEDIA_TYPE), data=data)


def _given_budget(request: SubmitRequest) -> int | None:
    if request.budget_usd is None:
        return None
    given = usd_micros(request.budget_usd)
    if given is None or given <= 0:
        raise RefusedError(
            "BUDGET_INVALID",
            f"budget_usd is no amount: {shown(str(request.budget_usd))}.",
            do='give US dollars over 0 with at most six decimals, such as "1.50", or leave it out.',
            pointer="/budget_usd",
        )
    return given


def _check_budget(given: int | None, most: Budget, allows: str) -> None:
    """More than a type allows is a person's decision."""
    if given is not None and given > most.usd_micros:
        raise RefusedError(
            "BUDGET_INVALID",
            f"{usd(given)} USD is more than {allows} ({usd(most.usd_micros)} USD).",
            do=f"give at most {usd(most.usd_micros)}, or leave it out; a person can raise it while it runs.",
            pointer="/budget_usd",
        )


def _lowered(budget: Budget, given: int | None) -> Budget:
    return budget if given is None else replace(budget, usd_micros=given)


def _read(request: SubmitRequest) -> _Request:
    task = _text(request.task, "task", most=TASK_CHARACTERS_MAX)
    return _Request(
        given=request,
        task=task,
        key=_text(request.idempotency_key, "idempotency_key", most=NAME_CHARACTERS_MAX),
        label=_text(request.label, "label", most=NAME_CHARACTERS_MAX),
        budget_micros=_given_budget(request),
        asked=Asked() if task is None else read_requirements(task, datetime.now(UTC).astimezone()),
    )


def _request_sha256(read: _Request) -> str:
    """What must be equal for an idempotency key to mean the same request: not label, not wait_s."""
    request = read.given
    named = read_name(request.process_type).lower() if request.process_type else None
    body = {
        "task": read.task,
        "process_type": named or None,
        "input": {} if request.input is None else request.input,
        "budget_usd_micros": read.budget_micros,
        "approval": request.approval,
    }
    return hashlib.sha256(encode_body(body)).hexdigest()
