"""Every default, written out, and that a definition shown in full loads again and means the same."""

from __future__ import annotations

import copy
import json
from hashlib import sha256
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from process_orchestrator.checking.documents.definitions import Agent, Contract, ProcessType
from process_orchestrator.checking.documents.show import show
from process_orchestrator.checking.loading.loader import definition_from_dict, load_bytes
from process_orchestrator.core.facts.specs import DeclaredError, RetryFacts
from process_orchestrator.core.facts.values import Assurance, Effect, FailureClass, Idempotency, OnFailure, Outcome

OBJECT: dict[str, Any] = {"type": "object", "properties": {"key": {"type": "string"}, "a": {"type": "number"}}}
CONTRACT: dict[str, Any] = {
    "contract": "a.b",
    "version": "1.0.0",
    "summary": "Does a thing.",
    "input": OBJECT,
    "output": OBJECT,
    "effects": {"kind": "read"},
}
AGENT: dict[str, Any] = {
    "agent": "one",
    "summary": "Keeps a contract.",
    "transport": {"kind": "mcp_stdio", "command": ["{python}", "x.py"]},
    "serves": [{"contract": "a.b", "bind": {"tool": "x"}}],
}
PROCESS: dict[str, Any] = {
    "process": "p",
    "version": "1.0.0",
    "summary": "Closes a task.",
    "input": OBJECT,
    "output": OBJECT,
    "plan": {"steps": [{"id": "s", "contract": "a.b"}], "output": {}},
}


def test_a_contract_shows_all_its_defaults() -> None:
    assert show(definition_from_dict("contract", CONTRACT)) == {
        **CONTRACT,
        "errors": {},
        "effects": {"kind": "read", "resources": []},
        "idempotency": "unsafe",
        "timeout": {"attempt_s": 30, "total_s": 180},
        "retry": {
            "max_attempts": 3,
            "on": ["transient", "timeout", "lost"],
            "initial_s": 1,
            "factor": 2,
            "max_s": 30,
            "jitter": "full",
        },
        "limits": {"output_bytes": 1000000, "depth": 64},
        "data": {"sensitive": []},
        "requires": [],
        "ensures": [],
        "status": "active",
        "todo": [],
        "examples": [],
    }


@pytest.mark.parametrize(
    ("kind", "idempotency", "attempts"),
    [
        ("none", "unsafe", 3),
        ("read", "unsafe", 3),
        ("write", "natural", 3),
        ("write", {"key": "key"}, 3),
        ("irreversible", {"key": "key"}, 3),
        ("write", "unsafe", 1),
        ("irreversible", "unsafe", 1),
    ],
)
def test_only_what_is_safe_to_repeat_is_tried_three_times(kind: str, idempotency: Any, attempts: int) -> None:
    contract = definition_from_dict("contract", {**CONTRACT, "effects": {"kind": kind}, "idempotency": idempotency})
    assert contract.retry.max_attempts == attempts


def test_a_contract_is_read_in_milliseconds_and_micro_dollars() -> None:
    contract = definition_from_dict(
        "contract",
        {
            **CONTRACT,
            "errors": {
                "busy": {"class": "transient", "retry_after": True},
                "half": {"class": "conflict", "outcome": "unknown"},
            },
            "effects": {
                "kind": "write",
                "resources": ["x:y"],
                "undo": {"contract": "a.undo@^1", "in": {"id": "$.output.a"}},
            },
            "idempotency": {"key": "key"},
            "timeout": {"attempt_s": 0.25, "total_s": 90},
            "retry": {"max_attempts": 5, "on": ["busy"], "initial_s": 0.1, "factor": 1.5, "max_s": 2, "jitter": "none"},
            "limits": {"output_bytes": 5000},
            "cost": {"per_call_usd": 0.002, "model_tokens": {"in": 1500, "out": 300}},
            "data": {"sensitive": ["/input/a"], "sensitivity": "confidential"},
            "approval": "always",
            "deprecated": {"since": "1.3.0", "use": "a.c"},
        },
    )
    assert contract.errors == {
        "busy": DeclaredError(class_=FailureClass.TRANSIENT, outcome=Outcome.NOT_DONE),
        "half": DeclaredError(class_=FailureClass.CONFLICT, outcome=Outcome.UNKNOWN),
    }
    assert contract.retry_after == ("busy",)
    assert contract.effect is Effect.WRITE
    assert contract.undo is not None
    assert (contract.undo.contract, contract.undo.input) == ("a.undo@^1", {"id": "$.output.a"})
    assert (contract.idempotency, contract.key_field) == (Idempotency.KEYED, "key")
    assert (contract.attempt_ms, contract.total_ms) == (250, 90000)
    assert contract.retry == RetryFacts(
        max_attempts=5, on=("busy",), initial_ms=100, factor=1.5, max_ms=2000, jitter=False
    )
    assert (contract.output_bytes, contract.depth) == (5000, 64)
    assert (contract.price_usd_micros, contract.model_tokens) == (2000, (1500, 300))
    assert (contract.sensitive, contract.sensitivity) == (("/input/a",), "confidential")
    assert contract.approval is not None
    assert (contract.approval.when, contract.approval.role, contract.approval.min_assurance) == (None, None, None)


def test_an_unknown_price_is_none_and_a_price_of_nothing_is_zero() -> None:
    assert definition_from_dict("contract", CONTRACT).price_usd_micros is None
    assert definition_from_dict("contract", {**CONTRACT, "cost": {"per_call_usd": 0}}).price_usd_micros == 0
    assert definition_from_dict("contract", {**CONTRACT, "cost": {"per_call_usd": 0.0000001}}).price_usd_micros == 1


def test_an_agent_shows_all_its_defaults() -> None:
    agent = definition_from_dict("agent", AGENT)
    assert show(agent) == {
        **AGENT,
        "limits": {"concurrency": 4, "output_bytes": 1000000},
        "circuit": {"failures": 5, "window_s": 60, "open_s": 30},
        "prefer": 100,
    }
    assert (agent.limits.per_s, agent.circuit.window_ms, agent.circuit.open_ms) == (None, 60000, 30000)


def test_an_agent_promises_its_name_and_what_it_serves_and_nothing_else() -> None:
    promise = b'{"agent":"one","serves":[{"bind":{"tool":"x"},"contract":"a.b"}]}'
    agent = definition_from_dict("agent", AGENT)
    elsewhere = definition_from_dict(
        "agent", {**AGENT, "prefer": 1, "transport": {"kind": "mcp_http", "url": "https://x.example"}}
    )
    other = definition_from_dict("agent", {**AGENT, "serves": [{"contract": "a.b", "bind": {"tool": "y"}}]})
    assert (agent.promise, agent.promise_sha256) == (promise, sha256(promise).hexdigest())
    assert elsewhere.promise_sha256 == agent.promise_sha256
    assert other.promise_sha256 != agent.promise_sha256


def test_a_started_agent_is_reached_over_loopback_and_others_are_not() -> None:
    serves = [{"contract": "a.b", "bind": {"method": "GET", "path": "/", "poll": {"status": "/s", "until": ["done"]}}}]
    http: dict[str, Any] = {**AGENT, "serves": serves, "transport": {"kind": "http", "base_url": "http://127.0.0.1:80"}}
    start = {"base_url": "http://127.0.0.1:{port}", "start": {"command": ["x"], "ready": "/ok"}}
    assert definition_from_dict("agent", http).transport.allow_loopback is False
    started = definition_from_dict("agent", {**http, "transport": {**http["transport"], **start}})
    assert started.transport.allow_loopback is True
    assert (started.transport.start_command, started.transport.start_ready) == (("x",), "/ok")
    assert started.transport.url == "http://127.0.0.1:{port}"
    assert started.serves[0].bind["poll"] == {"status": "/s", "until": ["done"], "failed": [], "every_s": 5}


def test_a_process_shows_all_its_defaults() -> None:
    steps: list[dict[str, Any]] = [
        {"id": "s", "contract": "a.b"},
        {"id": "m", "contract": "a.b", "for_each": "$.input.l", "on_failure": {"busy": "skip"}},
        {"id": "w", "wait": {"seconds": 1}, "on_failure": "skip"},
        {"id": "r", "process": "q", "repeat": {"until": {"expr": "true"}}},
    ]
    written = {**PROCESS, "plan": {"steps": steps, "output": {}}, "on_failure": "fail"}
    assert show(definition_from_dict("process", written)) == {
        **written,
        "intake": {"keywords": [], "examples": [], "requires": []},
        "plan": {
            "steps": [
                {**steps[0], "after": [], "on_failure": {"else": "fail"}},
                {
                    **steps[1],
                    "after": [],
                    "parallel": 4,
                    "item_failure": "stop",
                    "on_failure": {"busy": "skip", "else": "fail"},
                },
                {**steps[2], "after": [], "on_failure": {"else": "skip"}},
                {
                    **steps[3],
                    "after": [],
                    "on_failure": {"else": "fail"},
                    "repeat": {"until": {"expr": "true"}, "max": 5, "every_s": 10},
                },
            ],
            "output": {},
        },
        "budget": {"usd": 1.00, "calls": 100, "tokens": 500000, "total_s": 3600, "unknown": "allow"},
        "limits": {"steps": 30, "replans": 2, "same_call": 3, "depth": 3},
        "escalation": {"role": "approver", "deadline_s": 86400, "on_deadline": "reject", "min_assurance": "A2"},
        "on_failure": "fail",
        "on_cancel": "leave",
        "on_abort": "leave",
    }


def test_a_process_is_read_with_everything_a_step_may_say() -> None:
    step = {
        "id": "m",
        "contract": "a.b@^1",
        "agent": "one",
        "in": {"a": "$.item"},
        "after": ["s"],
        "when": {"let": {"a": "$.input.a"}, "expr": "a > 1.0"},
        "default": None,
        "for_each": "$.input.l",
        "parallel": 8,
        "item_failure": "skip",
        "timeout_s": 5,
        "retry": {"max_attempts": 2},
        "approval": {"role": "chief", "min_assurance": "A3", "show": ["$.input.a"]},
        "on_failure": {"else": "compensate"},
    }
    on_deadline = {"role": "chief"}
    made = definition_from_dict(
        "process",
        {
            **PROCESS,
            "plan": {"steps": [PROCESS["plan"]["steps"][0], step], "output": {}},
            "escalation": {"on_deadline": on_deadline},
        },
    )
    assert made.plan is not None
    first, second = made.plan.steps
    assert first.default is msgspec.UNSET
    assert first.on_failure == {"else": OnFailure.ESCALATE}
    assert second.default is None
    assert (second.agent, second.after, second.parallel, second.item_failure) == ("one", ("s",), 8, "skip")
    assert (second.timeout_s, second.retry, second.for_each) == (5.0, {"max_attempts": 2}, "$.input.l")
    assert second.approval is not None
    assert (second.approval.role, second.approval.min_assurance, second.approval.show) == (
        "chief",
        Assurance.A3,
        ("$.input.a",),
    )
    assert second.on_failure == {"else": OnFailure.COMPENSATE}
    assert made.escalation.on_deadline == "role:chief"


def test_the_hash_of_a_definition_is_over_what_was_written_not_over_how() -> None:
    canonical = b'{"agent":"one","serves":[{"bind":{"tool":"x"},"contract":"a.b"}],"summary":"Keeps a contract.","transport":{"command":["{python}","x.py"],"kind":"mcp_stdio"}}'
    flow = json.dumps(AGENT).encode()
    block = yaml.safe_dump(dict(reversed(AGENT.items()))).encode()
    for text in (flow, block):
        definition = load_bytes(text, file="one.agent.yaml", path="p").definition
        assert definition is not None
        assert definition.source.canonical == canonical
        assert definition.source.sha256 == sha256(canonical).hexdigest()


def parts(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=optional)


SECONDS = st.floats(0.001, 1000).map(lambda number: round(number, 3)) | st.integers(1, 1000)
RETRY = parts(
    max_attempts=st.integers(1, 9),
    on=st.lists(st.sampled_from(["transient", "timeout", "busy"]), unique=True),
    initial_s=st.just(0.5),
    factor=st.floats(1, 5),
    max_s=st.floats(1, 50),
    jitter=st.sampled_from(["full", "none"]),
)
CONTRACTS = parts(
    errors=st.just({"busy": {"class": "transient"}}),
    effects=st.fixed_dictionaries(
        {"kind": st.sampled_from(["none", "read"])}, optional={"resources": st.just(["a:b"])}
    ),
    idempotency=st.sampled_from(["natural", "unsafe", {"key": "key"}]),
    limits=parts(output_bytes=st.integers(1, 10**8), depth=st.integers(1, 500)),
    cost=st.sampled_from([{"per_call_usd": 0.1}, {"per_call_usd": 1}, {"model_tokens": {"in": 1, "out": 2}}]),
    data=parts(sensitive=st.just(["/output/a"]), sensitivity=st.sampled_from(["public", "restricted"])),
    approval=st.sampled_from(["always", {"role": "r"}, {"when": {"expr": "input.a > 1.0"}, "min_assurance": "A1"}]),
    status=st.sampled_from(["active", "draft"]),
    todo=st.just(["decide"]),
    examples=st.just([{"name": "x", "input": {"a": 1.5}, "output": {}}]),
)
AGENTS = parts(
    limits=parts(concurrency=st.integers(1, 9), per_s=SECONDS, output_bytes=st.integers(1, 9), usd_per_day=SECONDS),
    circuit=parts(failures=st.integers(1, 9), window_s=SECONDS, open_s=SECONDS),
    prefer=st.integers(0, 1000),
)
STEPS = parts(
    after=st.just([]),
    when=st.sampled_from(["$.input.a", {"expr": "true"}]),
    default=st.sampled_from([None, 1, {"a": 1}]),
    timeout_s=SECONDS,
    retry=RETRY,
    repeat=st.just({"until": "$.input.a", "max": 3}),
    approval=st.sampled_from(["always", {"role": "r"}]),
    on_failure=st.sampled_from(["fail", {"busy": "skip"}, {"else": "fail"}]),
) | parts(for_each=st.just("$.input.l")).map(lambda step: {**step, "parallel": 2} if step else step)
PROCESSES = parts(
    intake=parts(keywords=st.just(["a b*"]), examples=st.just(["do"]), requires=st.just(["/a"])),
    budget=parts(usd=SECONDS, calls=st.integers(1, 9), unknown=st.just("refuse")),
    limits=parts(steps=st.integers(1, 9), depth=st.integers(0, 9)),
    escalation=parts(role=st.just("r"), on_deadline=st.sampled_from(["abort", {"role": "q"}])),
    on_failure=st.sampled_from(["fail", "skip"]),
    on_cancel=st.just("compensate"),
)


def same(one: Contract | ProcessType | Agent, other: Contract | ProcessType | Agent) -> bool:
    """Equal but for where and how they were written."""
    return msgspec.structs.replace(one, source=other.source) == other


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_definition_shown_in_full_loads_again_and_means_the_same(data: st.DataObject) -> None:
    kind, whole, optional = data.draw(
        st.sampled_from([("contract", CONTRACT, CONTRACTS), ("agent", AGENT, AGENTS), ("process", PROCESS, PROCESSES)])
    )
    written = {**copy.deepcopy(whole), **data.draw(optional)}
    if kind == "process":
        written["plan"]["steps"][0] |= data.draw(STEPS)
    first = definition_from_dict(kind, written)  # pyright: ignore[reportCallIssue, reportArgumentType]
    shown = show(first)
    text = json.dumps(shown).encode()
    loaded = load_bytes(text, file=f"x.{kind}.yaml", path="x")
    assert loaded.problems == ()
    assert loaded.definition is not None
    assert same(first, loaded.definition)
    assert show(loaded.definition) == shown
