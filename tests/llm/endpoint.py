"""A host of models on loopback that speaks OpenAI's protocol, and may do anything else instead. Counts what it is asked."""

import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Act = Callable[[BaseHTTPRequestHandler], None]
USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}


@dataclass(frozen=True)
class Heard:
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Endpoint:
    """`acts` are carried out one after the other, the last again and again."""

    port: int = 0
    acts: list[Act] = field(default_factory=list[Act])
    heard: list[Heard] = field(default_factory=list[Heard])
    let_go: threading.Event = field(default_factory=threading.Event)  # a client that was kept waiting has gone

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@contextmanager
def serving(*acts: Act) -> Generator[Endpoint]:
    endpoint = Endpoint(acts=list(acts))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", "0")))
            endpoint.heard.append(Heard(self.path, dict(self.headers), json.loads(raw or b"null")))
            act = endpoint.acts[min(len(endpoint.heard), len(endpoint.acts)) - 1]
            try:
                act(self)
            except OSError:
                endpoint.let_go.set()
                self.close_connection = True

        do_GET = do_POST  # noqa: N815 - the library's name

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    endpoint.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def body_of(text: str | None, *, finish: str = "stop", usage: Any = USAGE, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, **more.pop("message", {})}
    choice = {"index": 0, "finish_reason": finish, "message": message, **more}
    whole: dict[str, Any] = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return {**whole, "usage": usage} if usage is not None else whole


def says(text: str | None, **more: Any) -> Act:
    return sends(body_of(text, **more))


def sends(body: Any, *, status: int = 200, kind: str = "application/json", **headers: str) -> Act:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return act


def fails(status: int, message: str = "no", **headers: str) -> Act:
    return sends({"error": {"message": message, "type": "x", "code": None}}, status=status, **headers)


def tool_call(arguments: str) -> Act:
    call = {"id": "t1", "type": "function", "function": {"name": "answer", "arguments": arguments}}
    return says(None, finish="tool_calls", message={"tool_calls": [call]})


def resets(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def breaks_off(handler: BaseHTTPRequestHandler) -> None:
    _begin(handler, length=1000)
    handler.wfile.write(b'{"id": "c1", ')
    handler.close_connection = True


def hangs(handler: BaseHTTPRequestHandler) -> None:
    """Answer nothing until the client goes."""
    handler.connection.recv(1)
    raise OSError


def hangs_in_the_body(handler: BaseHTTPRequestHandler) -> None:
    _begin(handler, length=1000)
    handler.wfile.write(b'{"id": ')
    hangs(handler)


def drips(handler: BaseHTTPRequestHandler) -> None:
    _begin(handler, length=1_000_000)
    gone = threading.Event()
    while True:
        handler.wfile.write(b" ")
        gone.wait(0.02)


def megabytes(count: int, *, told: bool) -> Act:
    """A whole, well-formed answer of so many megabytes; `told`: its length stands before it."""

    def act(handler: BaseHTTPRequestHandler) -> None:
        data = json.dumps(body_of('{"type": "' + "x" * (count * 1_000_000) + '"}')).encode()
        _begin(handler, length=len(data) if told else None)
        handler.wfile.write(data)
        handler.close_connection = True

    return act


def bomb(handler: BaseHTTPRequestHandler) -> None:
    data = gzip.compress(json.dumps(body_of('{"type": "' + "x" * 5_000_000 + '"}')).encode())
    sends(data, Content_Encoding="gzip")(handler)


def _begin(handler: BaseHTTPRequestHandler, *, length: int | None) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    if length is not None:
        handler.send_header("Content-Length", str(length))
    else:
        handler.send_header("Connection", "close")
    handler.end_headers()
