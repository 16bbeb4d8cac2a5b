"""Which contracts are faked, and the home that runs on fakes: one agent file, the people as they are, the contracts."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from process_orchestrator.core.errors import RefusedError
from process_orchestrator.usecases.refusals import unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from process_orchestrator.checking.documents.definitions import Contract
    from process_orchestrator.checking.loading.registry import Registry

AGENT: Final = "fake"
"""Name of the agent that a registry of fakes has; its file is `fake.agent.yaml`."""

HEADER: Final = """\
# Made by `orchestrator contracts fake --write-registry`: one program that answers from the contracts. For trying out
# and for tests: nothing it says is true. `--fail CODE=SHARE` in its command makes it fail so often.
"""


def chosen(registry: Registry, names: Sequence[str], *, every: bool) -> tuple[Contract, ...]:
    """The contracts named; `every`: all active ones but those that only people keep. Raises RefusedError."""
    if names and every:
        raise RefusedError("BAD_ARGUMENT", "names and --all are given.", do="give one of them.")
    if not names and not every:
        raise RefusedError("BAD_ARGUMENT", "no contract is named.", do="name contracts, or give --all.")
    found: dict[str, Contract] = {}
    for name in names:
        contract = registry.contract(name)
        if contract is None:
            raise unknown(registry, "contract", name)
        found[contract.name] = contract
    if every:
        active = (each for each in registry.contracts if each.status == "active" and not _of_people(registry, each))
        for contract in active:  # newest first: one of each name
            found.setdefault(contract.name, contract)
        if not found:
            do = "write a contract first, or activate a draft."
            raise RefusedError("BAD_ARGUMENT", "there is no active contract to fake.", do=do)
    return tuple(found.values())


def _of_people(registry: Registry, contract: Contract) -> bool:
    kinds = {agent.transport.kind for agent, _ in registry.serving(contract)}
    return kinds == {"human"}


def fake_agent(contracts: Iterable[Contract], *, seed: int, faults: Sequence[str] = ()) -> dict[str, Any]:
    """The agent file of a program that fakes these contracts, from the home in which the file will stand."""
    listed = list(contracts)
    command = ["{python}", "-m", "process_orchestrator", "contracts", "fake", *(each.name for each in listed)]
    command += ["--seed", str(seed)]
    for fault in faults:
        command += ["--fail", fault]
    return {
        "agent": AGENT,
        "summary": "Answers from the contracts, for trying out and for tests.",
        "transport": {"kind": "mcp_stdio", "command": [*command, "--home", "{home}"]},
        "serves": [{"contract": f"{each.name}@{each.version}", "bind": _bind(each)} for each in listed],
    }


def _bind(contract: Contract) -> dict[str, Any]:
    errors = {code: {"text": f"^{re.escape(code)}: "} for code in contract.errors}
    bind: dict[str, Any] = {"tool": contract.name, "result": "structured"}
    return {**bind, "errors": errors} if errors else bind


def write_registry(folder: Path, agent: dict[str, Any], *, registry: Registry, home: Path) -> tuple[Path, ...]:
    """Write the agent file into `folder`, with the people of this home, and contracts beside it where there are none.

    Overwrites nothing but a file that this wrote before. Returns what was written. Raises RefusedError.
    """
    folder = folder.expanduser().absolute()
    if folder.resolve().is_relative_to((home / "agents_registry").resolve()):
        do = "name a folder of another home, such as fakes/agents_registry: here it would stand beside the real agents."
        raise RefusedError("BAD_ARGUMENT", f"{folder} is the registry of this home.", do=do)
    file = folder / f"{AGENT}.agent.yaml"
    if file.exists() and not file.read_text(encoding="utf-8", errors="replace").startswith(HEADER):
        raise RefusedError("BAD_ARGUMENT", f"{file} is another file.", do="remove it, or name another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(HEADER + yaml.safe_dump(agent, sort_keys=False, allow_unicode=True), encoding="utf-8")
        people = [each for each in registry.agents if each.transport.kind == "human"]
        written = [file, *_copied((home / each.source.path for each in people), home / "agents_registry", folder)]
        beside = folder.parent / "contracts"
        if folder.name == "agents_registry" and not beside.exists():
            written += _copied(sorted((home / "contracts").rglob("*.yaml")), home / "contracts", beside)
    except OSError as error:
        message = f"{folder} cannot be written: {error.strerror}."
        raise RefusedError("BAD_ARGUMENT", message, do="name a folder that can be written.") from error
    return tuple(written)


def _copied(files: Iterable[Path], root: Path, target: Path) -> list[Path]:
    """Files of one folder in another, at the same place below; those that are there already stay."""
    written: list[Path] = []
    for file in files:
        place = target / (file.relative_to(root) if file.is_relative_to(root) else file.name)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
            written.append(place)
    return written
