"""Sources are read within bounds, and from no address inside a network."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest

from process_orchestrator.checking.importers import fetch
from process_orchestrator.checking.importers.fetch import read_source
from process_orchestrator.core.errors import RefusedError

pytestmark = pytest.mark.anyio
Answer = Callable[[BaseHTTPRequestHandler], None]


class Peer:
    """A server on loopback that answers each path by a function, and remembers what it was asked."""

    def __init__(self) -> None:
        self.paths: dict[str, Answer] = {}
        self.asked: list[tuple[str, str | None]] = []
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                peer.asked.append((self.path, self.headers.get("Authorization")))
                peer.paths[self.path.partition("?")[0]](self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def says(data: bytes, *, status: int = 200, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


@pytest.fixture
def peer() -> Iterator[Peer]:
    started = Peer()
    yield started
    started.close()


async def refused(source: str, *, bearer: str | None = None, allow_loopback: bool = True) -> str:
    with pytest.raises(RefusedError) as error:
        await read_source(source, bearer=bearer, allow_loopback=allow_loopback)
    assert error.value.do
    return error.value.message


async def test_a_document_is_read_from_an_address_with_a_token_for_it(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOC_TOKEN", "s3cret-token")
    peer.paths["/o.json"] = says(b"{}")
    found = await read_source(f"{peer.url}/o.json?key=hidden", bearer="env:DOC_TOKEN", allow_loopback=True)
    assert (found.data, found.shown) == (b"{}", f"{peer.url}/o.json")
    assert peer.asked == [("/o.json?key=hidden", "Bearer s3cret-token")]


async def test_where_nobody_is_at_the_first_address_of_a_name_the_next_is_tried(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(_host: object, port: int, *_others: object, **_named: object) -> list[Any]:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", found)  # as most machines know their own name
    peer.paths["/o.json"] = says(b"{}")
    address = peer.url.replace("127.0.0.1", "localhost")
    assert (await read_source(f"{address}/o.json", allow_loopback=True)).data == b"{}"


async def test_loopback_is_reached_only_where_that_is_asked_for(peer: Peer) -> None:
    peer.paths["/o.json"] = says(b"{}")
    assert "may not reach" in await refused(f"{peer.url}/o.json", allow_loopback=False)
    assert peer.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest",
        "https://10.0.0.1/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://[fd00::1]/x",
        "https://0x7f000001/x",
        "https://2130706433/x",
        "https://user:pass@example.com/x",
        "http://93.184.216.34/x",
        "ftp://example.com/x",
        "https://metadata.invalid/x",
    ],
)
async def test_addresses_inside_a_network_or_in_disguise_are_not_asked(url: str) -> None:
    message = await refused(url)
    assert "pass" not in message


@pytest.mark.parametrize(
    "to", ["https://169.254.169.254/latest", "http://10.0.0.1/", "file:///etc/passwd", "", "http://[::1"]
)
async def test_a_redirect_is_judged_like_the_first_address(peer: Peer, to: str) -> None:
    peer.paths["/o"] = says(b"", status=302, Location=to)
    assert " fetched" in await refused(f"{peer.url}/o")
    assert [path for path, _ in peer.asked] == ["/o"]


async def test_redirects_are_followed_a_few_times_and_never_with_the_token_elsewhere(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOC_TOKEN", "s3cret-token")
    other = Peer()
    try:
        peer.paths["/a"] = says(b"", status=301, Location="/b")
        peer.paths["/b"] = says(b"", status=302, Location=f"{other.url}/c")
        other.paths["/c"] = says(b"{}")
        assert (await read_source(f"{peer.url}/a", bearer="env:DOC_TOKEN", allow_loopback=True)).data == b"{}"
        assert [token for _, token in (*peer.asked, *other.asked)] == ["Bearer s3cret-token"] * 2 + [None]
        peer.paths["/loop"] = says(b"", status=302, Location="/loop")
        assert "redirects more than" in await refused(f"{peer.url}/loop")
    finally:
        other.close()


async def test_what_is_too_large_compressed_or_refused_is_said(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "BYTES_MAX", 1000)
    peer.paths["/large"] = says(b"x" * 1001)
    peer.paths["/zip"] = says(b"x", Content_Encoding="gzip")
    peer.paths["/no"] = says(b"", status=401)
    assert "more than 1000 bytes" in await refused(f"{peer.url}/large")
    assert "compressed" in await refused(f"{peer.url}/zip")
    assert "answered 401" in await refused(f"{peer.url}/no")


async def test_a_server_that_never_ends_is_given_up(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "TIME_S", 0.3)
    ended = threading.Event()

    def hang(_: BaseHTTPRequestHandler) -> None:
        ended.wait(5)

    peer.paths["/hang"] = hang
    with anyio.fail_after(4):
        assert "did not answer whole within" in await refused(f"{peer.url}/hang")
    ended.set()


async def test_nobody_there_is_said_in_words() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "cannot be fetched: ConnectError" in await refused(f"http://127.0.0.1:{port}/x")


@pytest.mark.parametrize("bearer", ["env:NO_SUCH_VARIABLE", "file:/no/such/file", "the-token-itself"])
async def test_a_token_is_given_by_reference(bearer: str) -> None:
    message = await refused("https://example.com/x", bearer=bearer)
    assert "the-token-itself" not in message


async def test_files_are_read_as_they_are_and_named_without_their_folder(tmp_path: Path) -> None:
    (tmp_path / "o.yaml").write_bytes(b"a: 1")
    found = await read_source(str(tmp_path / "o.yaml"))
    assert (found.data, found.shown, found.address) == (b"a: 1", "o.yaml", None)
    assert "cannot be read" in await refused(str(tmp_path / "none.yaml"))
    assert "cannot be read" in await refused(str(tmp_path))
    assert "needs no --bearer" in await refused(str(tmp_path / "o.yaml"), bearer="env:X")
