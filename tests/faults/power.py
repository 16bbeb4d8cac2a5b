"""Power cuts: every write, sync and deletion of a real journal is logged, and replayed up to a moment with losses.

Of what was not synced at the cut, each write is there or not by a throw, and every fifth of those is torn. What must
hold is checked by the real engine's own opening and `verify`: the newest acknowledged row is there, unchanged.

The writes are those of the SQLite library that `apsw` brings, which lets a file system be put under it; statements,
pragmas and order are the journal's. Directories are taken as durable: SQLite syncs them itself.
"""

import random
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest import mock

import apsw

from faults.engines import MEMORY
from faults.simulation import Setting, Simulation
from faults.virtual_time import run_virtual
from process_orchestrator.core.errors import OrchestratorError
from process_orchestrator.hosting import database
from process_orchestrator.hosting.chain import CHAIN_KEY_FILE
from process_orchestrator.hosting.database import writing_connection
from process_orchestrator.hosting.verification import verify_now

SURVIVES: Final = 0.5
TORN: Final = 0.2
CHECKPOINT_PAGES: Final = 20
"""Pages in the log before it is folded into the database: few, so that the cuts meet checkpoints."""


class Operation(NamedTuple):
    """One thing that SQLite did to a file."""

    what: str  # write | truncate | sync | delete | rename: `data` is the name before
    file: str
    offset: int = 0
    data: bytes = b""


class _File(apsw.VFSFile):
    def __init__(self, log: list[Operation], name: Any, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._log, self._name = log, Path(name.filename() if isinstance(name, apsw.URIFilename) else name).name

    # The names are SQLite's.
    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._log.append(Operation("write", self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._log.append(Operation("truncate", self._name, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._log.append(Operation("sync", self._name))
        super().xSync(flags)


class _Vfs(apsw.VFS):
    def __init__(self, name: str, log: list[Operation]) -> None:
        self._log = log
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> _File:  # noqa: N802
        return _File(self._log, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802, FBT001
        self._log.append(Operation("delete", Path(filename).name))
        super().xDelete(filename, syncdir)


class _Rows(list[tuple[Any, ...]]):
    """What a statement gave, as the standard library hands it out."""

    def fetchone(self) -> tuple[Any, ...] | None:
        return self[0] if self else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self


class _Connection:
    """As much of `sqlite3.Connection` as the journal uses, over apsw."""

    def __init__(self, place: str, vfs: str) -> None:
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI
        # A reader's attempt to lock at its end, which SQLite passes over in silence, apsw raises: open it for writing.
        self._connection = apsw.Connection(place.replace("?mode=ro", ""), flags=flags, vfs=vfs)

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, statement: str, values: Sequence[Any] = ()) -> _Rows:
        return _Rows(self._connection.execute(statement, values))

    def executemany(self, statement: str, values: Iterable[Sequence[Any]]) -> None:
        self._connection.executemany(statement, values).fetchall()

    def set_progress_handler(self, handler: Any, steps: int) -> None:
        self._connection.set_progress_handler(handler, steps)

    def close(self) -> None:
        self._connection.close()


@contextmanager
def logged(log: list[Operation]) -> Generator[None]:
    """Let every connection that the journal opens write through the log."""
    vfs = _Vfs("power", log)
    rename = Path.replace

    def renamed(before: Path, after: Path) -> Path:
        log.append(Operation("rename", after.name, data=before.name.encode()))
        return rename(before, after)

    connect = lambda place, **_options: _Connection(str(place), "power")  # noqa: E731 - beside what it stands for
    try:
        with mock.patch.object(database.sqlite3, "connect", connect), mock.patch.object(Path, "replace", renamed):
            yield
    finally:
        vfs.unregister()


@dataclass(kw_only=True)
class Recording:
    """What was written in a run, and when which row was acknowledged."""

    log: list[Operation] = field(default_factory=list[Operation])
    acknowledged: list[tuple[int, int, str]] = field(default_factory=list[tuple[int, int, str]])  # place, rows, head
    chain_key: bytes = b""
    wrong: list[str] = field(default_factory=list[str])


def record(setting: Setting, *, pragmas: Sequence[str] = ()) -> Recording:
    """Live through a world and keep every write. `pragmas` weaken what the journal asks for, to show the difference."""
    state = Path(tempfile.mkdtemp(prefix="faults-", dir=MEMORY if MEMORY.is_dir() else None))
    recording = Recording()
    try:
        with logged(recording.log):
            simulation = Simulation(setting, state)
            simulation.disk.pragmas = (f"wal_autocheckpoint={CHECKPOINT_PAGES}", *pragmas)
            simulation.disk.acknowledged = lambda rows, head: recording.acknowledged.append(
                (len(recording.log), rows, head)
            )
            with mock.patch("faults.simulation.verify_now", return_value=_Fine()):  # it is of another library
                run_virtual(simulation.run, complain=simulation.report.wrong.append)
        recording.wrong = simulation.report.wrong
        recording.chain_key = (state / CHAIN_KEY_FILE).read_bytes()
        return recording
    finally:
        shutil.rmtree(state, ignore_errors=True)


class _Fine:
    """What a verification says that is left to `cut`."""

    ok = True


def recordings(seed: int, count: int) -> list[Recording]:
    """Several worlds to cut the power in."""
    return [record(Setting(seed=seed + number, processes=6, disk=False)) for number in range(count)]


def files_after(log: Sequence[Operation], draw: random.Random) -> dict[str, bytearray]:
    """The files as a power cut leaves them after some operations."""
    files: dict[str, bytearray] = defaultdict(bytearray)
    waiting: dict[str, list[Operation]] = defaultdict(list)
    for operation in log:
        name = operation.file
        if operation.what == "delete":
            files.pop(name, None)
            waiting.pop(name, None)
        elif operation.what == "rename":
            before = operation.data.decode()
            files[name], waiting[name] = files.pop(before, bytearray()), waiting.pop(before, [])
        elif operation.what == "sync":
            for each in waiting.pop(name, ()):
                _apply(files[name], each)
        else:
            files.setdefault(name, bytearray())
            waiting[name].append(operation)
    for name, operations in waiting.items():
        for each in operations:
            if draw.random() < SURVIVES:
                torn = each.what == "write" and draw.random() < TORN
                cut = each._replace(data=each.data[: draw.randrange(len(each.data))]) if torn else each
                _apply(files[name], cut)
    return files


def _apply(data: bytearray, operation: Operation) -> None:
    if operation.what == "truncate":
        del data[operation.offset :]
        return
    end = operation.offset + len(operation.data)
    if len(data) < end:
        data.extend(bytes(end - len(data)))
    data[operation.offset : end] = operation.data


@dataclass(kw_only=True)
class Cuts:
    """What many cuts came to."""

    cuts: int = 0
    lost: int = 0
    corrupt: int = 0
    writes: int = 0
    found: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        return f"{self.cuts} power cuts over {self.writes} writes: {self.lost} lost, {self.corrupt} corrupt"


def cut_power(recording: Recording, count: int, *, seed: int, drop_syncs: bool = False) -> Cuts:
    """Cut the power at `count` moments and open what is left as an engine does. `drop_syncs`: a disk that lies."""
    draw = random.Random(seed)
    log = [each for each in recording.log if not (drop_syncs and each.what == "sync")]
    found = Cuts(writes=sum(each.what == "write" for each in recording.log))
    places = [place for place, each in enumerate(recording.log) if not (drop_syncs and each.what == "sync")]
    for _ in range(count):
        moment = draw.randrange(len(log) + 1)
        reached = places[moment - 1] + 1 if moment else 0
        told = [(rows, head) for place, rows, head in recording.acknowledged if place <= reached]
        files = files_after(log[:moment], draw)
        if CHAIN_KEY_FILE in files:  # written and synced before it got its name
            files[CHAIN_KEY_FILE] = bytearray(recording.chain_key)
        wrong = _look(files, told[-1] if told else None)
        found.cuts += 1
        if wrong is not None:
            kind, text = wrong
            setattr(found, kind, getattr(found, kind) + 1)
            found.found.append(f"cut after operation {moment}: {text}")
    return found


def _look(files: dict[str, bytearray], told: tuple[int, str] | None) -> tuple[str, str] | None:
    """Open the files as the next engine does. Whether an acknowledged row is lost, or anything corrupt."""
    state = Path(tempfile.mkdtemp(prefix="faults-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        for name, data in files.items():
            if not name.endswith("-shm"):
                (state / name).write_bytes(data)
        writing_connection(state).close()
        report = verify_now(state)
        if report.ok and told is not None and report.rows >= told[0]:
            report = verify_now(state, published=told)
        if not report.ok:
            return "corrupt", str(report.first_bad)
        if told is not None and report.rows < told[0]:
            return "lost", f"{told[0]} rows were acknowledged, {report.rows} are left"
    except OrchestratorError as error:
        return "corrupt", str(error)
    else:
        return None
    finally:
        shutil.rmtree(state, ignore_errors=True)
