"""The command `contracts fake`: agents that answer from contracts, served over stdio or written as a registry."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.doors.cli.session import Session, command, print_json

FAULTS: Final = "ORCHESTRATOR_FAKE_FAIL"
"""Environment variable with faults as `--fail` takes them, by commas."""


@command
async def fake_contracts_command(
    session: Session,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAMES]", help="Contracts: names, or name@version.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every active contract but those that only people keep.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="Other answers for the same inputs.")] = 0,
    fail: Annotated[
        list[str] | None,
        typer.Option(
            "--fail", metavar="CODE=SHARE", help="A declared error for a share of all calls, such as busy=0.1."
        ),
    ] = None,
    write_registry: Annotated[
        Path | None,
        typer.Option("--write-registry", metavar="DIR", help="Write agents_registry of a home on fakes, do not serve."),
    ] = None,
) -> None:
    """Serve MCP on stdin and stdout with one tool for each contract, whose answers are made up from the contract."""
    # Heavy, and wanted here alone.
    from process_orchestrator.usecases import fake_fleet  # noqa: PLC0415
    from process_orchestrator.usecases.faking import FakeAgent, read_fault  # noqa: PLC0415

    session.need_definitions()
    registry = load_home(session.home.path)
    contracts = fake_fleet.chosen(registry, names or [], every=every or (write_registry is not None and not names))
    said = [*(fail or []), *(each for each in os.environ.get(FAULTS, "").split(",") if each.strip())]
    agent = FakeAgent(contracts, seed=seed, faults=[read_fault(each) for each in said])
    if write_registry is not None:
        definition = fake_fleet.fake_agent(contracts, seed=seed, faults=fail or [])
        home = session.home.path
        written = fake_fleet.write_registry(write_registry, definition, registry=registry, home=home)
        _tell(session, written, write_registry)
        return
    # The MCP SDK costs about a second, which no other command should pay.
    from process_orchestrator.doors.fake_server import serve_fakes  # noqa: PLC0415

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    await serve_fakes(agent)


def _tell(session: Session, written: tuple[Path, ...], folder: Path) -> None:
    if session.json:
        print_json({"files": [str(file) for file in written]})
        return
    for file in written:
        session.out.print(str(file), markup=False, soft_wrap=True)
    home = shlex.quote(str(folder.expanduser().absolute().parent))
    session.out.print(f"Next: orchestrator run TYPE --input FILE --home {home}", markup=False, soft_wrap=True)
