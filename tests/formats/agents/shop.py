"""A shop: an HTTP agent with one route of each form. Standard library only. `shop.py PORT`."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Shop(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        place = urlsplit(self.path)
        if place.path == "/ready":
            self.reply(200, {})
        elif place.path == "/plain":
            self.reply_text("opening hours: nine to five")
        elif place.path.startswith("/items/missing"):
            self.reply(404, {"message": "no such item"})
        elif place.path.startswith("/items/"):
            self.reply(200, self.seen(place.path, parse_qs(place.query), None))
        else:
            self.reply(410, {"message": "gone"})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        form = "form" in (self.headers.get("Content-Type") or "")
        place = urlsplit(self.path)
        if "closed" in raw:
            self.reply(422, {"message": "the shop is closed today"})
        else:
            self.reply(200, self.seen(place.path, parse_qs(place.query), parse_qs(raw) if form else json.loads(raw)))

    def do_PUT(self) -> None:
        self.do_POST()

    def seen(self, path: str, query: dict[str, list[str]], body: Any) -> dict[str, Any]:
        """What arrived, so that a test can look at it."""
        headers = {name: self.headers.get(name) or "" for name in ("Authorization", "X-Key", "Content-Type")}
        return {"method": self.command, "path": path, "query": query, "body": body, "headers": headers}

    def reply(self, status: int, value: Any) -> None:
        self.send(status, "application/json", json.dumps(value).encode())

    def reply_text(self, words: str) -> None:
        self.send(200, "text/plain; charset=utf-8", words.encode())

    def send(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop).serve_forever()
