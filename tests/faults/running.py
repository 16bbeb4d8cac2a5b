"""Runs many seeds over the processors of this machine; keeps the failed ones and shrinks the first."""

import gc
import multiprocessing
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from faults.catalogue import catalogue
from faults.simulation import Report, Setting, shrink, simulate
from process_orchestrator.checking.plans.compiled import Compiler

SEEDS: Final = Path(__file__).with_name("seeds.txt")
AT_ONCE: Final = 20
"""Seeds between two collections of garbage: a world is thrown away whole."""


@dataclass(kw_only=True)
class Figures:
    """What all seeds of a run came to."""

    seeds: int = 0
    seconds: float = 0.0
    sums: Counter[str] = field(default_factory=Counter[str])
    ends: Counter[str] = field(default_factory=Counter[str])
    failed: list[Report] = field(default_factory=list[Report])

    def add(self, report: Report) -> None:
        self.seeds += 1
        for name in ("processes", "events", "kills", "disk_failures", "deeds", "decisions"):
            self.sums[name] += getattr(report, name)
        self.ends.update(report.statuses.values())
        if report.wrong:
            self.failed.append(report)

    def __str__(self) -> str:
        told = [f"{count} {name.replace('_', ' ')}" for name, count in self.sums.items()]
        ends = ", ".join(f"{count} {name}" for name, count in sorted(self.ends.items()))
        pace = f"{self.seconds:.0f} s, {self.seeds / max(self.seconds, 0.001):.0f} seeds/s"
        return f"{self.seeds} seeds, {len(self.failed)} failed ({pace}): {', '.join(told)}; {ends}"


def kept() -> list[Setting]:
    """The settings that failed once, oldest first."""
    lines = SEEDS.read_text(encoding="utf-8").splitlines() if SEEDS.exists() else []
    return [Setting.read(line.partition("#")[0]) for line in lines if line.partition("#")[0].strip()]


def run_some(settings: Sequence[Setting]) -> list[Report]:
    """Some settings, one after the other, in this program."""
    compiler = Compiler()
    catalogue()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        found: list[Report] = []
        for setting in settings:
            found.append(simulate(setting, compiler=compiler))
            if len(found) % AT_ONCE == 0:
                gc.collect()
        return found
    finally:
        gc.enable()
        gc.unfreeze()


def run_seeds(settings: Sequence[Setting], *, jobs: int = 1) -> Figures:
    """All settings; with more jobs than one, in programs beside each other."""
    figures, began = Figures(), time.monotonic()
    if jobs == 1:
        for report in run_some(settings):
            figures.add(report)
    else:
        size = max(1, min(500, len(settings) // jobs))
        parts = [settings[place : place + size] for place in range(0, len(settings), size)]
        with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
            for reports in pool.map(run_some, parts):
                for report in reports:
                    figures.add(report)
    figures.seconds = time.monotonic() - began
    return figures


def explain(report: Report) -> str:
    """A failed seed, shrunk: what is wrong, and with how little of a world."""
    least = shrink(report.setting, fails=lambda setting: bool(simulate(setting).wrong))
    wrong = simulate(least).wrong or report.wrong
    shown = "\n".join(f"  {each[:500]}" for each in wrong[:5])
    return f"{report.setting} fails with {len(report.wrong)} findings; shrunk: {least}\n{shown}"
