"""`contracts import mcp URL`: a server at an address, its token by name, and what a bad one at an address does."""

import json
import threading
import time
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cli.calling import Called, call
from process_orchestrator.checking.loading.loader import load_home

TOKEN = "opensesame"
LOOK = {"name": "look", "description": "Looks.", "inputSchema": {"type": "object"}}


class Remote(ThreadingHTTPServer):
    """An MCP server over streamable HTTP that answers in JSON. `mode` is what it does when it is asked for tools."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.mode = ""
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/mcp"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Nothing."""

    def do_GET(self) -> None:
        self._send(405)

    def do_DELETE(self) -> None:
        self._send(405)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(401)
        elif "id" not in asked:
            self._send(202)
        elif asked["method"] == "initialize":
            version = asked["params"]["protocolVersion"]
            server = {"name": "remote", "version": "1"}
            self._result(asked, {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server})
        elif asked["method"] == "tools/list":
            self._listed(asked)
        else:
            self._send(200, {"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32601, "message": "none"}})

    def _listed(self, asked: dict[str, Any]) -> None:
        assert isinstance(self.server, Remote)
        if self.server.mode == "hang":
            self.server.over.wait(30)
            self.close_connection = True
        elif self.server.mode == "moved":
            self.send_response(307)
            self.send_header("Location", "http://169.254.169.254/mcp")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            more = (
                {"description": "x" * 8_000_000} if self.server.mode == "huge" else {"description": f"Looks. {TOKEN}"}
            )
            self._result(asked, {"tools": [{**LOOK, **more}]})

    def _result(self, asked: dict[str, Any], result: dict[str, Any]) -> None:
        self._send(200, {"jsonrpc": "2.0", "id": asked["id"], "result": result})

    def _send(self, status: int, body: Any = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def remote() -> Generator[Remote]:
    server = Remote()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


def imported(home: Path, remote: Remote, *options: str) -> Called:
    return call("contracts", "import", "mcp", remote.url, "--home", home, *options)


def test_a_server_at_an_address_is_imported_with_its_token_by_name(
    tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMOTE_TOKEN", TOKEN)
    done = imported(tmp_path, remote, "--bearer", "env:REMOTE_TOKEN", "--agent", "remote")
    assert done.code == 0, done.err
    registry = load_home(tmp_path)
    (agent,) = registry.agents
    assert agent.transport.auth == {"bearer": "env:REMOTE_TOKEN"}
    assert agent.transport.url == remote.url
    (contract,) = registry.contracts
    assert contract.summary.startswith("Looks.")
    assert TOKEN not in "".join(file.read_text(encoding="utf-8") for file in tmp_path.rglob("*.yaml"))
    assert imported(tmp_path, remote, "--bearer", "env:REMOTE_TOKEN", "--agent", "remote", "--update").code == 0


@pytest.mark.behaviour("import-mcp")
@pytest.mark.parametrize(
    ("mode", "code", "options"),
    [("hang", "timeout", ("--timeout", "1")), ("huge", "too_large", ()), ("moved", "", ())],
)
def test_a_server_at_an_address_that_hangs_floods_or_leads_away_is_named(
    mode: str, code: str, options: tuple[str, ...], tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMOTE_TOKEN", TOKEN)
    remote.mode = mode
    started = time.monotonic()
    done = imported(tmp_path, remote, "--bearer", "env:REMOTE_TOKEN", *options)
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith(code), done.err
    assert time.monotonic() - started < 6
    assert not list(tmp_path.rglob("*.yaml"))


def test_a_wrong_token_is_told_and_not_shown(tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOTE_TOKEN", "wrong-and-secret")
    done = imported(tmp_path, remote, "--bearer", "env:REMOTE_TOKEN")
    assert done.code == 2
    assert "401" in done.err
    assert "wrong-and-secret" not in done.err
