"""One HTTP request and its whole answer, within bounds: to the address that was judged, and to no other.

No proxy and no credentials from the environment, no redirect, no compressed body, no cookie. The time limit is the
caller's. Whether anything may have been done is told by whether the request had begun to leave. What an answer means is
not known here.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable, Iterable
from contextvars import ContextVar
from operator import attrgetter
from typing import Any, Final, cast

import anyio
import anyio.to_thread
import httpcore
import httpx

from process_orchestrator.checking.addresses import WebAddress
from process_orchestrator.core.errors import AgentCallError, BodyError
from process_orchestrator.core.facts.values import Fact
from process_orchestrator.performing.address import Resolver, destination, resolved

CONNECT_S: Final = 10.0
CONNECTIONS_MAX: Final = 100
CONNECTIONS_IDLE_MAX: Final = 20
IDLE_S: Final = 5.0
"""Shorter than most servers keep an idle connection: one that they close just as we use it costs a call."""

HEAD_BYTES_MAX: Final = 131_072
"""Of all that may come before the body: headers, and interim answers (1xx), which have no end of their own."""

ERROR_BODY_BYTES: Final = 65_536
"""An error's text is evidence, not data: more of it is not read."""


_BEHIND: Final = attrgetter("_stream._connection._h11_state.trailing_data")


class Network(Fact, frozen=True, kw_only=True):
    """How the outside is reached. `trust`: which certificates count; None: the usual ones."""

    resolve: Resolver = resolved
    trust: ssl.SSLContext | None = None


class Sending(Fact, frozen=True, kw_only=True):
    """One request. `headers` without Host and Content-Length."""

    method: str
    url: WebAddress
    headers: dict[str, str]
    content: bytes | None = None

    def __repr__(self) -> str:  # its headers and query hold credentials
        return f"Sending({self.method} {self.url.shown})"


class Received(Fact, frozen=True, kw_only=True):
    """One whole answer. Header names are lower case; of repeated ones the values are joined with a comma."""

    status: int
    headers: dict[str, str]
    data: bytes
    bodiless: bool = False  # the answer can have no body: HEAD, 204, 205, 304

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_json(self) -> bool:
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return kind == "application/json" or kind.endswith("+json")


class Progress:
    """How far a call has come. `sent`: something of a request has left, so that it may have been carried out.

    `accepted`: the agent has taken work that it does later.
    """

    def __init__(self) -> None:
        self.sent = self.accepted = False


class HttpClient:
    """Connections to one origin. Only requests to one name may share it: a connection is checked for its first one."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._pool: httpcore.AsyncConnectionPool | None = None
        self._opening = anyio.Lock()

    async def aclose(self) -> None:
        if self._pool is not None:
            await self._pool.aclose()

    async def ask(
        self, sending: Sending, *, allow_loopback: bool, bytes_max: int, progress: Progress | None = None
    ) -> Received:
        """The answer, whatever its status. Raises AgentCallError (unreachable, lost, too_large, not_json)."""
        goal = await destination(sending.url, allow_loopback=allow_loopback, resolve=self._network.resolve)
        meter = _Meter(progress or Progress())
        token = _METER.set(meter)
        try:
            for ip in goal.ips:
                try:
                    return await self._exchange(sending, ip, meter, bytes_max=bytes_max)
                except BodyError as error:
                    raise AgentCallError(error.code, error.message) from error
                except _FAILURES as error:
                    if meter.sent:
                        message = f"the connection broke in the middle of the call: {type(error).__name__}"
                        raise AgentCallError("lost", message) from error
                    if ip == goal.ips[-1]:
                        raise AgentCallError("unreachable", _why_unreachable(error, sending.url.host)) from error
            raise AssertionError("a destination has addresses")
        finally:
            _METER.reset(token)

    async def _opened(self, *, tls: bool) -> httpcore.AsyncConnectionPool:
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    # Reading the list of authorities takes long enough to hold up others.
                    trust = self._network.trust or (await anyio.to_thread.run_sync(_usual_trust) if tls else None)
                    self._pool = httpcore.AsyncConnectionPool(
                        ssl_context=trust,
                        max_connections=CONNECTIONS_MAX,
                        max_keepalive_connections=CONNECTIONS_IDLE_MAX,
                        keepalive_expiry=IDLE_S,
                        network_backend=_Backend(),
                    )
        return self._pool

    async def _exchange(self, sending: Sending, ip: str, meter: _Meter, *, bytes_max: int) -> Received:
        request = httpcore.Request(
            sending.method,
            httpcore.URL(scheme=sending.url.scheme, host=ip, port=sending.url.port, target=sending.url.target),
            headers=_headers(sending),
            content=sending.content,
            extensions={
                "timeout": {"connect": CONNECT_S, "pool": None, "read": None, "write": None},
                "sni_hostname": sending.url.host,
                "trace": meter.told,
            },
        )
        pool = await self._opened(tls=sending.url.scheme == "https")
        response = await pool.handle_async_request(request)
        try:
            received = await _read(response, sending.method, bytes_max=bytes_max)
            if _has_more(response):
                with anyio.CancelScope(shield=True):
                    await response.extensions["network_stream"].aclose()
            return received
        finally:
            with anyio.CancelScope(shield=True):  # closing a broken answer's connection takes no network round
                await response.aclose()


def _usual_trust() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def _why_unreachable(error: BaseException, host: str) -> str:
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, ssl.SSLCertVerificationError):
            return f"the certificate of {host} is not trusted: {at.verify_message}"
        at = at.__cause__ or at.__context__
    return f"the agent cannot be reached: {type(error).__name__}"


async def _read(response: httpcore.Response, method: str, *, bytes_max: int) -> Received:
    status, headers = response.status, _joined(response.headers)
    failed = not 200 <= status < 300
    bodiless = method == "HEAD" or status in {204, 205, 304}
    data = bytearray()
    if not bodiless and headers.get("content-encoding", "identity").lower() not in {"identity", ""}:
        if not failed:
            raise BodyError("not_json", "the body is compressed although it was asked for plain")
    else:
        assert isinstance(response.stream, AsyncIterable)
        async for chunk in response.stream:
            data += chunk
            if failed and len(data) > ERROR_BODY_BYTES:
                break
            if len(data) > bytes_max and not failed:
                raise BodyError("too_large", f"the body is over {bytes_max} bytes")
    return Received(status=status, headers=headers, data=b"" if bodiless else bytes(data), bodiless=bodiless)


def _has_more(response: httpcore.Response) -> bool:
    """Whether bytes came behind the answer: they would be taken for the next call's. Where that cannot be told: yes.

    The library keeps them with the connection and does not look; a test fails once its names are others.
    """
    try:
        behind, _ = _BEHIND(response.stream)
    except AttributeError:
        return True
    return bool(behind)


def _headers(sending: Sending) -> list[tuple[str, str]]:
    content = sending.content
    length = [("Content-Length", str(len(content)))] if content is not None else []
    own = {name: text for name, text in sending.headers.items() if name.lower() != "accept-encoding"}
    accept = {} if any(name.lower() == "accept" for name in own) else {"Accept": "application/json, text/*;q=0.5"}
    named = {**accept, **own, "Accept-Encoding": "identity"}
    if content is None and sending.method in {"POST", "PUT", "PATCH"}:
        length = [("Content-Length", "0")]
    return [("Host", sending.url.authority), *named.items(), *length]


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


_FAILURES: Final = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, ssl.SSLError)


class _Meter:
    """What has gone out and come in for the request that the current task makes."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.sent = False
        self._in_head, self._head_bytes = True, 0

    async def told(self, event: str, _info: Any) -> None:
        if event.endswith(".send_request_headers.started"):
            self.sent = self._progress.sent = True
        elif event.endswith(".receive_response_headers.complete"):
            self._in_head = False

    def received(self, count: int) -> None:
        if self._in_head and self.sent:
            self._head_bytes += count
            if self._head_bytes > HEAD_BYTES_MAX:
                raise httpcore.RemoteProtocolError(f"over {HEAD_BYTES_MAX} bytes before the answer")


_METER: Final[ContextVar[_Meter | None]] = ContextVar("_METER", default=None)
"""The pool reads in the task of the request; its connections know nothing of requests."""


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects as always, and has every read told to the meter of its request."""

    def __init__(self) -> None:
        self._inner = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's word
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._inner.connect_tcp(host, port, timeout, local_address, socket_options))

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        data = await self._inner.read(max_bytes, timeout)
        meter = _METER.get()
        if meter is not None:
            meter.received(len(data))
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
