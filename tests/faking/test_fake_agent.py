"""Fakes as values: what they answer, and that they answer it again."""

from pathlib import Path
from typing import Any

import pytest

from process_orchestrator.checking.documents.definitions import Contract
from process_orchestrator.checking.loading.loader import definition_from_dict, load_home
from process_orchestrator.checking.plans.compiled import CompiledContract
from process_orchestrator.checking.schemas.generate import invalid_values, valid_values
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.usecases.faking import FakeAgent, read_fault

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = {each.name: each for each in load_home(ROOT).contracts}


def inputs(contract: Contract, *, count: int = 8) -> tuple[dict[str, Any], ...]:
    compiled = CompiledContract(contract)
    examples = [each["input"] for each in contract.examples]
    keeps = compiled.requires_failed
    return valid_values(
        contract.input, count=count, seed=4, examples=examples, accept=lambda value: keeps(value) is None
    )


@pytest.mark.behaviour("fake")
@pytest.mark.parametrize("name", CONTRACTS)
def test_every_answer_keeps_the_contract_and_comes_again(name: str) -> None:
    contract = CONTRACTS[name]
    compiled = CompiledContract(contract)
    agent, again = FakeAgent([contract]), FakeAgent([contract])
    answers: dict[str, Any] = {}
    for given in inputs(contract):
        answer = agent.answer(name, given)
        if answer.error is not None:
            assert answer.error in contract.errors, answer.message
            continue
        assert compiled.output_problems(answer.value) == ()
        assert compiled.ensures_failed(given, answer.value) is None
        assert again.answer(name, given) == answer == agent.answer(name, given)
        answers[repr(answer.value)] = given
    assert answers


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_broken_input_is_refused_with_its_pointer(name: str) -> None:
    agent = FakeAgent([CONTRACTS[name]])
    for row in invalid_values(CONTRACTS[name].input, count=8, accept=lambda value: isinstance(value, dict)):
        answer = agent.answer(name, row.value)
        assert answer.error == "input_mismatch"
        assert answer.message


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("value", [float("nan"), "\ud800", deep(100)], ids=["NaN", "half a character", "too deep"])
def test_what_is_no_json_is_refused_as_well(value: Any) -> None:
    given = {"document": "x", "odd": value}
    assert FakeAgent([CONTRACTS["invoice.extract"]]).answer("invoice.extract", given).error == "input_mismatch"


def test_examples_are_answered_as_they_say() -> None:
    contract = CONTRACTS["ledger.post"]
    agent = FakeAgent([contract])
    for example in contract.examples:
        answer = agent.answer("ledger.post", example["input"])
        assert (answer.error, answer.value) == (example.get("error"), example.get("output"))


def test_an_answer_hangs_on_the_seed_and_the_input_and_not_on_the_key() -> None:
    contract = CONTRACTS["ledger.post"]
    given = contract.examples[0]["input"] | {"invoice_number": "X-1"}
    first = FakeAgent([contract]).answer("ledger.post", given).value
    assert FakeAgent([contract]).answer("ledger.post", given | {"request_id": "another"}).value == first
    others = [FakeAgent([contract], seed=seed).answer("ledger.post", given).value for seed in range(1, 6)]
    assert any(each != first for each in others)
    assert {each["invoice_number"] for each in others} == {"X-1"}  # as `ensures` says


def test_a_key_with_another_input_is_the_declared_conflict() -> None:
    contract = CONTRACTS["ledger.post"]
    agent, given = FakeAgent([contract]), contract.examples[0]["input"]
    assert agent.answer("ledger.post", given).error is None
    assert agent.answer("ledger.post", given | {"invoice_number": "X-2"}).error == "conflict"
    assert agent.answer("ledger.post", given).error is None


def test_faults_come_in_their_share_whatever_is_asked() -> None:
    contract = CONTRACTS["ledger.post"]
    agent = FakeAgent(CONTRACTS.values(), faults=[read_fault("ledger.post:busy=0.25")])
    given = contract.examples[0]["input"]
    errors = [agent.answer("ledger.post", given).error for _ in range(400)]
    assert 60 < errors.count("busy") < 140
    void = {"id": "L-000001", "reason": "Booked twice."}
    assert {agent.answer("ledger.void", void).error for _ in range(20)} == {None}


@pytest.mark.parametrize("text", ["busy", "busy=2", "busy=x", "=0.5", "no_such_error=0.5", "policy.check:busy=0.5"])
def test_a_fault_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="Do: "):
        FakeAgent(CONTRACTS.values(), faults=[read_fault(text)])


def test_what_cannot_be_made_up_says_so_and_what_helps() -> None:
    whole = {"type": "object", "required": ["n"], "properties": {"n": {"type": "string", "minLength": 3}}}
    written = {
        "contract": "odd.one",
        "version": "1.0.0",
        "summary": "A digest that nobody guesses.",
        "input": whole,
        "output": whole,
        "effects": {"kind": "none"},
        "ensures": [{"id": "guessed", "expr": "output.n.endsWith('#' + input.n + '#')"}],
    }
    contract = definition_from_dict("contract", written)
    assert isinstance(contract, Contract)
    answer = FakeAgent([contract]).answer("odd.one", {"n": "abc"})
    assert answer.error == "fake_has_no_answer"
    assert "guessed" in answer.message
    assert "add an example" in answer.message
