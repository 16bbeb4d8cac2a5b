"""What a process would cost before anything runs, and how what was said before earlier runs held.

Reads definitions and runs, hands them to the calculator, and says the answer. Starts nothing and stores nothing; no
model is asked unless a plan is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import anyio

from process_orchestrator.checking.estimating.against import Against, against, record
from process_orchestrator.checking.estimating.calculator import Question, StageShape, estimate, whole
from process_orchestrator.checking.estimating.figures import NAMES, Figures, read_figures
from process_orchestrator.checking.estimating.history import RUNS_MAX, History, Run, history_of
from process_orchestrator.checking.estimating.shape import Pinned, StepShape, flat, map_shape, plan_shape
from process_orchestrator.checking.estimating.verdict import verdict_of
from process_orchestrator.checking.plans.fit import called
from process_orchestrator.checking.schemas.paths import ABSENT
from process_orchestrator.checking.tasks.intake import Ambiguous, classify
from process_orchestrator.core.errors import EngineError, ModelError, RefusedError, StorageError
from process_orchestrator.core.facts.specs import Fit, PlanFacts
from process_orchestrator.core.facts.values import Stage, Tier
from process_orchestrator.core.limits import TOOL_CALL_S_MAX
from process_orchestrator.core.money import MICROS_PER_USD, usd
from process_orchestrator.llm.bounds import STAGES
from process_orchestrator.usecases.submitting import ambiguous, check_optional_input, find_type
from process_orchestrator.views.estimate_models import EstimateView, HistoryView
from process_orchestrator.views.estimate_view import estimate_view, history_row
from process_orchestrator.views.formats import one_line
from process_orchestrator.views.models import NextAction
from process_orchestrator.views.plan_view import steps_of
from process_orchestrator.views.process_view import verdict_view
from process_orchestrator.views.simpler import instead_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from process_orchestrator.checking.documents.definitions import Contract, ProcessType
    from process_orchestrator.checking.estimating.calculator import Price
    from process_orchestrator.checking.loading.registry import Registry
    from process_orchestrator.checking.plans.compile import CompiledProcess
    from process_orchestrator.checking.plans.compiled import CompiledPlan
    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.core.ports import DefinitionBody
    from process_orchestrator.llm.port import Model
    from process_orchestrator.usecases.surroundings import Workplace
    from process_orchestrator.views.definition_models import HistoryRow
    from process_orchestrator.views.estimate_models import EstimateRequest
    from process_orchestrator.views.models import Caller

TYPES_MAX: Final = 50
"""Types whose history is shown at once."""
TASK_CHARACTERS_MAX: Final = 20_000
PLAN_S_MAX: Final = TOOL_CALL_S_MAX - 5
"""How long a plan is waited for in a tool call; what is left is for the rest of it."""
HISTORY_RUNS_MAX: Final = 2 * RUNS_MAX
"""Runs that are read to judge earlier estimates: as many as are judged, and as many before them."""

LIKELY_TOKENS: Final = {Stage.INTAKE: (900, 120), Stage.PLAN: (1100, 80), Stage.BRIEF: (1200, 150)}
"""Tokens in and out of one question of a stage, as its prompts mostly are. At most: `llm.bounds`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A type, with the plan that a process of it would follow, where there is one."""

    process_type: ProcessType
    steps: tuple[StepShape, ...]
    fit: Fit
    planned_by: str | None
    facts: PlanFacts | None = None
    warnings: tuple[str, ...] = ()


class Estimator:
    """The use cases of cost. Keeps only what it has read of runs that are over."""

    def __init__(self, workplace: Workplace) -> None:
        self._workplace, self._registry, self._compiler = workplace, workplace.registry, workplace.compiler
        self._host, self._around = workplace.host, workplace.surroundings
        self._history = workplace.runs

    # --- before ------------------------------------------------------------------------------------------------

    async def estimate(self, request: EstimateRequest, caller: Caller) -> EstimateView:
        """The price of what is asked. Raises RefusedError for figures, types and inputs that cannot be meant."""
        figures = read_figures({name: getattr(request, name) for name in NAMES})
        registry = self._registry()
        found = self._type(request, registry)
        if found is None:
            if not figures.anything:
                raise RefusedError(
                    "BAD_ARGUMENT",
                    "nothing is given that has a price.",
                    do="give process_type (and input), a task, or figures: calls, context_tokens, output_tokens, "
                    "rate_usd_per_mtok, manual_review_share, review_usd.",
                )
            view = estimate_view(estimate(Question(figures=figures)), verdict=None)
            return view.model_copy(update={"warnings": list(request.warnings)})
        process_type, guessed = found
        return await self._of_type(process_type, request, figures, guessed=guessed, caller=caller)

    def _type(self, request: EstimateRequest, registry: Registry) -> tuple[ProcessType, bool] | None:
        """The type that is meant, and whether rules found it; None where only figures were given."""
        if request.process_type is not None and request.process_type.strip():
            return find_type(request.process_type, registry), False
        task = (request.task or "").strip()
        if not task:
            if request.input is not None or request.plan:
                raise RefusedError(
                    "BAD_ARGUMENT",
                    "input or plan is given, and nothing says of which process type.",
                    do="give process_type or task too.",
                )
            return None
        if len(task) > TASK_CHARACTERS_MAX:
            raise RefusedError(
                "TOO_LARGE", f"task has {len(task)} characters.", do=f"send at most {TASK_CHARACTERS_MAX}."
            )
        classified = classify(registry, task, request.input)
        if isinstance(classified, Ambiguous):
            raise ambiguous(classified)
        return classified.process_type, True

    async def _of_type(
        self, process_type: ProcessType, request: EstimateRequest, figures: Figures, *, guessed: bool, caller: Caller
    ) -> EstimateView:
        asked = await self._asked(process_type, request, caller)
        history, unread = History(), list[str]()
        try:
            history = await self._history_of(process_type.name, process_type.version, caller)
        except (EngineError, StorageError) as error:
            unread = [f"Earlier runs cannot be read ({one_line(str(error))}): this is by contracts alone."]
        models = self._stages(asked, request, history)
        made = asked.planned_by is None  # or rather: yet to be made
        question = Question(
            figures=figures,
            steps=asked.steps,
            stages=models,
            most_usd_micros=round(process_type.budget.usd * MICROS_PER_USD) if made else None,
            history=history,
            prices=self._prices(),
            this_plan=asked.planned_by == "model",
            single=None if asked.facts is None or (only := called(asked.facts)) is None else only.id,
        )
        found = estimate(question)
        if made and not found.looked_up:
            found = replace(found, assumptions=(*_MADE, *found.assumptions))
        simpler = instead_of(
            asked.facts,
            usd_micros=None if found.single_call is None else whole(found.single_call),
            ms=None if found.duration_ms is None else whole(found.duration_ms.likely),
        )
        view = estimate_view(found, verdict=verdict_view(asked.fit, simpler))
        return view.model_copy(
            update={
                "process_type": process_type.name,
                "version": process_type.version,
                "planned_by": asked.planned_by,
                "plan": steps_of(asked.facts) if request.plan and asked.facts is not None else None,
                "warnings": [
                    *request.warnings,
                    *asked.warnings,
                    *unread,
                    *_budget_warning(view, process_type, question, found.case.high),
                ],
                "next_actions": [_submit(process_type, request, guessed=guessed)],
            }
        )

    async def _asked(self, process_type: ProcessType, request: EstimateRequest, caller: Caller) -> Asked:
        """The plan of a type: its own, the one call that closes it, or what its map allows."""
        registry = self._registry()
        line = verdict_of(process_type, registry=registry, server_floor=self._around.server_floor)
        compiled, by = line.compiled, line.planned_by
        errors = [problem for problem in compiled.problems if problem.level == "error"]
        if errors:
            first = f"{errors[0].file}:{errors[0].line}: {errors[0].message}"
            raise RefusedError(
                "BAD_ARGUMENT",
                f"process type {process_type.name} {process_type.version} has errors: {first}.",
                do="ask the user to run `orchestrator check`, which says what to change.",
            )
        check_optional_input(process_type, request.input)
        value = ABSENT if request.input is None else request.input
        if by is None or compiled.facts is None:
            listed = [contract for name in process_type.contracts if (contract := registry.contract(name)) is not None]
            steps = map_shape(listed, lambda contract: [agent for agent, _ in registry.serving(contract)])
            on_map = Asked(process_type=process_type, steps=steps, fit=line.fit, planned_by=None)
            return await self._planned_in_time(on_map, request, value, caller) if request.plan else on_map
        steps = self._shape(compiled, registry, value)
        return Asked(process_type=process_type, steps=steps, fit=line.fit, planned_by=by, facts=compiled.facts)

    async def _planned_in_time(self, on_map: Asked, request: EstimateRequest, value: Any, caller: Caller) -> Asked:
        """As `_planned`; a tool call ends before its host gives it up, a terminal waits as long as the models may."""
        limit = PLAN_S_MAX if caller.channel == "mcp" else None
        with anyio.move_on_after(limit):
            return await self._planned(on_map, request, value)
        name = on_map.process_type.name
        raise RefusedError(
            "NEEDS_MODEL",
            f"the model has made no plan in {PLAN_S_MAX} s, and a tool call may not last longer.",
            do=f"call estimate_cost without plan, or ask the user to run `orchestrator estimate {name} --plan`.",
        )

    async def _planned(self, on_map: Asked, request: EstimateRequest, value: Any) -> Asked:
        """The plan that a model makes now; as before where it makes none that passes the check. It is paid."""
        # Prompts and judgement are loaded where a model is asked.
        from process_orchestrator.usecases.planning import make_plan  # noqa: PLC0415

        registry = self._registry()
        try:
            made = await make_plan(
                on_map.process_type,
                task=request.task,
                value=None if value is ABSENT else value,
                registry=registry,
                model=self._model,
                floor=self._around.server_floor,
            )
        except ModelError as error:
            raise RefusedError(
                "NEEDS_MODEL",
                f"the planning model gave no plan ({error.code}): {error.message.rstrip('.')}.",
                do="call estimate_cost without plan, or later again.",
            ) from error
        costs = [each.usd_micros for each in made.spent]
        known = [cost for cost in costs if cost is not None]
        took = f"{usd(sum(known))} USD" if len(known) == len(costs) else "an unknown sum"
        compiled = made.judged.compiled
        if compiled.facts is None:
            said = f"No plan of the model passed the check; asking it took {took}. The map is estimated instead."
            return replace(on_map, warnings=(said,))
        return Asked(
            process_type=on_map.process_type,
            steps=self._shape(compiled, registry, value),
            fit=compiled.facts.fit or on_map.fit,
            planned_by="model",
            facts=compiled.facts,
            warnings=(f"Asking the model for this plan took {took}; a process asks anew, and may get another.",),
        )

    def _shape(self, compiled: CompiledProcess, registry: Registry, value: Any) -> tuple[StepShape, ...]:
        assert compiled.facts is not None
        pinned = self._pinned(compiled.definitions, registry)
        return plan_shape(pinned.plans[compiled.facts.sha256], pinned, value)

    def _pinned(self, definitions: Iterable[DefinitionBody], registry: Registry) -> Pinned:
        plans: dict[str, CompiledPlan] = {}
        contracts: dict[str, Contract] = {}
        for body in definitions:
            if body.kind == "plan":
                plans[body.sha256] = self._compiler.plan(body)
            elif body.kind == "contract":
                contracts[body.sha256] = self._compiler.contract(body).contract
        return Pinned(plans=plans, contracts=contracts, tier_of=lambda agent: _tier(registry, agent))

    # --- models ------------------------------------------------------------------------------------------------

    def _stages(self, asked: Asked, request: EstimateRequest, history: History) -> tuple[StageShape, ...]:
        """The stages of our own that would ask a model."""
        stages: list[StageShape] = []
        if request.task and request.input is None:
            stages.append(self._stage(Stage.INTAKE, low=0, likely=Fraction(2)))
        if asked.planned_by in {None, "model"}:
            rounds = asked.process_type.limits.replans + 1
            stages.append(self._stage(Stage.PLAN, low=1, likely=Fraction(1), high=rounds))
        asking = any(each.person or each.gate is not False for each in flat(asked.steps))
        share = history.person_share if history.person_share is not None else Fraction(1 if asking else 0)
        if share:
            stages.append(self._stage(Stage.BRIEF, low=0, likely=share, high=1))
        return tuple(each for each in stages if self._model.tier(Tier(each.tier)) is not None)

    def _stages_of(self, state: Process) -> tuple[StageShape, ...]:
        """Those that a run had."""
        spec, stages = state.spec, list[StageShape]()
        if spec.classified_by == "model":
            stages.append(self._stage(Stage.INTAKE, low=1, likely=Fraction(2)))
        elif state.thinking.asked > state.plan_round:  # not for a plan: the input was left to be read
            stages.append(self._stage(Stage.INTAKE, low=0, likely=Fraction(1)))
        if spec.plan is None and state.plan_round:
            stages.append(self._stage(Stage.PLAN, low=1, likely=Fraction(1), high=spec.limits.replans + 1))
        if state.escalations_opened:
            stages.append(self._stage(Stage.BRIEF, low=0, likely=Fraction(1), high=state.escalations_opened))
        return tuple(each for each in stages if self._model.tier(Tier(each.tier)) is not None)

    def _stage(self, stage: Stage, *, low: int, likely: Fraction, high: int | None = None) -> StageShape:
        bound = STAGES[stage]
        facts = self._model.tier(bound.tier)
        most = facts.max_tokens if facts is not None else 0
        tokens = LIKELY_TOKENS[stage]
        return StageShape(
            stage=stage.value,
            tier=bound.tier.value,
            low=low,
            likely=likely,
            high=bound.calls if high is None else high,
            tokens=(tokens[0], min(tokens[1], most)),
            tokens_high=(bound.prompt_tokens, most),
        )

    @property
    def _model(self) -> Model:
        return self._around.model

    def _prices(self) -> Mapping[str, Price | None]:
        return {tier.value: self._price(tier) for tier in Tier}

    def _price(self, tier: Tier) -> Price | None:
        facts = self._model.tier(tier)
        if facts is None or facts.in_usd_micros_per_mtok is None or facts.out_usd_micros_per_mtok is None:
            return None
        return facts.in_usd_micros_per_mtok, facts.out_usd_micros_per_mtok

    # --- after -------------------------------------------------------------------------------------------------

    async def _history_of(
        self, process_type: str, version: str, caller: Caller, *, before: int | None = None
    ) -> History:
        principal = None if caller.principal == "local" else caller.principal
        runs = await self._history.runs(process_type, principal=principal, before=before)
        return history_of(runs, version=version, before=before)

    async def history(self, process_type: str | None, caller: Caller) -> HistoryView:
        """What runs took, by type and version, and how what was said before them held."""
        registry = self._registry()
        if process_type is not None:
            names = [find_type(process_type, registry).name]
        else:
            names = list(dict.fromkeys(each.name for each in registry.processes))
        rows: list[HistoryRow] = []
        for name in names[:TYPES_MAX]:
            rows += await self.rows(name, caller)
        left = len(names) - TYPES_MAX
        warnings = [f"{left} more types are left out; name one."] if left > 0 else []
        return HistoryView(types=rows, warnings=warnings)

    async def rows(self, name: str, caller: Caller) -> list[HistoryRow]:
        """The versions of one type that have runs, the newest version first."""
        principal = None if caller.principal == "local" else caller.principal
        runs = await self._history.runs(name, principal=principal, most=HISTORY_RUNS_MAX)
        shapes = await self._shapes(runs)
        by_version: dict[str, list[Run]] = {}
        for run in sorted(runs, key=lambda run: run.started_at):
            by_version.setdefault(run.version, []).append(run)
        rows = [
            history_row(
                name,
                record(runs, version, of=own[-RUNS_MAX:], steps_of=lambda run: shapes.get(run.plan_sha256 or "", ())),
            )
            for version, own in by_version.items()
        ]
        return rows[::-1]

    async def _shapes(self, runs: Sequence[Run]) -> dict[str, tuple[StepShape, ...]]:
        """The shapes of the plans that runs followed, by the plan's sha256."""
        found: dict[str, tuple[StepShape, ...]] = {}
        for run in runs:
            if run.plan_sha256 is not None and run.plan_sha256 not in found:
                found[run.plan_sha256] = await self._shape_of(run.plan_sha256)
        return found

    async def _shape_of(self, plan_sha256: str, value: Any = ABSENT) -> tuple[StepShape, ...]:
        """The shape of a pinned plan."""
        bodies = await self._bodies(plan_sha256)
        pinned = self._pinned(bodies, self._registry())
        return plan_shape(pinned.plans[plan_sha256], pinned, value)

    async def _bodies(self, plan_sha256: str) -> list[DefinitionBody]:
        """A pinned plan with the contracts that it names, and those of the processes that it starts."""
        bodies = [await self._host.definition(plan_sha256)]
        for step in self._compiler.plan(bodies[0]).document.steps:
            if step.contract is not None:
                bodies.append(await self._host.definition(step.contract.sha256))
            if step.child is not None:
                bodies += await self._bodies(step.child.plan)
        return bodies

    async def against(self, state: Process, caller: Caller) -> Against | None:
        """A run beside what was to be expected when it was submitted; None before it has a type and a plan."""
        spec = state.spec
        if spec.type is None or state.plan is None:
            return None
        history = await self._history_of(spec.type.name, spec.type.version, caller, before=state.created_at)
        value = ABSENT if spec.input is None else await self._workplace.bodies.raw(spec.input)
        question = Question(
            steps=await self._shape_of(state.plan.sha256, value),
            stages=self._stages_of(state),
            history=history,
            prices=self._prices(),
        )
        return against(question, spent_usd_micros=state.usd_micros)


_MADE: Final = (
    "no plan is made yet: low asks no contract of its map, likely each once, high is what its budget allows",
)


def _tier(registry: Registry, agent: str) -> str | None:
    found = registry.agent(agent)
    return found.transport.tier if found is not None and found.transport.kind == "model" else None


def _budget_warning(view: EstimateView, process_type: ProcessType, question: Question, high: Fraction) -> list[str]:
    budget = round(process_type.budget.usd * MICROS_PER_USD)
    if high <= budget or question.most_usd_micros is not None:
        return []
    return [
        f"A case may cost {view.case_usd.high} USD, people included; calls beyond the budget of {process_type.name} "
        f"({process_type.budget.usd:g} USD) wait and ask."
    ]


def _submit(process_type: ProcessType, request: EstimateRequest, *, guessed: bool) -> NextAction:
    names = [str(name) for name in process_type.input.get("required", ())]
    given = request.input if isinstance(request.input, dict) else dict.fromkeys(names, "…")
    found = " Rules found this type in the task." if guessed else ""
    return NextAction(
        tool="submit_process",
        args={"process_type": process_type.name, "input": given},
        command=f"orchestrator run {process_type.name} --input FILE",
        reason=f"Starts it.{found}",
    )
