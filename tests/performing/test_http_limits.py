"""What HTTP servers do at the edges of the protocol, and that one answer never becomes another call's."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from performing.fleet import Directory, Heard, closed_port, http, one_call, open_pool, says, scripted_server, until
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import FailureClass, Outcome
from process_orchestrator.performing.agent_pool import AgentPool

GET: dict[str, Any] = {"method": "GET", "path": "/x"}
JSON = b"Content-Type: application/json\r\n"


def raw(*pieces: bytes) -> Callable[[Heard, SocketStream], Awaitable[None]]:
    """A script that sends these bytes and closes."""

    async def script(_heard: Heard, stream: SocketStream) -> None:
        for piece in pieces:
            await stream.send(piece)

    return script


async def asked(tmp_path: Path, answer: bytes, bind: dict[str, Any] | None = None) -> Any:
    """The value of one call, or the code of its failure."""
    async with scripted_server() as server:
        server.scripts["/x"] = raw(answer)
        async with open_pool(Directory(http("desk", server.url)), tmp_path) as pool:
            try:
                return (await pool.call("desk", bind or GET, {}, one_call(5000))).value
            except AgentCallError as error:
                return error.code


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\n" + JSON + b'\r\n{"a": 1}',
        b"HTTP/1.1 200 OK\r\n" + JSON + b'Connection: close\r\n\r\n{"a": 1}',
        b"HTTP/1.1 200 OK\r\n" + JSON + b'\r\n{"a": 1}',
        b"HTTP/1.1 200\r\n" + JSON + b'Content-Length: 8\r\n\r\n{"a": 1}',
        b"HTTP/1.1 200 OK\r\n" + JSON + b'Transfer-Encoding: chunked\r\n\r\n3;x=y\r\n{"a\r\n5\r\n": 1}\r\n0\r\nX-A: b\r\n\r\n',
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n" + JSON + b'Content-Length: 8\r\n\r\n{"a": 1}',
        b'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.x+json; charset=utf-8\r\nContent-Length: 8\r\n\r\n{"a": 1}extra',
    ],
)  # fmt: skip
async def test_every_lawful_framing_is_read(tmp_path: Path, answer: bytes) -> None:
    assert await asked(tmp_path, answer) == {"a": 1}


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n" + JSON + b'Transfer-Encoding: chunked\r\n\r\n8\r\n{"a": 1}',
        b"HTTP/1.1 200 OK\r\n" + JSON + b'Transfer-Encoding: chunked\r\n\r\nxyz\r\n{"a": 1}\r\n0\r\n\r\n',
        b"HTTP/1.1 200 OK\r\n" + JSON + b'Transfer-Encoding: chunked\r\n\r\n-8\r\n{"a": 1}\r\n0\r\n\r\n',
        b"HTTP/1.1 200 OK\r\n" + JSON + b'Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFFFFFFFFF\r\n{"a": 1}\r\n0\r\n\r\n',
        b"HTTP/1.1 200 OK\r\n" + JSON + b'Transfer-Encoding: chunked\r\n\r\n2\r\n{"a": 1}\r\n0\r\n\r\n',
        b"HTTP/1.1 200 OK\r\n" + JSON + b'Transfer-Encoding: gzip\r\n\r\n{"a": 1}',
        b"HTTP/1.1 200 OK\r\n" + JSON + b'Content-Length: 8\r\nContent-Length: 9\r\n\r\n{"a": 1}',
        b"HTTP/1.1 200 OK\r\n" + JSON + b'Content-Length: -8\r\n\r\n{"a": 1}',
        b"HTTP/1.1 200 OK\r\n" + JSON + b'Content-Length: 99999999999999999999\r\n\r\n{"a": 1}',
        b"HTTP/2 200 OK\r\n" + JSON + b'Content-Length: 8\r\n\r\n{"a": 1}',
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
    ],
)  # fmt: skip
async def test_every_unlawful_framing_is_a_lost_call(tmp_path: Path, answer: bytes) -> None:
    assert await asked(tmp_path, answer) == "lost"


@pytest.mark.parametrize(
    ("bind", "answer", "value"),
    [
        (GET | {"method": "HEAD"}, b"HTTP/1.1 200 OK\r\n" + JSON + b"Content-Length: 8000\r\n\r\n", {}),
        (GET | {"method": "HEAD"}, b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", {}),
        (GET, b"HTTP/1.1 204 No Content\r\n\r\n", {}),
        (GET, b"HTTP/1.1 204 No Content\r\n" + JSON + b'Content-Length: 8\r\n\r\n{"a": 1}', {}),
        (GET | {"result": "json"}, b"HTTP/1.1 204 No Content\r\n\r\n", {}),
        (GET, b"HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n", {}),
        (GET, b"HTTP/1.1 304 Not Modified\r\n\r\n", "undeclared_error"),
        (GET, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "lost"),
        (GET, b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n", {"text": ""}),
    ],
)
async def test_an_answer_that_can_have_no_body_is_an_empty_object(
    tmp_path: Path, bind: dict[str, Any], answer: bytes, value: Any
) -> None:
    assert await asked(tmp_path, answer, bind) == value


class Keeping:
    """A server that keeps its connections open and answers each request by `answers`, in turn."""

    def __init__(self, port: int) -> None:
        self.url, self.connections, self.heard = f"http://127.0.0.1:{port}", 0, 0
        self.answers: list[Callable[[SocketStream], Awaitable[None]]] = []

    async def serve(self, stream: SocketStream) -> None:
        self.connections += 1
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                while True:
                    data = b""
                    while not data.endswith(b"\r\n\r\n"):
                        data += await stream.receive()
                    self.heard += 1
                    await self.answers.pop(0)(stream)


@asynccontextmanager
async def keeping(tmp_path: Path) -> AsyncGenerator[tuple[AgentPool, Keeping]]:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    server = Keeping(listener.extra(SocketAttribute.local_port))
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, server.serve)
        async with open_pool(Directory(http("desk", server.url)), tmp_path) as pool:
            yield pool, server
        tasks.cancel_scope.cancel()


def answer(number: int, *, more: bytes = b"", head: bytes = b"200 OK") -> Callable[[SocketStream], Awaitable[None]]:
    async def send(stream: SocketStream) -> None:
        body = b'{"n": %d}' % number
        await stream.send(
            b"HTTP/1.1 " + head + b"\r\n" + JSON + b"Content-Length: %d\r\n\r\n" % len(body) + body + more
        )

    return send


async def nothing(stream: SocketStream) -> None:
    await stream.send(b"HTTP/1.1 204 No Content\r\n\r\n")


async def number(pool: AgentPool) -> int:
    return (await pool.call("desk", GET, {}, one_call(5000))).value["n"]


async def test_a_sound_connection_is_used_again(tmp_path: Path) -> None:
    async with keeping(tmp_path) as (pool, server):
        server.answers = [answer(1), nothing, answer(2)]
        values = [await number(pool), (await pool.call("desk", GET, {}, one_call())).value, await number(pool)]
        assert (values, server.connections) == ([1, {}, 2], 1)


STALE = b"HTTP/1.1 200 OK\r\n" + JSON + b'Content-Length: 9\r\n\r\n{"n": 99}'


@pytest.mark.parametrize("more", [STALE, b'{"n": 99}', b"\r\n", b"H"])
async def test_what_comes_behind_an_answer_is_never_the_next_calls(tmp_path: Path, more: bytes) -> None:
    async with keeping(tmp_path) as (pool, server):
        server.answers = [answer(1, more=more), answer(2)]
        assert [await number(pool), await number(pool), server.connections] == [1, 2, 2]


async def test_a_body_behind_an_answer_without_one_is_never_the_next_calls(tmp_path: Path) -> None:
    async with keeping(tmp_path) as (pool, server):
        server.answers = [answer(1, head=b"204 No Content"), answer(2)]
        assert (await pool.call("desk", GET, {}, one_call(5000))).value == {}
        assert [await number(pool), server.connections] == [2, 2]


@pytest.mark.parametrize(
    "sent", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\n" + JSON + b'Content-Length: 9\r\n\r\n{"n"']
)
async def test_a_broken_off_call_leaves_no_connection_to_the_next(tmp_path: Path, sent: bytes) -> None:
    late = anyio.Event()

    async def stalls(stream: SocketStream) -> None:
        await stream.send(sent)
        await late.wait()
        with suppress(anyio.BrokenResourceError):
            await stream.send(STALE)

    async with keeping(tmp_path) as (pool, server):
        server.answers = [stalls, answer(2), answer(3)]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(number, pool)
            await until(lambda: server.heard == 1)
            tasks.cancel_scope.cancel()
        late.set()
        assert [await number(pool), await number(pool), server.connections] == [2, 3, 2]


async def test_what_an_agent_sends_into_an_idle_connection_is_never_the_next_calls(tmp_path: Path) -> None:
    async with keeping(tmp_path) as (pool, server):
        idle = anyio.Event()

        async def talks(stream: SocketStream) -> None:
            await answer(1)(stream)
            await idle.wait()
            await stream.send(STALE)

        server.answers = [talks, answer(2)]
        assert await number(pool) == 1
        idle.set()
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        assert [await number(pool), server.connections] == [2, 2]


async def test_interim_answers_without_end_cost_no_time_of_others(tmp_path: Path) -> None:
    async def interim(_heard: Heard, stream: SocketStream) -> None:
        while True:
            await stream.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 2000)

    async with scripted_server() as server:
        server.scripts["/x"] = interim
        async with open_pool(Directory(http("desk", server.url)), tmp_path) as pool:
            busy = time.process_time()
            with pytest.raises(AgentCallError) as raised:
                await pool.call("desk", GET, {}, one_call(20_000))
            assert time.process_time() - busy < 2
    assert raised.value.code == "lost"


async def test_a_server_that_takes_no_connection_counts_as_not_asked(tmp_path: Path) -> None:
    """A full backlog: the connection is neither taken nor refused."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0, backlog=1) as listener:
        port = listener.extra(SocketAttribute.local_port)
        fillers = []
        with anyio.move_on_after(0.3):
            while len(fillers) < 8:
                fillers.append(await anyio.connect_tcp("127.0.0.1", port))
        async with open_pool(Directory(http("desk", f"http://127.0.0.1:{port}")), tmp_path) as pool:
            with pytest.raises(AgentCallError) as raised:
                await pool.call("desk", GET, {}, one_call(300))
        for each in fillers:
            await each.aclose()
    assert (raised.value.code, raised.value.outcome) == ("timeout", Outcome.NOT_DONE)


async def test_an_errors_text_is_cut_and_a_compressed_one_is_not_read(tmp_path: Path) -> None:
    async with scripted_server() as server:
        async with open_pool(Directory(http("desk", server.url)), tmp_path) as pool:
            server.scripts["/x"] = says(b"x" * 5_000_000, status=500)
            with pytest.raises(AgentCallError) as raised:
                await pool.call("desk", GET, {}, one_call())
            assert len(str(raised.value.answer)) < 200_000
            server.scripts["/x"] = says(b"\x1f\x8b", status=500, headers="Content-Encoding: gzip\r\n")
            with pytest.raises(AgentCallError) as raised:
                await pool.call("desk", GET, {}, one_call())
    assert (raised.value.code, raised.value.answer) == ("undeclared_error", "")


@pytest.mark.parametrize("secret", ["", "first\nsecond", "first\r\nX-Admin: 1", "clé-secrète", " blank-before"])
@pytest.mark.parametrize("auth", [{"bearer": "env:KEY"}, {"header": {"X-Key": "env:KEY"}}])
async def test_a_secret_that_no_header_can_hold_is_a_mistake_of_the_file_and_nothing_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, auth: dict[str, Any], secret: str
) -> None:
    monkeypatch.setenv("KEY", secret)
    async with open_pool(Directory(http("desk", f"http://127.0.0.1:{closed_port()}", auth=auth)), tmp_path) as pool:
        with pytest.raises(AgentCallError) as raised:
            await pool.call("desk", {"method": "POST", "path": "/x"}, {}, one_call())
    assert (raised.value.code, raised.value.class_) == ("unreachable", FailureClass.PERMANENT)
    assert "nothing was sent" in raised.value.message
    assert not secret or secret not in raised.value.message
