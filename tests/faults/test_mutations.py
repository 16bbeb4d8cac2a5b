"""Faults are planted on purpose, in the core, the host or the performer of a simulation: some seed must find each."""

import random
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest import mock

import msgspec
import pytest

from faults import engines
from faults.disk import SimulatedWriter, Write
from faults.running import run_some
from faults.simulation import Setting
from process_orchestrator.core import bounds, gate, keys, settle
from process_orchestrator.core.facts.specs import RetryFacts
from process_orchestrator.core.facts.state import Failure, Unit
from process_orchestrator.hosting import embedded, reissue, rows, writer
from process_orchestrator.hosting.folding import CORE, Core
from process_orchestrator.hosting.timers import Timers
from process_orchestrator.performing import invoke

SEEDS, AT_ONCE = 240, 12
"""Within how many seeds a planted fault must show, and how many are run before looking."""


@contextmanager
def lying_disk() -> Generator[None]:
    """Now and then a commit is rolled back and acknowledged."""
    real, draw = SimulatedWriter._commit, random.Random(1)

    def commit(writer: SimulatedWriter, group: Sequence[Write]) -> None:
        if draw.random() > 0.02:
            real(writer, group)

    with mock.patch.object(SimulatedWriter, "_commit", commit):
        yield


@contextmanager
def forgetful_timers() -> Generator[None]:
    real, draw = Timers.set, random.Random(1)

    def set_timer(timers: Timers, process: str, timer: str, fire_at: int) -> None:
        if draw.random() > 0.1:
            real(timers, process, timer, fire_at)

    with mock.patch.object(Timers, "set", set_timer):
        yield


@contextmanager
def unsafe_calls_again() -> Generator[None]:
    """A new engine delivers every call again, and the performer makes it."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(reissue, "_spent", return_value=False))
        stack.enter_context(mock.patch.object(invoke, "repeatable", return_value=True))
        yield


@contextmanager
def lost_calls_forgotten() -> Generator[None]:
    real = reissue.reissue

    def without(*arguments: Any, **named: Any) -> reissue.Reissue:
        return real(*arguments, **named)._replace(lost=())

    with mock.patch("process_orchestrator.hosting.turn_maker.reissue", without):
        yield


@contextmanager
def lanes_mended() -> Generator[None]:
    """After a failed row the next one of the same process is written all the same."""

    def fail(group: Sequence[Write], error: Any) -> None:
        for write in group:
            write.error = error

    with mock.patch.object(writer, "_fail", fail):
        yield


def planted(target: object, name: str, value: object) -> Callable[[], Any]:
    return lambda: mock.patch.object(target, name, value)


@contextmanager
def unsafe_failures_retried() -> Generator[None]:
    real = settle.decide

    def decide(*arguments: Any) -> settle.Settlement:
        verdict = real(*arguments)
        return settle.Settlement.RETRY if verdict is settle.Settlement.ASK_OUTCOME else verdict

    with mock.patch.object(settle, "decide", decide):
        yield


@contextmanager
def endless_tries() -> Generator[None]:
    real = settle._is_retried

    def is_retried(unit: Unit, retry: RetryFacts, failure: Failure) -> bool:
        return real(msgspec.structs.replace(unit, attempts=0), retry, failure)

    with mock.patch.object(settle, "_is_retried", is_retried):
        yield


@contextmanager
def anybody_decides_anything() -> Generator[None]:
    admits_all = Core(apply=CORE.apply, admit=lambda _state, _event: None, outstanding=CORE.outstanding)
    with mock.patch.object(engines, "CORE", admits_all):
        yield


FAULTS: Final[dict[str, Callable[[], Any]]] = {
    "a disk that acknowledges what it lost": lying_disk,
    "timers that are forgotten": forgetful_timers,
    "an unsafe call made again after a crash": unsafe_calls_again,
    "a lost call of which nobody hears": lost_calls_forgotten,
    "a row missing in the middle of a process": lanes_mended,
    "a new key while an outcome is unknown": planted(keys, "next_generation", lambda unit: unit.generation + 1),
    "a gate that never asks": planted(gate, "_asks", lambda _draft, _unit: False),
    "a cap that always affords": planted(bounds, "affords", lambda _draft, _unit: True),
    "a listing that is not kept": planted(rows, "must_project", lambda before, _after, _changed: before is None),
    "an answer that is not held against its contract": planted(
        invoke.CompiledContract, "output_problems", lambda _contract, _value: ()
    ),
    "a key that is not asked for": planted(
        embedded.EmbeddedHost, "_id_of", lambda _host, _spec: embedded.random_process_id()
    ),
    "an unsafe failure that is tried again": unsafe_failures_retried,
    "a call tried without end": endless_tries,
    "decisions that nobody admits": anybody_decides_anything,
}


def found(plant: Callable[[], Any]) -> list[str]:
    """What the first seeds that notice say; empty where none does."""
    with plant():
        for first in range(0, SEEDS, AT_ONCE):
            for report in run_some([Setting(seed=first + number) for number in range(AT_ONCE)]):
                if report.wrong:
                    print(report.setting, report.wrong[0][:300])
                    return report.wrong
    return []


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str) -> None:
    assert found(FAULTS[name]) != []
