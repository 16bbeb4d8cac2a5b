"""The command `contracts diff`: two versions of a definition, what breaks between them, the version that asks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from process_orchestrator.checking.documents.definitions import Contract, ProcessType
from process_orchestrator.checking.documents.yaml_reader import FILE_BYTES_MAX
from process_orchestrator.checking.loading.loader import load_bytes, load_home
from process_orchestrator.checking.schemas.shown import shown
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.doors.cli.session import Exit, Session, command, print_json
from process_orchestrator.git_history import committed
from process_orchestrator.views.text import clean

if TYPE_CHECKING:
    from process_orchestrator.checking.changes.evolution import Change, Difference
    from process_orchestrator.checking.loading.registry import Registry

Versioned = Contract | ProcessType

WIDTH: Final = 10
"""Of the longest judgement, and a space."""


@command
async def diff_command(
    session: Session,
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="A file, NAME@VERSION of the home, or a git revision: HEAD:./FILE.")
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="As OLD.")],
) -> Exit:
    """Compare two versions: what breaks, what widens, and the least version allowed. Exit code 2 for a lower one."""
    # Late: 10 ms that only this command pays.
    from process_orchestrator.checking.changes.evolution import difference  # noqa: PLC0415

    registry = load_home(session.home.path)
    before, after = _side(old, registry), _side(new, registry)
    if type(before) is not type(after):
        raise RefusedError(
            "BAD_ARGUMENT",
            f"{old} is a {_kind(before)} and {new} a {_kind(after)}.",
            do="compare two contracts, or two process types.",
        )
    found = difference(before, after)
    if session.json:
        print_json(msgspec.to_builtins(found))
    else:
        session.out.print(clean(difference_text(found)), markup=False)
    return Exit.OK if found.enough else Exit.REFUSED


def difference_text(found: Difference) -> str:
    """The difference as a person reads it: the heaviest first, then the version that is asked for."""
    versions = found.old if found.old == found.new else f"{found.old} -> {found.new}"
    lines = [f"{found.name} {versions}: {found.judgement}"]
    for judgement in ("breaking", "widening", "text"):
        lines += [line for each in found.changes if each.judgement == judgement for line in _row(each)]
    if not found.changes and found.enough:
        return lines[0]
    if found.enough:
        lines.append(f"at least {found.least}: {found.new} will do")
    else:
        lines.append(f"at least {found.least}: {found.new} is too low. Do: write `version: {found.least}`.")
    return "\n".join(lines)


def _row(change: Change) -> list[str]:
    place = f"{change.pointer}  " if change.pointer else ""
    lines = [f"  {change.judgement.value:<{WIDTH}}{place}{change.message}"]
    if change.witness is not msgspec.UNSET:
        lines.append(f"  {'':<{WIDTH}}for example {shown(change.witness)}")
    return lines


def _kind(definition: Versioned) -> str:
    return "contract" if isinstance(definition, Contract) else "process type"


def _side(text: str, registry: Registry) -> Versioned:
    """One side of the comparison. Raises RefusedError where it names nothing, or something broken."""
    path = Path(text).expanduser()
    if path.is_file():
        return _read(_file(path), text)
    if ":" in text:
        data = committed(Path.cwd(), text)
        if data is not None:
            return _read(data, text)
    found = registry.contract(text) or registry.process(text)
    if found is not None:
        return found
    raise RefusedError(
        "BAD_ARGUMENT",
        f"{text} is no file, no definition of this home and no file of a git revision.",
        do="name a file, NAME@VERSION, or a revision such as HEAD:./contracts/FILE.",
    )


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as opened:
            return opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise RefusedError(
            "BAD_ARGUMENT", f"{path} cannot be read: {error.strerror}.", do="make it readable, then run it again."
        ) from error


def _read(data: bytes, name: str) -> Versioned:
    loaded = load_bytes(data, file=name.rpartition(":")[2], path=name)
    definition: Any = loaded.definition
    if isinstance(definition, Versioned):
        return definition
    first = next((each for each in loaded.problems if each.level == "error"), None)
    why = f"line {first.line}: {first.message}" if first is not None else "it is no contract and no process type"
    raise RefusedError("BAD_ARGUMENT", f"{name} cannot be compared: {why}.", do="run `orchestrator check` on it.")
