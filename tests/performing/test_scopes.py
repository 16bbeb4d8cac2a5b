"""What a map's list may look at decides which evaluated list is remembered for it."""

import anyio
import pytest

from performing.desk import LEDGER, PAY, Store, ledger_agent, schema
from process_orchestrator.checking.loading.loader import definition_from_dict
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.plans.compiled import CompiledPlan, Compiler
from process_orchestrator.core.facts.commands import PlanContext, Source
from process_orchestrator.core.facts.values import Assurance, Phase, TypePin
from process_orchestrator.performing.body_cache import BodyCache
from process_orchestrator.performing.scopes import Scopes

NUMBERS = {"type": "array", "items": {"type": "number"}}
SORTED_OUT = {
    **PAY,
    "input": schema("numbers", "vendor", numbers=NUMBERS, vendor={"type": "string"}, go={"type": "boolean"}),
    "plan": {
        "steps": [
            {
                "id": "first",
                "contract": "ledger.post",
                "in": {"total": 1, "vendor": "$.input.vendor"},
                "when": "$.input.go",
                "default": {"id": "none", "total": 1},
            },
            {
                "id": "all",
                "contract": "ledger.post",
                "for_each": {
                    "let": {"was": "$.steps.first.status", "numbers": "$.input.numbers"},
                    "expr": "was == 'done' ? numbers : []",
                },
                "in": {"total": "$.item", "vendor": "$.input.vendor"},
            },
        ],
        "output": {"id": "$.steps.first.output.id"},
    },
}


@pytest.fixture
def store_and_plan() -> tuple[Store, CompiledPlan, PlanContext]:
    registry = Registry.of(
        [definition_from_dict("contract", LEDGER)],
        [definition_from_dict("process", SORTED_OUT)],
        [definition_from_dict("agent", ledger_agent("ledger", 1))],
    )
    found = registry.process("pay")
    assert found is not None
    checked = registry.plan(found, server_floor=Assurance.A0)
    assert checked.facts is not None
    store = Store(checked.definitions)
    (body,) = (each for each in checked.definitions if each.sha256 == checked.facts.sha256)
    context = PlanContext(
        plan=checked.facts.sha256,
        type=TypePin(name="pay", version="1.0.0", sha256=found.source.sha256),
        input=store.put({"numbers": [1, 2, 3], "vendor": "ACME"}),
    )
    return store, Compiler().plan(body), context


def test_a_list_that_asks_how_a_step_ended_is_not_that_of_a_process_where_it_ended_otherwise(
    store_and_plan: tuple[Store, CompiledPlan, PlanContext],
) -> None:
    store, plan, empty = store_and_plan
    scopes, step = Scopes(BodyCache(store)), plan.step("all")
    same = store.put({"id": "none", "total": 1})

    def items(status: Phase) -> list[object]:
        context = PlanContext(
            plan=empty.plan, type=empty.type, input=empty.input, sources={"first": Source(status=status, output=same)}
        )
        return scopes.items(step, context, anyio.run(scopes.of, context))

    assert items(Phase.DONE) == [1, 2, 3]
    assert items(Phase.SKIPPED) == []
    assert items(Phase.DONE) == [1, 2, 3]
