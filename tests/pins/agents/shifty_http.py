"""A real MCP server over HTTP with one tool more once it was called: `shifty_http.py PORT`. It tells its subscribers."""

import sys
from typing import Any

from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("shifty")


@server.tool()
async def book(number: str, ctx: Context[Any]) -> dict[str, str]:
    """Book one."""
    server.remove_tool("look")
    await ctx.notify_tools_changed()
    return {"id": number}


@server.tool()
def look(number: str) -> dict[str, str]:
    """Look one up."""
    return {"id": number}


server.run("streamable-http", port=int(sys.argv[1]), json_response="json" in sys.argv)
