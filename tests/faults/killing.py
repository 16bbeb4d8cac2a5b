"""Real kills: an engine program over the real journal kills itself with signal 9 before or after its n-th write.

`python -m faults.killing SHAPE [N ...]` runs the reference process of a shape once in peace, then once for every write
(or each N-th alone) and each side of it: an engine that dies there, and one that ends what it left. What agents were
asked and did, and what was acknowledged, stands in a book beside the database, written line by line; no engine's word
is taken for it. Each engine is a process of its own, forked before anything of the engine was begun, with the threads,
the synced file and the clock that engines have. Says what came of it as one JSON object.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final, cast
from unittest import mock

import anyio

from faults.catalogue import Catalogue
from faults.crash_points import CrashRun, Points, Run, differences, troubles_of
from faults.disk import SimulatedJournal, Write
from faults.network import Deed, SteadyNetwork
from faults.thinking import Thinker
from process_orchestrator import assemble
from process_orchestrator.assemble import Fleet, open_engine
from process_orchestrator.checking.plans.compiled import Compiler
from process_orchestrator.core.facts.values import Decision
from process_orchestrator.core.ports import Artifacts, Host, InProcessCall, Performer
from process_orchestrator.hosting.clock import SystemClock
from process_orchestrator.hosting.open_host import BuildPerformer
from process_orchestrator.hosting.writer import TurnWrite, Writer

TESTS: Final = Path(__file__).parents[1]
BOOK: Final = "book.jsonl"
REFERENCES: Final = ("sequence", "map", "approval", "retry", "compensation", "part", "planned", "planned-in-vain")
WRITES_MAX: Final = 200
"""More writes than any reference process needs."""

Json = Any


class Book:
    """What outlives engines, line by line; each is there before anybody goes on."""

    def __init__(self, state: Path) -> None:
        self.path = state.parent / BOOK
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, what: str, *told: Json) -> None:
        os.write(self._file, json.dumps([what, *told]).encode() + b"\n")

    def lines(self) -> list[list[Json]]:
        return [json.loads(line) for line in self.path.read_bytes().splitlines()]


class NotedNetwork(SteadyNetwork):
    """Steady agents whose memory is the book."""

    def __init__(self, name: str, book: Book) -> None:
        super().__init__(troubles_of(name))
        self._book = book
        self.noted = lambda deed: book.note("deed", *deed)

    async def work(self, arguments: dict[str, Json], told: InProcessCall) -> Json:
        self._book.note("asked", told.process, told.call)
        return await super().work(arguments, told)


class RealRun(CrashRun):
    """A reference process in one real engine, with all that earlier ones left."""

    def __init__(self, name: str, state: Path, *, known: Catalogue) -> None:
        super().__init__(name, state, kill_at=None, compiler=Compiler(), known=known)
        self._book = Book(state)
        self.network = NotedNetwork(name, self._book)
        for what, *told in self._book.lines():
            if what == "deed":
                self.network.remember(Deed(*told))
            elif what == "asked":
                self.network.asked[told[0], told[1]] += 1
            elif what == "started":
                self.heard.started.add(told[0])
            else:
                request, process, escalation, decision = told
                self.heard.resolved[request] = (process, escalation, Decision(decision))

    def acknowledged(self, what: str, *told: str) -> None:
        self._book.note(what, *told)

    def _engine(self) -> AbstractAsyncContextManager[tuple[Host, SimulatedJournal]]:
        return cast("AbstractAsyncContextManager[tuple[Host, SimulatedJournal]]", self._real_engine())

    @asynccontextmanager
    async def _real_engine(self) -> AsyncGenerator[tuple[Host, None]]:
        fleet = Fleet(lambda: self.known.registry, home=self.disk.state, in_process=self.network.agents())
        with thinking_engines(self.thinker):
            async with open_engine(self.disk.state, fleet) as host:
                yield host, None


@contextmanager
def thinking_engines(thinker: Thinker) -> Generator[None]:
    """The stages of the engines of this program are answered by a thinker: no language model is at hand."""
    real = assemble._performing

    def performing(fleet: Fleet, **more: Any) -> BuildPerformer:
        build = real(fleet, **more)

        @asynccontextmanager
        async def thinking(artifacts: Artifacts) -> AsyncGenerator[Performer]:
            async with build(artifacts) as performer:
                yield thinker.around(performer, artifacts, SystemClock())

        return thinking

    with mock.patch.object(assemble, "_performing", performing):
        yield


@contextmanager
def dying_at(number: int, moment: str) -> Generator[None]:
    """This program is killed at the write of that number of its journal, before or after the commit."""
    real, left = Writer._commit, number

    def commit(writer: Writer, group: Sequence[Write]) -> None:
        nonlocal left
        left -= any(isinstance(write, TurnWrite) for write in group)
        if left == 0 and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        real(writer, group)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    with mock.patch.object(Writer, "_commit", commit):
        yield


def in_a_program(work: Callable[[], Json]) -> tuple[int, Json]:
    """The signal that ended a program of its own, 0 if none, and what it said."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        code = 1
        try:
            os.write(writing, json.dumps(work()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        said = told.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status), None
    return 0, json.loads(said) if said else ["the program broke"]


def live(name: str, state: Path, known: Catalogue, kill_at: tuple[int, str] | None) -> Json:
    """One engine: to its kill, or to the end of the process and what is to be said of it."""
    run = RealRun(name, state, known=known)
    if kill_at is None:
        anyio.run(run.live)
        return [asdict(run.run.outcome), dict(run.run.asked), run.run.wrong]
    with dying_at(*kill_at):
        anyio.run(run.live)
    return None


def run_shape(name: str, known: Catalogue, kill_at: tuple[int, str] | None = None) -> tuple[Run, bool]:
    """A reference process to its end, and whether an engine was killed on the way."""
    with tempfile.TemporaryDirectory(prefix="faults-") as home:
        state = Path(home) / "state"
        state.mkdir(mode=0o700)
        killed = kill_at is not None and in_a_program(partial(live, name, state, known, kill_at))[0] == signal.SIGKILL
        ended, said = in_a_program(partial(live, name, state, known, None))
    run = Run.told(said) if ended == 0 and len(said) == len(("outcome", "asked", "wrong")) else Run.broken(str(said))
    return run, killed


def kill_at_writes(name: str, numbers: Sequence[int] = ()) -> Points:
    """Kill at these writes, or at every one, before and after, and compare with the run in peace."""
    known = Catalogue.of([])
    reference, _ = run_shape(name, known)
    found = Points(name=name, wrong=[f"in peace: {each}" for each in reference.wrong])
    for number in numbers or range(1, WRITES_MAX):
        killed = False
        for moment in ("before", "after"):
            run, died = run_shape(name, known, (number, moment))
            killed |= died
            found.points += died
            found.extra_calls += run.asked.total() - reference.asked.total()
            found.wrong += [f"{name} killed {moment} write {number}: {each}" for each in differences(reference, run)]
        if not killed:  # it had ended before that write
            break
        found.commits += 1
    return found


def in_a_zygote(name: str, *numbers: int) -> Points:
    """`kill_at_writes` in a program that has no threads, so that it may fork."""
    paths = os.pathsep.join(str(each) for each in (TESTS, TESTS.parent / "server"))
    command = [sys.executable, "-m", "faults.killing", name, *map(str, numbers)]
    said = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, check=True).stdout
    return Points(**json.loads(said))


if __name__ == "__main__":
    print(json.dumps(asdict(kill_at_writes(sys.argv[1], [int(each) for each in sys.argv[2:]]))))
