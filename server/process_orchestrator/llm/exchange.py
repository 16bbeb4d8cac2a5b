"""The wire under a model's client: what may pass, and what did.

Whatever client sends the request, it goes through one transport of ours: no redirect, no second request of the same
call, no compressed body, no more bytes than a cap. What happened is written down, so that a failure is told by its
cause and not by what a client made of it. Imported with the client, never before it: httpx is not free.
"""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

import httpx

from process_orchestrator.llm.port import ANSWER_BYTES_MAX

WIRE_BYTES_MAX: Final = 3 * ANSWER_BYTES_MAX
"""Most bytes of one response: an answer that JSON escapes, and what a host says beside it."""

KEPT_OF_ERRORS: Final = 4_096
"""Bytes of an error's body that are kept, for the reason that it gives."""


@dataclass
class Exchange:
    """What happened on the wire in one call. `refused` is our own refusal to go on, if there was one."""

    sent: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])  # method and address
    status: int | None = None
    content_type: str = ""
    retry_after: str | None = None
    body: bytearray = field(default_factory=bytearray)  # of an error, its beginning
    received: int = 0
    whole: bool = False  # the response was read to its end
    refused: tuple[str, str] | None = None  # a ModelError's code, and why

    def refuse(self, code: str, why: str) -> httpx.TransportError:
        self.refused = (code, why)
        return httpx.RemoteProtocolError(why)


CURRENT: Final[ContextVar[Exchange | None]] = ContextVar("exchange", default=None)
"""Of the call that runs in this task."""


class BoundedTransport(httpx.AsyncBaseTransport):
    """Sends what a model's client asks for, within the bounds of this room."""

    def __init__(self, *, verify: ssl.SSLContext | bool = True) -> None:
        self._verify = verify
        self._ways: dict[str | None, httpx.AsyncHTTPTransport] = {}  # by proxy

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        exchange = CURRENT.get() or Exchange()
        target = (request.method, str(request.url.copy_with(query=None, userinfo=None)))
        if target in exchange.sent:
            raise exchange.refuse(*(exchange.refused or ("unreachable", "the client wanted to ask a second time")))
        exchange.sent.append(target)
        exchange.status, exchange.whole = None, False
        request.headers["accept-encoding"] = "identity"
        response = await self._way(request.url).handle_async_request(request)
        exchange.status = response.status_code
        exchange.content_type = response.headers.get("content-type", "")
        exchange.retry_after = response.headers.get("retry-after")
        why: tuple[str, str] | None = None
        if response.has_redirect_location:
            why = ("not_configured", "the address sends us elsewhere, and no redirect is followed")
        elif response.headers.get("content-encoding", "identity") != "identity":
            why = ("unreachable", "the answer is compressed although it was asked for plain")
        elif int(response.headers.get("content-length", "0")) > WIRE_BYTES_MAX:
            why = ("too_large", f"the answer has {response.headers['content-length']} bytes, over {WIRE_BYTES_MAX}")
        if why is not None:
            await response.aclose()
            raise exchange.refuse(*why)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Counted(response.stream, exchange)
        return response

    async def aclose(self) -> None:
        for way in self._ways.values():
            await way.aclose()

    def _way(self, url: httpx.URL) -> httpx.AsyncHTTPTransport:
        proxy = proxy_for(url)
        if proxy not in self._ways:
            self._ways[proxy] = httpx.AsyncHTTPTransport(verify=self._verify, proxy=proxy, retries=0)
        return self._ways[proxy]


def proxy_for(url: httpx.URL) -> str | None:
    """The proxy that the environment names for an address; none for this machine, whatever it says."""
    if url.host in {"localhost", "127.0.0.1", "::1"} or urllib.request.proxy_bypass(url.host):
        return None
    return urllib.request.getproxies().get(url.scheme)


class _Counted(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, exchange: Exchange) -> None:
        self._stream, self._exchange = stream, exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        exchange = self._exchange
        failed = exchange.status is not None and exchange.status >= httpx.codes.BAD_REQUEST
        async for chunk in self._stream:
            exchange.received += len(chunk)
            if failed and len(exchange.body) < KEPT_OF_ERRORS:
                exchange.body += chunk[: KEPT_OF_ERRORS - len(exchange.body)]
            if exchange.received > WIRE_BYTES_MAX:
                raise exchange.refuse("too_large", f"the answer goes on after {WIRE_BYTES_MAX} bytes")
            yield chunk
        exchange.whole = True

    async def aclose(self) -> None:
        await self._stream.aclose()
