"""An MCP agent made with the official SDK: `sdk_tools.py` over stdio, `sdk_tools.py http PORT [json]` over HTTP."""

import os
import sys
from typing import Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("sdk tools")


@server.tool()
def add(a: int, b: int) -> dict[str, int]:
    return {"sum": a + b}


@server.tool()
def told(ctx: Context[Any]) -> dict[str, Any]:
    """What the caller said of itself."""
    meta = ctx.request_context.meta or {}
    return {"lineage": meta.get("process-orchestrator/lineage"), "era": ctx.protocol_version}


@server.tool()
def refuse(why: str) -> dict[str, int]:
    raise ToolError(why)


@server.tool()
async def slow(seconds: float) -> dict[str, float]:
    await anyio.sleep(seconds)
    return {"slept": seconds}


@server.tool()
def die() -> dict[str, int]:
    os._exit(3)


@server.tool()
def large(size: int) -> dict[str, str]:
    return {"text": "x" * size}


if sys.argv[1:2] == ["http"]:
    server.run("streamable-http", port=int(sys.argv[2]), json_response="json" in sys.argv)
else:
    server.run()
