"""The error tree: each error reads well and keeps its code."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from process_orchestrator.core import errors
from process_orchestrator.core.facts.values import Blame


class Found(NamedTuple):
    file: str
    line: int
    pointer: str
    message: str
    fix: str


def test_a_refusal_says_what_to_do() -> None:
    refused = errors.RefusedError("UNKNOWN_STEP", "there is no step x.", do="call get_state", details={"near": ["y"]})
    assert str(refused) == "UNKNOWN_STEP: there is no step x. Do: call get_state"
    assert (refused.code, refused.details, refused.record, refused.retryable) == (
        "UNKNOWN_STEP",
        {"near": ["y"]},
        None,
        False,
    )


def test_a_definition_error_names_the_first_problem() -> None:
    wrong = errors.DefinitionError((Found("a.yaml", 3, "/input", "no schema", "write one"),))
    assert str(wrong) == "a.yaml:3 /input: no schema. Do: write one"


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (errors.BodyError("not_json", "x"), "not_json", False),
        (errors.SchemaError("bad_pattern", "x"), "BAD_SCHEMA", False),
        (errors.PathError("x", position=3), "BAD_PATH", False),
        (errors.AddressError("x"), "BAD_URL", False),
        (errors.CardError("x"), "BAD_CARD", False),
        (errors.ExpressionError("x", fix="1000.0"), "condition_error", False),
        (errors.BindingError("missing_binding", "x", blame=Blame.PLANNER), "missing_binding", False),
        (errors.AgentCallError("timeout", "x"), "timeout", False),
        (errors.ModelError("timeout", "x"), "timeout", False),
        (errors.StorageError("x"), "STORAGE_UNTRUSTED", False),
        (errors.StorageFullError("x"), "STORAGE_FULL", True),
        (errors.EngineError("ENGINE_UNAVAILABLE", "x"), "ENGINE_UNAVAILABLE", True),
    ],
)
def test_an_error_has_a_code_and_says_whether_to_try_again(
    error: errors.OrchestratorError, code: str, *, retryable: bool
) -> None:
    assert (error.code, error.retryable, str(error)) == (code, retryable, "x")


@pytest.mark.parametrize(("code", "available"), [("output_mismatch", True), ("truncated", True), ("timeout", False)])
def test_a_models_bad_answer_is_told_from_a_model_that_is_not_there(code: str, *, available: bool) -> None:
    assert errors.ModelError(code, "x").available is available
