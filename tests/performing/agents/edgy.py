"""An MCP agent over stdio, written by hand, that goes to the edges: counts, floods, memory. Standard library only."""

import json
import os
import sys
import threading
import time
from typing import Any


def send(**message: Any) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def limits() -> dict[str, str]:
    """What the kernel says about this program, by the words of /proc."""
    with open("/proc/self/limits") as file:  # noqa: PTH123 - a program of its own
        rows = [line.split("  ") for line in file]
    return {row[0]: [part.strip() for part in row[1:] if part.strip()][1] for row in rows[1:]}


def flood_stdout(method: str) -> None:
    while True:
        send(method=method, params={"level": "info", "data": "x", "progressToken": 1, "progress": 1})


def flood_stderr() -> None:
    while True:
        sys.stderr.write("y" * 4000 + "\n")


def result_of(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    if tool == "items":
        return {"content": [{"type": "text", "text": ""}] * int(arguments["count"])}
    if tool == "moody":
        with open(arguments["file"], "a+") as file:  # noqa: PTH123 - a program of its own
            file.write("x")
            file.seek(0)
            tries = len(file.read())
        if tries <= int(arguments["bad"]):
            os._exit(1)
        return {"content": content, "structuredContent": {"tries": tries}}
    if tool == "limits":
        return {"content": content, "structuredContent": limits()}
    if tool == "hog":
        held = bytearray(int(arguments["mb"]) << 20)
        return {"content": content, "structuredContent": {"held": len(held)}}
    if tool == "later":
        error: dict[str, Any] = {"content": [{"type": "text", "text": "busy"}], "isError": True}
        if "meta" in arguments:
            error["_meta"] = {"process-orchestrator/retry_after_s": arguments["meta"]}
        if "field" in arguments:
            error["structuredContent"] = {"retry_after_s": arguments["field"]}
        return error
    if tool == "flood":
        threading.Thread(target=flood_stdout, args=(arguments["method"],), daemon=True).start()
        time.sleep(3600)
    if tool == "flood_stderr":
        threading.Thread(target=flood_stderr, daemon=True).start()
        time.sleep(float(arguments["seconds"]))
        return {"content": content, "structuredContent": {"done": True}}
    return {"content": content, "structuredContent": {"pid": os.getpid()}}


def page(number: int) -> dict[str, Any]:
    """One page of a list of tools. The list ends after three pages, or never."""
    tools = [{"name": f"tool_{number}_{index}", "inputSchema": {"type": "object"}} for index in range(2)]
    last = number >= 2 and "endless" not in sys.argv
    if "crowd" in sys.argv:
        tools = [{"name": f"t{index}", "inputSchema": {"type": "object"}} for index in range(5000)]
    return {"tools": tools} if last else {"tools": tools, "nextCursor": str(number + 1)}


def main() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        method, number = message.get("method"), message.get("id")
        params = message.get("params") or {}
        if number is None:
            continue
        if method == "initialize":
            result: dict[str, Any] = {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "edgy", "version": "1"},
            }
            send(id=number, result=result)
        elif method == "tools/list":
            send(id=number, result=page(int(params.get("cursor") or 0)))
        elif method == "tools/call":
            try:
                send(id=number, result=result_of(params["name"], params.get("arguments") or {}))
            except MemoryError:
                send(id=number, result={"content": [], "structuredContent": {"held": 0}})
        elif method == "ping":
            send(id=number, result={})
        else:
            send(id=number, error={"code": -32601, "message": "no such method"})


main()
