"""Whatever a file holds, loading answers: with a definition, or with errors that have a place and a fix."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from process_orchestrator.checking.documents.yaml_reader import read
from process_orchestrator.checking.loading.loader import load_bytes, load_text
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.core.errors import DefinitionError

HOME = Path(__file__).parent / "home"
WRITTEN = {path.name: read(path.read_bytes(), file=path.name).value for path in sorted(HOME.rglob("*.yaml"))}

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.sampled_from(
    ["", "$.input", "$.steps.read.output", "$.item", "^1", "1.0.0", "order.read@^9", "natural", "(", "a" * 200]
)
VALUES = st.recursive(
    SCALARS | WORDS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        "$ref",
        "type",
        "properties",
        "x-a",
        "kind",
        "in",
        "when",
        "let",
        "expr",
        "first",
        "const",
        "on",
        "id",
        "undo",
        "process",
        "wait",
        "for_each",
    ]
) | st.text(max_size=4)


def places(value: Any) -> list[list[Any]]:
    """Every path into a value."""
    found: list[list[Any]] = [[]]
    entries: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in entries:
        found += [[key, *rest] for rest in places(below)]
    return found


def changed(data: st.DataObject, whole: Any) -> Any:
    """The definition with one place replaced, removed or given another key."""
    copied = copy.deepcopy(whole)
    path = data.draw(st.sampled_from([place for place in places(copied) if place]))
    holder = copied
    for key in path[:-1]:
        holder = holder[key]
    what = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if what == "remove":
        del holder[path[-1]]
    elif what == "add" and isinstance(holder, dict):
        holder[data.draw(KEYS)] = data.draw(VALUES)
    else:
        holder[path[-1]] = data.draw(VALUES)
    return copied


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_definition_changed_anywhere_loads_or_is_refused_with_a_place_and_a_fix(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(WRITTEN)))
    value = WRITTEN[name]
    for _ in range(data.draw(st.integers(1, 3))):
        value = changed(data, value)
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    loaded = load_bytes(text.encode(), file=name, path=name)
    errors = [problem for problem in loaded.problems if problem.level == "error"]
    assert (loaded.definition is None) == bool(errors)
    for problem in loaded.problems:
        assert problem.line >= 1
        assert problem.fix
        assert problem.message.isprintable()
        assert problem.pointer == "" or problem.pointer.startswith("/")
    report = load_text(text, name=name, registry=REGISTRY)
    assert report.ok or any(row.level == "error" for each in report.files for row in each.problems)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: data.decode("latin-1")))
@settings(max_examples=150, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    problems: tuple[Any, ...] = ()
    try:
        read(text.encode("utf-8", "surrogatepass"), file="f")
    except DefinitionError as error:
        problems = error.problems
    assert len(problems) <= 1


@given(
    st.recursive(
        SCALARS | st.text(st.characters(min_codepoint=32, max_codepoint=0xD7FF), max_size=10),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text("abc/~ é:#-", max_size=4), inner, max_size=4)
        ),
        max_leaves=20,
    )
)
@settings(max_examples=150, deadline=None)
def test_json_is_read_as_json_reads_it(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    if (
        any(abs(each) > 2**53 - 1 for each in numbers(value))
        or "\x7f" in text
        or any("\x80" <= each <= "\x9f" for each in text)
    ):
        return
    assert read(text.encode(), file="f").value == value


def numbers(value: Any) -> list[int]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [each for below in value for each in numbers(below)]
    return [value] if isinstance(value, int) and not isinstance(value, bool) else []


def made() -> Registry:
    loaded = [load_bytes(path.read_bytes(), file=path.name, path=path.name) for path in sorted(HOME.rglob("*.yaml"))]
    definitions: list[Any] = [each.definition for each in loaded]
    return Registry(
        contracts=[each for each, file in zip(definitions, loaded, strict=True) if file.kind == "contract"],
        processes=[each for each, file in zip(definitions, loaded, strict=True) if file.kind == "process"],
        agents=[each for each, file in zip(definitions, loaded, strict=True) if file.kind == "agent"],
        files=loaded,
    )


REGISTRY = made()
