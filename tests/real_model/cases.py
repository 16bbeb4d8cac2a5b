"""The tasks that a real model is given: those of the intake's tests and those of the support desk, in plain words."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

TESTS: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Case:
    """`type` None: out of scope. `needs`, `may` and `choose` say which contracts a right plan uses."""

    task: str
    type: str | None = None
    input: Any = None  # what must be read out of the task, word for word
    lacks: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    choose: tuple[tuple[str, ...], ...] = ()


def _of(name: str) -> Any:
    return yaml.safe_load((TESTS / name).read_text(encoding="utf-8"))


def intake_cases() -> tuple[Case, ...]:
    """Those in scope first."""
    found = _of("intake/data/cases.yaml")
    inside = [
        Case(task=each["task"], type=each["type"], input=each.get("input", {}), lacks=tuple(each.get("lacks", ())))
        for each in found["in_scope"]
    ]
    return (*inside, *(Case(task=each["task"]) for each in found["out_of_scope"]))


def plan_cases() -> tuple[Case, ...]:
    """The ten that are planned by a real model."""
    return tuple(
        Case(
            task=each["task"],
            type=each["type"],
            input=each.get("input", {}),
            needs=tuple(each["needs"]),
            may=tuple(each.get("may", ())),
            choose=tuple(tuple(names) for names in each.get("choose", ())),
        )
        for each in _of("domains/data/support_tasks.yaml")["tasks"]
        if each.get("planned")
    )
