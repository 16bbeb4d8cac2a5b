"""Reads what core state only references, and hides what contracts declare sensitive before anything is rendered.

The one way from a stored body to a view. Bodies are never changed, and never shown unmasked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from process_orchestrator.checking.documents.masking import hide, mask, sensitive, texts_at
from process_orchestrator.checking.pinned.definitions import Pinned
from process_orchestrator.checking.pinned.marks import Marks
from process_orchestrator.checking.plans.sensitivity import Sensitivity, Tokens, of_item, pointers_of
from process_orchestrator.checking.schemas.validate import read_stored
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.values import Decision
from process_orchestrator.core.keys import is_undo, step_of_unit, unit_of_call
from process_orchestrator.core.trace import numbered
from process_orchestrator.views.escalation_view import EscalationBodies
from process_orchestrator.views.process_view import ProcessBodies
from process_orchestrator.views.trace_view import EntryBodies

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from process_orchestrator.checking.plans.compiled import CompiledContract, CompiledPlan, Compiler
    from process_orchestrator.core.facts.specs import StepFacts
    from process_orchestrator.core.facts.state import Escalation, Process
    from process_orchestrator.core.facts.values import Ref
    from process_orchestrator.core.ports import Host
    from process_orchestrator.core.trace import Numbered

Part = Literal["input", "output"]

ROWS_PER_READ: Final = 200
TASK_CHARACTERS_MAX: Final = 2000


class BodyReader:
    """Bodies of one host's processes, as JSON values, masked."""

    def __init__(self, host: Host, compiler: Compiler) -> None:
        self._host, self._compiler = host, compiler
        self._marked = Marks(Pinned(host, compiler))

    # --- pinned definitions ------------------------------------------------------------------------------------

    async def contract(self, sha256: str) -> CompiledContract:
        """A pinned contract, compiled."""
        return self._compiler.contract(await self._host.definition(sha256))

    async def plan(self, state: Process) -> CompiledPlan | None:
        """The pinned plan, compiled."""
        return self._compiler.plan(await self._host.definition(state.plan.sha256)) if state.plan else None

    async def _marks(self, state: Process) -> Sensitivity:
        """Where sensitive data goes in the pinned plan; in a part, as the whole has started it."""
        if state.plan is None:
            return Sensitivity()
        return await self._marked.started_with(state.plan.sha256, await self._entering(state))

    async def _entering(self, state: Process) -> frozenset[Tokens]:
        """What the processes above know to be sensitive in the input of one that they have started."""
        spec = state.spec
        if spec.parent_call is None or not spec.lineage:
            return frozenset()
        try:
            above = await self._host.state(spec.lineage[-1])
        except RefusedError:  # it is another orchestrator's
            return frozenset()
        step = step_of_unit(unit_of_call(spec.parent_call))
        return (await self._marks(above)).marks.get(("in", step), frozenset())

    # --- bodies ------------------------------------------------------------------------------------------------

    async def raw(self, ref: Ref) -> Any:
        """A stored body as it is: for checks, never for a view."""
        data = await self._host.body(ref)
        return read_stored(data) if ref.media_type == "application/json" else data.decode(errors="replace")

    async def of_unit(self, state: Process, unit: str, part: Part, ref: Ref) -> Any:
        """The input or output of a unit's call, masked."""
        return mask(await self.raw(ref), await self._pointers(state, unit, part))

    async def process_input(self, state: Process) -> Any:
        if state.spec.input is None:
            return None
        return mask(await self.raw(state.spec.input), (await self._marks(state)).process_input)

    async def process_output(self, state: Process) -> Any:
        if state.output is None:
            return None
        return mask(await self.raw(state.output), (await self._marks(state)).process_output)

    async def _pointers(self, state: Process, unit: str, part: Part) -> tuple[str, ...]:
        """Pointers into the body of a unit: of an item, of a whole map, of an undo, of a step."""
        facts = step_facts(state, unit)
        if facts is None:
            return ()
        if is_undo(unit):
            undo = facts.undo
            return sensitive((await self.contract(undo.contract.sha256)).contract, part) if undo else ()
        marks = await self._marks(state)
        if not facts.is_map:
            return marks.of(facts.id, part)
        whole = unit == facts.id
        if part == "input":
            return tuple(f"/*{each}" for each in marks.of_item(facts.id)) if whole else marks.of(facts.id, "input")
        pointers = marks.of(facts.id, "output")
        return pointers if whole else tuple(of_item(pointer) for pointer in pointers)

    # --- what views need ---------------------------------------------------------------------------------------

    async def process(self, state: Process) -> ProcessBodies:
        """Task, output and the packages of open questions."""
        task = await self.raw(state.spec.task) if state.spec.task else None
        questions = {
            each.id: EscalationBodies(package=await self._package(state, each), brief=await self._brief(each))
            for each in state.escalations.values()
            if each.open
        }
        text = str(task) if task is not None else None
        return ProcessBodies(
            task=text if text is None or len(text) <= TASK_CHARACTERS_MAX else f"{text[:TASK_CHARACTERS_MAX]}…",
            output=await self.process_output(state),
            output_bytes=state.output.bytes if state.output is not None else 0,
            escalations=questions,
            unplanned_type=await self._is_unplanned(state),
        )

    async def _is_unplanned(self, state: Process) -> bool:
        """Whether the pinned type has no plan. Read only where that says who made the plan."""
        plan, pin = state.plan, state.spec.type
        if plan is None or pin is None or state.plan_round:
            return False
        single = plan.fit is not None and plan.fit.verdict == "single_call"
        if not single and state.spec.redrives is None:
            return False
        written = read_stored((await self._host.definition(pin.sha256)).data)
        return isinstance(written, dict) and "plan" not in written

    async def escalation(self, state: Process, escalation: Escalation, *, whole: bool) -> EscalationBodies:
        """The package of a question; `whole` adds what its resolution led to."""
        return EscalationBodies(
            package=await self._package(state, escalation),
            brief=await self._brief(escalation),
            data=await self._resolution_data(state, escalation),
            effect=await self._effect(state, escalation) if whole else (),
        )

    async def _package(self, state: Process, escalation: Escalation) -> dict[str, Any] | None:
        """A package as it was stored. Its part masked what itself knew; what the whole knows is hidden by value."""
        if escalation.package is None:
            return None
        package, entering = await self.raw(escalation.package), await self._entering(state)
        if not entering or state.spec.input is None:
            return package
        return hide(package, texts_at(await self.raw(state.spec.input), pointers_of(entering)))

    async def _brief(self, escalation: Escalation) -> dict[str, Any] | None:
        return await self.raw(escalation.brief) if escalation.brief is not None else None

    async def _resolution_data(self, state: Process, escalation: Escalation) -> Any:
        resolution = escalation.resolution
        if resolution is None or resolution.data is None:
            return None
        if escalation.unit is None:
            return mask(await self.raw(resolution.data), (await self._marks(state)).process_input)
        part: Part = "input" if resolution.decision is Decision.RETRY_WITH_INPUT else "output"
        return await self.of_unit(state, escalation.unit, part, resolution.data)

    async def _effect(self, state: Process, escalation: Escalation) -> tuple[int, ...]:
        """The seqs of the events in the turn that the resolution began."""
        if escalation.resolved_seq is None:
            return ()
        page = await self._host.journal(state.spec.process_id, after=escalation.resolved_seq - 1, limit=1)
        return tuple(each.seq for each in numbered(page.items) if each.seq > escalation.resolved_seq)

    async def events(self, process_id: str, *, after: int = 0) -> AsyncIterator[Numbered]:
        """The events of a process over `after`, oldest first."""
        while True:
            page = await self._host.journal(process_id, after=after, limit=ROWS_PER_READ)
            for each in numbered(page.items):
                if each.seq > after:
                    yield each
            if page.next is None or not page.items:
                return
            after = page.items[-1].seq

    async def of_event(self, state: Process, event: e.Event) -> EntryBodies:
        """The bodies of one trace entry."""
        match event:
            case e.PlanChecked():
                return await self.told_by(event)
            case e.CallPrepared():
                unit = unit_of_call(event.call)
                return EntryBodies(input=await self.of_unit(state, unit, "input", event.input))
            case e.ChildFinished() if event.output is not None:
                unit = unit_of_call(event.call)
                return EntryBodies(output=await self.of_unit(state, unit, "output", event.output))
            case e.CallSucceeded():
                unit = unit_of_call(event.call)
                return EntryBodies(output=await self.of_unit(state, unit, "output", event.output))
            case e.CallFailed() if event.detail is not None:
                detail = await self.failure_detail(state, unit_of_call(event.call), event.detail)
                rest = {name: value for name, value in detail.items() if name != "answer"}
                return EntryBodies(output=detail.get("answer"), detail={"errors": [], **rest})
            case e.MapOpened() if event.items is not None:
                return EntryBodies(input=await self.of_unit(state, event.step, "input", event.items))
            case e.ItemsCollected():
                return EntryBodies(output=await self.of_unit(state, event.step, "output", event.output))
            case e.StepSkipped() if event.output is not None:
                return EntryBodies(output=await self.of_unit(state, event.unit, "output", event.output))
            case e.StageFailed() if event.detail is not None and event.step is not None:
                return EntryBodies(detail=await self.failure_detail(state, event.step, event.detail))
            case e.EscalationResolved():
                asked = state.escalations.get(event.escalation)
                return EntryBodies(input=await self._resolution_data(state, asked) if asked else None)
            case _:
                return EntryBodies()

    async def told_by(self, event: e.Event) -> EntryBodies:
        """The bodies that an entry is told by, whether or not its data is asked for: none holds data of the process."""
        return EntryBodies(report=await self.raw(event.report)) if isinstance(event, e.PlanChecked) else EntryBodies()

    async def failure_detail(self, state: Process, unit: str, ref: Ref) -> dict[str, Any]:
        """`{answer?, errors[], stderr?}` of a failed call, the answer masked like an output that keeps its contract."""
        detail = await self.raw(ref)
        if not isinstance(detail, dict):
            return {"answer": detail}
        if detail.get("answer") is None:
            return detail
        return {**detail, "answer": mask(detail["answer"], await self._pointers(state, unit, "output"))}


def step_facts(state: Process, unit: str) -> StepFacts | None:
    """The step of a unit, as the plan has it."""
    name = step_of_unit(unit)
    return next((step for step in state.plan.steps if step.id == name), None) if state.plan else None
