"""`contracts new` and `processes new`: skeletons for a person to finish, written into the home."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from process_orchestrator.checking.authoring.given import given_bindings
from process_orchestrator.checking.authoring.new_contract import new_contract
from process_orchestrator.checking.authoring.new_process import STEPS_MAX, Skeleton, new_process
from process_orchestrator.checking.documents.yaml_reader import FILE_BYTES_MAX
from process_orchestrator.checking.importers import places
from process_orchestrator.checking.importers.yaml_text import yaml_text
from process_orchestrator.checking.loading.loader import load_home, load_text
from process_orchestrator.checking.loading.report import CheckReport
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.doors.cli.session import Session, command, print_json, read_json
from process_orchestrator.views.text import clean

if TYPE_CHECKING:
    from process_orchestrator.checking.documents.definitions import Contract
    from process_orchestrator.checking.loading.registry import Registry

CONTRACT_NAME: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
EXAMPLES_MAX: Final = 100


@command
async def new_contract_command(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Words joined by dots: ledger.post.")],
    input_example: Annotated[
        list[str] | None,
        typer.Option("--input-example", metavar="FILE|JSON", help="Arguments of a call; may come several times."),
    ] = None,
    output_example: Annotated[
        list[str] | None,
        typer.Option("--output-example", metavar="FILE|JSON", help="Its answer; may come several times."),
    ] = None,
) -> None:
    """Write the draft of a contract, its schemas inferred from examples of calls and answers."""
    _named(name, CONTRACT_NAME, chars=128)
    registry = load_home(session.home.path)
    if registry.matching(name):
        raise RefusedError(
            "BAD_ARGUMENT", f"there is a contract {name} already.", do="choose another name, or edit it."
        )
    document = new_contract(name, inputs=_examples(input_example), outputs=_examples(output_example))
    path = session.home.path / "contracts" / name.partition(".")[0] / f"{name}.contract.yaml"
    report = _written(session, path, document, registry)
    todo: list[str] = document["todo"]
    _say(
        session,
        {"file": _shown(session, path), "name": name, "todo": todo, "ok": report.ok},
        [
            f"{_shown(session, path)}  written, a draft",
            "To decide, before a plan may use it:",
            *(f"  {each}" for each in todo),
            *_problems(report),
            f"Next: edit it, name it under serves of an agent, then `orchestrator check{session.options}`",
        ],
    )


@command
async def new_process_command(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the process type.")],
    contracts: Annotated[
        list[str] | None,
        typer.Option("--contracts", metavar="A,B,C", help="What its steps call, in this order, by commas."),
    ] = None,
    bind: Annotated[
        list[str] | None,
        typer.Option("--bind", metavar="STEP.ARGUMENT=BINDING", help="Where an argument comes from; several times."),
    ] = None,
) -> None:
    """Write the skeleton of a process type, its bindings proposed by the static check."""
    _named(name, NAME, chars=64)
    registry = load_home(session.home.path)
    if registry.process(name) is not None:
        message = f"there is a process type {name} already."
        raise RefusedError("BAD_ARGUMENT", message, do="choose another name, or edit it.")
    found = [_contract(registry, each) for each in _wanted(contracts)]
    given = given_bindings(bind or ())
    skeleton = new_process(name, found, given=given)
    path = session.home.path / "contracts" / name / f"{name}.process.yaml"
    report = _written(session, path, skeleton.document, registry, said=bool(given))
    drafts = [each.name for each in found if each.status != "active"]
    todo = [
        *skeleton.document["x-todo"],
        *(f"{each} is a draft: `orchestrator contracts activate {each}`" for each in drafts),
    ]
    payload = {
        "file": _shown(session, path),
        "name": name,
        "bindings": [each._asdict() for each in skeleton.bindings],
        "todo": todo,
        "ok": report.ok,
    }
    _say(session, payload, _process_lines(session, path, skeleton, todo, report))


def _process_lines(session: Session, path: Path, skeleton: Skeleton, todo: list[str], report: CheckReport) -> list[str]:
    name = skeleton.document["process"]
    lines = [f"{_shown(session, path)}  written", "Bindings:"]
    lines += [f"  {each.step}.{each.argument} <- {each.binding}  ({each.verdict})" for each in skeleton.bindings]
    lines += ["To look at:", *(f"  {each}" for each in todo)]
    lines += [] if any("is a draft" in each for each in todo) else _problems(report)  # of a draft nothing is known yet
    if report.ok:
        needed = skeleton.document["input"].get("required", [])
        given = "{" + ", ".join(f'"{each}": …' for each in needed) + "}"
        return [*lines, f"check: ok. Next: `orchestrator run {name} --input '{given}'{session.options}`"]
    return [*lines, f"Next: mend it, then `orchestrator check{session.options}`"]


def _wanted(contracts: list[str] | None) -> tuple[str, ...]:
    wanted = tuple(part.strip() for each in contracts or () for part in each.split(",") if part.strip())
    if not wanted:
        do = "name contracts by commas: --contracts invoice.extract,ledger.post."
        raise RefusedError("BAD_ARGUMENT", "--contracts names none.", do=do)
    if len(wanted) > STEPS_MAX:
        raise RefusedError(
            "BAD_ARGUMENT", f"--contracts names {len(wanted)}, at most {STEPS_MAX}.", do="make several types of them."
        )
    return wanted


def _contract(registry: Registry, name: str) -> Contract:
    found = registry.contract(name)
    if found is None:
        nearest = ", ".join(registry.nearest("contract", name)) or "none yet"
        raise RefusedError("UNKNOWN_CONTRACT", f"there is no contract {name}.", do=f"nearest: {nearest}.")
    return found


def _named(name: str, form: re.Pattern[str], *, chars: int) -> None:
    if not form.fullmatch(name) or len(name) > chars:
        do = "lower-case letters, digits and _, beginning with a letter; words of a contract joined by dots."
        raise RefusedError("BAD_ARGUMENT", f"`{name[:80]}` is no name.", do=do)


def _examples(given: list[str] | None) -> list[dict[str, Any]]:
    if len(given or ()) > EXAMPLES_MAX:
        raise RefusedError("BAD_ARGUMENT", f"more than {EXAMPLES_MAX} examples.", do="choose those that differ.")
    found = [read_json(each) for each in given or ()]
    for each in found:
        if not isinstance(each, dict):
            do = "put the value into an object: what goes in and comes out of a contract has names."
            raise RefusedError("BAD_ARGUMENT", "an example is no JSON object.", do=do)
    return found


def _written(
    session: Session, path: Path, document: dict[str, Any], registry: Registry, *, said: bool = False
) -> CheckReport:
    """Write a definition that is not there yet, and check it beside the others.

    Where a person has `said` bindings, and they do not hold, nothing is written: the command is mended, not the file.
    """
    if path.exists():
        do = "choose another name, or move it away."
        raise RefusedError("BAD_ARGUMENT", f"{_shown(session, path)} is already here.", do=do)
    text = yaml_text(document)
    if len(text.encode()) > FILE_BYTES_MAX:
        message = f"{_shown(session, path)} would have {len(text.encode())} bytes, at most {FILE_BYTES_MAX} are read."
        raise RefusedError("TOO_LARGE", message, do="name fewer contracts, or contracts with smaller schemas.")
    report = load_text(text, name=path.name, registry=registry)
    errors = [each for file in report.files for each in file.problems if each.level == "error"]
    for each in errors if said else ():
        if "/in/" in each.pointer or each.pointer.startswith("/plan/output"):
            raise RefusedError("BAD_ARGUMENT", f"{each.pointer}: {each.message}", do=each.fix, pointer=each.pointer)
    places.put(path, text, new=True)
    return report


def _problems(report: CheckReport) -> list[str]:
    return [
        f"  line {each.line}: {each.level} {each.code}: {each.message} Fix: {each.fix}"
        for file in report.files
        for each in file.problems
    ]


def _shown(session: Session, path: Path) -> str:
    return path.relative_to(session.home.path).as_posix()


def _say(session: Session, payload: dict[str, Any], lines: list[str]) -> None:
    if session.json:
        print_json(payload)
    else:
        session.out.print(clean("\n".join(lines)), markup=False)
