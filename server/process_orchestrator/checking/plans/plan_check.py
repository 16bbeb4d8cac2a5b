"""The static check of a plan, before anything runs: ids, order, map, agents, paths, expressions, arguments.

Finds what is wrong and what each step needs; `compile` makes facts and document from a plan without errors. Whether
each value fits its consumer is asked here and answered by `plan_verdicts`, over all steps at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from process_orchestrator.checking.documents.definitions import Agent, Contract, Plan, Problem, ProcessType, Serve, Step
from process_orchestrator.checking.plans.checked_plan import (
    CheckedPlan,
    CheckedStep,
    label,
    output_of,
    there_with,
    with_alternatives,
)
from process_orchestrator.checking.plans.plan_bounds import budget_faults
from process_orchestrator.checking.plans.plan_cover import Cover
from process_orchestrator.checking.plans.plan_data import exposed, unused
from process_orchestrator.checking.plans.plan_document import Types
from process_orchestrator.checking.plans.plan_flow import UNTIL, UNTIL_ROOTS, StepFault, flow_faults
from process_orchestrator.checking.plans.plan_map import ContractMap, Definitions
from process_orchestrator.checking.plans.plan_order import cycles, in_order
from process_orchestrator.checking.plans.plan_policies import policy_faults
from process_orchestrator.checking.plans.plan_values import Produced, Scene, ValueCheck, count_of
from process_orchestrator.checking.plans.plan_verdicts import Place, Verdicts, Wanted
from process_orchestrator.checking.plans.sub_process import child_of
from process_orchestrator.checking.plans.undo_check import undo_scene, undo_wanted
from process_orchestrator.checking.schemas.nearest import likely, nearest
from process_orchestrator.checking.schemas.pointers import escape
from process_orchestrator.checking.schemas.projection import (
    Presence,
    Shape,
    items_of,
    kinds_of,
    names_of,
    project,
    required_names,
)
from process_orchestrator.checking.values.bindings import (
    ROOTS,
    Bound,
    Read,
    Record,
    Reference,
    Value,
    read_value,
    references,
)

Json = Any

ALL_STEPS: Final = "output"
"""The name under which the plan's own output stands in rows."""


def check_plan(plan: Plan, *, process_type: ProcessType, registry: Definitions, strict: bool = False) -> CheckedPlan:
    """Check a plan, fixed or made, against a type and the definitions in force.

    `strict`, for plans that a model made: what fits only sometimes, and is not provided for, is an error; in a file it
    is a warning.
    """
    return _PlanCheck(plan, process_type, registry, strict=strict).run()


def step_value(step: Step) -> Iterator[tuple[str, Json]]:
    """Every value of a step as written, by its pointer below the step."""
    yield "/in", {} if step.input is None else step.input
    if step.when is not None:
        yield "/when", step.when
    if step.for_each is not None:
        yield "/for_each", step.for_each
    if step.repeat is not None:
        yield UNTIL, step.repeat["until"]
    if step.default is not msgspec.UNSET:
        yield "/default", step.default
    if step.approval is not None:
        if step.approval.when is not None:
            yield "/approval/when", step.approval.when
        for index, each in enumerate(step.approval.show):
            yield f"/approval/show/{index}", each


class _PlanCheck:
    def __init__(self, plan: Plan, process_type: ProcessType, registry: Definitions, *, strict: bool) -> None:
        self._plan, self._type, self._registry = plan, process_type, registry
        self._problems: list[Problem] = []
        self._strict = strict
        self._verdicts = Verdicts(process_type.name, process_type.version, registry.fitting, strict=strict)
        self._steps = [CheckedStep(index=index, step=step) for index, step in enumerate(plan.steps)]
        self._known = {each.step.id: each for each in reversed(self._steps)}
        self._map = ContractMap(process_type, registry)

    def run(self) -> CheckedPlan:
        self._form()
        for each in self._steps:
            self._read(each)
        result = read_value(self._plan.output, pointer="/output")
        self._references(result, "/plan", mapped=False)
        needs = {each.step.id: each.needs for each in self._steps if self._known[each.step.id] is each}
        self._cycles(needs)
        outputs: dict[str, Produced | None] = {}
        for name in in_order(needs):
            outputs[name] = self._values(self._known[name], outputs)
        types = self._result(result, outputs)
        rows, misfits = self._verdicts.answer(self._problems)
        steps = tuple(self._steps)
        self._weigh((*budget_faults(steps, self._type), *self._exposed(steps), *unused(steps, result)))
        return CheckedPlan(
            steps=steps,
            types=types,
            problems=(*self._problems, *misfits),
            rows=tuple(rows),
        )

    def _exposed(self, steps: tuple[CheckedStep, ...]) -> Iterator[tuple[str, StepFault]]:
        return exposed(steps, self._plan, self._type, self._registry)

    def _error(self, code: str, pointer: str, message: str, fix: str) -> None:
        self._problems.append(
            Problem(level="error", code=code, file="", line=0, pointer=pointer, message=message, fix=fix)
        )

    def _tell(self, faults: Iterable[StepFault], place: str) -> None:
        for fault in faults:
            self._error(fault.code, place + fault.pointer, fault.message, fault.fix)

    def _weigh(self, faults: Iterable[tuple[str, StepFault]]) -> None:
        """Report what is weighed over the whole plan, unless something is wrong with it that comes first."""
        if any(problem.level == "error" for problem in self._problems):
            return
        for level, fault in faults:
            told = "error" if self._strict and fault.code != "UNUSED_STEP" else level
            self._problems.append(
                Problem(
                    level=told,
                    code=fault.code,
                    file="",
                    line=0,
                    pointer=fault.pointer,
                    message=fault.message,
                    fix=fault.fix,
                )
            )

    # Form, map and agents

    def _form(self) -> None:
        if len(self._steps) > self._type.limits.steps:
            message = f"the plan has {len(self._steps)} steps; the limit is {self._type.limits.steps}"
            self._error("TOO_MANY_STEPS", "/plan/steps", message, "raise limits.steps, or split the process")
        seen: set[str] = set()
        for each in self._steps:
            step, place = each.step, f"/plan/steps/{each.index}"
            if step.id in seen:
                message = f"there are two steps `{step.id}`"
                self._error(
                    "DUPLICATE_STEP", f"{place}/id", message, f"name this one otherwise, for example {step.id}_2"
                )
            seen.add(step.id)
            self._tell(flow_faults(step), place)
            if step.process is not None:
                self._process(each, step.process, place)
            if step.contract is not None:
                self._contract(each, step.contract, place)

    def _process(self, each: CheckedStep, name: str, place: str) -> None:
        each.child, refused = child_of(name, parent=self._type, types=self._registry)
        if refused is not None:
            self._error(refused.code, f"{place}/process", refused.message, refused.fix)

    def _contract(self, each: CheckedStep, name: str, place: str) -> None:
        contract, problem = self._map.contract(name)
        if problem is not None:
            self._error(problem[0], f"{place}/contract", problem[1], problem[2])
            return
        assert contract is not None
        each.contract = contract
        serving = self._registry.serving(contract)
        if each.step.agent is not None:
            each.agents = tuple(pair for pair in serving if pair[0].name == each.step.agent)
            if not each.agents:
                self._unserved_pin(each.step.agent, contract, serving, place)
            return
        if not serving:
            message = f"no agent serves {contract.name} {contract.version}"
            fix = f"add {contract.name}@^{contract.version.split('.')[0]} to the serves of an agent"
            self._error("NOT_SERVED", f"{place}/contract", message, fix)
            return
        person = serving[0][0].transport.kind == "human"  # a person is no fallback for a program, nor the other way
        each.agents = tuple(pair for pair in serving if (pair[0].transport.kind == "human") is person)

    def _unserved_pin(
        self, agent: str, contract: Contract, serving: tuple[tuple[Agent, Serve], ...], place: str
    ) -> None:
        names = [pair[0].name for pair in serving]
        if self._registry.agent(agent) is None:
            better = likely(agent, names) or ", ".join(self._registry.nearest("agent", agent)) or "none yet"
            self._error("UNKNOWN_AGENT", f"{place}/agent", f"there is no agent `{agent}`", f"nearest: {better}")
            return
        message = f"`{agent}` does not serve {contract.name} {contract.version}"
        fix = f"write one of {', '.join(names)}, or remove `agent`" if names else f"add {contract.name} to its serves"
        self._error("NOT_SERVED", f"{place}/agent", message, fix)

    # References and order

    def _read(self, each: CheckedStep) -> None:
        place, step = f"/plan/steps/{each.index}", each.step
        for pointer, written in step_value(step):
            roots = UNTIL_ROOTS if pointer == UNTIL else ROOTS[:4]
            read = read_value(written, pointer=pointer, roots=roots)
            each.values[pointer] = read.value
            item_there = step.for_each is not None and pointer != "/for_each"
            for found in self._references(read, place, mapped=item_there, reader=step.id):
                each.needs[found.bound.step or ""] = None
                if found.bound.part == "output" and not found.optional:
                    each.binds[found.bound.step or ""] = None
        for index, name in enumerate(step.after):
            if self._step_known(name, f"{place}/after/{index}", step.id):
                each.needs[name] = None

    def _references(self, read: Read, place: str, *, mapped: bool, reader: str = "") -> list[Reference]:
        """The references to known steps; faults of form and of names are reported."""
        for fault in read.faults:
            self._error("BAD_BINDING", place + fault.pointer, fault.message, fault.fix)
        found: list[Reference] = []
        for each in references(read.value):
            bound, pointer = each.bound, place + each.bound.pointer
            if bound.root in {"item", "index"} and not mapped:
                message = f"`{bound.text}` is known only to the arguments of a step with `for_each`"
                self._error("NO_ITEM", pointer, message, "add `for_each` to the step, or bind `$.steps.<id>.output…`")
            if bound.root == "steps" and self._step_known(bound.step or "", pointer, reader):
                found.append(each)
        return found

    def _step_known(self, name: str, pointer: str, reader: str) -> bool:
        if name == reader:
            message = f"step `{name}` refers to itself"
            self._error("CYCLE", pointer, message, "bind the output of an earlier step")
            return False
        if name in self._known:
            return True
        better = ", ".join(nearest(name, [known for known in self._known if known != reader])) or "there is none"
        self._error("UNKNOWN_STEP", pointer, f"there is no step `{name}`", f"nearest: {better}")
        return False

    def _cycles(self, needs: Mapping[str, Collection[str]]) -> None:
        for path in cycles(needs):
            message = f"the steps wait for each other: {' -> '.join([*path, path[0]])}"
            fix = "remove one of these bindings or `after`"
            self._error("CYCLE", f"/plan/steps/{self._known[path[0]].index}", message, fix)

    # Values

    def _input(self) -> Produced:
        shape = Shape.of(self._type.input)
        return Produced(
            label=label(self._type), part="input", declared=shape, shape=shape, sha256=self._type.source.sha256
        )

    def _values(self, each: CheckedStep, outputs: dict[str, Produced | None]) -> Produced | None:
        """Check the values of a step; what bindings may see of its output."""
        place = f"/plan/steps/{each.index}"

        def report(code: str, pointer: str, message: str, fix: str) -> None:
            self._error(code, place + pointer, message, fix)

        scene = Scene(process=self._input(), steps=outputs)
        check = ValueCheck(scene, report, each.types)
        if "/for_each" in each.values:
            check.scene = Scene(process=scene.process, steps=outputs, item=self._item(each, check))
        default: Shape | None = None
        for pointer, value in each.values.items():
            if pointer in {"/in", "/for_each"}:
                continue
            if pointer == UNTIL:
                self._until(each, value, check)
                continue
            condition = pointer in {"/when", "/approval/when"}
            shape = check.check(value, condition=condition)
            default = shape if pointer == "/default" else default
            if condition:
                self._condition(each, value, pointer, check)
        self._arguments(each, check)
        self._tell(policy_faults(each, self._registry), place)
        self._undo(each, place)
        return with_alternatives(each, output_of(each, default), self._known)

    def _until(self, each: CheckedStep, value: Value, check: ValueCheck) -> None:
        """The condition that ends a repeated step: it sees what the round gave, as `$.output`."""
        scene, closes = check.scene, each.closes
        if closes is not None:
            shape = Shape.of(closes.output)
            round_gave = Produced(label=label(closes), part="output", declared=shape, shape=shape)
            check.scene = Scene(process=scene.process, steps=scene.steps, undone=round_gave)
        check.check(value, condition=True)
        self._condition(each, value, UNTIL, check)
        check.scene = scene

    def _condition(self, each: CheckedStep, value: Value, pointer: str, check: ValueCheck) -> None:
        wanted = Wanted(label="the condition", part="", schema={"type": "boolean"}, listed=False)
        self._verdicts.ask(value, at=self._place(each, pointer), wanted=wanted, check=check)

    def _place(self, each: CheckedStep, within: str) -> Place:
        """Where a value of a step stands. Only the arguments are behind the step's condition."""
        when = each.values.get("/when") if within == "/in" else None
        cover = Cover(step=each.step, when=when)
        return Place(step=each.step.id, pointer=f"/plan/steps/{each.index}", within=within, cover=cover)

    def _item(self, each: CheckedStep, check: ValueCheck) -> Produced | None:
        value = each.values["/for_each"]
        shape = check.check(value)
        wanted = Wanted(label="`for_each`", part="", schema={"type": "array"}, listed=False)
        self._verdicts.ask(value, at=self._place(each, "/for_each"), wanted=wanted, check=check)
        if "array" not in kinds_of(shape):
            told = " or ".join(sorted(kinds_of(shape)))
            message = f"`for_each` runs over a list; this is {told}"
            check.report("FOR_EACH_NOT_ARRAY", "/for_each", message, "bind a list")
            return None
        items, each.count = items_of(shape), count_of(shape)
        source = check.produced(value) if isinstance(value, Bound) else None
        if source is None or not isinstance(value, Bound):
            return Produced(label=each.step.id, part="for_each/*", declared=items, shape=items)
        below = "".join(f"/{escape(str(segment))}" for segment in value.segments)
        tied = frozenset[str]() if source.free(value.segments) else frozenset(("",))
        return Produced(label=source.label, part=f"{source.part}{below}/*", declared=items, shape=items, tied=tied)

    def _arguments(self, each: CheckedStep, check: ValueCheck) -> None:
        value, contract = each.values["/in"], each.closes
        check.scene = replace(check.scene, steps=there_with(each, self._known, check.scene.steps))
        check.check(value)
        if contract is None:
            return
        key_field = each.contract.key_field if each.contract is not None else None
        filled = () if key_field is None else (key_field,)
        wanted = Wanted(label=label(contract), part="input", schema=contract.input, filled=filled)
        self._verdicts.ask(value, at=self._place(each, "/in"), wanted=wanted, check=check)
        if not isinstance(value, Record):
            return
        given, names = {name for name, _ in value.properties}, names_of(Shape.of(contract.input))
        for name, _ in value.properties:
            pointer = f"/in/{name}"
            if name == key_field:
                message = f"`{name}` carries the idempotency key of {contract.name}: the engine fills it"
                check.report("KEY_FIELD_SET", pointer, message, f"remove `{name}`")
            elif project(Shape.of(contract.input), (name,)).presence is Presence.NEVER:
                better = likely(name, [each for each in names if each not in given])
                fix = f"write `{better}`" if better else f"remove it; {contract.name} takes {', '.join(names)}"
                check.report("UNKNOWN_ARGUMENT", pointer, f"{contract.name} takes no `{name}`", fix)
        for name in required_names(contract.input):
            if name not in given and name != key_field:
                message = f"{contract.name} needs `{name}`"
                check.report("MISSING_ARGUMENT", "/in", message, f"add `{name}: $.…`")

    def _undo(self, each: CheckedStep, place: str) -> None:
        """The values of the contract's `undo.in`. They see the call that is undone and nothing else."""
        contract = each.contract
        if contract is None or contract.undo is None:
            return

        def report(code: str, pointer: str, message: str, fix: str) -> None:
            self._error(code, f"{place}/contract", f"undo of {contract.name}, {pointer or 'in'}: {message}", fix)

        check = ValueCheck(undo_scene(contract), report, each.undo_types)
        read = read_value(contract.undo.input, roots=("input", "output"))
        check.faults(read.faults)
        check.check(read.value)
        undo = self._registry.contract(contract.undo.contract)
        if undo is not None:
            at = Place(step=f"{each.step.id}!undo", pointer=f"{place}/contract", within="")
            self._verdicts.ask(read.value, at=at, wanted=undo_wanted(undo, in_plan=True), check=check)

    def _result(self, read: Read, outputs: dict[str, Produced | None]) -> Types:
        def report(code: str, pointer: str, message: str, fix: str) -> None:
            self._error(code, f"/plan{pointer}", message, fix)

        check = ValueCheck(Scene(process=self._input(), steps=outputs), report)
        check.check(read.value)
        wanted = Wanted(label=label(self._type), part="output", schema=self._type.output)
        at = Place(step=ALL_STEPS, pointer="/plan", within="/output")
        self._verdicts.ask(read.value, at=at, wanted=wanted, check=check)
        if isinstance(read.value, Record):
            self._result_names(read.value, report)
        return check.types

    def _result_names(self, value: Record, report: Any) -> None:
        shape, given = Shape.of(self._type.output), [name for name, _ in value.properties]
        for name in given:
            if project(shape, (name,)).presence is Presence.NEVER:
                better = likely(name, [each for each in names_of(shape) if each not in given])
                fix = f"write `{better}`" if better else "remove it, or declare it in `output`"
                report("UNKNOWN_ARGUMENT", f"/output/{name}", f"the output of the process has no `{name}`", fix)
        for name in required_names(self._type.output):
            if name not in given:
                report("MISSING_ARGUMENT", "/output", f"the output of the process needs `{name}`", f"add `{name}: $.…`")
