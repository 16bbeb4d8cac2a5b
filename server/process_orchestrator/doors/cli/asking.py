"""Asks the person at the terminal, and shows what there is to decide.

The person may take minutes, and this program may be the engine: the question is asked in a thread of its own, so that
processes, doors and deadlines go on meanwhile. What an answer is worth is derived by the engine, not here.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.ports import Proof, ProofKind
from process_orchestrator.doors.cli import words
from process_orchestrator.views import text
from process_orchestrator.views.error_view import error_view
from process_orchestrator.views.formats import one_line
from process_orchestrator.views.models import ResolveRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from process_orchestrator.doors.cli.session import Session
    from process_orchestrator.orchestrator import Orchestrator
    from process_orchestrator.views.models import EscalationView, OptionView

T = TypeVar("T")

VALUE_SHOWN: Final = 160
FIELDS_SHOWN: Final = 12
"""Characters of one value and fields of one piece of evidence that a terminal shows; `escalations ID` shows more."""

FLAT: Final = frozenset({"string", "integer", "number", "boolean"})
YES: Final = frozenset({"y", "yes", "true", "1"})
NO: Final = frozenset({"n", "no", "false", "0"})


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a person chose, and the data that go with it."""

    option: OptionView
    data: Any = None


async def aside(ask: Callable[[], T]) -> T:
    """The answer of a question that blocks, asked in a thread that does not hold the program back when it is left."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(set_answer: Callable[[Any], None], value: object) -> None:
        if not answer.done():
            set_answer(value)

    def bring(set_answer: Callable[[Any], None], value: object) -> None:
        with suppress(RuntimeError):  # the loop has ended: nobody waits for an answer any more
            loop.call_soon_threadsafe(settle, set_answer, value)

    def work() -> None:
        try:
            found = ask()
        except BaseException as error:  # noqa: BLE001 - carried to who asked
            # A StopIteration or KeyboardInterrupt cannot stand in a future; neither comes out of a prompt here.
            bring(answer.set_exception, error)
        else:
            bring(answer.set_result, found)

    with _terminal_kept():
        threading.Thread(target=work, name="question", daemon=True).start()
        return await answer


@contextmanager
def _terminal_kept() -> Generator[None]:
    """Leave the terminal as it was: a hidden input that is interrupted would leave it mute."""
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield
        return
    import termios  # noqa: PLC0415 - does not exist on Windows

    before = termios.tcgetattr(sys.stdin.fileno())
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, before)


async def ask_line(session: Session, question: str, *, hidden: bool = False) -> str:
    """A line typed by the person; empty where they ended the input."""

    def ask() -> str:
        try:
            return session.out.input(Text.assemble((question, "bold"), " "), password=hidden)
        except EOFError:
            session.out.print()
            return ""

    return (await aside(ask)).strip()


async def ask_passphrase(session: Session, question: str) -> str:
    """Ask for a passphrase on the terminal itself; from a pipe it would prove nobody's presence."""
    if not session.terminal:
        raise RefusedError(
            "BAD_ARGUMENT", "a passphrase is typed on a terminal, and this is none.", do="run it in a terminal."
        )
    return await ask_line(session, question, hidden=True)


async def ask_and_resolve(
    session: Session, orchestrator: Orchestrator, escalation_id: str, *, note: str | None = None
) -> bool:
    """Put one question to the person; False where they leave it open."""
    package = await orchestrator.escalation(escalation_id, caller=session.caller)
    session.out.print(question_panel(package))
    while (choice := await ask_choice(session, package)) is not None:
        proof = await proof_of(session, choice.option)
        if proof is None:
            return False
        request = ResolveRequest(
            escalation_id=escalation_id,
            decision=choice.option.decision,
            data=choice.data,
            note=note,
            version=package.version,
        )
        try:
            result = await orchestrator.resolve(request, proof=proof, caller=session.caller)
        except RefusedError as error:
            session.note(words.error_text(error_view(error)).rstrip())
            if error.code in {"ALREADY_RESOLVED", "VERSION_CONFLICT"}:
                return True  # it went on without this answer
            continue
        session.out.print(recorded_line(result.recorded, choice.option.decision))
        return result.status == "resolved"
    return False


def recorded_line(recorded: Any, decision: str) -> Text:
    """What was recorded, by whom, and what that proves."""
    if recorded is None:
        return Text(f"→ {decision}: nothing was recorded", "yellow")
    worth = {"A0": "asserted, no person proven", "A1": "typed on this terminal"}.get(
        recorded.assurance, "proven by a passphrase"
    )
    return Text.assemble(("→ ", "dim"), (decision, "bold"), f" by {recorded.by} ({recorded.assurance}: {worth})")


async def proof_of(session: Session, option: OptionView) -> Proof | None:
    """The proof that an option needs; None where no reviewer is named for one that needs a passphrase."""
    if option.needs in {"A0", "A1"}:
        return Proof(kind=ProofKind.TERMINAL)
    name = await ask_line(session, f"{option.decision} needs {option.needs}. Reviewer (Enter leaves it open):")
    if not name:
        return None
    secret = await ask_passphrase(session, f"Passphrase of {name}:")
    return Proof(kind=ProofKind.PASSPHRASE, reviewer=name, secret=secret)


async def ask_choice(session: Session, package: EscalationView) -> Choice | None:
    """One of the options, with its data; None where the person leaves the question open."""
    names = [option.decision for option in package.options]
    while True:
        said = await ask_line(session, f"Decision, one of {', '.join(names)} (Enter leaves it open):")
        if not said:
            return None
        word = said.lower().replace("-", "_").replace(" ", "_")
        found = [name for name in names if name == word] or [name for name in names if name.startswith(word)]
        if len(found) == 1:
            option = package.options[names.index(found[0])]
            return Choice(option=option, data=await _ask_data(session, option))
        session.out.print(Text(f"{said!r} is none of them.", "yellow"))


async def _ask_data(session: Session, option: OptionView) -> Any:
    """The data of an option: field by field where they are flat, else as one line of JSON; None for none."""
    schema = option.data_schema or {}
    fields: Mapping[str, Any] = schema.get("properties", {})
    required = schema.get("required", [])
    if not schema or (not fields and schema.get("type", "object") == "object"):
        return None
    if not fields or any(_kind(fields[name]) is None for name in required if name in fields):
        return await _ask_json(session, f"Data of {option.decision}, as one line of JSON:", schema)
    data: dict[str, Any] = {}
    for name, part in fields.items():
        kind = _kind(part)
        if kind is None:
            continue
        value = await _ask_field(session, name, part, kind, required=name in required)
        if value is not None:
            data[name] = value
    return data or None


def _kind(part: Any) -> str | None:
    kind = part.get("type") if isinstance(part, dict) else None
    return kind if isinstance(kind, str) and kind in FLAT else None


async def _ask_field(session: Session, name: str, part: Mapping[str, Any], kind: str, *, required: bool) -> Any:
    choices = f" ({', '.join(map(str, part['enum']))})" if "enum" in part else " (yes, no)" if kind == "boolean" else ""
    about = f": {one_line(str(part['description']))}" if part.get("description") else ""
    while True:
        said = await ask_line(session, f"  {name}{choices}{about}{'' if required else ' [optional]'}:")
        if not said and not required:
            return None
        if kind == "string":
            return said
        try:
            return _value(said, kind)
        except ValueError:
            session.out.print(Text(f"  {said!r} is no {kind}.", "yellow"))


def _value(said: str, kind: str) -> Any:
    if kind == "boolean":
        if said.lower() not in YES | NO:
            raise ValueError(said)
        return said.lower() in YES
    return int(said) if kind == "integer" else float(said)


async def _ask_json(session: Session, question: str, schema: Mapping[str, Any]) -> Any:
    session.out.print(Text(f"It must keep {one_line(json.dumps(schema), limit=600)}", "dim"))
    while True:
        said = await ask_line(session, question)
        try:
            return json.loads(said) if said else None
        except ValueError as error:
            session.out.print(Text(f"No JSON: {error}.", "yellow"))


# --- the question on the screen ----------------------------------------------------------------------------------


def question_panel(package: EscalationView) -> Panel:
    """A question with what a person needs to decide it, short enough for a screen."""
    options = Table.grid(padding=(0, 2))
    for option in package.options:
        cost = f"{option.cost_usd} USD" if option.cost_usd else ""
        options.add_row(
            Text(option.decision, "bold"), Text(option.needs, "dim"), Text(cost, "dim"), text.clean(option.consequence)
        )
    until = f" Until {package.deadline_at}, then {package.on_deadline}." if package.deadline_at else ""
    parts: list[Any] = [
        Text(one_line(package.question), "bold"),
        Text(f"Asked of {package.role}, since {one_line(package.why.rule)}.{until}", "dim"),
    ]
    if package.evidence:
        parts += [Text(), Text("Evidence, written by those named: data, not instructions.", "dim")]
    for each in package.evidence or []:
        parts += [Text(f"{one_line(each.label)} (from {each.from_})", "cyan"), _evidence(each.value)]
    if package.tried:
        parts += [Text(), Text("Tried: " + "; ".join(f"{each.agent} {each.code}" for each in package.tried))]
    parts += [Text(), options]  # last, where the eye is when the answer is typed
    return Panel(Group(*parts), title=package.escalation_id, title_align="left", border_style="yellow")


def _evidence(value: Any) -> Table | Text:
    if not isinstance(value, dict) or not value:
        return Text("  " + _short(value))
    table = Table.grid(padding=(0, 2))
    for name, part in list(value.items())[:FIELDS_SHOWN]:
        table.add_row("", text.clean(str(name)), Text(_short(part)))
    if len(value) > FIELDS_SHOWN:
        table.add_row("", "…", Text(f"{len(value) - FIELDS_SHOWN} more fields", "dim"))
    return table


def _short(value: Any) -> str:
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), limit=VALUE_SHOWN)
