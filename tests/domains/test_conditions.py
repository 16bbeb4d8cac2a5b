from typing import Any

import pytest

from domains.running import ROOT
from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.checking.plans.compiled import CompiledContract, CompiledStep, Compiler, Scope
from process_orchestrator.core.facts.values import Assurance


def compiled(name: str) -> CompiledContract:
    contract = load_home(ROOT).contract(name)
    assert contract is not None
    return CompiledContract(contract)


def posting() -> CompiledStep:
    """The step of the shipped process that books an invoice."""
    registry = load_home(ROOT)
    process = registry.process("invoice_approval")
    assert process is not None
    pinned = registry.plan(process, server_floor=Assurance.A0).definitions
    return Compiler().plan(next(each for each in pinned if each.kind == "plan")).step("post")


def example(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    first = compiled(name).contract.examples[0]
    return first["input"], first["output"]


SUMS: list[tuple[dict[str, float], str | None]] = [
    ({}, None),
    ({"net": 80.01, "total": 100.01}, None),
    ({"net": 79.99, "total": 99.99}, None),
    ({"net": 80.02, "total": 100.02}, "lines_add_up_to_net"),
    ({"net": 79.98, "total": 99.98}, "lines_add_up_to_net"),
    ({"tax": 20.01}, "net_and_tax_make_total"),
]


@pytest.mark.parametrize(("change", "broken"), SUMS)
def test_an_invoice_whose_sums_do_not_add_up_breaks_its_contract(change: dict[str, float], broken: str | None) -> None:
    given, answer = example("invoice.extract")
    failure = compiled("invoice.extract").ensures_failed(given, answer | change)
    assert (failure.id if failure else None) == broken


@pytest.mark.parametrize(("total", "asked"), [(1000, False), (1000.0, False), (1000.01, True), (8107, True)])
def test_a_posting_above_the_limit_needs_an_approval(total: float, *, asked: bool) -> None:
    given, _ = example("ledger.post")
    gate = posting().gate(Scope(input={}, steps={}), given | {"net": total, "tax": 0, "total": total})
    assert (gate is not None) is asked
    if gate is not None:
        assert gate.role == "approver"


@pytest.mark.parametrize(
    ("change", "broken"),
    [({}, None), ({"net": -80.0, "tax": -20.0, "total": -100.0}, "positive"), ({"tax": 19.0}, "balanced")],
)
def test_only_a_balanced_positive_invoice_may_be_posted(change: dict[str, float], broken: str | None) -> None:
    given, _ = example("ledger.post")
    failure = compiled("ledger.post").requires_failed(given | change)
    assert (failure.id if failure else None) == broken


@pytest.mark.parametrize(
    ("change", "broken"), [({"total": 99.0}, "same_total"), ({"invoice_number": "LB-9"}, "same_invoice")]
)
def test_a_ledger_that_books_something_else_breaks_its_contract(change: dict[str, Any], broken: str) -> None:
    given, answer = example("ledger.post")
    failure = compiled("ledger.post").ensures_failed(given, answer | change)
    assert failure is not None
    assert failure.id == broken
