"""Two branches of which always one runs, joined again by `first`: their output is there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from checking_plan.test_verdicts import DONE, checked, found
from process_orchestrator.checking.plans.opposites import opposite
from process_orchestrator.checking.schemas.value_types import BOOLEAN, NUMBER
from process_orchestrator.checking.values.bindings import read_value
from process_orchestrator.checking.values.expressions import Expression
from process_orchestrator.core.errors import ExpressionError

BRANCH = "{id: %s, contract: doc.get, when: %s, in: {id: $.input.id}%s}"
JOINED = "{id: {first: [$.steps.left.output.id, $.steps.right.output.id]}}"
ABSENT = [("warning", "MAY_BE_ABSENT", "/plan/output/id")]


def let(text: str, path: str = "$.input.day", name: str = "d") -> str:
    return f'{{let: {{{name}: {path}}}, expr: "{text}"}}'


def joined(
    left: str, right: str, *, output: str = JOINED, more: tuple[str, str] = ("", "")
) -> list[tuple[str, str, str]]:
    steps = BRANCH % ("left", left, more[0]), BRANCH % ("right", right, more[1])
    return [each for each in found(checked(*steps, output=output)) if each[2] == "/plan/output/id"]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (let("d == 'x'"), let("d != 'x'")),
        (let("d != 'x'"), let(" (d=='x') ")),
        (let("d == 'x'"), let("!(d == 'x')")),
        (let("d == 'x' || d == 'y'"), let("!(d == 'x' || d == 'y')")),
        (let("d == 'x'"), let("e != 'x'", name="e")),
        ("$.input.flag", let("!f", "$.input.flag", "f")),
        (let("f", "$.input.flag", "f"), let("!(f)", "$.input.flag", "f")),
    ],
)
def test_of_two_opposite_branches_one_is_there(left: str, right: str) -> None:
    assert joined(left, right) == []
    assert joined(right, left) == []


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (let("d == 'x'"), let("d == 'x'")),
        (let("d == 'x'"), let("d != 'y'")),
        (let("d == 'x'"), let("d != 'x'", "$.input.id")),
        (let("d == 'x' || d == 'y'"), let("d != 'x' || d == 'y'")),
        (let("d == 'x' || d == 'y'"), let("!(d == 'x') || d == 'y'")),
        (let("d == 'x'"), let("d.endsWith('x')")),
        (let("l / l < 2.5", "$.input.limit", "l"), let("l / l >= 2.5", "$.input.limit", "l")),
        ("$.input.flag", "$.input.flag"),
    ],
)
def test_of_two_other_branches_none_may_be_there(left: str, right: str) -> None:
    assert joined(left, right) == ABSENT


def test_a_branch_that_is_skipped_when_it_fails_may_be_absent() -> None:
    sides = let("d == 'x'"), let("d != 'x'")
    assert joined(*sides, more=(", on_failure: {not_found: skip}", "")) == ABSENT
    assert joined(*sides, more=("", ", on_failure: {not_found: skip}")) == ABSENT


def test_what_a_branch_itself_may_leave_out_may_be_absent() -> None:
    output = "{id: {first: [$.steps.left.output.note, $.steps.right.output.id]}}"
    assert joined(let("d == 'x'"), let("d != 'x'"), output=output) == ABSENT


def test_one_branch_without_the_other_may_be_absent() -> None:
    output = "{id: {first: [$.steps.left.output.id, $.input.way]}}"
    assert joined(let("d == 'x'"), let("d != 'x'"), output=output) == ABSENT
    assert joined(let("d == 'x'"), let("d != 'x'"), output=DONE) == []


OPERANDS = st.sampled_from(["a", "b", "0.0", "-1.0", "2.5"])
COMPARED = st.builds("{} {} {}".format, OPERANDS, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), OPERANDS)
ARITHMETIC = st.builds("a / b {} {}".format, st.sampled_from(["<", ">=", ">", "<=", "==", "!="]), OPERANDS)
WRITTEN = st.recursive(
    COMPARED | ARITHMETIC | st.sampled_from(["f", "!f"]),
    lambda inner: (
        st.builds("!({})".format, inner)
        | st.builds("({})".format, inner)
        | st.builds("{} {} {}".format, inner, st.sampled_from(["&&", "||"]), inner)
        | st.builds("!{}".format, inner)
    ),
    max_leaves=4,
)
TYPES = {"a": NUMBER, "b": NUMBER, "f": BOOLEAN}
VALUES = list(product([-1.0, 0.0, 2.5], [0.0, 2.5], [True, False]))


@cache
def compiled(text: str) -> Expression:
    return Expression(text, TYPES, condition=True)


def holds(text: str, values: Mapping[str, object]) -> bool | None:
    try:
        return bool(compiled(text).evaluate(values))
    except ExpressionError:
        return None


def turned(text: str) -> st.SearchStrategy[str]:
    """Conditions that are the other's opposite, or nearly so."""
    flips = [("==", "!="), ("!=", "=="), ("<=", ">"), (">=", "<"), (" < ", " >= "), (" > ", " <= ")]
    near = [text.replace(one, other, 1) for one, other in flips if one in text]
    return st.sampled_from([f"!({text})", f"!{text}", text.removeprefix("!"), *near])


@settings(max_examples=50)
@given(st.data())
def test_opposite_conditions_never_agree(data: st.DataObject) -> None:
    one = data.draw(WRITTEN)
    other = data.draw(turned(one))
    paths = {name: f"$.input.{name}" for name in "abf"}
    read = [read_value({"let": paths, "expr": text}).value for text in (one, other)]
    assume(opposite(read[0], read[1]))
    for values in VALUES:
        scope = dict(zip("abf", values, strict=True))
        said = holds(one, scope), holds(other, scope)
        assert said == (None, None) or set(said) == {True, False}, (one, other, scope)
