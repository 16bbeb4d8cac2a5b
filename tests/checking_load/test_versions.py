"""Versions and ranges."""

from __future__ import annotations

import pytest

from process_orchestrator.checking.documents.versions import order, reference


@pytest.mark.parametrize(
    ("wanted", "taken", "refused"),
    [
        ("a", ["0.0.1", "9.9.9"], ["1.0.0-rc.1"]),
        ("a@1.2.3", ["1.2.3"], ["1.2.4", "1.2.3-rc.1"]),
        ("a@1.2.3-rc.1", ["1.2.3-rc.1"], ["1.2.3"]),
        ("a@^1", ["1.0.0", "1.99.0"], ["0.9.9", "2.0.0", "1.5.0-beta"]),
        ("a@^1.2", ["1.2.0", "1.9.9"], ["1.1.9", "2.0.0"]),
        ("a@^1.2.3", ["1.2.3", "1.3.0"], ["1.2.2", "2.0.0"]),
        ("a@^0", ["0.0.1", "0.9.0"], ["1.0.0"]),
        ("a@^0.2", ["0.2.0", "0.2.9"], ["0.1.9", "0.3.0"]),
        ("a@^0.2.3", ["0.2.3", "0.2.9"], ["0.2.2", "0.3.0"]),
        ("a@^0.0", ["0.0.0", "0.0.9"], ["0.1.0"]),
        ("a@^0.0.3", ["0.0.3"], ["0.0.2", "0.0.4", "0.1.0"]),
        ("a@~1", ["1.0.0", "1.9.9"], ["2.0.0"]),
        ("a@~1.2", ["1.2.0", "1.2.9"], ["1.1.9", "1.3.0"]),
        ("a@~1.2.3", ["1.2.3", "1.2.9"], ["1.2.2", "1.3.0"]),
    ],
)
def test_a_range_takes_what_it_says_and_nothing_else(wanted: str, taken: list[str], refused: list[str]) -> None:
    found = reference(wanted)
    assert found.name == "a"
    assert [version for version in (*taken, *refused) if found.matches(version)] == taken


def test_versions_are_ordered_by_number_and_a_pre_release_comes_before_its_release() -> None:
    ordered = [
        "0.9.0",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-rc.2",
        "1.0.0-rc.10",
        "1.0.0",
        "1.0.1",
        "1.2.0",
        "1.10.0",
    ]
    assert sorted(ordered, key=order) == ordered
