"""What every command shares: options, opening the orchestrator, printing results, exit codes.

Results go to stdout and nothing else does; errors go to stderr, or with `--json` as `{"error": …}` to stdout. Every
error ends with what to do.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import anyio
import typer
from rich.console import Console

from process_orchestrator.assemble import Mode, open_orchestrator
from process_orchestrator.core.errors import EngineError, OrchestratorError, RefusedError, StorageError
from process_orchestrator.home import Home, find_home
from process_orchestrator.settings import load_settings
from process_orchestrator.views.models import Caller, View
from process_orchestrator.views.text import clean

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from process_orchestrator.core.ports import ChangeListener
    from process_orchestrator.orchestrator import Orchestrator

T = TypeVar("T")


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    FAILED = 1  # the process failed or was cancelled
    REFUSED = 2  # usage, or input that was refused
    WAITING = 3  # a human must act
    ENGINE = 4  # engine or storage


EXIT_OF_STATUS: Final = {"failed": Exit.FAILED, "cancelled": Exit.FAILED, "waiting_human": Exit.WAITING}

PIPE_WIDTH: Final = 140

HomeOption = Annotated[
    Path | None, typer.Option("--home", metavar="DIR", help="Folder with contracts/ and agents_registry/.")
]
StateOption = Annotated[Path | None, typer.Option("--state", metavar="DIR", help="Folder of the database.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


@dataclass(frozen=True, kw_only=True)
class Session:
    """The options that every command takes, and what follows from them."""

    home: Home
    json: bool
    caller: Caller = field(default_factory=lambda: Caller(channel="cli"))

    @property
    def interactive(self) -> bool:
        """Whether a person sits at a terminal: both ends must be one."""
        return not self.json and sys.stdin.isatty() and sys.stdout.isatty()

    @property
    def out(self) -> Console:
        """Where results are printed. A file or pipe has no width of its own: wide enough for a table, never wrapped."""
        terminal = sys.stdout.isatty()
        return Console(highlight=False, soft_wrap=not terminal, width=None if terminal else PIPE_WIDTH)

    @asynccontextmanager
    async def orchestrator(self, mode: Mode, *, listener: ChangeListener | None = None) -> AsyncIterator[Orchestrator]:
        """Open the orchestrator of this home; see `assemble.Mode` for what it may do."""
        settings = load_settings(self.home.path, environment=os.environ)
        async with open_orchestrator(self.home, settings, mode=mode, listener=listener) as orchestrator:
            yield orchestrator

    def show(self, view: View, text: str) -> None:
        """Print a result: as JSON where asked for, else as prose."""
        if self.json:
            print_json(view.payload())
        else:
            sys.stdout.write(clean(text).rstrip() + "\n")


def open_session(home: Path | None, state: Path | None, *, as_json: bool) -> Session:
    """Find the home of a command."""
    return Session(home=find_home(home, state, environment=os.environ, folder=Path.cwd()), json=as_json)


def print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def read_json_file(name: str | None) -> Any:
    """Read a JSON value from a file or, for `-`, from stdin; None for no name. BAD_ARGUMENT when it is none."""
    if name is None:
        return None
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        return json.loads(text)
    except (OSError, ValueError) as error:
        where = "stdin" if name == "-" else name
        raise RefusedError(
            "BAD_ARGUMENT", f"{where} holds no JSON value: {error}.", do="give a file with one JSON object, or -."
        ) from error


def run(session: Session, work: Callable[[], Awaitable[Exit | None]]) -> None:
    """Run a command's work and leave with its exit code. The top of this door: no error passes it unexplained."""
    try:
        code = anyio.run(_unwrapped, work)
    except OrchestratorError as error:
        raise typer.Exit(report(session, error)) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(130) from error
    raise typer.Exit(code or Exit.OK)


async def _unwrapped(work: Callable[[], Awaitable[Exit | None]]) -> Exit | None:
    """Run `work`; a lone error inside the groups of its task groups leaves as itself."""
    try:
        return await work()
    except BaseExceptionGroup as group:
        error = _only(group)
        if error is None:
            raise
        raise error from group


def _only(group: BaseException) -> OrchestratorError | KeyboardInterrupt | None:
    while isinstance(group, BaseExceptionGroup) and len(group.exceptions) == 1:
        group = group.exceptions[0]
    return group if isinstance(group, OrchestratorError | KeyboardInterrupt) else None


def report(session: Session, error: OrchestratorError) -> Exit:
    """Print an error in its one form and say with which code to leave."""
    code = Exit.ENGINE if isinstance(error, EngineError | StorageError) else Exit.REFUSED
    if isinstance(error, RefusedError) and error.code in {"STORAGE_FULL", "ENGINE_UNAVAILABLE", "ENGINE_VERSION"}:
        code = Exit.ENGINE
    if session.json:
        print_json({"error": error_body(error)})
    else:
        sys.stderr.write(clean(_sentence(error)) + "\n")
    return code


def _sentence(error: OrchestratorError) -> str:
    text = str(error)
    return text if text.startswith(error.code) else f"{error.code}: {text}"


def error_body(error: OrchestratorError) -> dict[str, Any]:
    """Give the structured form of an error: {code, message, do, pointer?, …}."""
    if isinstance(error, RefusedError):
        body: dict[str, Any] = {"code": error.code, "message": error.message, "do": error.do}
        if error.pointer is not None:
            body["pointer"] = error.pointer
        body.update({key: value for key, value in error.details.items() if value is not None})
        return body
    message, _, do = str(error).removeprefix(f"{error.code}: ").partition(" Do: ")
    return {"code": error.code, "message": message, "do": do or "run `orchestrator doctor`."}
