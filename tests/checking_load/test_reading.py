"""The strict reader: what it reads, what it refuses, and where it says things stand."""

from __future__ import annotations

import time

import pytest

from process_orchestrator.checking.documents.yaml_reader import read
from process_orchestrator.core.errors import DefinitionError


def refused(text: str | bytes) -> tuple[str, int, str]:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(DefinitionError) as caught:
        read(data, file="f.yaml")
    (problem,) = caught.value.problems
    assert problem.level == "error"
    assert problem.file == "f.yaml"
    assert problem.fix
    return problem.code, problem.line, problem.pointer


def value(text: str) -> object:
    return read(text.encode(), file="f.yaml").value


def test_scalars_are_those_of_json_and_all_else_is_text() -> None:
    text = "[true, false, null, 1, -0.5, 1e3, no, yes, on, off, 1.2.0, 2026-11-22, 12:30, 1_000, text, 'true', \"1\"]"
    assert value(text) == [
        *(True, False, None, 1, -0.5, 1000.0, "no", "yes", "on", "off", "1.2.0"),
        *("2026-11-22", "12:30", "1_000", "text", "true", "1"),
    ]


def test_a_json_file_is_read_as_it_stands_with_tabs_between_its_parts() -> None:
    assert value('{"a":\t[1, 2.5, "x\\n"],\n "b": {"c": null}}') == {"a": [1, 2.5, "x\n"], "b": {"c": None}}


def test_whole_numbers_stay_whole_and_fractions_stay_fractions() -> None:
    assert [type(each) for each in read(b"[1, 1.0]", file="f").value] == [int, float]


def test_every_pointer_has_the_line_of_its_key() -> None:
    document = read(b"a:\n  b:\n    - one\n    - {c: 1,\n       d/e~f: 2}\n", file="f.yaml")
    assert dict(document.lines) == {"/a": 1, "/a/b": 2, "/a/b/0": 3, "/a/b/1": 4, "/a/b/1/c": 4, "/a/b/1/d~1e~0f": 5}
    assert document.line("/a/b/1/missing/below") == 4
    assert document.line("") == 1


@pytest.mark.parametrize(
    ("text", "code", "line", "pointer"),
    [
        ("a: True", "YAML_SCALAR", 1, "/a"),
        ("a: NULL", "YAML_SCALAR", 1, "/a"),
        ("a: ~", "YAML_SCALAR", 1, "/a"),
        ("a: 012", "YAML_SCALAR", 1, "/a"),
        ("a: 0x1F", "YAML_SCALAR", 1, "/a"),
        ("a: 0o17", "YAML_SCALAR", 1, "/a"),
        ("a: +1", "YAML_SCALAR", 1, "/a"),
        ("a: .5", "YAML_SCALAR", 1, "/a"),
        ("a: 5.", "YAML_SCALAR", 1, "/a"),
        ("a: .inf", "YAML_SCALAR", 1, "/a"),
        ("a: .NaN", "YAML_SCALAR", 1, "/a"),
        ("a:\nb: 1", "YAML_SCALAR", 1, "/a"),
        ("x: 1\na: {b, c}", "YAML_SCALAR", 2, "/a/b"),
        ("a: 1e999", "NUMBER_RANGE", 1, "/a"),
        ("a: 9007199254740993", "NUMBER_RANGE", 1, "/a"),
        (f"a: {'9' * 5000}", "NUMBER_RANGE", 1, "/a"),
        ("a: 1\nb: 2\na: 3", "DUPLICATE_KEY", 3, "/a"),
        ("l:\n  - x: 1\n    x: 2", "DUPLICATE_KEY", 3, "/l/0/x"),
        ('{"a": 1, "\\u0061": 2}', "DUPLICATE_KEY", 1, "/a"),
        ("1: a", "NON_STRING_KEY", 1, ""),
        ("a: {true: 1}", "NON_STRING_KEY", 1, "/a"),
        ("a: {~: 1}", "NON_STRING_KEY", 1, "/a"),
        ("? [x]\n: 1", "NON_STRING_KEY", 1, ""),
        ("{a: 1}: 2", "NON_STRING_KEY", 1, ""),
        ("a: &x 1", "YAML_ALIAS", 1, "/a"),
        ("a: &x {b: 1}", "YAML_ALIAS", 1, "/a"),
        ("a: *x", "YAML_ALIAS", 1, "/a"),
        ("a: !!python/object/apply:os.system [ls]", "YAML_TAG", 1, "/a"),
        ("a: !!binary aGk=", "YAML_TAG", 1, "/a"),
        ("a: !local {b: 1}", "YAML_TAG", 1, "/a"),
        ("---\na: 1\n---\nb: 2", "MANY_DOCUMENTS", 3, ""),
        ("", "EMPTY_FILE", 1, ""),
        ("# a comment alone\n", "EMPTY_FILE", 1, ""),
        ("a: 1\n\tb: 2", "YAML_SYNTAX", 2, "/a"),
        ("a: b: c", "YAML_SYNTAX", 1, ""),
        ("a: [1, 2", "YAML_SYNTAX", 1, "/a/2"),
        ("a: @x", "YAML_SYNTAX", 1, "/a"),
        ('a: "\\ud800"', "YAML_SYNTAX", 1, "/a"),
        ("a: 1\nb: \x07", "YAML_SYNTAX", 2, ""),
        (b"a: 1\nb: \xff", "NOT_UTF8", 2, ""),
        (b"\xff\xfea\x00", "NOT_UTF8", 1, ""),
    ],
)
def test_what_json_cannot_say_is_refused_at_its_place(text: str | bytes, code: str, line: int, pointer: str) -> None:
    assert refused(text) == (code, line, pointer)


def test_a_byte_order_mark_is_no_part_of_the_file() -> None:
    assert value("\ufeffa: 1") == {"a": 1}


def test_an_alias_bomb_is_refused_at_its_first_anchor() -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 9)]
    bomb = "\n".join(["l0: &l0 [lol]", *levels])
    assert len(bomb) < 500
    assert refused(bomb) == ("YAML_ALIAS", 1, "/l0")


@pytest.mark.parametrize("depth", [65, 1_000, 100_000])
@pytest.mark.parametrize(("opening", "pointer"), [("[", "/0"), ("{a: ", "/a")])
def test_deep_nesting_is_refused_however_deep(depth: int, opening: str, pointer: str) -> None:
    assert refused(opening * depth) == ("TOO_DEEP", 1, pointer * 64)


def test_sixty_four_levels_are_read() -> None:
    assert value("[" * 64 + "]" * 64) is not None


def test_more_than_a_megabyte_is_refused_before_it_is_parsed() -> None:
    began = time.perf_counter()
    assert refused("a: 1\n" * 400_000) == ("FILE_TOO_LARGE", 1, "")
    assert time.perf_counter() - began < 0.5


def test_a_megabyte_of_brackets_and_keys_is_answered_in_bounded_time() -> None:
    for text in ("[" * 999_999, "? " * 499_999, "- " * 499_999, "{" * 999_999, "a: [" + "1," * 499_990):
        began = time.perf_counter()
        with pytest.raises(DefinitionError):
            read(text.encode(), file="f.yaml")
        assert time.perf_counter() - began < 20
