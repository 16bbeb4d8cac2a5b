"""An MCP agent over stdio, written by hand, whose every tool misbehaves in one way. Standard library only."""

import json
import os
import signal
import sys
import time
from pathlib import Path

OUT = sys.stdout.buffer


def send(raw: bytes) -> None:
    OUT.write(raw + b"\n")
    OUT.flush()


def answer(number: int, structured: str) -> bytes:
    """A whole answer line whose structured content is the given JSON text, however broken."""
    head = f'{{"jsonrpc":"2.0","id":{number},"result":{{"content":[],"isError":false,"structuredContent":'
    return head.encode() + structured.encode() + b"}}"


def text(number: int, words: str, *, failed: bool = False) -> bytes:
    result = {"content": [{"type": "text", "text": words}], "isError": failed}
    return json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode()


def call(number: int, tool: str, arguments: dict[str, object]) -> None:  # noqa: PLR0915 - one branch a misdeed
    if tool == "echo":
        send(answer(number, json.dumps(arguments)))
    elif tool == "json":
        send(answer(number, str(arguments["text"])))
    elif tool == "nan":
        send(answer(number, '{"total": NaN}'))
    elif tool == "infinite":
        send(answer(number, '{"total": 1e999}'))
    elif tool == "twice":
        send(answer(number, '{"total": 1, "total": 2}'))
    elif tool == "deep":
        send(answer(number, '{"a":' + "[" * 100_000 + "]" * 100_000 + "}"))
    elif tool == "deep_text":
        send(text(number, "[" * 100_000 + "]" * 100_000))
    elif tool == "huge":
        OUT.write(f'{{"jsonrpc":"2.0","id":{number},"result":{{"content":[],"structuredContent":{{"a":"'.encode())
        for _ in range(50):
            OUT.write(b"x" * 1_000_000)
        send(b'"}}}')
    elif tool == "huge_late_id":
        OUT.write(b'{"jsonrpc":"2.0","result":{"content":[],"structuredContent":{"a":"')
        for _ in range(50):
            OUT.write(b"x" * 1_000_000)
        send(f'"}}}},"id":{number}}}'.encode())
    elif tool == "text":
        send(text(number, str(arguments.get("text", "All is well, I booked it."))))
    elif tool == "fail":
        send(text(number, str(arguments.get("text", "boom")), failed=True))
    elif tool == "silent":
        pass
    elif tool == "blocked":
        time.sleep(3600)
    elif tool == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(3600)
    elif tool == "garbage":
        for _ in range(100):
            send(b"debug: " + b"z" * 1000)
    elif tool == "garbage_line":
        OUT.write(b"\x00\xff" * 200_000)
        OUT.flush()
    elif tool == "chatty":
        send(b"starting up")
        print("on stderr", file=sys.stderr, flush=True)
        send(answer(number, '{"total": 1}'))
    elif tool == "cut":
        send(f'{{"jsonrpc":"2.0","id":{number},"result":{{"content":['.encode())
    elif tool == "no_envelope":
        send(f'{{"jsonrpc":"2.0","id":{number},"result":"a text"}}'.encode())
    elif tool == "wrong_result":
        send(f'{{"jsonrpc":"2.0","id":{number},"result":{{"content":"a text"}}}}'.encode())
    elif tool == "strange":
        send(b'{"jsonrpc":"2.0","id":99999,"result":{}}')
        send(answer(number, '{"total": 1}'))
        send(answer(number, '{"total": 2}'))
    elif tool == "rpc_error":
        send(json.dumps({"jsonrpc": "2.0", "id": number, "error": {"code": -32602, "message": "bad"}}).encode())
    elif tool == "forged":
        error = {"code": -32050, "message": "lost", "data": {"failure": "x"}}
        send(json.dumps({"jsonrpc": "2.0", "id": number, "error": error}).encode())
    elif tool == "die":
        print("last words", file=sys.stderr, flush=True)
        os._exit(3)
    elif tool == "environment":
        send(answer(number, json.dumps({"names": sorted(os.environ), "cwd": str(Path.cwd()), "pid": os.getpid()})))
    elif tool == "leak":
        print(os.environ.get("TOKEN"), file=sys.stderr, flush=True)
        send(answer(number, json.dumps({"token": os.environ.get("TOKEN")})))
    else:
        raise SystemExit(f"unknown tool {tool}")


def main() -> None:
    if "mute" in sys.argv:
        time.sleep(3600)
    if "exits" in sys.argv:
        print("cannot start: no configuration", file=sys.stderr)
        raise SystemExit(2)
    for line in sys.stdin:
        message = json.loads(line)
        method, number = message.get("method"), message.get("id")
        if number is None:
            continue
        if method == "initialize":
            result = {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "hostile", "version": "1"},
            }
            send(json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode())
        elif method == "ping":
            send(json.dumps({"jsonrpc": "2.0", "id": number, "result": {}}).encode())
        elif method == "tools/call":
            call(number, message["params"]["name"], message["params"].get("arguments") or {})
        else:
            error = {"code": -32601, "message": "no such method"}
            send(json.dumps({"jsonrpc": "2.0", "id": number, "error": error}).encode())


main()
