"""Each rule that must not break is broken on purpose, in a copy of the core: a test must notice every time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

import process_orchestrator

if TYPE_CHECKING:
    from collections.abc import Iterable

TESTS: Final = Path(__file__).resolve().parent
SOURCE: Final = Path(process_orchestrator.__file__).resolve().parent
FAST: Final = {
    "settle.py": ("test_settle.py", "test_escalations.py"),
    "keys.py": ("test_keys.py",),
    "unit.py": ("test_keys.py", "test_loops.py"),
    "resolve.py": ("test_keys.py", "test_escalations.py", "test_loops.py"),
    "gate.py": ("test_escalations.py",),
    "escalate.py": ("test_escalations.py",),
    "admit.py": ("test_admit.py", "test_budget.py"),
    "assurance.py": ("test_admit.py",),
    "ending.py": ("test_ending.py",),
    "bounds.py": ("test_budget.py",),
    "calling.py": ("test_loops.py",),
    "loops.py": ("test_loops.py",),
    "budget.py": ("test_budget.py",),
    "draft.py": ("test_budget.py",),
    "process.py": ("test_ending.py",),
    "compensate.py": ("test_compensation.py",),
    "undo_step.py": ("test_compensation.py",),
    "deadlines.py": ("test_deadlines.py",),
    "redriven.py": ("test_redriven.py",),
}
"""The tests that must notice, by the file that is broken."""
AT_ONCE: Final = 2
SECONDS_MAX: Final = 60


class Mutation(NamedTuple):
    """A text that stands once in a file of the core, and what it is turned into."""

    file: str
    old: str
    new: str


MUTATIONS: Final = (
    # redriven
    Mutation("redriven.py", "unit.digest == earlier.planned and", ""),
    Mutation("redriven.py", "unit.digest != earlier.digest or", ""),
    Mutation("redriven.py", "and kept)", ")"),
    Mutation("redriven.py", "unit.calls_total > 0 or", ""),
    Mutation("redriven.py", "if unit.earlier_settled or unit.undoes is not None:", "if unit.undoes is not None:"),
    # undoing and deadlines
    Mutation("compensate.py", "reverse=True", "reverse=False"),
    Mutation("compensate.py", "declared and unit.phase is Phase.DONE and", "declared and"),
    Mutation("compensate.py", "left[:1]", "left"),
    Mutation("undo_step.py", "highest(step.decision_level, undo.decision_level)", "step.decision_level"),
    Mutation("deadlines.py", "not aborts and Decision.REJECT in escalation.decisions", "not aborts"),
    Mutation("deadlines.py", "time_ms // 2", "time_ms"),
    Mutation("deadlines.py", "live.timer == timer", "True"),
    # settle
    Mutation("settle.py", "failure.outcome is Outcome.UNKNOWN and", "failure.outcome is Outcome.NOT_DONE and"),
    Mutation("settle.py", "step.idempotency is not Idempotency.KEYED", "step.idempotency is Idempotency.KEYED"),
    Mutation("settle.py", "unit.attempts < retry.max_attempts", "unit.attempts <= retry.max_attempts"),
    Mutation("settle.py", "failure.class_ in retry.on)", "True)"),
    Mutation("settle.py", "+ step.attempt_ms <= first", "<= first"),
    Mutation("settle.py", "first + unit.waited_ms + step.total_ms", "first + step.total_ms"),
    Mutation("settle.py", "return max(int(backoff), trial.retry_after_ms or 0)", "return int(backoff)"),
    Mutation("settle.py", "    if unit.outcome_unknown and not keys.repeatable(step):\n        return False\n", ""),
    Mutation("settle.py", "declared.class_ is not FailureClass.TRANSIENT", "False"),
    Mutation("settle.py", "Settlement.FAIL if verdict is Settlement.ASK else verdict", "verdict"),
    Mutation("settle.py", "    word = words.get(failure.code)\n", "    word = None\n"),
    Mutation("settle.py", "attempts=unit.attempts - (not counted),", "attempts=unit.attempts,"),
    # keys
    Mutation("keys.py", "return unit.generation if unit.outcome_unknown else unit.generation + 1", "return unit.generation + 1"),
    Mutation("keys.py", "if unit.outcome_unknown and unit.agent is not None and not repeatable(facts):", "if False:"),
    Mutation("unit.py", "outcome_unknown=unit.outcome_unknown or failure.outcome", "outcome_unknown=failure.outcome"),
    # resolve
    Mutation("resolve.py", "override=event.data, approved_digest=None", "override=event.data"),
    Mutation("resolve.py", " and escalation.kind is EscalationKind.OUTCOME_UNKNOWN", ""),
    Mutation("resolve.py", "approved_digest=unit.digest", "approved_digest=None"),
    Mutation("resolve.py", "_reject(draft: Draft, unit: Unit, _event: EscalationResolved) -> None:\n    settle.settle_rejected",
             "_reject(draft: Draft, unit: Unit, _event: EscalationResolved) -> None:\n    settle.settle_by_plan"),
    # what is asked and offered
    Mutation("gate.py", "unit.approved_digest == unit.digest", "unit.approved_digest is not None"),
    Mutation("gate.py", "unit.item is not None and unit.override is None", "unit.item is not None"),
    Mutation("escalate.py", "checkable and not unit.outcome_unknown", "checkable"),
    Mutation("escalate.py", "return step.has_default or not step.bound_by", "return True"),
    Mutation("escalate.py", "if draft.escalations_waiting or full", "if full"),
    # money
    Mutation("bounds.py", "draft.usd_micros + draft.reserved_usd_micros + usd_micros", "draft.usd_micros + usd_micros"),
    Mutation("bounds.py", "usd_micros <= draft", "usd_micros < draft"),
    Mutation("bounds.py", "draft.tokens >= max(", "draft.tokens > max("),
    Mutation("budget.py", "if draft.budget_waiting or not", "if not"),
    Mutation("budget.py", "held_up = held_up or not bounds.out_of_reach(draft, unit)", "held_up = True"),
    Mutation("budget.py", "held_up = held_up or not bounds.out_of_reach(draft, unit)", "pass"),
    Mutation("budget.py", "0 if _unasked(event) or (nothing_done and reserve is not None) else reserve", "0"),
    Mutation("budget.py", "draft.calls -= _unasked(event)", "pass"),
    Mutation("budget.py", "asked(draft) is not None or ", ""),
    Mutation("draft.py", "self.reserved_usd_micros -= unit.reserve_usd_micros or 0", "pass"),
    Mutation("admit.py", "0 < (event.usd_micros or 0) <=", "0 <= (event.usd_micros or 0) <="),
    # loops
    Mutation("loops.py", "times <= draft.spec.limits.same_call", "times < draft.spec.limits.same_call"),
    Mutation("unit.py", "begins and ", ""),
    Mutation("loops.py", "unit.id != unit.step or ", ""),
    Mutation("loops.py", "return seen", "return False"),
    Mutation("loops.py", "spec.process_id in spec.lineage or ", ""),
    Mutation("loops.py", "len(spec.lineage) > spec", "len(spec.lineage) >= spec"),
    Mutation("calling.py", ", series_begun=False", ""),
    Mutation("resolve.py", "loops.begun(fresh) if granted else fresh", "fresh"),
    # admit
    Mutation("admit.py", "if not escalation.open:", "if escalation.resolution is not None:"),
    Mutation("admit.py", "event.version is not None and event.version != escalation.version", "False"),
    Mutation("admit.py", "not sufficient(event.assurance, need)", "False"),
    Mutation("admit.py", "or event.checked != pinned", ""),
    Mutation("assurance.py", "_STRENGTH[have] >= _STRENGTH[need]", "_STRENGTH[have] > _STRENGTH[need]"),
    # ending
    Mutation("ending.py", "if failure.outcome is Outcome.NOT_DONE else", "if True else"),
    Mutation("process.py", "        if not draft.live_calls:\n", "        if True:\n"),
)  # fmt: skip


def broken_copy(folder: Path, mutation: Mutation | None) -> Path:
    """A copy of the core and of the judge of journals, with one rule broken."""
    package = folder / "process_orchestrator"
    package.mkdir(parents=True)
    shutil.copy(SOURCE / "__init__.py", package / "__init__.py")
    for room in ("core", "conformance"):
        shutil.copytree(SOURCE / room, package / room, ignore=shutil.ignore_patterns("__pycache__"))
    if mutation is not None:
        file = package / "core" / mutation.file
        text = file.read_text(encoding="utf-8")
        assert text.count(mutation.old) == 1, (
            f"{mutation.file}: {mutation.old!r} stands {text.count(mutation.old)} times"
        )
        file.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
    return folder


def suite_passes(folder: Path, tests: Iterable[str]) -> bool:
    """Whether some tests pass over the copy. No plugin is loaded: these tests need none, and starting is most of it."""
    settings = folder / "pytest.ini"
    settings.write_text(f"[pytest]\npythonpath = {TESTS.parent}\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-c", str(settings), "-p", "no:cacheprovider",
         "--import-mode=importlib", *(str(TESTS / name) for name in tests)],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(folder),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        timeout=SECONDS_MAX,
        check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout.decode() + done.stderr.decode()
    return done.returncode == 0


@pytest.mark.slow
def test_no_broken_rule_goes_unnoticed(tmp_path: Path) -> None:
    every = {name for names in FAST.values() for name in names}
    assert suite_passes(broken_copy(tmp_path / "whole", None), sorted(every)), "an unbroken copy must pass"

    def survives(numbered: tuple[int, Mutation]) -> Mutation | None:
        number, mutation = numbered
        folder = broken_copy(tmp_path / str(number), mutation)
        return mutation if suite_passes(folder, FAST[mutation.file]) else None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        survivors = [mutation for mutation in pool.map(survives, enumerate(MUTATIONS)) if mutation is not None]
    assert survivors == []
