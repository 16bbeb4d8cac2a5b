"""The walkthrough of docs/your-first-process.md, run as it is written: its commands, what they print, how long they take."""

import os
import re
import socket
import sys
from pathlib import Path

import pytest

from process_orchestrator.checking.loading.loader import load_home
from walkthrough.shell import Ran, Shell, commands, is_said, shown

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "your-first-process.md"
PORT = "8765"
COMMANDS_MAX = 12
SECONDS_MAX = 120


def text() -> str:
    return DOCUMENT.read_text(encoding="utf-8")


def free_port() -> str:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return str(listening.getsockname()[1])


def programs(folder: Path) -> str:
    """A PATH on which `orchestrator`, `python` and the MCP server are those of this environment, without a registry."""
    folder.mkdir()
    launcher = folder / "uvx"
    launcher.write_text(f'#!/bin/sh\nprogram=$1\nshift\nexec "{Path(sys.executable).parent}/$program" "$@"\n')
    launcher.chmod(0o755)
    return f"{folder}:{Path(sys.executable).parent}:/usr/bin:/bin"


@pytest.mark.behaviour("first-process")
def test_the_walkthrough_takes_no_more_than_twelve_commands_and_edits_no_file() -> None:
    lines = commands(text())
    assert 0 < len(lines) <= COMMANDS_MAX
    for line in lines:
        assert not re.search(r"\b(vi|vim|nano|sed|cat|tee|code|emacs|echo|printf)\b|<<|>", line), line
    assert sum("contracts import openapi" in line for line in lines) == 2
    assert sum("contracts import mcp" in line for line in lines) == 1


@pytest.mark.slow
@pytest.mark.behaviour("first-process")
def test_the_walkthrough_leads_from_three_sources_to_finished_runs(tmp_path: Path) -> None:
    port = free_port()
    environment = {"HOME": str(tmp_path), "PATH": programs(tmp_path / "bin"), "TERM": "dumb", "LANG": "C.UTF-8"}
    ran: list[Ran] = []
    with Shell(folder=ROOT, environment=environment) as shell:
        for line in commands(text()):
            written = line.replace("server.py", f"server.py {port}") if "server.py" in line else line
            ran.append(shell.run(written.replace(f":{PORT}", f":{port}")))
            assert ran[-1].code == 0, f"{line}\n{ran[-1].out}"
    out = "".join(each.out for each in ran).replace(f":{port}", f":{PORT}")
    missing = [line for line in shown(text()) if not is_said(line, out)]
    assert not missing, f"{missing}\n--- printed:\n{out}"
    seconds = sum(each.seconds for each in ran)
    assert seconds < SECONDS_MAX
    for each in ran:
        print(f"{each.seconds:6.1f} s  {each.line}")
    print(f"{seconds:6.1f} s  in all, {len(ran)} commands")
    registry = load_home(tmp_path / "first-process")
    assert not [each for each in registry.problems if each.level == "error"]
    assert len(registry.processes) == 2
    assert all(each.plan is not None and len(each.plan.steps) == 2 for each in registry.processes)
    assert os.environ.get("HOME") != str(tmp_path)
