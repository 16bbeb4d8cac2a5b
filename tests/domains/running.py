"""Starts the shipped agents as their own programs and speaks to them as anybody would: official MCP client, HTTP."""

import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
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
