"""What every command shares: options, opening the orchestrator, printing results, exit codes.

Results go to stdout and nothing else does; errors go to stderr, or with `--json` as `{"error": …}` to stdout. Every
error ends with what to do. No error leaves as a traceback, unless ORCHESTRATOR_DEBUG asks for it on stderr.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import anyio
import typer
from rich.console import Console

from process_orchestrator.assemble import Mode, engine_answers, open_orchestrator
from process_orchestrator.checking.schemas.validate import parse_body
from process_orchestrator.core.errors import (
    AgentCallError,
    BodyError,
    EngineError,
    OrchestratorError,
    RefusedError,
    StorageError,
)
from process_orchestrator.core.limits import BODY_BYTES_MAX, BODY_DEPTH_MAX
from process_orchestrator.doors.cli import words
from process_orchestrator.home import Home, find_home
from process_orchestrator.hosting.database_file import DATABASE_FILE
from process_orchestrator.settings import Settings, load_settings
from process_orchestrator.views.error_view import error_view
from process_orchestrator.views.formats import one_line
from process_orchestrator.views.models import Caller, ErrorBody, ErrorView, View
from process_orchestrator.views.text import clean

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from process_orchestrator.core.ports import ChangeListener
    from process_orchestrator.orchestrator import Orchestrator

V = TypeVar("V", bound=View)


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    FAILED = 1  # the process failed or was cancelled
    REFUSED = 2  # usage, or input that was refused
    WAITING = 3  # a human must act
    ENGINE = 4  # engine or storage


INTERRUPTED: Final = 130
"""Ctrl-C, as shells count it."""

EXIT_OF_STATUS: Final = {"failed": Exit.FAILED, "cancelled": Exit.FAILED, "waiting_human": Exit.WAITING}

CODES_OF_THE_ENGINE: Final = frozenset({"STORAGE_FULL", "ENGINE_UNAVAILABLE", "ENGINE_VERSION"})
DEBUG: Final = "ORCHESTRATOR_DEBUG"
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
    options: str = ""  # those by which this home was named; commands that we suggest repeat them
    caller: Caller = field(default_factory=lambda: Caller(channel="cli"))

    @property
    def terminal(self) -> bool:
        """Whether this runs on a terminal: both ends must be one, so that a program that pipes is none."""
        return sys.stdin.isatty() and sys.stdout.isatty()

    @property
    def interactive(self) -> bool:
        """Whether a person can be asked."""
        return self.terminal and not self.json

    @property
    def out(self) -> Console:
        """Where prose is printed; with --json nowhere. A file or pipe has no width: wide enough for a table there."""
        terminal = sys.stdout.isatty()
        width = None if terminal else PIPE_WIDTH
        return Console(highlight=False, soft_wrap=not terminal, width=width, quiet=self.json)

    @asynccontextmanager
    async def orchestrator(self, mode: Mode, *, listener: ChangeListener | None = None) -> AsyncGenerator[Orchestrator]:
        """Open the orchestrator of this home; see `assemble.Mode` for what it may do."""
        async with open_orchestrator(self.home, self.settings, mode=mode, listener=listener) as orchestrator:
            yield orchestrator

    @property
    def settings(self) -> Settings:
        """The settings of this home as they are now. Raises RefusedError for what is none."""
        return load_settings(self.home.path, environment=os.environ)

    @property
    def has_database(self) -> bool:
        return (self.home.state / DATABASE_FILE).exists()

    @property
    def writing(self) -> Mode:
        """The mode of a command that acts on what exists already: where nothing does, it creates nothing either."""
        return Mode.WRITE if self.has_database else Mode.READ

    def show(self, view: V, render: Callable[[V], str]) -> None:
        """Print a result: as JSON where asked for, else as prose."""
        if self.json:
            print_json(view.payload())
        else:
            sys.stdout.write(clean(words.result_text(view, render, options=self.options)).rstrip() + "\n")

    def note(self, sentence: str) -> None:
        """Say something beside the result: on stderr, so that stdout holds results alone."""
        sys.stderr.write(clean(sentence) + "\n")

    def need_definitions(self) -> None:
        """Refuse to run anything in a home that defines nothing. Raises RefusedError BAD_ARGUMENT."""
        if not self.home.has_definitions:
            raise RefusedError(
                "BAD_ARGUMENT",
                f"{self.home.path} holds no definitions.",
                do=f"run `orchestrator init {shlex.quote(str(self.home.path))}` to copy the shipped ones there, "
                "or name another home with --home.",
            )

    async def note_without_engine(self, what: str, process_id: str) -> None:
        """Say that something is stored and nobody carries it on, where that is so."""
        if not await engine_answers(self.home):
            self.note(
                f"{what}; no engine is running on this home. "
                f"Do: `orchestrator run {process_id}{self.options}` or `orchestrator serve{self.options}`."
            )


def open_session(home: Path | None, state: Path | None, *, as_json: bool) -> Session:
    """Find the home of a command."""
    found = find_home(home, state, environment=os.environ, folder=Path.cwd())
    named = [("--home", home and found.path), ("--state", state and found.state)]
    options = "".join(f" {name} {shlex.quote(str(path))}" for name, path in named if path)
    return Session(home=found, json=as_json, options=options)


def print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def read_json(given: str | None) -> Any:
    """Read a JSON value: from a file, from stdin for `-`, or given in place; None for None.

    Raises RefusedError BAD_ARGUMENT where it is none.
    """
    if given is None:
        return None
    in_place = given.lstrip()[:1] in {"{", "["}
    where = "the JSON given" if in_place else "stdin" if given == "-" else given
    try:
        if in_place:
            data = given.encode()
        else:
            data = sys.stdin.buffer.read() if given == "-" else Path(given).expanduser().read_bytes()
        return parse_body(data, max_bytes=BODY_BYTES_MAX, depth=BODY_DEPTH_MAX)
    except OSError as error:
        raise RefusedError(
            "BAD_ARGUMENT", f"{where} cannot be read: {error.strerror}.", do="give a file with one JSON value, or -."
        ) from error
    except BodyError as error:
        raise RefusedError(
            "BAD_ARGUMENT",
            f"{where} holds no usable JSON ({error.code}): {error.message.removesuffix('.')}.",
            do="mend it, then try again.",
        ) from error


def command(work: Callable[..., Awaitable[Exit | None]]) -> Callable[..., None]:
    """A command made of what it does: takes the options that all take beside its own, and hands it their session.

    Typer reads options from a function's signature, so that of the command is written here: the parameters of `work`
    after the first, then `--home`, `--state` and `--json`.
    """

    @wraps(work)
    def started(*, home: Path | None, state: Path | None, as_json: bool, **options: Any) -> None:
        session = open_session(home, state, as_json=as_json)
        run(session, lambda: work(session, **options))

    own = [*inspect.signature(work, eval_str=True).parameters.values()][1:]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=option)
        for name, option, default in (
            ("home", HomeOption, None),
            ("state", StateOption, None),
            ("as_json", JsonOption, False),
        )
    ]
    signature = inspect.Signature([*own, *shared], return_annotation=None)
    started.__annotations__ = {parameter.name: parameter.annotation for parameter in signature.parameters.values()}
    vars(started)["__signature__"] = signature
    return started


def run(session: Session, work: Callable[[], Awaitable[Exit | None]]) -> None:
    """Run a command's work and leave with its exit code. The top of this door: no error passes it unexplained."""
    try:
        code = anyio.run(_unwrapped, work)
    except OrchestratorError as error:
        raise typer.Exit(report(session, error)) from error
    except (KeyboardInterrupt, typer.Abort) as error:
        raise typer.Exit(INTERRUPTED) from error
    except (BrokenPipeError, typer.Exit):  # the reader has seen enough: Typer leaves quietly
        raise
    except Exception as error:
        raise typer.Exit(report_unexpected(session, error)) from error
    raise typer.Exit(code or Exit.OK)


async def _unwrapped(work: Callable[[], Awaitable[Exit | None]]) -> Exit | None:
    """Run `work`; a lone error inside the groups of its task groups leaves as itself."""
    _let_interrupts_wake_the_loop()
    try:
        return await work()
    except BaseExceptionGroup as group:
        error = _only(group)
        if error is None:
            raise
        raise error from group


def _let_interrupts_wake_the_loop() -> None:
    """Have Ctrl-C wake this loop at once, whenever it comes and whichever thread the system hands it to.

    What a signal does, Python does on the main thread, and that one sleeps in the loop's select. A signal that comes
    just before it falls asleep, or to the thread that reads an answer, is noted and nothing more: the program stands
    until something else happens. A handler of the loop's makes every signal write to a pipe that select watches; what
    Ctrl-C does stays with the handler that was there. On Windows the loop has that pipe from its start.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        return
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):  # ignored, as by a shell that started this in the background
        return
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: None)
    signal.signal(signal.SIGINT, handler)


def _only(group: BaseException) -> BaseException | None:
    while isinstance(group, BaseExceptionGroup) and len(group.exceptions) == 1:
        group = group.exceptions[0]
    return None if isinstance(group, BaseExceptionGroup) else group


def report(session: Session, error: OrchestratorError) -> Exit:
    """Print an error in its one form and say with which code to leave."""
    _print_error(session, _view_of(error))
    if isinstance(error, AgentCallError):
        return Exit.FAILED
    of_the_engine = isinstance(error, EngineError | StorageError) or error.code in CODES_OF_THE_ENGINE
    return Exit.ENGINE if of_the_engine else Exit.REFUSED


def _view_of(error: OrchestratorError) -> ErrorView:
    """The structured form of an error; what to do comes from its own text where that says it."""
    view = error_view(error)
    if isinstance(error, AgentCallError):
        do = (
            "read the agent's log in the folder `logs` of the state folder; `orchestrator agents list` shows who it is."
        )
        if error.code == "no_model":
            do = "write the tier with its model into orchestrator.toml; `orchestrator doctor` shows what is set up."
        return ErrorView(error=view.error.model_copy(update={"do": do}))
    message, _, do = view.error.message.removeprefix(f"{error.code}: ").partition(" Do: ")
    return ErrorView(error=view.error.model_copy(update={"message": message, "do": do})) if do else view


def report_unexpected(session: Session, error: Exception) -> Exit:
    """Print what must not happen in one line; how it came to be where ORCHESTRATOR_DEBUG is set."""
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    body = ErrorBody(
        code="INTERNAL",
        message=f"an unexpected error, {one_line(said)}.",
        do=f"run it again with {DEBUG}=1 and report what stderr says; `orchestrator doctor` looks for what is amiss.",
    )
    _print_error(session, ErrorView(error=body))
    return Exit.ENGINE


def report_usage(message: str, *, do: str, as_json: bool) -> Exit:
    """Print what is wrong with how a command was called."""
    view = ErrorView(error=ErrorBody(code="BAD_ARGUMENT", message=message, do=do))
    if as_json:
        print_json(view.payload())
    else:
        sys.stderr.write(clean(words.error_text(view)).rstrip() + "\n")
    return Exit.REFUSED


def _print_error(session: Session, view: ErrorView) -> None:
    if session.json:
        print_json(view.payload())
    else:
        sys.stderr.write(clean(words.error_text(view)).rstrip() + "\n")
