"""Calls the command line in this process, as its entry point is called, and reads what it left behind."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from process_orchestrator.doors.cli.main import main


@dataclass(frozen=True)
class Called:
    """The exit code, stdout and stderr of one command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on stdout; more, less or else is a failed test."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


def call(*arguments: str | Path) -> Called:
    """Run one command. Neither end of it is a terminal."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    code = left.value.code
    assert isinstance(code, int)
    return Called(int(code), out.getvalue(), err.getvalue())


def document(name: str) -> str:
    """The text of a demo invoice."""
    return (resources.files("process_orchestrator.doors") / "demo_data" / name).read_text(encoding="utf-8")


def invoice(folder: Path, name: str) -> Path:
    """A file with the input of `invoice_approval`."""
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"document": document(name)}), encoding="utf-8")
    return file


def replaced(file: Path, old: str, new: str) -> None:
    """Change a definition of a home."""
    words = file.read_text(encoding="utf-8")
    assert old in words
    file.write_text(words.replace(old, new), encoding="utf-8")


def leaves(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, dict):
        for part in value.values():
            yield from leaves(part)
    elif isinstance(value, list):
        for part in value:
            yield from leaves(part)
    elif isinstance(value, str):
        yield value
