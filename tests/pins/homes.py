"""Homes of these tests: a contract or two, a process type, an agent whose tools are what a file says; and git."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pins.tools import BOOK, LOOK, put

AGENTS = Path(__file__).parent / "agents"
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "ORCHESTRATOR_"))},
    **{f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def contract(name: str, *, version: str = "1.0.0", kind: str = "write", **more: Any) -> dict[str, Any]:
    """A contract as a document; YAML is JSON's superset, so it is written as JSON."""
    return {
        "contract": name,
        "version": version,
        "summary": f"{name} of the tests.",
        "input": {"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]},
        "output": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
        "effects": {"kind": kind},
        **more,
    }


def process(version: str = "1.0.0", **more: Any) -> dict[str, Any]:
    """Look, then book."""
    number = {"number": "$.input.number"}
    return {
        "process": "booking",
        "version": version,
        "summary": "Look one up, then book it.",
        "input": {"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]},
        "output": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
        "plan": {
            "steps": [
                {"id": "look", "contract": "desk.look", "in": number},
                {"id": "book", "contract": "desk.book", "in": number, "after": ["look"]},
            ],
            "output": {"id": "$.steps.book.output.id"},
        },
        **more,
    }


def write(home: Path, file: str, document: dict[str, Any]) -> Path:
    path = home / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1))
    return path


def make_home(folder: Path, *arguments: str) -> Path:
    """A home whose agent `desk` keeps `desk.book` and `desk.look`; its tools stand in `tools.json`."""
    home = folder / "home"
    write(home, "contracts/book.contract.yaml", contract("desk.book"))
    write(home, "contracts/look.contract.yaml", contract("desk.look", kind="read"))
    write(home, "contracts/booking.process.yaml", process())
    tools = put(home / "tools.json", BOOK, LOOK)
    command = [sys.executable, str(AGENTS / "old_times.py"), str(tools), *arguments]
    serves = [{"contract": f"desk.{tool}@^1", "bind": {"tool": tool}} for tool in ("book", "look")]
    agent = {
        "agent": "desk",
        "summary": "Books.",
        "transport": {"kind": "mcp_stdio", "command": command},
        "serves": serves,
    }
    write(home, "agents_registry/desk.agent.yaml", agent)
    return home


def git(folder: Path, *command: str) -> None:
    subprocess.run(["git", *command], cwd=folder, env=ENVIRONMENT, check=True, capture_output=True, timeout=30)


def commit(home: Path) -> None:
    """Everything as it is now is the last commit."""
    if not (home / ".git").exists():
        git(home, "init", "-q")
    git(home, "add", "-A")
    git(home, "commit", "-q", "-m", "as it is")
