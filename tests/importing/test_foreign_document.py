from __future__ import annotations

import time
from typing import Any

import pytest

from process_orchestrator.checking.importers.foreign_document import read_foreign
from process_orchestrator.core.errors import RefusedError

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(12)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            "200: {a: 2020-01-01, b: yes, c: ~, d: 0x10, e: 1.5, f: '1'}",
            {"200": {"a": "2020-01-01", "b": "yes", "c": None, "d": "0x10", "e": 1.5, "f": "1"}},
        ),
        (
            "base: &b {x: 1, y: 2}\nmore: {<<: *b, y: 3}\nlist: [*b]",
            {"base": {"x": 1, "y": 2}, "more": {"x": 1, "y": 3}, "list": [{"x": 1, "y": 2}]},
        ),
        ('{"a": [1, true, null]}', {"a": [1, True, None]}),
        ("\ufeffa: 1", {"a": 1}),
        ("a: !!python/object/apply:os.system [x]", {"a": ["x"]}),
        ("", None),
    ],
)
def test_what_others_write_is_read_as_json_values(text: str, value: Any) -> None:
    assert read_foreign(text.encode(), source="doc") == value


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (BOMB.encode(), "stands for more than"),
        (b"a: &a [*a]", "inside of what it names"),
        (b"[" * 5000, "deeper than|too_deep|nested"),
        (("x: " + "[" * 200 + "]" * 200).encode(), "deeper than"),
        (b"a: 1\na: 2", "line 2: the key a stands twice"),
        (b'{"a": 1, "a": 2}', "duplicate_key"),
        (b"a: [", "line "),
        (b"\xff\xfe", "UTF-8"),
        (b"a: 1e999", "too large"),
        (b"a: " + b"9" * 5000, "too many digits"),
        (b"--- 1\n--- 2", "more than one document"),
        (b"? [a]\n: 1", "as a key"),
    ],
)
def test_a_hostile_document_is_refused_within_its_bounds(data: bytes, said: str) -> None:
    began = time.process_time()
    with pytest.raises(RefusedError, match=said):
        read_foreign(data, source="doc")
    assert time.process_time() - began < 2
