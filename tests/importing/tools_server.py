"""An MCP server that lists the tools of a JSON file, or misbehaves as it is told. Standard library only.

python tools_server.py FILE [--page N]      the tools of {"tools": [...]}, N at a time
python tools_server.py FILE --endless       always one more page
python tools_server.py FILE --huge          one tool of eight million characters
python tools_server.py FILE --hang          never answers tools/list; has a child that outlives it if it can
python tools_server.py FILE --garbage       a list that is no list
python tools_server.py FILE --dies          ends instead of listing
python tools_server.py FILE --chatter       a megabyte of progress before every answer

A call is answered with its arguments, as text; that of a tool named drop is an error.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def listing(tools: list[Any], mode: str, page: int, cursor: str | None) -> dict[str, Any]:
    start = int(cursor or 0)
    if mode == "--endless":
        return {"tools": [{"name": f"t{start}", "inputSchema": {"type": "object"}}], "nextCursor": str(start + 1)}
    if mode == "--huge":
        return {"tools": [{"name": "big", "description": "x" * 8_000_000, "inputSchema": {"type": "object"}}]}
    if mode == "--garbage":
        return {"tools": {"name": "no list"}}
    rest = {"nextCursor": str(start + page)} if start + page < len(tools) else {}
    return {"tools": tools[start : start + page], **rest}


def main(file: str, *options: str) -> None:
    tools = json.loads(Path(file).read_text(encoding="utf-8"))["tools"]
    mode = options[0] if options else ""
    page = int(options[1]) if mode == "--page" else 1000
    for line in sys.stdin:
        asked = json.loads(line)
        method, number = asked.get("method"), asked.get("id")
        if number is None:
            continue
        if method == "initialize":
            version = asked["params"]["protocolVersion"]
            server = {"name": "tools", "version": "1"}
            say(
                {
                    "id": number,
                    "result": {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server},
                }
            )
        elif method == "tools/list" and mode == "--hang":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            Path(os.environ["PIDS"]).write_text(f"{os.getpid()} {child.pid}", encoding="utf-8")
        elif method == "tools/list" and mode == "--dies":
            print("cannot go on: no such table", file=sys.stderr, flush=True)
            os._exit(3)
        elif method == "tools/list":
            for step in range(1000 if mode == "--chatter" else 0):
                progress = {"progressToken": 1, "progress": step, "message": "x" * 1000}
                say({"method": "notifications/progress", "params": progress})
            say({"id": number, "result": listing(tools, mode, page, (asked.get("params") or {}).get("cursor"))})
        elif method == "tools/call":
            answer = json.dumps(asked["params"].get("arguments") or {})
            result = {"content": [{"type": "text", "text": answer}], "isError": asked["params"]["name"] == "drop"}
            say({"id": number, "result": result})
        elif method == "ping":
            say({"id": number, "result": {}})
        else:
            say({"id": number, "error": {"code": -32601, "message": "Method not found"}})


if __name__ == "__main__":
    main(*sys.argv[1:])
