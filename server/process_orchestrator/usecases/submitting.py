"""Submit: find the type, check all that can be checked, pin, start. Nothing is stored before everything fits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from process_orchestrator.checking.intake import Ambiguous, classify
from process_orchestrator.checking.plans.sub_process import limits_of
from process_orchestrator.checking.schemas.validate import check_value, encode_body, ref_of
from process_orchestrator.core.errors import BodyError, RefusedError
from process_orchestrator.core.facts.specs import Budget, ProcessSpec
from process_orchestrator.core.facts.values import ApprovalMode, TypePin
from process_orchestrator.core.limits import CORE_VERSION
from process_orchestrator.core.money import MICROS_PER_USD, usd, usd_micros
from process_orchestrator.core.ports import Bodies, Body, DefinitionBody, ProcessQuery
from process_orchestrator.usecases.identifiers import read_name, shown
from process_orchestrator.usecases.refusals import mismatch, unknown, unreadable
from process_orchestrator.views.models import Candidate
from process_orchestrator.views.process_view import ENDED, Extras

if TYPE_CHECKING:
    from process_orchestrator.checking.documents.definitions import ProcessType
    from process_orchestrator.checking.loading.registry import Registry
    from process_orchestrator.checking.plans.compiled import CompiledPlan
    from process_orchestrator.core.facts.specs import PlanFacts
    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.usecases.reading import Reader
    from process_orchestrator.usecases.surroundings import Workplace
    from process_orchestrator.views.models import Caller, ProcessView, SubmitRequest

TASK_CHARACTERS_MAX: Final = 20_000
NAME_CHARACTERS_MAX: Final = 200
CANDIDATES_MAX: Final = 5
TASK_MEDIA_TYPE: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, kw_only=True)
class CheckedType:
    """A process type that may be started: its plan, and all that is pinned with it."""

    process_type: ProcessType
    facts: PlanFacts
    definitions: tuple[DefinitionBody, ...]

    @property
    def pin(self) -> TypePin:
        each = self.process_type
        return TypePin(name=each.name, version=each.version, sha256=each.source.sha256)


class Submitter:
    def __init__(self, workplace: Workplace, reader: Reader) -> None:
        self._host, self._registry, self._compiler = workplace.host, workplace.registry, workplace.compiler
        self._around, self._reader = workplace.surroundings, reader

    async def submit(self, request: SubmitRequest, caller: Caller) -> ProcessView:
        task = _text(request.task, "task", most=TASK_CHARACTERS_MAX)
        key = _text(request.idempotency_key, "idempotency_key", most=NAME_CHARACTERS_MAX)
        label = _text(request.label, "label", most=NAME_CHARACTERS_MAX)
        registry = self._registry()
        found, by = self._type(request, task, registry)
        checked = self.checked_type(found, registry)
        _check_lineage(caller, checked)
        given = {} if request.input is None else request.input
        data = self.checked_input(checked, given)
        budget, budget_micros = _budget(request, found)
        body = Body(ref=ref_of(data), data=data)
        texts = (_task_body(task),) if task is not None else ()
        spec = ProcessSpec(
            principal=caller.principal,
            key=key,
            request_sha256=_request_sha256(request, task, given, budget_micros),
            lineage=caller.lineage,
            task=texts[0].ref if texts else None,
            input=body.ref,
            type=checked.pin,
            classified_by=by,
            plan=checked.facts,
            label=label,
            budget=budget,
            approval=ApprovalMode(request.approval),
            limits=limits_of(found),
            core_version=CORE_VERSION,
        )
        bodies = Bodies(artifacts=(body, *texts), definitions=checked.definitions)
        state = await self._host.start(spec, bodies)
        if state.spec.process_id in caller.lineage:
            raise _circle(f"it would wait for process {state.spec.process_id}, which called it")
        warnings = [*request.warnings]
        if key is None:
            warnings += await self._twins(state)
        state = await self._reader.settled(state, wait_s=request.wait_s)
        return await self._reader.view(state, extras=Extras(warnings=warnings, whole=caller.channel == "cli"))

    # --- the type ----------------------------------------------------------------------------------------------

    def _type(self, request: SubmitRequest, task: str | None, registry: Registry) -> tuple[ProcessType, str]:
        """The type that is meant, and who found it."""
        if request.process_type is not None and request.process_type.strip():
            return find_type(request.process_type, registry), "caller"
        if task is None:
            raise RefusedError(
                "BAD_ARGUMENT",
                "neither task nor process_type is given.",
                do="call describe_agents to find a process_type.",
            )
        found = classify(registry, task, request.input)
        if isinstance(found, Ambiguous):
            raise ambiguous(found)
        return found.process_type, "rules"

    def checked_type(self, process_type: ProcessType, registry: Registry) -> CheckedType:
        """The type with its plan. Raises RefusedError NEEDS_MODEL, or BAD_ARGUMENT for one with errors."""
        if process_type.plan is None:
            raise RefusedError(
                "NEEDS_MODEL",
                f"process type {process_type.name} has no fixed plan, and no model is configured to make one.",
                do="use a process type whose plan is fixed (describe_agents says which).",
            )
        compiled = registry.plan(process_type, server_floor=self._around.server_floor)
        errors = [problem for problem in compiled.problems if problem.level == "error"]
        if compiled.facts is None or errors:
            first = f"{errors[0].file}:{errors[0].line}: {errors[0].message}" if errors else "it has no plan"
            raise RefusedError(
                "BAD_ARGUMENT",
                f"process type {process_type.name} {process_type.version} has errors: {first}.",
                do="ask the user to run `orchestrator check`, which says what to change.",
            )
        return CheckedType(process_type=process_type, facts=compiled.facts, definitions=compiled.definitions)

    def checked_input(self, checked: CheckedType, value: Any) -> bytes:
        """The stored form of an input that keeps its type's schema. Raises RefusedError INPUT_MISMATCH, TOO_LARGE."""
        document = next(each for each in checked.definitions if each.sha256 == checked.facts.sha256)
        return self.fitting(self._compiler.plan(document), value, name=checked.process_type.name)

    def fitting(self, plan: CompiledPlan, value: Any, *, name: str) -> bytes:
        """As `checked_input`, of a plan alone; `name` is its type's."""
        try:
            data = check_value(value)
        except BodyError as error:
            raise unreadable("the input", error) from error
        problems = plan.input_problems(value)
        if problems:
            raise mismatch(
                f"the input of {name}",
                problems,
                do=f"call describe_agents with process_type {name} and send an input that keeps its schema.",
            )
        return data

    # --- warnings ----------------------------------------------------------------------------------------------

    async def _twins(self, state: Process) -> list[str]:
        """Names the first process of the same type and input that still runs: a repeat without a key doubles work."""
        if state.spec.input is None or state.spec.type is None:
            return []
        query = ProcessQuery(
            process_type=state.spec.type.name,
            principal=state.spec.principal,
            input_sha256=state.spec.input.sha256,
            limit=100,
        )
        page = await self._host.processes(query)
        others = [
            row.process_id for row in page.items if row.process_id != state.spec.process_id and row.status not in ENDED
        ]
        if not others:
            return []
        return [
            f"Process {others[-1]} has the same type and input and has not ended; this is a second one. "
            "Give an idempotency_key to meet the first instead."
        ]


def find_type(reference: str, registry: Registry) -> ProcessType:
    """A process type by name, or name and version. Raises RefusedError UNKNOWN_PROCESS_TYPE with the nearest three."""
    name = read_name(reference)
    found = registry.process(name) or registry.process(name.lower())
    if found is not None:
        return found
    raise unknown(registry, "process", reference)


def ambiguous(found: Ambiguous) -> RefusedError:
    """AMBIGUOUS_TASK with the types that might be meant."""
    candidates = [
        Candidate(process_type=each.name, summary=each.summary, input_required=list(each.input_required))
        for each in found.candidates[:CANDIDATES_MAX]
    ]
    return RefusedError(
        "AMBIGUOUS_TASK",
        "the rules find no single process type for this task."
        if candidates
        else "no process type is defined in this home.",
        do="choose one of the candidates (ask the user if unsure) and submit again with process_type and its input."
        if candidates
        else "ask the user to add one, or to run `orchestrator init`.",
        details={"candidates": candidates},
    )


def _check_lineage(caller: Caller, checked: CheckedType) -> None:
    """Refuses what would go round in a circle, or too deep. Raises RefusedError LINEAGE_REFUSED."""
    depth = checked.process_type.limits.depth
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


def _budget(request: SubmitRequest, process_type: ProcessType) -> tuple[Budget, int | None]:
    """The type's budget, lowered to what the caller gives. More than the type allows is a person's decision."""
    own = process_type.budget
    most = round(own.usd * MICROS_PER_USD)
    given = None
    if request.budget_usd is not None:
        given = usd_micros(request.budget_usd)
        if given is None or given <= 0:
            raise RefusedError(
                "BUDGET_INVALID",
                f"budget_usd is no amount: {shown(str(request.budget_usd))}.",
                do='give US dollars over 0 with at most six decimals, such as "1.50", or leave it out.',
                pointer="/budget_usd",
            )
        if given > most:
            raise RefusedError(
                "BUDGET_INVALID",
                f"{usd(given)} USD is more than process type {process_type.name} allows ({usd(most)} USD).",
                do=f"give at most {usd(most)}, or leave it out; a person can raise it while it runs.",
                pointer="/budget_usd",
            )
    return (
        Budget(
            usd_micros=most if given is None else given,
            calls=own.calls,
            tokens=own.tokens,
            total_ms=round(own.total_s * 1000),
            unknown=own.unknown,
        ),
        given,
    )


def _request_sha256(request: SubmitRequest, task: str | None, given: Any, budget_micros: int | None) -> str:
    """What must be equal for an idempotency key to mean the same request: not label, not wait_s."""
    named = read_name(request.process_type).lower() if request.process_type else None
    body = {
        "task": task,
        "process_type": named or None,
        "input": given,
        "budget_usd_micros": budget_micros,
        "approval": request.approval,
    }
    return hashlib.sha256(encode_body(body)).hexdigest()
