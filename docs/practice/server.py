"""Two public APIs to practise with, on this machine: a pet store (OpenAPI 3.0) and a game board (3.1, OAuth2).

    python docs/practice/server.py [PORT]        8765 without; 0 takes a free one

Serves the documents beside this file, told where they live now (`/petstore.yaml`, `/tictactoe.yaml`), and answers by
them, in memory. The token endpoint gives a token for ten minutes to the client `practice` with the secret
`open-sesame`. Standard library only; for walkthroughs, not for the network.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

FOLDER = Path(__file__).resolve().parent
CLIENT, SECRET = "practice", "open-sesame"
BODY_BYTES_MAX = 100_000
PETS_MAX = 1_000
TOKEN_S = 600
SCOPES = {"board:read", "board:write"}

Answer = tuple[int, Any]


class Practice(ThreadingHTTPServer):
    """The two APIs and what they hold."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.lock = threading.Lock()
        self.pets: dict[int, dict[str, Any]] = {1: {"id": 1, "name": "Rex", "tag": "dog"}}
        self.tokens: dict[str, tuple[float, set[str]]] = {}
        self.board = [["X", "O", "."], [".", "X", "."], ["O", ".", "X"]]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def document(self, name: str) -> str:
        """A document as its API would serve it: with its own address where the public one has another."""
        text = (FOLDER / name).read_text(encoding="utf-8")
        if name == "petstore.yaml":
            return text.replace("https://petstore.swagger.io/v2", f"{self.address}/petstore")
        text = text.replace("https://learn.openapis.org/oauth/2.0/", f"{self.address}/oauth/2.0/")
        return text.replace("openapi: 3.1.0\n", f"openapi: 3.1.0\nservers:\n  - url: {self.address}/tictactoe\n", 1)

    # --- pets ----------------------------------------------------------------------------------------------------

    def list_pets(self, query: dict[str, list[str]]) -> Answer:
        tags = {tag for each in query.get("tags", []) for tag in each.split(",")}
        found = [pet for pet in self.pets.values() if not tags or pet.get("tag") in tags]
        limit = query.get("limit", [""])[0]
        return 200, found[: int(limit)] if limit.isdigit() else found

    def add_pet(self, body: Any) -> Answer:
        if not isinstance(body, dict) or not isinstance(body.get("name"), str):
            return _error(400, "a pet has a name")
        if not isinstance(body.get("tag", ""), str):
            return _error(400, "a tag is a text")
        if len(self.pets) >= PETS_MAX:
            return _error(507, "the store is full")
        pet = {"id": max(self.pets, default=0) + 1, **{key: body[key] for key in ("name", "tag") if key in body}}
        self.pets[pet["id"]] = pet
        return 200, pet

    def one_pet(self, method: str, number: int) -> Answer:
        if number not in self.pets:
            return _error(404, "no such pet")
        if method == "DELETE":
            del self.pets[number]
            return 204, None
        return 200, self.pets[number]

    # --- the game ------------------------------------------------------------------------------------------------

    def token(self, authorization: str, form: dict[str, list[str]]) -> Answer:
        """RFC 6749 §4.4: client credentials, in the header or in the form."""
        client, secret = _basic(authorization) or (form.get("client_id", [""])[0], form.get("client_secret", [""])[0])
        if form.get("grant_type") != ["client_credentials"]:
            return 400, {"error": "unsupported_grant_type"}
        if not secrets.compare_digest(f"{client}:{secret}".encode(), f"{CLIENT}:{SECRET}".encode()):
            return 401, {"error": "invalid_client"}
        scopes = set(form.get("scope", [""])[0].split()) or {"board:read"}
        if not scopes <= SCOPES:
            return 400, {"error": "invalid_scope"}
        token = secrets.token_urlsafe(24)
        self.tokens = {each: kept for each, kept in self.tokens.items() if kept[0] > time.monotonic()}
        self.tokens[token] = (time.monotonic() + TOKEN_S, scopes)
        answer = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": TOKEN_S,
            "scope": " ".join(sorted(scopes)),
        }
        return 200, answer

    def may(self, authorization: str, scope: str) -> bool:
        until, scopes = self.tokens.get(authorization.removeprefix("Bearer "), (0.0, set[str]()))
        return authorization.startswith("Bearer ") and until > time.monotonic() and scope in scopes

    def square(self, method: str, place: tuple[int, int], body: Any) -> Answer:
        row, column = place[0] - 1, place[1] - 1
        if not (0 <= row < 3 and 0 <= column < 3):
            return 400, "Illegal coordinates."
        if method == "GET":
            return 200, self.board[row][column]
        if body not in ("X", "O"):
            return 400, "Invalid Mark (X or O)."
        if self.board[row][column] != ".":
            return 400, "Square is not empty."
        self.board[row][column] = body
        return self.status()

    def status(self) -> Answer:
        rows = [*self.board, *(list(column) for column in zip(*self.board, strict=True))]
        rows += [[self.board[step][step] for step in range(3)], [self.board[step][2 - step] for step in range(3)]]
        winner = next((row[0] for row in rows if row[0] != "." and len(set(row)) == 1), ".")
        return 200, {"winner": winner, "board": self.board}


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    @property
    def practice(self) -> Practice:
        assert isinstance(self.server, Practice)
        return self.server

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing: the walkthrough's own output is what matters."""

    def _answer(self, method: str) -> None:
        parts = urlsplit(self.path)
        size = self.headers.get("Content-Length", "0")
        if not size.isdigit() or int(size) > BODY_BYTES_MAX:
            self.close_connection = True
            self._send(413, {"code": 413, "message": "too large"})
            return
        data = self.rfile.read(int(size))
        if method == "GET" and parts.path in ("/petstore.yaml", "/tictactoe.yaml"):
            self._send(200, self.practice.document(parts.path[1:]), kind="application/yaml")
            return
        with self.practice.lock:
            status, body = self._routed(method, parts.path, parse_qs(parts.query), data)
        self._send(status, body)

    def _routed(self, method: str, path: str, query: dict[str, list[str]], data: bytes) -> Answer:
        practice, authorization = self.practice, self.headers.get("Authorization", "")
        if (method, path) == ("POST", "/oauth/2.0/token"):
            return practice.token(authorization, parse_qs(data.decode(errors="replace")))
        if (method, path) == ("GET", "/petstore/pets"):
            return practice.list_pets(query)
        if (method, path) == ("POST", "/petstore/pets"):
            return practice.add_pet(_json(data))
        pet = re.fullmatch(r"/petstore/pets/(\d{1,18})", path)
        if pet and method in {"GET", "DELETE"}:
            return practice.one_pet(method, int(pet[1]))
        square = re.fullmatch(r"/tictactoe/board/(\d{1,9})/(\d{1,9})", path)
        if path == "/tictactoe/board" or square:
            if not practice.may(authorization, "board:read" if method == "GET" else "board:write"):
                return 401, {"error": "invalid_token"}
            if square and method in {"GET", "PUT"}:
                return practice.square(method, (int(square[1]), int(square[2])), _json(data))
            return practice.status() if method == "GET" else _error(405, "only GET")
        return _error(404, "no such thing")

    def _send(self, status: int, body: Any, *, kind: str = "application/json") -> None:
        data = b"" if status == 204 else (body if kind != "application/json" else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        self.wfile.write(data)


def _error(status: int, message: str) -> Answer:
    return status, {"code": status, "message": message}


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _basic(authorization: str) -> tuple[str, str] | None:
    kind, _, coded = authorization.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(coded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return unquote(user), unquote(password)


def main() -> None:
    practice = Practice(int(sys.argv[1]) if len(sys.argv) > 1 else 8765)
    print(f"practice: {practice.address}/petstore.yaml and {practice.address}/tictactoe.yaml", flush=True)
    practice.serve_forever()


if __name__ == "__main__":
    main()
