"""From a definition as written to its struct: defaults filled in, money in micro-dollars, seconds in milliseconds.

Takes for granted that the meta-schema found nothing wrong. Finds no faults: that is the lint's. The one place that
reads a pinned definition (canonical JSON from the database) back into the same struct.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec
import rfc8785

from process_orchestrator.checking.documents.defaults import filled
from process_orchestrator.checking.documents.definitions import (
    Agent,
    AgentLimits,
    Approval,
    Circuit,
    Condition,
    Contract,
    EscalationPolicy,
    Intake,
    Plan,
    ProcessType,
    Serve,
    SourceFile,
    Step,
    StepApproval,
    Transport,
    TypeBudget,
    TypeLimits,
    Undo,
)
from process_orchestrator.checking.documents.model_agents import promised_bind
from process_orchestrator.core.facts.specs import DeclaredError, RetryFacts
from process_orchestrator.core.facts.values import Assurance, Effect, FailureClass, Idempotency, OnFailure, Outcome

Json = Any
Written = Mapping[str, Json]
Definition = Contract | ProcessType | Agent

KINDS = ("contract", "process", "agent")


def kind_of(written: Json) -> str | None:
    """What a definition says it is: contract, process or agent; None where it names none of them or several."""
    named = [kind for kind in KINDS if kind in written] if isinstance(written, dict) else []
    return named[0] if len(named) == 1 else None


def shaped(kind: str, written: Written, *, path: str) -> Definition:
    """The struct of a definition as written."""
    if kind == "contract":
        return contract_from(written, path=path)
    return process_from(written, path=path) if kind == "process" else agent_from(written, path=path)


def pinned_contract(data: bytes) -> Contract:
    """The contract whose canonical JSON is `data` (a `DefinitionBody` of kind contract)."""
    return contract_from(json.loads(data), path="<pinned>")


def contract_from(written: Written, *, path: str) -> Contract:
    """The struct of a contract."""
    whole = filled("contract", written)
    effects, errors, cost = whole["effects"], whole["errors"], whole.get("cost", {})
    idempotency, key_field = _idempotency(whole["idempotency"])
    tokens = cost.get("model_tokens")
    undo = effects.get("undo")
    return Contract(
        name=whole["contract"],
        version=whole["version"],
        summary=whole["summary"],
        input=whole["input"],
        output=whole["output"],
        errors={
            code: DeclaredError(class_=FailureClass(error["class"]), outcome=Outcome(error["outcome"]))
            for code, error in errors.items()
        },
        retry_after=tuple(code for code, error in errors.items() if error["retry_after"]),
        effect=Effect(effects["kind"]),
        resources=tuple(effects["resources"]),
        undo=None if undo is None else Undo(contract=undo["contract"], input=undo["in"]),
        idempotency=idempotency,
        key_field=key_field,
        attempt_ms=milliseconds(whole["timeout"]["attempt_s"]),
        total_ms=milliseconds(whole["timeout"]["total_s"]),
        retry=retry_facts(whole["retry"]),
        output_bytes=int(whole["limits"]["output_bytes"]),
        depth=int(whole["limits"]["depth"]),
        price_usd_micros=micros(cost["per_call_usd"]) if "per_call_usd" in cost else None,
        model_tokens=None if tokens is None else (int(tokens["in"]), int(tokens["out"])),
        sensitive=tuple(whole["data"]["sensitive"]),
        sensitivity=whole["data"].get("sensitivity"),
        requires=tuple(Condition(id=each["id"], expr=each["expr"]) for each in whole["requires"]),
        ensures=tuple(Condition(id=each["id"], expr=each["expr"]) for each in whole["ensures"]),
        approval=_approval(whole.get("approval")),
        status=whole["status"],
        todo=tuple(whole["todo"]),
        examples=tuple(dict(example) for example in whole["examples"]),
        deprecated=whole.get("deprecated"),
        source=source_of(written, path=path),
    )


def agent_from(written: Written, *, path: str) -> Agent:
    """The struct of an agent. Its promise is its name and its `serves` as a process pins them."""
    whole = filled("agent", written)
    serves = tuple(
        Serve(contract=each["contract"], bind=promised_bind(whole["transport"], each["bind"]))
        for each in whole["serves"]
    )
    promise = rfc8785.dumps(
        {"agent": whole["agent"], "serves": [{"contract": each.contract, "bind": each.bind} for each in serves]}
    )
    circuit = whole["circuit"]
    return Agent(
        name=whole["agent"],
        summary=whole["summary"],
        transport=_transport(whole["transport"]),
        serves=serves,
        limits=AgentLimits(
            concurrency=int(whole["limits"]["concurrency"]),
            per_s=whole["limits"].get("per_s"),
            output_bytes=int(whole["limits"]["output_bytes"]),
            usd_per_day=whole["limits"].get("usd_per_day"),
        ),
        circuit=Circuit(
            failures=int(circuit["failures"]),
            window_ms=milliseconds(circuit["window_s"]),
            open_ms=milliseconds(circuit["open_s"]),
        ),
        prefer=int(whole["prefer"]),
        promise_sha256=sha256(promise).hexdigest(),
        promise=promise,
        source=source_of(written, path=path),
    )


def process_from(written: Written, *, path: str) -> ProcessType:
    """The struct of a process type."""
    whole = filled("process", written)
    budget, limits, intake, plan = whole["budget"], whole["limits"], whole["intake"], whole.get("plan")
    return ProcessType(
        name=whole["process"],
        version=whole["version"],
        summary=whole["summary"],
        intake=Intake(
            keywords=tuple(intake["keywords"]), examples=tuple(intake["examples"]), requires=tuple(intake["requires"])
        ),
        input=whole["input"],
        output=whole["output"],
        contracts=tuple(whole.get("contracts", ())),
        plan=None if plan is None else plan_from(plan),
        budget=TypeBudget(
            usd=float(budget["usd"]),
            calls=int(budget["calls"]),
            tokens=int(budget["tokens"]),
            total_s=float(budget["total_s"]),
            unknown=budget["unknown"],
        ),
        limits=TypeLimits(
            steps=int(limits["steps"]),
            replans=int(limits["replans"]),
            same_call=int(limits["same_call"]),
            depth=int(limits["depth"]),
        ),
        escalation=_escalation(whole["escalation"]),
        on_failure=OnFailure(whole["on_failure"]),
        on_cancel=whole["on_cancel"],
        on_abort=whole["on_abort"],
        source=source_of(written, path=path),
    )


def plan_from(plan: Written) -> Plan:
    """The struct of a plan whose steps have their defaults."""
    return Plan(steps=tuple(_step(step) for step in plan["steps"]), output=plan["output"])


def _step(step: Written) -> Step:
    wait = step.get("wait")
    timeout_s = step.get("timeout_s")
    return Step(
        id=step["id"],
        contract=step.get("contract"),
        process=step.get("process"),
        wait_s=None if wait is None else float(wait["seconds"]),
        agent=step.get("agent"),
        input=step.get("in"),
        after=tuple(step["after"]),
        when=step.get("when"),
        default=step.get("default", msgspec.UNSET),
        for_each=step.get("for_each"),
        parallel=int(step.get("parallel", 4)),
        item_failure=step.get("item_failure", "stop"),
        timeout_s=None if timeout_s is None else float(timeout_s),
        retry=step.get("retry"),
        repeat=step.get("repeat"),
        approval=_step_approval(step.get("approval")),
        on_failure={code: OnFailure(word) for code, word in step["on_failure"].items()},
    )


def source_of(written: Written, *, path: str) -> SourceFile:
    """Where a definition came from, and its canonical JSON as written."""
    canonical = rfc8785.dumps(dict(written))
    return SourceFile(path=path, sha256=sha256(canonical).hexdigest(), canonical=canonical)


def retry_facts(retry: Written) -> RetryFacts:
    """A whole `retry` block in milliseconds."""
    return RetryFacts(
        max_attempts=int(retry["max_attempts"]),
        on=tuple(retry["on"]),
        initial_ms=milliseconds(retry["initial_s"]),
        factor=float(retry["factor"]),
        max_ms=milliseconds(retry["max_s"]),
        jitter=retry["jitter"] == "full",
    )


def milliseconds(seconds: float) -> int:
    """Seconds in whole milliseconds, at least one where there is any time at all."""
    return max(1, round(seconds * 1000)) if seconds > 0 else 0


def micros(usd: float) -> int:
    """Dollars in whole micro-dollars, rounded up: a price is never understated."""
    return -int(-round(usd * 1_000_000, 3) // 1)


def _idempotency(written: Json) -> tuple[Idempotency, str | None]:
    if isinstance(written, str):
        return Idempotency(written), None
    return Idempotency.KEYED, written["key"]


def _approval(written: Json) -> Approval | None:
    if written is None:
        return None
    parts: Written = {} if isinstance(written, str) else written
    return Approval(
        when=parts.get("when"),
        role=parts.get("role"),
        min_assurance=_assurance(parts.get("min_assurance")),
        show=tuple(parts.get("show", ())),
    )


def _step_approval(written: Json) -> StepApproval | None:
    if written is None:
        return None
    parts: Written = {} if isinstance(written, str) else written
    return StepApproval(
        when=parts.get("when"),
        role=parts.get("role"),
        min_assurance=_assurance(parts.get("min_assurance")),
        show=tuple(parts.get("show", ())),
    )


def _assurance(written: str | None) -> Assurance | None:
    return None if written is None else Assurance(written)


def _escalation(written: Written) -> EscalationPolicy:
    on_deadline = written["on_deadline"]
    return EscalationPolicy(
        role=written["role"],
        deadline_s=int(written["deadline_s"]),
        on_deadline=on_deadline if isinstance(on_deadline, str) else f"role:{on_deadline['role']}",
        min_assurance=Assurance(written["min_assurance"]),
    )


def _transport(written: Written) -> Transport:
    start = written.get("start", {})
    return Transport(
        kind=written["kind"],
        command=tuple(written.get("command", ())),
        env=dict(written.get("env", {})),
        url=written.get("url", written.get("base_url")),
        auth=written.get("auth"),
        allow_loopback=written.get("allow_loopback", False),
        start_command=tuple(start.get("command", ())),
        start_ready=start.get("ready"),
        role=written.get("role"),
        tier=written.get("tier"),
        instructions=written.get("instructions"),
        card=written.get("card"),
        endpoint=written.get("endpoint"),
    )
