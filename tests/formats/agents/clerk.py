"""A clerk: an MCP agent over stdio whose tools are small and plain. Standard library only. `clerk.py [LOG]`.

Writes each call as a line of LOG. `busy` fails as often as its argument says before it answers.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

LOG = Path(sys.argv[1]) if len(sys.argv) > 1 else None
failures: dict[str, int] = {}


class RefusalError(Exception):
    """What the tool answers as a failed call."""


def answer(tool: str, given: dict[str, Any]) -> dict[str, Any]:
    """The result of a call, as MCP carries it."""
    match tool:
        case "echo":
            return {"content": [], "structuredContent": given}
        case "both":
            return {"content": [text(str(given.get("words")))], "structuredContent": {"said": "structured"}}
        case "say":
            return {"content": [text(str(given.get("words", "")))]}
        case "nothing":
            return {"content": []}
        case "double":
            return {"content": [], "structuredContent": {"value": 2 * given["value"], "name": sys.argv[2:]}}
        case "odd":
            if given["value"] % 2:
                raise RefusalError(f"cannot read {given['value']}: it is odd")
            return {"content": [], "structuredContent": {"value": given["value"]}}
        case "busy":
            left = failures.setdefault(str(given.get("key")), int(given["times"]))
            failures[str(given.get("key"))] = left - 1
            if left > 0:
                raise RefusalError("busy: come back later")
            return {"content": [], "structuredContent": {"value": left}}
        case "die":
            os._exit(3)
        case "environment":
            return {"content": [], "structuredContent": {"value": os.environ.get(given["name"], "")}}
        case _:
            raise RefusalError(f"there is no tool {tool}")


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def send(number: int, result: dict[str, Any]) -> None:
    print(json.dumps({"jsonrpc": "2.0", "id": number, "result": result}), flush=True)


def main() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        method, number = message.get("method"), message.get("id")
        if number is None:
            continue
        if method == "initialize":
            about = {"name": "clerk", "version": "1"}
            send(number, {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": about})
        elif method == "tools/call":
            tool, given = message["params"]["name"], message["params"].get("arguments") or {}
            if LOG is not None:
                with LOG.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([tool, given]) + "\n")
            try:
                send(number, {**answer(tool, given), "isError": False})
            except RefusalError as refusal:
                send(number, {"content": [text(str(refusal))], "isError": True})
        elif method == "ping":
            send(number, {})
        else:
            error = {"code": -32601, "message": "no such method"}
            print(json.dumps({"jsonrpc": "2.0", "id": number, "error": error}), flush=True)


main()
