"""Values of a plan: how they are read and what they become."""

from __future__ import annotations

from typing import Any

import pytest

from process_orchestrator.checking.schemas.paths import ABSENT
from process_orchestrator.checking.schemas.value_types import ANY
from process_orchestrator.checking.values.bindings import (
    Bound,
    Scope,
    StepScope,
    blame_of,
    computed_in,
    part_at,
    path_text,
    read_value,
    references,
    resolver,
)
from process_orchestrator.checking.values.expressions import Expression
from process_orchestrator.core.errors import BindingError
from process_orchestrator.core.facts.values import Blame

SCOPE = Scope(
    input={"a": 1, "list": [10, {"x": "y"}], "none": None, "a b": 5},
    steps={
        "one": StepScope("done", {"id": "i-1", "total": 2.5}),
        "two": StepScope("skipped", ABSENT, "busy"),
        "three": StepScope("skipped", {"id": "default"}),
    },
    item={"sku": "s"},
    index=3,
)


def made(written: Any, scope: Scope = SCOPE, **options: Any) -> Any:
    value, faults = read_value(written, **options)
    assert faults == ()
    expressions = {
        each.pointer: Expression(each.text, dict.fromkeys((name for name, _ in each.variables), ANY))
        for each in computed_in(value)
    }
    return resolver(value, expressions)(scope)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("$.input.a", 1),
        ("$.input.list[1].x", "y"),
        ("$.input.list.1.x", "y"),
        ("$.input.list[-2]", 10),
        ("$.input['a b']", 5),
        ("$.input.none", None),
        ("$.input.nothing", ABSENT),
        ("$.input.a.deeper", ABSENT),
        ("$.steps.one.output.id", "i-1"),
        ("$.steps.one.output", {"id": "i-1", "total": 2.5}),
        ("$.steps.one.status", "done"),
        ("$.steps.one.error.code", ABSENT),
        ("$.steps.two.output", ABSENT),
        ("$.steps.two.output.id", ABSENT),
        ("$.steps.two.status", "skipped"),
        ("$.steps.two.error.code", "busy"),
        ("$.steps.three.output.id", "default"),
        ("$.steps.unknown.status", ABSENT),
        ("$.item.sku", "s"),
        ("$.item", {"sku": "s"}),
        ("$.index", 3),
        ("plain", "plain"),
        ("$5.00", "$5.00"),
        ("$", "$"),
        (7, 7),
        (None, None),
        ({"const": "$.input.a"}, "$.input.a"),
        ({"const": {"first": []}}, {"first": []}),
        ({"first": ["$.input.nothing", "$.input.none", "$.input.a"]}, None),
        ({"first": ["$.input.nothing", "$.steps.two.output"]}, ABSENT),
        ({"first": ["$.steps.two.output.id", "$.steps.one.output.id"]}, "i-1"),
        ({"first": ["$.input.nothing", 5]}, 5),
        ({"let": {"x": "$.steps.one.output.total"}, "expr": "x + 0.5"}, 3.0),
        ({"expr": "1 + 1"}, 2),
        ({"let": {"x": {"first": ["$.input.nothing", {"const": 2.0}]}}, "expr": "x * 2.0"}, 4.0),
        ({"let": {"x": {"expr": "1 + 1"}}, "expr": "x * 2"}, 4),
        ({"a": "$.input.a", "b": {"c": "$.input.nothing", "d": [1, "$.index"]}}, {"a": 1, "b": {"d": [1, 3]}}),
        ({"let": 1}, {"let": 1}),
        ({"first": 1}, {"first": 1}),
        ({"first": ["$.input.a"], "other": 1}, {"first": [1], "other": 1}),
        ({"expr": 5}, {"expr": 5}),
        ([], []),
        ({}, {}),
    ],
)
def test_a_value_becomes_what_it_says(written: Any, value: Any) -> None:
    assert made(written) == value


def test_undo_sees_the_call_that_it_undoes() -> None:
    scope = Scope(input={"id": 1}, output={"posting": "p"})
    assert made({"posting": "$.output.posting", "id": "$.input.id"}, scope, roots=("input", "output")) == {
        "posting": "p",
        "id": 1,
    }


@pytest.mark.parametrize(
    ("written", "pointer", "part"),
    [
        ("$.inptu.a", "", "begins with"),
        ("$..a", "", "no path"),
        ("$.input.*", "", "no path"),
        ("$.steps.one", "", "`output`, `status` and `error.code`"),
        ("$.steps", "", "`output`, `status` and `error.code`"),
        ("$.steps.one.outputs.id", "", "`output`, `status` and `error.code`"),
        ("$.steps.one.status.x", "", "`output`, `status` and `error.code`"),
        ("$.index.a", "", "is a number"),
        ("$.output.id", "", "begins with"),
        ({"a": ["$.nope"]}, "/a/0", "begins with"),
        ({"a/b": "$.nope"}, "/a~1b", "begins with"),
        ({"first": []}, "", "no alternatives"),
        ({"let": ["a"], "expr": "a"}, "/let", "is a map"),
        ({"let": {"x": "$.nope"}, "expr": "x"}, "/let/x", "begins with"),
    ],
)
def test_a_mistake_of_form_is_found_with_its_place(written: Any, pointer: str, part: str) -> None:
    (fault,) = read_value(written).faults
    assert fault.pointer == pointer
    assert part in fault.message
    assert fault.fix


def test_a_value_without_end_is_refused() -> None:
    deep: Any = "$.input"
    for _ in range(100):
        deep = [deep]
    assert [fault.message for fault in read_value(deep).faults] == ["Nested deeper than 32 levels."]


@pytest.mark.parametrize(
    ("written", "code", "pointer", "blame"),
    [
        (["$.input.a", "$.input.nothing"], "missing_binding", "/1", Blame.CALLER),
        ([{"first": ["$.steps.two.output"]}], "missing_binding", "/0", Blame.PLANNER),
        ({"a": {"let": {"x": "$.input.nothing"}, "expr": "x > 1"}}, "missing_binding", "/a", Blame.CALLER),
        ({"a": {"let": {"x": "$.steps.two.output"}, "expr": "x > 1"}}, "missing_binding", "/a", Blame.PLANNER),
        ({"a": {"let": {"x": "$.input.a"}, "expr": "1 / (x - 1)"}}, "condition_error", "/a", Blame.PLANNER),
    ],
)
def test_a_value_that_cannot_be_made_says_where_and_whose_fault(
    written: Any, code: str, pointer: str, blame: Blame
) -> None:
    with pytest.raises(BindingError) as raised:
        made(written)
    assert (raised.value.code, raised.value.pointer, raised.value.blame) == (code, pointer, blame)


def test_references_are_collected_and_those_beside_others_are_optional() -> None:
    written = {
        "a": "$.steps.one.output.id",
        "b": {"first": ["$.steps.two.output.id", "$.input.a"]},
        "c": {"let": {"x": "$.steps.three.status"}, "expr": "x"},
        "d": [{"first": ["$.item.only"]}],
    }
    found = [(each.bound.text, each.optional) for each in references(read_value(written).value)]
    assert found == [
        ("$.steps.one.output.id", False),
        ("$.steps.two.output.id", True),
        ("$.input.a", True),
        ("$.steps.three.status", False),
        ("$.item.only", False),
    ]


def test_a_path_is_told_in_its_usual_form() -> None:
    for text in (
        "$.input.a[0]",
        "$.steps.one.output.id",
        "$.steps.one.status",
        "$.steps.one.error.code",
        "$.item",
        "$.index",
    ):
        value = read_value(text).value
        assert isinstance(value, Bound)
        assert path_text(value) == text


def test_the_caller_is_blamed_only_for_what_comes_from_the_input_alone() -> None:
    value = read_value({"a": "$.input.a", "b": "$.steps.one.output.id", "c": 5, "d": {"x": ["$.input.a", 1]}}).value
    blamed = {
        path: blame_of(part_at(value, path.split("/")[1:]))
        for path in ("", "/a", "/a/deep", "/b", "/c", "/d/x/0", "/d")
    }
    assert blamed == {
        "": Blame.PLANNER,
        "/a": Blame.CALLER,
        "/a/deep": Blame.CALLER,
        "/b": Blame.PLANNER,
        "/c": Blame.PLANNER,
        "/d/x/0": Blame.CALLER,
        "/d": Blame.CALLER,
    }
