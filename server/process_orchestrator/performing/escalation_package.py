"""Computes the evidence package of a question to a person: what is asked, why, each option's effect, the evidence.

By code alone, from the command, the pinned definitions and stored bodies. What changes while the question is open
(spent, tried, deadline) is no part of it: views render that from the state. Sensitive parts are masked before the
package is stored, so no reader of it can leak them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import orjson

from process_orchestrator.checking.definitions import Contract, Json
from process_orchestrator.checking.masking import cut, mask, sensitive
from process_orchestrator.core.assurance import required_assurance
from process_orchestrator.core.facts.events import EscalationOpened
from process_orchestrator.core.facts.values import Blame, Decision, EscalationKind, Ref
from process_orchestrator.core.money import usd
from process_orchestrator.core.ports import Body, Performed
from process_orchestrator.performing import escalation_words as words

if TYPE_CHECKING:
    from process_orchestrator.checking.compiled import CompiledContract, CompiledPlan, CompiledStep, Compiler
    from process_orchestrator.core.facts.commands import OpenEscalation
    from process_orchestrator.core.ports import Artifacts

SOURCES_SHOWN_MAX: Final = 8
"""Earlier outputs that stand as evidence beside the call's own arguments."""

ITEMS_SHOWN_MAX: Final = 50
AMOUNT_PATTERN: Final = r"^[0-9]{1,9}(\.[0-9]{1,6})?$"


class _Gathered:
    """Everything the package is made of, read once."""

    def __init__(self, command: OpenEscalation) -> None:
        self.command = command
        self.contract: CompiledContract | None = None
        self.plan: CompiledPlan | None = None
        self.plan_document: dict[str, Json] = {}
        self.step: CompiledStep | None = None
        self.type_body: dict[str, Json] = {}
        self.input: Json = None
        self.detail: dict[str, Json] = {}
        self.process_input: Json = None
        self.sources: list[tuple[str, Json]] = []


async def build(command: OpenEscalation, *, artifacts: Artifacts, compiler: Compiler, at: int) -> Performed:
    """The event that opens the question, and its package. `at` is epoch milliseconds."""
    gathered = await _gather(command, artifacts=artifacts, compiler=compiler)
    data = orjson.dumps(_package(gathered), option=orjson.OPT_SORT_KEYS)
    ref = Ref(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    event = EscalationOpened(
        at=at,
        escalation=command.escalation,
        package=ref,
        schema_sha256=command.contract.sha256 if command.contract else None,
    )
    return Performed(event=event, bodies=(Body(ref=ref, data=data),))


async def _gather(command: OpenEscalation, *, artifacts: Artifacts, compiler: Compiler) -> _Gathered:
    gathered = _Gathered(command)
    if command.contract is not None:
        gathered.contract = compiler.contract(await artifacts.definition(command.contract.sha256))
    if command.input is not None:
        gathered.input = orjson.loads(await artifacts.body(command.input))
    if command.detail is not None:
        detail = orjson.loads(await artifacts.body(command.detail))
        gathered.detail = detail if isinstance(detail, dict) else {"answer": detail}
    context = command.context
    if context is None:
        return gathered
    if context.plan:
        body = await artifacts.definition(context.plan)
        gathered.plan, gathered.plan_document = compiler.plan(body), orjson.loads(body.data)
        if command.step is not None:
            gathered.step = gathered.plan.step(command.step)
    if context.type is not None:
        gathered.type_body = orjson.loads((await artifacts.definition(context.type.sha256)).data)
    if context.input is not None:
        gathered.process_input = orjson.loads(await artifacts.body(context.input))
    for step, source in list(context.sources.items())[:SOURCES_SHOWN_MAX]:
        if source.output is None:
            continue
        value = orjson.loads(await artifacts.body(source.output))
        contract = await _contract_of(step, gathered.plan, artifacts=artifacts, compiler=compiler)
        gathered.sources.append((step, _masked_output(value, contract)))
    return gathered


async def _contract_of(
    step: str, plan: CompiledPlan | None, *, artifacts: Artifacts, compiler: Compiler
) -> Contract | None:
    pin = plan.step(step).contract if plan is not None else None
    return compiler.contract(await artifacts.definition(pin.sha256)).contract if pin is not None else None


def _masked_output(value: Json, contract: Contract | None) -> Json:
    # The output of a mapped step is the list of its items' outputs; a pointer goes through a list by itself.
    return mask(value, sensitive(contract, "output"))


def _package(gathered: _Gathered) -> dict[str, Json]:
    command, facts = gathered.command, _facts(gathered)
    return {
        "question": words.question(command, facts),
        "why": {"rule": words.rule(command, facts)},
        "goal": _goal(facts),
        "options": [_option(decision, gathered, facts) for decision in command.decisions],
        "evidence": _evidence(gathered),
        "warnings": list(words.warnings(command, facts)),
        "digest": command.digest,
    }


def _facts(gathered: _Gathered) -> words.Facts:
    command, step, type_body = gathered.command, gathered.step, gathered.type_body
    context = command.context
    whole_map = command.kind is EscalationKind.APPROVAL and isinstance(gathered.input, list)
    return words.Facts(
        contract=gathered.contract.contract if gathered.contract else None,
        agents=tuple(agent.name for agent in step.agents) if step else (),
        type_name=context.type.name if context and context.type else None,
        type_summary=type_body.get("summary"),
        on_abort=type_body.get("on_abort", "leave"),
        on_failure=step.step.on_failure if step else {},
        has_default=step is not None and _has_default(step),
        items=tuple(gathered.input) if whole_map else None,
        message=_message(gathered),
        steps=len(gathered.plan_document.get("steps", ())) or None,
    )


def _has_default(step: CompiledStep) -> bool:
    return type(step.step.default).__name__ != "UnsetType"


def _message(gathered: _Gathered) -> str | None:
    """The first error in words; validators mask values, so the text is ours."""
    errors = gathered.detail.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    message = first.get("message") if isinstance(first, dict) else None
    return str(message)[: words.MESSAGE_CHARACTERS_MAX] if message else None


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
        times = len(facts.items) if facts.items is not None else 1
        option["cost_usd"] = usd(contract.price_usd_micros * times)
    schema = data_schema(decision, kind=command.kind, facts=facts)
    return option if schema is None else {**option, "data_schema": schema}


def data_schema(decision: Decision, *, kind: EscalationKind, facts: words.Facts) -> dict[str, Json] | None:
    """JSON Schema of a decision's `data`, or None where it takes none."""
    contract = facts.contract
    match decision:
        case Decision.APPROVE if facts.items is not None:
            numbers = {"type": "integer", "minimum": 0, "maximum": max(0, len(facts.items) - 1)}
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
    place = f"process://{command.process}/steps/{command.unit or command.step}"
    trace = f"process://{command.process}/trace"
    contract = gathered.contract.contract if gathered.contract else None
    evidence: list[dict[str, Any]] = []
    if command.input is not None:
        evidence.append(_arguments(gathered, uri=f"{place}/input"))
    detail = gathered.detail
    if "answer" in detail and detail["answer"] is not None:
        answer = _masked_output(detail["answer"], contract)
        evidence.append(_entry("answer as received", "agent", answer, uri=f"{place}/output"))
    if detail.get("errors"):
        evidence.append(_entry("what is wrong with it", "engine", detail["errors"], uri=trace))
    if detail.get("stderr"):
        evidence.append(_entry("last lines of the agent's log", "agent", detail["stderr"], uri=trace))
    for step, value in gathered.sources:
        uri = f"process://{command.process}/steps/{step}/output"
        evidence.append(_entry(f"output of step {step}", "agent", value, uri=uri))
    if gathered.process_input is not None:
        uri = f"process://{command.process}/state"
        evidence.append(_entry("input of the process", "input", gathered.process_input, uri=uri))
    if command.kind is EscalationKind.PLAN and gathered.plan_document:
        steps = gathered.plan_document.get("steps", [])
        evidence.append(_entry("the plan", "engine", steps, uri=f"process://{command.process}/diagram"))
    return evidence


def _arguments(gathered: _Gathered, *, uri: str) -> dict[str, Any]:
    command, step = gathered.command, gathered.step
    contract = gathered.contract.contract if gathered.contract else None
    # Arguments bound from agents' answers carry what agents wrote; only those from the process input alone do not.
    origin = "input" if step is not None and step.blame("") is Blame.CALLER else "agent"
    if isinstance(gathered.input, list) and command.kind is EscalationKind.APPROVAL:
        items = mask(gathered.input, sensitive(contract, "input"))
        shown = [{"item": number, "value": item} for number, item in enumerate(items[:ITEMS_SHOWN_MAX])]
        return _entry(f"the {len(items)} items", origin, shown, uri=uri, cut_already=len(items) > ITEMS_SHOWN_MAX)
    value = mask(gathered.input, sensitive(contract, "input"))
    label = "what the task is about" if command.kind is EscalationKind.TASK else "arguments of the call"
    return _entry(label, origin, value, uri=uri)


def _entry(label: str, origin: str, value: Json, *, uri: str, cut_already: bool = False) -> dict[str, Any]:
    shown, was_cut = cut(value)
    told = f"{label} (cut; the whole: {uri})" if was_cut or cut_already else label
    return {"label": told, "from": origin, "value": shown, "uri": uri}
