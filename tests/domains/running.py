"""Starts the shipped agents as their own programs and speaks to them as anybody would: official MCP client, HTTP."""

import importlib.util
import os
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import yaml
from mcp import Client, StdioServerParameters
from mcp.types import TextContent

ROOT = Path(__file__).resolve().parents[2]
AGENTS = ROOT / "agents_registry"

Connect = Callable[..., AbstractAsyncContextManager["Agent"]]


class Agent:
    """One running agent: its tools, called by name."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def answer(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured answer of a call that must succeed."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        assert result.structured_content is not None
        return result.structured_content

    async def text(self, tool: str, **arguments: Any) -> str:
        """The text of a call that must succeed."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        return text_of(result.content)

    async def error(self, tool: str, **arguments: Any) -> str:
        """The text of a call that must fail, without the prefix of the SDK."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error
        return text_of(result.content).removeprefix(f"Error executing tool {tool}: ")


class Keeper:
    """Says whether values keep a shipped contract, by another validator than ours."""

    def __init__(self, name: str) -> None:
        file = next((ROOT / "contracts").rglob(f"{name}.contract.yaml"))
        self.definition: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))

    def check_input(self, value: object) -> None:
        self._check("input", value)

    def check_output(self, value: object) -> None:
        self._check("output", value)

    def _check(self, side: str, value: object) -> None:
        formats = jsonschema.Draft202012Validator.FORMAT_CHECKER
        jsonschema.Draft202012Validator(self.definition[side], format_checker=formats).validate(value)


def text_of(content: list[Any]) -> str:
    return "".join(block.text for block in content if isinstance(block, TextContent))


@asynccontextmanager
async def connected(program: str, environment: dict[str, str]) -> AsyncGenerator[Agent]:
    argv = ["-m", program] if "/" not in program else [program]
    target = StdioServerParameters(command=sys.executable, args=argv, env=environment, cwd=AGENTS)
    async with Client(target, read_timeout_seconds=30) as client:
        yield Agent(client)


@contextmanager
def loaded(folder: str, **environment: str) -> Generator[ModuleType]:
    """The module of an agent's server, in this process: its tools are called through the official client all the same.

    Its folder is on the path only while it is loaded, so that agents may name their modules alike.
    """
    before, path = set(sys.modules), str(AGENTS / folder)
    sys.path.insert(0, path)
    kept = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        spec = importlib.util.spec_from_file_location(f"{folder}_server", AGENTS / folder / "server.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # where the SDK looks its annotations up
        spec.loader.exec_module(module)
        sys.path.remove(path)
        for name in set(sys.modules) - before - {spec.name}:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(path):
                del sys.modules[name]
        yield module
    finally:
        sys.modules.pop(f"{folder}_server", None)
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@asynccontextmanager
async def at_hand(module: ModuleType) -> AsyncGenerator[Agent]:
    """A client of a loaded server."""
    async with Client(module.desk, read_timeout_seconds=30) as client:
        yield Agent(client)
