"""ProposePlan and CheckPlan: answered by Planner.

Proposing asks the strong model under the schema that the type's map compiles to; what it says is stored as it was said.
Checking reads that from the store, makes a plan of it and judges it: contracts as pinned, agents as they are, steps
that are kept taken over from the plan before. The schema is compiled for both anew, so that nothing depends on what a
model was shown. Compiling is work for a thread: one map at a time, the engine goes on.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import anyio
import anyio.to_thread

from process_orchestrator.checking.documents.masking import sensitive, texts_at
from process_orchestrator.checking.documents.shape import process_from
from process_orchestrator.checking.planning.at_hand import at_hand
from process_orchestrator.checking.planning.judgement import judge, report_text
from process_orchestrator.checking.planning.map_schema import MapSchema, map_schema
from process_orchestrator.checking.planning.pinned_map import PinnedMap
from process_orchestrator.checking.plans.fitting import Fitting
from process_orchestrator.checking.schemas.validate import check_value, encode_body, ref_of
from process_orchestrator.core.errors import BodyError, ModelError
from process_orchestrator.core.facts.events import PlanChecked, PlanProposed, StageFailed
from process_orchestrator.core.facts.values import Blame, Stage, Tier
from process_orchestrator.core.ports import Body, Performed
from process_orchestrator.llm.bounds import fits
from process_orchestrator.performing.stages.planner_prompt import Standing, plan_prompt
from process_orchestrator.performing.stages.surroundings import usage_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_orchestrator.checking.documents.definitions import Contract, ProcessType, Step
    from process_orchestrator.checking.plans.plan_document import PlannedStep
    from process_orchestrator.core.facts.commands import CheckPlan, PlanContext, ProposePlan
    from process_orchestrator.core.facts.values import Ref
    from process_orchestrator.performing.stages.surroundings import StageParts

Json = Any

NO_WAY: Final = "no_way"
"""StageFailed: the map cannot fill the output, or cannot be told, so no model is asked."""

TOO_LARGE: Final = "the map is too large to be told to a model within its bounds. Do: list fewer contracts in the type"


class _Ground(NamedTuple):
    """What a plan is made on."""

    process_type: ProcessType  # its input narrowed to what is at hand
    registry: PinnedMap
    kept: tuple[Step, ...]
    kept_contracts: tuple[Contract, ...]
    input: Json
    sensitive: frozenset[str]  # what steps that stay gave, and no model is told
    offered: MapSchema


class Planner:
    def __init__(self, parts: StageParts) -> None:
        self._parts = parts
        self._fitting = Fitting()
        self._one_at_a_time = anyio.Lock()

    async def propose(self, command: ProposePlan) -> Performed:
        """Ask the strong model for a plan, or for what is left of one."""
        parts = self._parts
        if parts.model.tier(Tier.STRONG) is None:
            return parts.failed(Stage.PLAN, ModelError("no_model", "no model is set up that makes plans"))
        ground = await self._ground(command.context, command.kept)
        if ground.offered.open_goals or not (ground.offered.offers.steps or ground.kept):
            return self._no_way(ground)
        prompt = plan_prompt(ground.offered, await self._standing(command, ground))
        if not fits(prompt, Stage.PLAN):  # what is held back for it would not pay it
            return self._impossible(TOO_LARGE)
        try:
            answer = await parts.model.complete(prompt, Tier.STRONG)
            data = check_value(answer.data)
        except ModelError as error:
            return parts.failed(Stage.PLAN, error)
        except BodyError as error:
            return parts.failed(Stage.PLAN, ModelError("output_mismatch", f"the answer is no plan: {error.message}"))
        body = Body(ref=ref_of(data), data=data)
        event = PlanProposed(at=parts.clock.now_ms(), plan=body.ref, round=command.round, usage=usage_of(answer.spent))
        return Performed(event=event, bodies=(body,))

    async def check(self, command: CheckPlan) -> Performed:
        """Make a plan of what a model said, and say whether it may run."""
        parts = self._parts
        said = await parts.bodies.value(command.plan)
        ground = await self._ground(command.context, command.kept)
        async with self._one_at_a_time:
            judged = await anyio.to_thread.run_sync(
                partial(
                    judge,
                    said,
                    offered=ground.offered,
                    process_type=ground.process_type,
                    registry=ground.registry,
                    server_floor=parts.server_floor,
                    kept=ground.kept,
                )
            )
        facts = judged.compiled.facts
        report = encode_body(judged.report())
        body = Body(ref=ref_of(report), data=report)
        event = PlanChecked(
            at=parts.clock.now_ms(),
            ok=facts is not None,
            plan=facts,
            plan_sha256=command.plan.sha256 if facts is None else facts.sha256,
            fit=None if facts is None else facts.fit,
            report=body.ref,
        )
        return Performed(event=event, bodies=(body,), definitions=judged.compiled.definitions)

    async def _ground(self, context: PlanContext, kept_ids: tuple[str, ...]) -> _Ground:
        """The type, what stays of the plan before, and what may be proposed."""
        parts = self._parts
        assert context.type is not None  # a plan is asked for when the type is known
        written = await parts.pinned.document(context.type.sha256)
        value = await parts.bodies.value(context.input) if context.input is not None else {}
        kept: tuple[Step, ...] = ()
        contracts: list[Contract] = []
        given: frozenset[str] = frozenset()
        if kept_ids:
            document = (await parts.pinned.plan(context.plan)).document
            planned = [each for each in document.steps if each.step.id in kept_ids]
            kept = tuple(each.step for each in planned)
            pins = [each.contract for each in planned if each.contract is not None]
            contracts = [(await parts.pinned.contract(pin.sha256)).contract for pin in pins]
            given = await self._given(planned, context)
        process_type = at_hand(process_from(written, path="<pinned>"), value)
        registry = PinnedMap(parts.registry(), pinned=contracts, fitting=self._fitting)
        async with self._one_at_a_time:
            offered = await anyio.to_thread.run_sync(partial(map_schema, process_type, registry=registry, kept=kept))
        return _Ground(process_type, registry, kept, tuple(contracts), value, given, offered)

    async def _given(self, planned: Sequence[PlannedStep], context: PlanContext) -> frozenset[str]:
        """The sensitive values that steps gave: the words of one that fails later may repeat them."""
        found: frozenset[str] = frozenset()
        for each in planned:
            source = context.sources.get(each.step.id)
            if each.contract is None or source is None or source.output is None:
                continue
            contract = (await self._parts.pinned.contract(each.contract.sha256)).contract
            if marked := sensitive(contract, "output"):
                found |= texts_at(await self._parts.bodies.value(source.output), marked)
        return found

    async def _standing(self, command: ProposePlan, ground: _Ground) -> Standing:
        parts = self._parts
        sources = command.context.sources
        report = await parts.bodies.value(command.report) if command.report is not None else {}
        failure = f"{command.code or ''} {command.message or ''}".strip()
        return Standing(
            summary=ground.process_type.summary,
            task=await self._text(command.task),
            input=ground.input,
            kept={each: sources[each].status.value if each in sources else "under way" for each in command.kept},
            kept_contracts=ground.kept_contracts,
            sensitive=ground.sensitive,
            failed=command.failed,
            failure=parts.secrets.mask_cut(failure),
            report=report_text(report) if isinstance(report, dict) else "",
            note=(command.note or "no reason was given") if command.rejected else "",
        )

    async def _text(self, ref: Ref | None) -> str | None:
        return None if ref is None else (await self._parts.bodies.data(ref)).decode("utf-8", "replace")

    def _no_way(self, ground: _Ground) -> Performed:
        """No plan can be written: said at once, with what the map lacks, and nobody is paid."""
        goals = " and ".join(f"`{each}`" for each in ground.offered.open_goals[:3])
        lacks = f"nothing on the map of {ground.process_type.name} can give {goals}" if goals else "the map is empty"
        why = "; ".join(f"{each.what}: {each.why}" for each in ground.offered.left_out[:2])
        return self._impossible(f"{lacks} with the input at hand{f' ({why})' if why else ''}"[:300])

    def _impossible(self, message: str) -> Performed:
        event = StageFailed(
            at=self._parts.clock.now_ms(), stage=Stage.PLAN, code=NO_WAY, blame=Blame.CALLER, message=message
        )
        return Performed(event=event)
