"""Computes the evidence package of a question to a person: what is asked, why, each option's effect, the evidence.

By code alone, from the command, the pinned definitions and stored bodies. What changes while the question is open
(spent, tried, deadline) is no part of it: views render that from the state. Sensitive parts are masked before the
package is stored, so no reader of it can leak them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from process_orchestrator.checking.documents.definitions import Contract, Json
from process_orchestrator.checking.documents.masking import cut, mask, sensitive
from process_orchestrator.checking.pinned.definitions import Pinned
from process_orchestrator.checking.pinned.marks import Marks
from process_orchestrator.checking.pinned.recent import Recent
from process_orchestrator.checking.plans.sensitivity import Sensitivity, of_item
from process_orchestrator.checking.schemas.paths import ABSENT
from process_orchestrator.checking.schemas.validate import encode_body, ref_of
from process_orchestrator.checking.values.bindings import Scope, StepScope
from process_orchestrator.core.assurance import required_assurance
from process_orchestrator.core.errors import BindingError
from process_orchestrator.core.facts.events import EscalationOpened
from process_orchestrator.core.facts.values import Blame, Decision, EscalationKind, Money, Phase
from process_orchestrator.core.money import usd
from process_orchestrator.core.ports import Body, Performed, Precedent, PrecedentQuery, PrecedentsOf
from process_orchestrator.core.settle import DRIFTED
from process_orchestrator.performing import escalation_words as words
from process_orchestrator.performing.body_cache import BodyCache
from process_orchestrator.performing.stages.intake_found import shown_of

if TYPE_CHECKING:
    from collections.abc import Hashable

    from process_orchestrator.checking.plans.compiled import CompiledContract, CompiledPlan, CompiledStep
    from process_orchestrator.core.facts.commands import OpenEscalation

SOURCES_SHOWN_MAX: Final = 8
"""Earlier outputs that stand as evidence beside the call's own arguments."""

ITEMS_SHOWN_MAX: Final = 50
WORDINGS_KEPT: Final = 256
"""What is asked at one step is asked in the same words in each process of its type: they are put together once."""

AMOUNT_PATTERN: Final = r"^[0-9]{1,9}(\.[0-9]{1,6})?$"


class _Gathered:
    """Everything the package is made of, read once. `process_input` and `sources` are masked already."""

    def __init__(self, command: OpenEscalation) -> None:
        self.command = command
        self.contract: CompiledContract | None = None
        self.plan: CompiledPlan | None = None
        self.step: CompiledStep | None = None
        self.marks = Sensitivity()
        self.input: Json = None
        self.detail: dict[str, Json] = {}
        self.process_input: Json = None
        self.undone: dict[str, Json] = {}
        self.sources: dict[str, StepScope] = {}


async def no_precedents(_query: PrecedentQuery) -> tuple[Precedent, ...]:
    """Of an engine without a past."""
    return ()


class Packages:
    """Builds the packages of one engine."""

    def __init__(self, bodies: BodyCache, pinned: Pinned, precedents: PrecedentsOf = no_precedents) -> None:
        self._precedents = precedents
        self._bodies, self._pinned, self._marks = bodies, pinned, Marks(pinned)
        self._wordings: Recent[dict[str, Json]] = Recent(WORDINGS_KEPT)

    async def build(self, command: OpenEscalation, *, at: int) -> Performed:
        """The event that opens the question, and its package. `at` is epoch milliseconds."""
        gathered = await self._gather(command)
        package = {**await self._wording(gathered), "evidence": _evidence(gathered), "digest": command.digest}
        precedents = await self._earlier(command)
        if precedents:
            package["precedents"] = precedents
        data = encode_body(package)
        ref = ref_of(data)
        event = EscalationOpened(
            at=at,
            escalation=command.escalation,
            package=ref,
            schema_sha256=command.contract.sha256 if command.contract else None,
        )
        return Performed(event=event, bodies=(Body(ref=ref, data=data),))

    async def _earlier(self, command: OpenEscalation) -> list[dict[str, Json]]:
        """How the same was decided before, as it is known now. For people to see: nothing else reads it."""
        if command.contract is None:
            return []
        query = PrecedentQuery(
            process=command.process,
            escalation=command.escalation,
            contract=command.contract.name,
            kind=command.kind.value,
            code=command.code,
        )
        return [msgspec.structs.asdict(each) for each in await self._precedents(query)]

    async def _gather(self, command: OpenEscalation) -> _Gathered:
        gathered, value = _Gathered(command), self._bodies.value
        if command.contract is not None:
            gathered.contract = await self._pinned.contract(command.contract.sha256)
        if command.input is not None:
            gathered.input = await value(command.input)
        if command.detail is not None:
            detail = await value(command.detail)
            gathered.detail = detail if isinstance(detail, dict) else {"answer": detail}
        context = command.context
        if context is None:
            return gathered
        if command.undoes is not None:
            for part, ref in (("input", command.undoes.input), ("output", command.undoes.output)):
                if ref is not None:
                    gathered.undone[part] = await value(ref)
        if context.plan:
            gathered.plan = await self._pinned.plan(context.plan)
            gathered.marks = await self._marks.of(context.plan)
            if command.step is not None:
                gathered.step = gathered.plan.step(command.step)
        if context.input is not None:
            gathered.process_input = mask(await value(context.input), gathered.marks.process_input)
        for step, source in context.sources.items():
            output: Json = ABSENT
            if source.output is not None:
                output = mask(await value(source.output), gathered.marks.of(step, "output"))
            gathered.sources[step] = StepScope(status=source.status, output=output, code=source.code)
        return gathered

    async def _wording(self, gathered: _Gathered) -> dict[str, Json]:
        """All that is no evidence, as members of the package."""
        told_by = _told_by(gathered)
        kept = self._wordings.get(told_by)
        if kept is not None:
            return kept
        context = gathered.command.context
        started = context.type if context is not None else None
        type_body = await self._pinned.document(started.sha256) if started is not None else {}
        return self._wordings.put(told_by, _worded(gathered, type_body))


def _told_by(gathered: _Gathered) -> Hashable:
    """Everything that the words depend on; definitions by their sha256."""
    command, context = gathered.command, gathered.command.context
    return (
        *(command.kind, command.unit, command.step, command.code, command.blame, command.rule, command.role),
        *(command.decisions, command.min_assurance, command.money),
        command.contract.sha256 if command.contract is not None else None,
        command.undoes.unit if command.undoes is not None else None,
        *((context.plan, context.type) if context is not None else ()),
        *(_items(gathered), _message(gathered)),
    )


def _worded(gathered: _Gathered, type_body: dict[str, Json]) -> dict[str, Json]:
    command, facts = gathered.command, _facts(gathered, type_body)
    options = [_option(decision, gathered, facts) for decision in command.decisions]
    return {
        "question": words.question(command, facts),
        "why": {"rule": words.rule(command, facts)},
        "goal": _goal(facts),
        "options": orjson.Fragment(encode_body(options)),
        "warnings": list(words.warnings(command, facts)),
    }


def _items(gathered: _Gathered) -> int | None:
    """How many items are asked about at once; None: no whole map is asked about."""
    whole_map = gathered.command.kind is EscalationKind.APPROVAL and isinstance(gathered.input, list)
    return len(gathered.input) if whole_map else None


def _facts(gathered: _Gathered, type_body: dict[str, Json]) -> words.Facts:
    command, step = gathered.command, gathered.step
    context = command.context
    return words.Facts(
        contract=gathered.contract.contract if gathered.contract else None,
        agents=tuple(agent.name for agent in step.agents) if step else (),
        type_name=context.type.name if context and context.type else None,
        type_summary=type_body.get("summary"),
        on_abort=type_body.get("on_abort", "leave"),
        on_failure=step.step.on_failure if step else {},
        has_default=step is not None and _has_default(step),
        items=_items(gathered),
        message=_message(gathered),
        steps=len(gathered.plan.steps) if gathered.plan else None,
    )


def _has_default(step: CompiledStep) -> bool:
    return step.step.default is not msgspec.UNSET


def _message(gathered: _Gathered) -> str | None:
    """The first error in words; validators mask values, so the text is ours."""
    if gathered.command.code == DRIFTED:
        return _drifted(gathered.detail.get("answer"))
    errors = gathered.detail.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    message = first.get("message") if isinstance(first, dict) else None
    return str(message)[: words.MESSAGE_CHARACTERS_MAX] if message else None


def _drifted(difference: Json) -> str | None:
    """What drifted and how, by names of ours alone: the words of the difference are the agent's."""
    if isinstance(difference, dict) and "lock" in difference:
        return "the lock of its pins cannot be read"
    if not isinstance(difference, dict) or not {"agent", "name", "verdict"} <= difference.keys():
        return None
    said = f"{difference['name']} of {difference['agent']}: {difference['verdict']}"
    return said[: words.MESSAGE_CHARACTERS_MAX]


def _goal(facts: words.Facts) -> str:
    if facts.type_name is None:
        return "Close the task."
    return f"{facts.type_name}: {facts.type_summary}" if facts.type_summary else facts.type_name


# --- options -----------------------------------------------------------------------------------------------------


def _option(decision: Decision, gathered: _Gathered, facts: words.Facts) -> dict[str, Json]:
    command = gathered.command
    needs = required_assurance(
        decision, kind=command.kind, level=command.min_assurance, answer_level=command.min_assurance
    )
    option: dict[str, Json] = {
        "decision": decision.value,
        "consequence": words.consequence(decision, command, facts),
        "needs": needs.value,
    }
    contract = facts.contract
    calls = {Decision.APPROVE, Decision.RETRY, Decision.RETRY_WITH_INPUT, Decision.USE_AGENT}
    if contract is not None and contract.price_usd_micros is not None and decision in calls:
        times = facts.items if facts.items is not None else 1
        option["cost_usd"] = usd(contract.price_usd_micros * times)
    schema = data_schema(decision, kind=command.kind, facts=facts)
    return option if schema is None else {**option, "data_schema": schema}


def data_schema(decision: Decision, *, kind: EscalationKind, facts: words.Facts) -> dict[str, Json] | None:
    """JSON Schema of a decision's `data`, or None where it takes none."""
    contract = facts.contract
    match decision:
        case Decision.APPROVE if facts.items is not None:
            numbers = {"type": "integer", "minimum": 0, "maximum": max(0, facts.items - 1)}
            what = "Numbers of the items to leave out, counted from 0."
            return _object({"reject": {"type": "array", "items": numbers, "uniqueItems": True, "description": what}})
        case Decision.RETRY if kind is EscalationKind.OUTCOME_UNKNOWN:
            what = "True: a new idempotency key, so the agent takes it for another call. Default false."
            return _object({"fresh_key": {"type": "boolean", "description": what}})
        case Decision.RETRY_WITH_INPUT if contract is not None:
            return without_key(contract)
        case Decision.USE_OUTPUT | Decision.ANSWER if contract is not None:
            return contract.output
        case Decision.USE_AGENT:
            return _object({"agent": {"type": "string", "enum": list(facts.agents)}}, required=["agent"])
        case Decision.CHOOSE_TYPE:
            properties = {"process_type": {"type": "string"}, "input": {"type": "object"}}
            return _object(properties, required=["process_type", "input"])
        case Decision.RAISE_BUDGET:
            what = "Amount to add, in US dollars."
            amount = {"type": "string", "pattern": AMOUNT_PATTERN, "description": what, "examples": ["1.50"]}
            return _object({"usd": amount}, required=["usd"])
        case _:
            return None


def without_key(contract: Contract) -> dict[str, Json]:
    """The input schema without the idempotency field, which the engine fills."""
    schema, field = dict(contract.input), contract.key_field
    if field is None:
        return schema
    schema["properties"] = {name: part for name, part in schema.get("properties", {}).items() if name != field}
    schema["required"] = [name for name in schema.get("required", ()) if name != field]
    return schema


def _object(properties: dict[str, Json], *, required: list[str] | None = None) -> dict[str, Json]:
    schema: dict[str, Json] = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


# --- evidence ----------------------------------------------------------------------------------------------------


def _evidence(gathered: _Gathered) -> list[dict[str, Any]]:
    command = gathered.command
    about = command.unit or command.step
    place = f"process://{command.process}/steps/{about or '-'}"
    # A question about the process as a whole is about no call: the input of the process stands below, masked as such.
    called = command.input is not None and about is not None
    evidence = [_arguments(gathered, uri=f"{place}/input")] if called else []
    evidence += [*_found(gathered), *_shown(gathered), *_failed(gathered, place=place), *_undone(gathered)]
    for step, source in list(gathered.sources.items())[:SOURCES_SHOWN_MAX]:
        if source.output is not ABSENT:
            uri = f"process://{command.process}/steps/{step}/output"
            skipped = source.status == Phase.SKIPPED
            label = f"default of step {step}, which was skipped" if skipped else f"output of step {step}"
            evidence.append(_entry(label, "engine" if skipped else "agent", source.output, uri=uri))
    if gathered.process_input is not None:
        uri = f"process://{command.process}/steps/-/input"
        evidence.append(_entry("input of the process", "input", gathered.process_input, uri=uri))
    if command.kind is EscalationKind.PLAN and gathered.plan is not None:
        uri = f"process://{command.process}/diagram"
        evidence.append(_entry("the plan", "engine", [_step_row(step) for step in gathered.plan.steps], uri=uri))
    if command.money is not None:
        uri = f"process://{command.process}/state"
        evidence.append(_entry("how the budget stands", "engine", _books(command.money), uri=uri))
    return evidence


def _found(gathered: _Gathered) -> list[dict[str, Any]]:
    """What intake found before it asked."""
    uri = f"process://{gathered.command.process}/trace"
    return [_entry(label, origin, value, uri=uri) for label, origin, value in shown_of(gathered.detail)]


def _books(money: Money) -> dict[str, Json]:
    return {
        "needed_usd": usd(money.needed_usd_micros),
        "spent_usd": usd(money.spent_usd_micros),
        "reserved_usd": usd(money.reserved_usd_micros),
        "budget_usd": usd(money.cap_usd_micros),
        "short_usd": usd(money.short_usd_micros),
    }


def _step_row(step: CompiledStep) -> dict[str, Json]:
    """One step of a plan that is to be approved, as it was written."""
    contract = f"{step.contract.name}@{step.contract.version}" if step.contract else None
    row = {"id": step.step.id, "contract": contract, "effect": step.effect.value, "in": step.step.input}
    optional = {"for_each": step.step.for_each, "when": step.step.when, "agents": [each.name for each in step.agents]}
    return {**row, **{name: value for name, value in optional.items() if value}}


def _shown(gathered: _Gathered) -> list[dict[str, Any]]:
    """What the step's approval wants shown. An item's own values are not known here, so of items it is left out."""
    command, step = gathered.command, gathered.step
    if command.kind is not EscalationKind.APPROVAL or step is None or step.step.for_each is not None:
        return []
    # Evaluated over what is masked already, so that nothing sensitive can get into the package this way.
    scope = Scope(input=gathered.process_input, steps=gathered.sources)
    try:
        shown = step.shown(scope)
    except BindingError:
        return []  # what cannot be evaluated shows up where the step runs, with its blame
    uri = f"process://{command.process}/trace"
    return [_entry(path, "agent", value, uri=uri) for path, value in shown]


def _failed(gathered: _Gathered, *, place: str) -> list[dict[str, Any]]:
    """What a failed call left behind."""
    command, detail = gathered.command, gathered.detail
    trace = f"process://{command.process}/trace"
    evidence: list[dict[str, Any]] = []
    if detail.get("answer") is not None:
        answer = mask(detail["answer"], _own(gathered, "output"))
        # What drifted was not called: this is how its live definition differs from the pinned one, in its own words.
        label = "what changed since it was pinned" if command.code == DRIFTED else "answer as received"
        evidence.append(_entry(label, "agent", answer, uri=f"{place}/output"))
    if detail.get("errors"):
        evidence.append(_entry("what is wrong with it", "engine", detail["errors"], uri=trace))
    if detail.get("stderr"):
        evidence.append(_entry("last lines of the agent's log", "agent", detail["stderr"], uri=trace))
    return evidence


def _undone(gathered: _Gathered) -> list[dict[str, Any]]:
    """The call whose effect is to be taken back, masked as its step's own bodies are."""
    command, step = gathered.command, gathered.step
    if command.undoes is None or step is None:
        return []
    place = f"process://{command.process}/steps/{command.undoes.unit}"
    labels = {"input": "arguments of the call to be undone", "output": "its answer"}
    evidence: list[dict[str, Any]] = []
    for part, value in gathered.undone.items():
        pointers = gathered.marks.of(step.step.id, part)
        if part == "output" and step.step.for_each is not None:
            pointers = tuple(of_item(pointer) for pointer in pointers)
        evidence.append(_entry(labels[part], "agent", mask(value, pointers), uri=f"{place}/{part}"))
    return evidence


def _own(gathered: _Gathered, part: str) -> tuple[str, ...]:
    """Pointers into the asked call's own body: those of its contract, and what bindings carry into it."""
    own = sensitive(gathered.contract.contract if gathered.contract else None, part)
    step = gathered.step
    if step is None or step.contract != gathered.command.contract:
        return own  # an undo is called with another contract than its step
    if part == "output" and step.step.for_each is not None:
        return own  # the plan's pointers lead into the list of all items' outputs
    return tuple(dict.fromkeys((*own, *gathered.marks.of(step.step.id, part))))


def _arguments(gathered: _Gathered, *, uri: str) -> dict[str, Any]:
    command, step = gathered.command, gathered.step
    # Arguments bound from agents' answers carry what agents wrote; only those from the process input alone do not.
    origin = "input" if step is not None and step.blame("") is Blame.CALLER else "agent"
    if isinstance(gathered.input, list) and command.kind is EscalationKind.APPROVAL and step is not None:
        pointers = gathered.marks.of_item(step.step.id)
        items = [mask(item, pointers) for item in gathered.input[:ITEMS_SHOWN_MAX]]
        shown = [{"item": number, "value": item} for number, item in enumerate(items)]
        total = len(gathered.input)
        return _entry(f"the {total} items", origin, shown, uri=uri, cut_already=total > ITEMS_SHOWN_MAX)
    label = "what the task is about" if command.kind is EscalationKind.TASK else "arguments of the call"
    return _entry(label, origin, mask(gathered.input, _own(gathered, "input")), uri=uri)


def _entry(label: str, origin: str, value: Json, *, uri: str, cut_already: bool = False) -> dict[str, Any]:
    shown, was_cut = cut(value)
    told = f"{label} (cut; the whole: {uri})" if was_cut or cut_already else label
    return {"label": told, "from": origin, "value": shown, "uri": uri}
