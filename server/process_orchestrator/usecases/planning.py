"""The plan that a task would be done by, before anything runs: the type's own, the one call, or one that a model makes.

Starts nothing and stores nothing. A model is asked only for a type whose plan has to be made; what it says goes through
the same gates as in a process.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread

from process_orchestrator.checking.estimating.verdict import verdict_of
from process_orchestrator.checking.planning.at_hand import at_hand
from process_orchestrator.checking.planning.judgement import Judged, judge, report_text
from process_orchestrator.checking.planning.map_schema import MapSchema, map_schema
from process_orchestrator.checking.planning.pinned_map import PinnedMap
from process_orchestrator.checking.plans.fitting import Fitting
from process_orchestrator.checking.schemas.projection import Shape, names_of
from process_orchestrator.checking.tasks.intake import Ambiguous, classify
from process_orchestrator.core.errors import ModelError, RefusedError
from process_orchestrator.core.facts.values import Tier
from process_orchestrator.core.money import usd
from process_orchestrator.performing.stages.planner_prompt import Standing, plan_prompt
from process_orchestrator.usecases.submitting import TASK_CHARACTERS_MAX, ambiguous, check_optional_input, find_type
from process_orchestrator.views.models import NextAction
from process_orchestrator.views.plan_ahead import PlanAheadView, plan_ahead_view

if TYPE_CHECKING:
    from process_orchestrator.checking.documents.definitions import ProcessType
    from process_orchestrator.checking.loading.registry import Registry
    from process_orchestrator.core.facts.values import Assurance
    from process_orchestrator.llm.port import Model, Spending
    from process_orchestrator.usecases.surroundings import Workplace
    from process_orchestrator.views.plan_ahead import PlanRequest

Json = Any

ASSUMED: Final = "without an input the plan takes for granted that it holds all that the type declares"


@dataclass(frozen=True, kw_only=True)
class Made:
    """A plan that a model made, or its last try. `spent`: what each answer took."""

    judged: Judged
    offered: MapSchema
    spent: tuple[Spending, ...]


async def make_plan(
    process_type: ProcessType, *, task: str | None, value: Json, registry: Registry, model: Model, floor: Assurance
) -> Made:
    """Let the strong model make a plan for this input, in as many rounds as the type allows.

    `value` None: an input that holds all that the type declares. Raises RefusedError where there is no model, or none
    could make one, and ModelError where the model cannot be had.
    """
    if model.tier(Tier.STRONG) is None:
        raise RefusedError(
            "NEEDS_MODEL",
            f"process type {process_type.name} has no fixed plan, and no model is configured to make one.",
            do="set up [models.strong] in orchestrator.toml (`orchestrator doctor` shows what is set up).",
        )
    given = dict.fromkeys(names_of(Shape.of(process_type.input))) if value is None else value
    narrowed = at_hand(process_type, given)
    known = PinnedMap(registry, pinned=(), fitting=Fitting())
    offered = await anyio.to_thread.run_sync(partial(map_schema, narrowed, registry=known))
    if offered.open_goals or not offered.offers.steps:
        goals = " and ".join(f"`{each}`" for each in offered.open_goals) or "anything"
        why = "; ".join(f"{each.what}: {each.why}" for each in offered.left_out[:2])
        raise RefusedError(
            "BAD_ARGUMENT",
            f"nothing on the map of {process_type.name} can give {goals} with this input{f' ({why})' if why else ''}.",
            do="give an input that holds more, or widen the map of the type.",
        )
    spent: list[Spending] = []
    report = ""
    while True:
        standing = Standing(summary=narrowed.summary, task=task, input=value or {}, kept={}, report=report)
        answer = await model.complete(plan_prompt(offered, standing), Tier.STRONG)
        spent.append(answer.spent)
        judged = await anyio.to_thread.run_sync(
            partial(judge, answer.data, offered=offered, process_type=narrowed, registry=known, server_floor=floor)
        )
        if judged.ok or len(spent) > process_type.limits.replans:
            return Made(judged=judged, offered=offered, spent=tuple(spent))
        report = report_text(judged.report())


class PlanAhead:
    """The use case of looking at a plan before it is followed."""

    def __init__(self, workplace: Workplace) -> None:
        self._registry, self._around = workplace.registry, workplace.surroundings

    async def ahead(self, request: PlanRequest) -> PlanAheadView:
        registry = self._registry()
        process_type, by = self._type(request, registry)
        check_optional_input(process_type, request.input)
        line = verdict_of(process_type, registry=registry, server_floor=self._around.server_floor)
        floor = self._around.server_floor
        errors = [each for each in line.compiled.problems if each.level == "error"]
        if errors:
            raise RefusedError(
                "BAD_ARGUMENT",
                f"process type {process_type.name} {process_type.version} has errors: {errors[0].message}.",
                do="ask the user to run `orchestrator check`, which says what to change.",
            )
        if line.planned_by is not None:
            return plan_ahead_view(
                process_type,
                line.compiled,
                classified_by=by,
                planned_by=line.planned_by,
                next_actions=_submit(process_type),
            )
        try:
            made = await make_plan(
                process_type,
                task=request.task,
                value=request.input,
                registry=registry,
                model=self._around.model,
                floor=floor,
            )
        except ModelError as error:
            raise RefusedError(
                "NEEDS_MODEL",
                f"the planning model gave no plan ({error.code}): {error.message}.",
                do="try again later.",
            ) from error
        return self._of_model(process_type, made, by=by, assumed=request.input is None)

    def _type(self, request: PlanRequest, registry: Registry) -> tuple[ProcessType, str]:
        task = (request.task or "").strip()
        if len(task) > TASK_CHARACTERS_MAX:
            raise RefusedError(
                "TOO_LARGE", f"task has {len(task)} characters.", do=f"send at most {TASK_CHARACTERS_MAX}."
            )
        if request.process_type is not None and request.process_type.strip():
            return find_type(request.process_type, registry), "caller"
        if not task:
            raise RefusedError("BAD_ARGUMENT", "neither task nor process_type is given.", do="give one of them.")
        found = classify(registry, task, request.input)
        if isinstance(found, Ambiguous):
            raise ambiguous(found)
        return found.process_type, "rules"

    def _of_model(self, process_type: ProcessType, made: Made, *, by: str, assumed: bool) -> PlanAheadView:
        report = made.judged.report()
        costs = [each.usd_micros for each in made.spent]
        known = [each for each in costs if each is not None]
        view = plan_ahead_view(
            process_type,
            made.judged.compiled,
            classified_by=by,
            planned_by="model",
            next_actions=_submit(process_type) if made.judged.ok else [],
        )
        return view.model_copy(
            update={
                "ok": made.judged.ok,
                "problems": report["problems"],
                "dropped": report["dropped"],
                "added": report["added"],
                "left_out": [{"what": each.what, "why": each.why, "fix": each.fix} for each in made.offered.left_out],
                "rounds": len(made.spent),
                "model": made.spent[-1].model,
                "spent_usd": usd(sum(known)) if len(known) == len(costs) else None,
                "spent_tokens": sum(each.tokens or 0 for each in made.spent),
                "warnings": [ASSUMED] if assumed else [],
            }
        )


def _submit(process_type: ProcessType) -> list[NextAction]:
    command = f"orchestrator run {process_type.name} --input FILE"
    return [NextAction(tool="submit_process", command=command, reason="does it")]
