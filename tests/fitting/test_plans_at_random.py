"""Random contracts bound by random plans: what the check proves, bodies that keep the contracts never refute."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from checking_plan.making import agent, process
from fitting.random_schemas import NAMES, random_schema
from process_orchestrator.checking.documents.shape import contract_from
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.plans.compile import compile_process
from process_orchestrator.checking.schemas.generate import Limits, valid_values
from process_orchestrator.checking.schemas.paths import ABSENT
from process_orchestrator.checking.schemas.validate import Validator
from process_orchestrator.checking.values.bindings import Scope, StepScope, read_value, resolver
from process_orchestrator.core.errors import BindingError
from process_orchestrator.core.facts.values import Assurance

FEW = Limits(draws=60, nodes=200, all_nodes=4_000, depth=8, seconds=0.5)


@pytest.mark.behaviour("fits-proven")
@pytest.mark.parametrize("count", [60, pytest.param(1_500, marks=pytest.mark.slow)])
def test_a_verdict_on_a_binding_holds_for_every_body(count: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(count):
        _one_plan(Random(seed), seen)
    print(seen)
    assert seen["always"] > count
    assert seen["never"] > count / 10
    assert seen["refused"] > count / 10


def _object_schema(random: Random) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: random_schema(random, random.randint(0, 2)) for name in NAMES[: random.randint(1, 4)]},
        "required": random.sample(NAMES, random.randint(0, 2)),
    }
    if random.random() < 0.5:
        schema["additionalProperties"] = random.choice((False, {"type": "integer"}))
    if random.random() < 0.2:
        schema["anyOf"] = [{"required": [random.choice(NAMES)]}, {"required": [random.choice(NAMES)]}]
    if random.random() < 0.15:
        schema["allOf"] = [{"properties": {random.choice(NAMES): random_schema(random, 1)}}]
    if random.random() < 0.1:
        schema["if"] = {"required": [random.choice(NAMES)]}
        schema["then"] = {"required": [random.choice(NAMES)]}
    if random.random() < 0.2:
        name = random.choice(NAMES)
        schema["$defs"] = {"part": random_schema(random, 1)}
        schema["properties"][name] = {"$ref": "#/$defs/part"}
    return schema


def _contract(name: str, given: Any, answered: Any) -> Any:
    written = {"contract": name, "version": "1.0.0", "summary": "x", "effects": {"kind": "read"}}
    return contract_from({**written, "input": given, "output": answered}, path=f"{name}.contract.yaml")


def _value(random: Random) -> Any:
    place = random.choice(("$.steps.one.output", "$.steps.two.output", "$.input"))
    path = f"{place}.{random.choice(NAMES)}"
    if random.random() < 0.15:
        return {"first": [path, random.choice(("a", 1, f"{place}.{random.choice(NAMES)}"))]}
    if random.random() < 0.1:
        return random.choice(("a", 1, None, True, {"const": [1]}, {"const": {"a": 1}}))
    return f"{path}.{random.choice(NAMES)}" if random.random() < 0.2 else path


def _one_plan(random: Random, seen: Counter[str]) -> None:
    outputs = {"one": _object_schema(random), "two": _object_schema(random)}
    given, wanted = _object_schema(random), _object_schema(random)
    contracts = [_contract(name, {"type": "object"}, schema) for name, schema in outputs.items()]
    contracts.append(_contract("take", wanted, {"type": "object"}))
    written = {name: _value(random) for name in random.sample(NAMES, random.randint(1, 3))}
    steps = [{"id": name, "contract": name, "in": {}} for name in outputs]
    plan = {"steps": [*steps, {"id": "take", "contract": "take", "in": written}], "output": {}}
    process_type = process({"process": "p", "input": given, "output": {"type": "object"}, "plan": plan})
    registry = Registry.of(contracts=contracts, agents=[agent("all", *(f"{each.name}@^1" for each in contracts))])
    made = compile_process(process_type, registry=registry, server_floor=Assurance.A0)
    rows = {row.argument: row for row in made.rows if row.step == "take"}
    bad = any(problem.level == "error" and problem.code != "NEVER_FITS" for problem in made.problems)
    if bad or not rows:
        seen["other errors"] += 1
        return
    bodies = [valid_values(schema, count=8, seed=3, limits=FEW) for schema in (outputs["one"], outputs["two"], given)]
    if not all(bodies):
        return
    whole = rows.get("/")
    verdicts = {row.verdict for row in rows.values()}
    resolve = {name: resolver(read_value(each).value, {}) for name, each in written.items()}
    consumer, required = Validator(wanted), wanted["required"]
    for number in range(24):
        one, two, start = (each[number * stride % len(each)] for each, stride in zip(bodies, (1, 3, 5), strict=True))
        scope = Scope(input=start, steps={"one": StepScope("done", one), "two": StepScope("done", two)})
        try:
            arguments = {name: each(scope) for name, each in resolve.items()}
        except BindingError:
            continue
        there = {name: value for name, value in arguments.items() if value is not ABSENT}
        keeps = consumer.is_valid(there)
        for name in arguments:
            verdict = rows[f"/{name}"].verdict
            seen[verdict] += 1
            if verdict == "always":
                assert name in there or name not in required, (name, written, wanted, outputs, given)
            if verdict == "never" and name in there:
                assert not keeps, (name, there, written, wanted, outputs, given)
        if verdicts == {"always"}:
            assert keeps, (there, written, wanted, outputs, given)
        if whole is not None and whole.verdict == "never":
            assert not keeps, (there, written, wanted, outputs, given)
        seen["refused"] += not keeps
