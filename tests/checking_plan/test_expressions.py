"""Expressions, as the corpus beside this file says."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from process_orchestrator.checking.schemas.projection import Shape
from process_orchestrator.checking.schemas.value_types import ValueType, type_of
from process_orchestrator.checking.values.expressions import Expression
from process_orchestrator.core.errors import ExpressionError

CORPUS = yaml.safe_load((Path(__file__).parent / "expressions.yaml").read_text(encoding="utf-8"))


def variables_of(case: dict[str, Any]) -> dict[str, ValueType]:
    return {name: type_of(Shape.of(schema)) for name, schema in case["variables"].items()}


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case["about"].replace(" ", "-"))
def test_the_corpus_holds(case: dict[str, Any]) -> None:
    condition = case.get("condition", False)
    if "refused" in case:
        with pytest.raises(ExpressionError) as refused:
            Expression(case["expr"], variables_of(case), condition=condition)
        assert case["refused"] in refused.value.message
        assert case.get("fix") in {None, refused.value.fix}
        return
    expression = Expression(case["expr"], variables_of(case), condition=condition)
    if "fails" in case:
        with pytest.raises(ExpressionError) as failed:
            expression.evaluate(case["values"])
        assert case["fails"].lower() in failed.value.message.lower()
        assert failed.value.code == "condition_error"
        return
    result = expression.evaluate(case["values"])
    assert (result, type(result)) == (case["result"], type(case["result"]))


@pytest.mark.parametrize("case", [each for each in CORPUS if each.get("fix")], ids=lambda case: case["expr"])
def test_what_a_fix_says_compiles(case: dict[str, Any]) -> None:
    Expression(case["fix"], variables_of(case), condition=case.get("condition", False))


def test_an_evaluation_changes_no_value_that_it_was_given() -> None:
    schema = {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "number"}}}}
    values = {"lines": [{"n": 1, "other": 1}]}
    assert Expression("lines[0].n + 0.5", {"lines": type_of(Shape.of(schema))}).evaluate(values) == 1.5
    assert type(values["lines"][0]["n"]) is int


def test_no_value_stands_in_an_error() -> None:
    expression = Expression(
        "o[key] == 1", {"o": type_of(Shape.of({"type": "object"})), "key": type_of(Shape.of({"type": "string"}))}
    )
    with pytest.raises(ExpressionError) as failed:
        expression.evaluate({"o": {}, "key": "SE556012345601"})
    assert "SE556012345601" not in failed.value.message


def test_a_schema_that_refers_to_itself_has_a_type() -> None:
    tree = {
        "type": "object",
        "properties": {"n": {"type": "number"}, "children": {"type": "array", "items": {"$ref": "#"}}},
    }
    tree_type = type_of(Shape.of(tree))
    assert Expression("t.children[0].n + 0.5", {"t": tree_type}).evaluate({"t": {"children": [{"n": 1}]}}) == 1.5


@pytest.mark.parametrize(
    "text", ["(" * 499, "!" * 495 + "true", "-" * 495 + "1", "[" * 200, "a." * 240 + "b", "1+" * 240 + "1", "'" * 500]
)
def test_hostile_text_is_evaluated_or_refused(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        Expression(text, {}).evaluate({})
