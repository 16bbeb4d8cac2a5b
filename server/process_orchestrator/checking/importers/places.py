"""Where an import lies in a home: its files, and the record of what was last imported.

`contracts/<agent>/imported.json` holds what the importer wrote last, so that an update can tell what a person has
changed since. Reads and writes whole files, each replaced at once; knows nothing of what they mean.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

from process_orchestrator.checking.schemas.validate import parse_body
from process_orchestrator.core.errors import BodyError, RefusedError
from process_orchestrator.core.facts.values import Fact

Json = Any

RECORD: Final = "imported.json"
RECORD_BYTES_MAX: Final = 100_000_000
RECORD_DEPTH_MAX: Final = 128
ABOUT: Final = (
    "What `contracts import` wrote last; `--update` compares with it. Keep it beside the contracts, unchanged."
)


class Record(Fact, frozen=True, kw_only=True):
    """What was imported last: the agent's document, and each contract's by its key at the source."""

    agent: dict[str, Json]
    contracts: dict[str, dict[str, Json]]
    only: tuple[str, ...] = ()


def agent_file(home: Path, agent: str) -> Path:
    return home / "agents_registry" / f"{agent}.agent.yaml"


def contract_file(home: Path, agent: str, contract: str) -> Path:
    return home / "contracts" / agent / f"{contract}.contract.yaml"


def record_file(home: Path, agent: str) -> Path:
    return home / "contracts" / agent / RECORD


def read_record(home: Path, agent: str) -> Record | None:
    """The last import of an agent, or None where there is no record. Raises RefusedError for one that is broken."""
    path = record_file(home, agent)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RefusedError(
            "BAD_ARGUMENT", f"{path} cannot be read: {error.strerror}.", do="make it readable."
        ) from error
    try:
        value = parse_body(data, max_bytes=RECORD_BYTES_MAX, depth=RECORD_DEPTH_MAX)
        contracts = {str(key): dict(each) for key, each in value["contracts"].items()}
        return Record(agent=dict(value["agent"]), contracts=contracts, only=tuple(map(str, value["only"])))
    except (BodyError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise RefusedError(
            "BAD_ARGUMENT",
            f"{path} is no record of an import any more.",
            do="restore it, or remove it: without it an update changes nothing that stands in the files.",
        ) from error


def write_record(home: Path, agent: str, record: Record) -> None:
    """Replace the record: a line for each contract, so that a difference between two of them can be read."""
    head = {"about": ABOUT, "only": list(record.only), "agent": record.agent}
    lines = [f"{_line(key)}: {_line(each)}," for key, each in head.items()]
    contracts = ",\n".join(f" {_line(key)}: {_line(each)}" for key, each in record.contracts.items())
    put(record_file(home, agent), "\n".join(["{", *lines, '"contracts": {', contracts, "}}", ""]))


def _line(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def put(path: Path, text: str, *, new: bool = False) -> None:
    """Write a file whole or not at all; a `new` one only where there is none. Raises RefusedError where that fails."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("w", encoding="utf-8", newline="") as opened:
                opened.write(text)
                opened.flush()
                os.fsync(opened.fileno())
            if new:
                _publish(draft, path)
            else:
                draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except FileExistsError as error:
        do = "move it away, or choose another name."
        raise RefusedError("BAD_ARGUMENT", f"{path} is already here; it was not changed.", do=do) from error
    except OSError as error:
        raise RefusedError(
            "BAD_ARGUMENT",
            f"{path} cannot be written: {error.strerror}.",
            do="make the folder writable, then try again.",
        ) from error


def _publish(draft: Path, path: Path) -> None:
    """Give a new file its name, unless somebody was quicker."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if path.exists():
            raise FileExistsError from None
        draft.replace(path)
