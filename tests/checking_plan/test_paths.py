"""Paths of bindings, against another implementation of RFC 9535 on generated texts."""

from __future__ import annotations

from typing import Any

import jsonpath_rfc9535
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process_orchestrator.checking.schemas.paths import ABSENT, find, finder, parse_path, write_path
from process_orchestrator.core.errors import PathError

PARTS = st.sampled_from(
    [
        "$",
        ".",
        "[",
        "]",
        "a",
        "input",
        "_x1",
        "0",
        "1",
        "-1",
        "-0",
        "00",
        "'",
        '"',
        "\\",
        "\\n",
        "\\u0041",
        "\\ud83d\\ude00",
        " ",
        "\t",
        "*",
        "..",
        ",",
        ":",
        "é",
        "'a b'",
        '"a"',
        "['x']",
        "[0]",
        ".b",
        "9007199254740992",
        "\\'",
        "[-2]",
        "?",
    ]
)
TEXTS = st.lists(PARTS, max_size=7).map(lambda parts: "$" + "".join(parts))
VALUES: Any = st.recursive(
    st.none() | st.integers(0, 3) | st.just("text"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "x", "é"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def oracle(text: str) -> tuple[str | int, ...] | None:
    """The segments as jsonpath-rfc9535 reads them; None where it refuses or the query is not singular."""
    try:
        query = jsonpath_rfc9535.compile(text)
    except (jsonpath_rfc9535.JSONPathError, ValueError):
        return None
    if not query.singular_query():
        return None
    segments: list[str | int] = []
    for segment in query.segments:
        selector: Any = segment.selectors[0]
        segments.append(selector.name if hasattr(selector, "name") else selector.index)
    return tuple(segments)


def ours(text: str) -> tuple[str | int, ...] | None:
    try:
        return parse_path(text)
    except PathError:
        return None


@settings(max_examples=1000, deadline=None)
@given(TEXTS)
def test_a_text_is_read_as_the_other_implementation_reads_it(text: str) -> None:
    expected = oracle(text)
    if expected is None and ours(text) is not None:
        assert any(f".{digit}" in text for digit in "0123456789"), text  # our one extension
        return
    assert ours(text) == expected


@settings(max_examples=500, deadline=None)
@given(VALUES, st.lists(st.sampled_from(["a", "b", "x", "é", 0, 1, -1, -2]), max_size=4).map(tuple))
def test_a_path_finds_what_the_other_implementation_finds(value: Any, segments: tuple[str | int, ...]) -> None:
    nodes = jsonpath_rfc9535.find(write_path(segments), value)
    found = find(value, segments)
    assert finder(segments)(value) is found or finder(segments)(value) == found
    assert (found is ABSENT) == (not nodes)
    if nodes:
        assert found == nodes[0].value


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.integers(-5, 99), max_size=4).map(tuple)
)
def test_a_written_path_is_read_back(segments: tuple[str | int, ...]) -> None:
    assert parse_path(write_path(segments)) == segments
    assert oracle(write_path(segments)) == segments


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("$", ()),
        ("$.input.a[0]['x']", ("input", "a", 0, "x")),
        ("$.input.lines.0.sku", ("input", "lines", 0, "sku")),
        ("$.steps.extract.output.lines[12].sku", ("steps", "extract", "output", "lines", 12, "sku")),
        ('$["a b"]', ("a b",)),
        ("$.größe", ("größe",)),
    ],
)
def test_usual_paths_are_read(text: str, segments: tuple[str | int, ...]) -> None:
    assert parse_path(text) == segments


@pytest.mark.parametrize(
    "text",
    [
        "",
        "input",
        "$.",
        "$.a.",
        "$..a",
        "$.*",
        "$[*]",
        "$[1:2]",
        "$[?@.a]",
        "$.a ",
        "$.01",
        "$.0a",
        "$.-1",
        "$[01]",
        "$[-0]",
        "$['a]",
        "$['\\x']",
        "$['\\ud800']",
        "$a",
        "$.a" + ".b" * 300,
        "$[9007199254740992]",
        "$[0",
        "$['a'",
    ],
)
def test_what_is_no_singular_path_is_refused(text: str) -> None:
    with pytest.raises(PathError):
        parse_path(text)


def test_a_text_is_no_list_and_null_is_a_value() -> None:
    assert find({"a": "text"}, ("a", 0)) is ABSENT
    assert find({"a": None}, ("a",)) is None
    assert find({"a": None}, ("a", "b")) is ABSENT
