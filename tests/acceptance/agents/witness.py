"""An honest MCP agent over stdio that writes down each call it gets: `witness.py LOG`. Standard library only."""

import json
import sys
from pathlib import Path


def send(number: int, result: dict[str, object]) -> None:
    print(json.dumps({"jsonrpc": "2.0", "id": number, "result": result}), flush=True)


def main() -> None:
    log = Path(sys.argv[1])
    for line in sys.stdin:
        message = json.loads(line)
        method, number = message.get("method"), message.get("id")
        if number is None:
            continue
        if method == "initialize":
            about = {"name": "witness", "version": "1"}
            send(number, {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": about})
        elif method == "tools/call":
            arguments = message["params"].get("arguments") or {}
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(arguments) + "\n")
            send(number, {"content": [], "isError": False, "structuredContent": {"noted": True}})
        elif method == "ping":
            send(number, {})
        else:
            error = {"code": -32601, "message": "no such method"}
            print(json.dumps({"jsonrpc": "2.0", "id": number, "error": error}), flush=True)


main()
