"""A proposal judged: read, mended by rule, compiled under the strict check; with the report that says why.

The report is what a person, a trace and the model's next round get: bounded, on one line each, with places, verdicts
and witnesses. A plan comes out of here only if the strict check found nothing wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from process_orchestrator.checking.planning.critic import Critic, Dropped
from process_orchestrator.checking.planning.filling import Filling
from process_orchestrator.checking.planning.likely import IDENTIFYING
from process_orchestrator.checking.planning.map_schema import STEPS_MAX
from process_orchestrator.checking.planning.proposal import FAULTS_MAX, Fault, read_proposal
from process_orchestrator.checking.plans.compile import CompiledProcess, compile_plan
from process_orchestrator.checking.schemas.projection import required_names
from process_orchestrator.checking.schemas.shown import shown, visible
from process_orchestrator.checking.values.bindings import Bound, read_value
from process_orchestrator.core.facts.values import Effect

if TYPE_CHECKING:
    from process_orchestrator.checking.documents.definitions import Plan, Problem, ProcessType, Step
    from process_orchestrator.checking.planning.map_schema import MapSchema
    from process_orchestrator.checking.plans.plan_map import Definitions
    from process_orchestrator.checking.plans.plan_rows import PlanRow
    from process_orchestrator.core.facts.values import Assurance

Json = Any

ROWS_MAX: Final = 60
TEXT_MAX: Final = 300
REPORT_CHARACTERS_MAX: Final = 2_400
"""Of the report as the next round reads it."""


class Judged(NamedTuple):
    """What became of a proposal. `compiled` has facts where the plan may run."""

    compiled: CompiledProcess
    plan: Plan | None
    faults: tuple[Fault, ...]
    dropped: tuple[Dropped, ...] = ()
    added: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.compiled.facts is not None

    def report(self) -> dict[str, Json]:
        """All that was found, as data."""
        return {
            "ok": self.ok,
            "problems": [_shown_fault(each) for each in self.faults],
            "bindings": [_shown_row(row) for row in self.compiled.rows[:ROWS_MAX]],
            "dropped": [{"what": each.what, "why": each.why} for each in self.dropped],
            "added": list(self.added),
        }


def judge(
    said: Json,
    *,
    offered: MapSchema,
    process_type: ProcessType,
    registry: Definitions,
    server_floor: Assurance,
    kept: Sequence[Step] = (),
) -> Judged:
    """Make a plan of what a model said, or say why not. `process_type` as `offered` was compiled for."""
    proposed = read_proposal(said, offered=offered, process_type=process_type, kept=kept)
    if proposed.plan is None:
        return Judged(CompiledProcess(), None, proposed.faults)
    quiet = quiet_steps(offered, registry)
    whole, added = Filling(offered.offers, process_type, quiet=quiet).fill(proposed.plan, said=proposed.said)
    plan, dropped = Critic(offered.offers, quiet=quiet).mend(whole, kept=kept)
    if not plan.steps:
        fault = Fault(
            code="EMPTY_PLAN",
            pointer="/steps",
            message="no step is left that does anything, or gives anything to the output",
            fix="propose the steps that make the output",
        )
        return Judged(CompiledProcess(), None, (fault,), dropped)
    if faults := (*_of_items(plan), *_both_ways(plan, quiet), *_same_again(plan, offered, quiet)):
        return Judged(CompiledProcess(), plan, faults, dropped, added)
    compiled = compile_plan(
        plan, process_type=process_type, registry=registry, server_floor=server_floor, strict=True, by_model=True
    )
    errors = [each for each in compiled.problems if each.level == "error"]
    faults = tuple(_fault(each, plan, kept=len(kept)) for each in errors[:FAULTS_MAX])
    if compiled.facts is None and not faults:
        faults = (Fault(code="NO_PLAN", pointer="", message="no plan could be made of it"),)
    return Judged(compiled, plan, faults, dropped, added)


def quiet_steps(offered: MapSchema, registry: Definitions) -> frozenset[str]:
    """The steps that change nothing, and that no person does."""
    return frozenset(
        name
        for name, contract in offered.offers.named().items()
        if contract.effect in {Effect.NONE, Effect.READ}
        and not any(agent.transport.kind == "human" for agent, _ in registry.serving(contract)[:1])
    )


def _of_items(plan: Plan) -> Iterator[Fault]:
    """Steps that are done for each item of a list, and take nothing of it: every call would be the same."""
    for step in plan.steps:
        texts = [value for value in (step.input or {}).values() if isinstance(value, str)]
        if step.for_each is not None and not any(each.startswith(("$.item", "$['item")) for each in texts):
            message = f"`{step.id}` is done for each item, and takes nothing of `$.item`: every call would be the same"
            yield Fault(code="FOR_EACH", pointer="/steps", message=message, fix="bind `$.item…`", step=step.id)


def _both_ways(plan: Plan, quiet: frozenset[str]) -> Iterator[Fault]:
    """Steps that change something once for all and once for each item: the same would be done twice."""
    once = {step.contract for step in plan.steps if step.for_each is None and step.id not in quiet}
    for step in plan.steps:
        if step.for_each is not None and step.contract in once:
            message = (
                f"`{step.id}` does for each item what another step of the plan does once: its effect would be twice"
            )
            yield Fault(code="TWICE_DONE", pointer="/steps", message=message, fix="keep one of them", step=step.id)


def _same_again(plan: Plan, offered: MapSchema, quiet: frozenset[str]) -> Iterator[Fault]:
    """Second uses that change the same thing as the first: they may differ in a reason, but not in that alone."""
    contracts, steps = offered.offers.named(), {each.id: each for each in plan.steps}
    first: dict[tuple[str, tuple[str, ...]], str] = {}
    for step in plan.steps:
        contract = contracts.get(step.id)
        if contract is None or step.for_each is not None or step.id in quiet:
            continue
        needed = [name for name in required_names(contract.input) if name != contract.key_field]
        named = [name for name in needed if name.rpartition("_")[2] in IDENTIFYING] or needed
        about = (contract.name, tuple(_origin((step.input or {}).get(name), steps) for name in named))
        if needed and about in first:
            message = (
                f"`{step.id}` changes the same as `{first[about]}`, by {', '.join(named[:3])}: it would be done twice"
            )
            yield Fault(code="TWICE_DONE", pointer="/steps", message=message, fix="keep one of them", step=step.id)
        first.setdefault(about, step.id)


def _origin(value: Json, steps: Mapping[str, Step]) -> str:
    """Where a value comes from in the end: what a step gives back under the name by which it took it is no other."""
    for _ in range(STEPS_MAX):
        found = read_value(value).value if isinstance(value, str) else None
        if not isinstance(found, Bound) or found.root != "steps":
            break
        source = steps.get(found.step or "")
        name = str(found.segments[0]) if found.part == "output" and len(found.segments) == 1 else ""
        if source is None or source.for_each is not None or name not in (source.input or {}):
            break
        value = (source.input or {})[name]
    return repr(value)


def report_text(report: Json) -> str:
    """A report as the model's next round reads it: one line for each problem, cut where it is long."""
    lines: list[str] = []
    for each in report.get("problems", ()):
        fix = f" Do: {each['fix']}." if each.get("fix") else ""
        lines.append(f"- {each['code']} {each.get('step', '')} {each['pointer']}: {each['message']}.{fix}")
    text = "\n".join(lines)
    return text if len(text) <= REPORT_CHARACTERS_MAX else f"{text[: REPORT_CHARACTERS_MAX - 1]}…"


def _fault(problem: Problem, plan: Plan, *, kept: int) -> Fault:
    """A problem of the check, its place told as the proposal has it: kept steps are none of it."""
    parts = problem.pointer.split("/")
    step, pointer = "", problem.pointer.removeprefix("/plan")
    if parts[:3] == ["", "plan", "steps"] and len(parts) > 3 and parts[3].isdecimal():
        index = int(parts[3])
        step = plan.steps[index].id if index < len(plan.steps) else ""
        pointer = "/".join(["", "steps", step if index < kept else str(index - kept), *parts[4:]])
    elif parts[:3] == ["", "plan", "output"]:
        step = "output"
    return Fault(code=problem.code, pointer=pointer, message=problem.message, fix=problem.fix, step=step)


def _shown_fault(fault: Fault) -> dict[str, Json]:
    told = {
        "code": fault.code,
        "step": fault.step,
        "pointer": fault.pointer,
        "message": fault.message,
        "fix": fault.fix,
    }
    return {name: visible(text)[:TEXT_MAX] for name, text in told.items() if text or name == "pointer"}


def _shown_row(row: PlanRow) -> dict[str, Json]:
    told: dict[str, Json] = {
        "step": row.step,
        "argument": row.argument,
        "verdict": row.verdict,
        "producer": row.producer,
        "consumer": row.consumer,
    }
    if row.verdict not in {"always", "unknown"}:
        told |= {"witness": shown(row.witness), "message": row.message[:TEXT_MAX]}
    return {name: value for name, value in told.items() if value is not None}
