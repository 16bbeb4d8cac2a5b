"""Drives the product from outside: the official MCP client, and the command line as a program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib import resources
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters

from process_orchestrator.home import Home

PROGRAM = Path(sys.executable).parent / "orchestrator"
ENDED = {"completed", "failed", "cancelled"}


def document(name: str) -> str:
    """The text of a demo invoice."""
    return (resources.files("process_orchestrator.doors") / "demo_data" / name).read_text(encoding="utf-8")


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")}


def server(home: Home) -> StdioServerParameters:
    return StdioServerParameters(
        command=str(PROGRAM), args=["serve", "--home", str(home.path)], env=environment(), cwd=str(home.path)
    )


Connect = Callable[..., AbstractAsyncContextManager[Client]]


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool; its structured result. An error result is a failed test."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def until_settled(client: Client, process_id: str, *, timeout_s: float = 60) -> dict[str, Any]:
    """Long-poll as the instructions say, until the process ends or a person is asked."""
    with anyio.fail_after(timeout_s):
        view = await call(client, "get_state", process_id=process_id)
        while view["status"] in {"queued", "running"}:
            view = await call(client, "get_state", process_id=process_id, wait_s=20, since=view["version"])
    return view


def run_cli(home: Home, *arguments: str, timeout_s: float = 60, text: str | None = None) -> tuple[int, Any, str]:
    """Run a command with --json; its exit code, what it printed on stdout as JSON (or text), and stderr."""
    command, *rest = arguments
    done = subprocess.run(
        [str(PROGRAM), command, *rest, "--home", str(home.path), "--json"],
        capture_output=True,
        text=True,
        input=text,
        timeout=timeout_s,
        check=False,
        env=environment(),
    )
    lines = done.stdout.strip().splitlines()
    try:
        printed: Any = json.loads(done.stdout) if len(lines) == 1 else [json.loads(line) for line in lines]
    except ValueError:
        printed = done.stdout
    return done.returncode, printed, done.stderr
