"""The manifest of promises and the tests name each other, both ways."""

import re
from pathlib import Path

from behaviours import PROMISES

TESTS = Path(__file__).resolve().parent
NAMED = re.compile(r"mark\.behaviour\(\s*\"([^\"]+)\"")


def named_in_tests() -> set[str]:
    return {
        name
        for file in TESTS.rglob("test_*.py")
        if file != Path(__file__)
        for name in NAMED.findall(file.read_text(encoding="utf-8"))
    }


def test_every_promise_has_a_test() -> None:
    assert sorted(set(PROMISES) - named_in_tests()) == []


def test_every_test_that_names_a_promise_names_one_that_exists() -> None:
    assert sorted(named_in_tests() - set(PROMISES)) == []


def test_the_readme_makes_each_promise_that_it_is_said_to_make() -> None:
    readme = (TESTS.parent / "README.md").read_text(encoding="utf-8")
    numbers = {name.partition("-")[0] for name in PROMISES if name.startswith("P")}
    assert [number for number in sorted(numbers) if f"**{number}**" not in readme] == []
