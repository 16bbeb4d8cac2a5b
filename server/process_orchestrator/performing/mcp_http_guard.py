"""The network side of MCP over HTTP: addresses judged, reads bounded, bodies scanned before the SDK parses them.

The SDK's transport lets a network error of one request end the whole client, and reads a JSON body without bound. So
its HTTP client gets a transport that never raises: whatever goes wrong with a request is kept as a typed failure and
answered as a JSON-RPC error that names it. It imports nothing of the SDK.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from typing import Any, Final

import anyio
import httpx2

from process_orchestrator.checking.retry_after import retry_after_ms
from process_orchestrator.checking.schemas.validate import parse_body
from process_orchestrator.core.errors import AgentCallError, BodyError
from process_orchestrator.core.facts.values import Fact
from process_orchestrator.performing.address import Resolver, destination, readable, resolved
from process_orchestrator.performing.answer import Reply, refusal
from process_orchestrator.performing.credentials import Authorizer, Credentials
from process_orchestrator.performing.framing import Flood, check_items

TRANSPORT_FAILURE: Final = -32050
"""JSON-RPC code under which our own verdicts travel through the SDK to the waiting call. That one is ours is proven by
the random name in its `data`, which no agent can know."""

EVENT_MARKS: Final = (b"\n\n", b"\r\n\r\n", b"\r\r")
LONGEST_MARK: Final = 4
CONNECT_S: Final = 10.0
ERROR_BODY_BYTES: Final = 16_384
UNAUTHORIZED: Final = 401


class LineCaps(Fact, frozen=True, kw_only=True):
    """Caps of one message."""

    bytes: int
    depth: int


class Failures:
    """Typed failures on their way through the SDK, each taken out once."""

    def __init__(self) -> None:
        self._kept: dict[str, AgentCallError] = {}

    def keep(self, failure: AgentCallError) -> dict[str, str]:
        """Keep a failure; the answer stands in a JSON-RPC error's `data` for it."""
        name = secrets.token_hex(16)
        if len(self._kept) > 1000:  # calls that nobody waits for any more
            self._kept.pop(next(iter(self._kept)))
        self._kept[name] = failure
        return {"failure": name}

    def take(self, data: Any) -> AgentCallError | None:
        return self._kept.pop(data.get("failure", ""), None) if isinstance(data, dict) else None


class Way(Fact, frozen=True, kw_only=True):
    """How an agent is reached: what shows who asks, read at each request, and which addresses are allowed."""

    authorizer: Authorizer
    allow_loopback: bool
    resolve: Resolver = resolved


def guarded_client(way: Way, *, caps: LineCaps, failures: Failures) -> httpx2.AsyncClient:
    """An HTTP client for the SDK's transport. Its time limits are the calls' own; only connecting has one here."""
    return httpx2.AsyncClient(
        transport=_GuardedTransport(way, caps=caps, failures=failures),
        headers={"Accept-Encoding": "identity"},
        timeout=httpx2.Timeout(None, connect=CONNECT_S),
        trust_env=False,
        follow_redirects=False,
    )


class _GuardedTransport(httpx2.AsyncBaseTransport):
    def __init__(self, way: Way, *, caps: LineCaps, failures: Failures) -> None:
        self._way, self._caps, self._failures = way, caps, failures
        self._inner = httpx2.AsyncHTTPTransport(trust_env=False)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        call = _request_id(request)
        try:
            response = await self._authorized(request)
        except AgentCallError as error:
            return self._failed(request, call, error)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            message = f"the agent cannot be reached: {type(error).__name__}"
            return self._failed(request, call, AgentCallError("unreachable", message))
        except httpx2.HTTPError as error:
            message = f"the connection broke in the middle of the call: {type(error).__name__}"
            return self._failed(request, call, AgentCallError("lost", message))
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/event-stream" and response.status_code < 300:
            scanned = _ScannedEvents(self, response, call)
            return httpx2.Response(response.status_code, headers=response.headers, stream=scanned, request=request)
        return await self._whole(request, response, call)

    async def _authorized(self, request: httpx2.Request) -> httpx2.Response:
        """The answer; a 401 to a token that may have ended is asked for once more, with another one."""
        goal = await destination(
            readable(str(request.url)), allow_loopback=self._way.allow_loopback, resolve=self._way.resolve
        )
        request.headers["Host"] = goal.web.authority
        request.extensions = {**request.extensions, "sni_hostname": goal.web.host}
        for ip in goal.ips:
            request.url = request.url.copy_with(host=ip)
            try:
                response, used = await self._sent(request)
                break
            except (httpx2.ConnectError, httpx2.ConnectTimeout):  # nobody is there: nothing was sent
                if ip == goal.ips[-1]:
                    raise
        else:
            raise AssertionError("a destination has addresses")
        if response.status_code == UNAUTHORIZED and self._way.authorizer.refused(used):
            await response.aclose()
            response, _ = await self._sent(request)
        return response

    async def _sent(self, request: httpx2.Request) -> tuple[httpx2.Response, Credentials]:
        credentials = await self._way.authorizer.credentials()
        request.headers.update(credentials.headers)
        if credentials.query:
            request.url = request.url.copy_merge_params(credentials.query)
        return await self._inner.handle_async_request(request), credentials

    async def _whole(
        self, request: httpx2.Request, response: httpx2.Response, call: int | str | None
    ) -> httpx2.Response:
        """A body that is no stream: read within its cap and scanned."""
        try:
            data = await _bounded(response, self._caps.bytes)
            if response.status_code < 300 and data and call is not None:
                check_items(parse_body(data, max_bytes=self._caps.bytes, depth=self._caps.depth))
        except BodyError as error:
            return self._failed(request, call, AgentCallError(error.code, error.message))
        except httpx2.HTTPError as error:
            message = f"the connection broke in the middle of the answer: {type(error).__name__}"
            return self._failed(request, call, AgentCallError("lost", message))
        finally:
            await response.aclose()
        if response.status_code >= 400 and call is not None and not _is_rpc_error(data):
            return self._failed(request, call, _refused(response, data, in_session="mcp-session-id" in request.headers))
        headers = [(name, value) for name, value in response.headers.multi_items() if name.lower() not in _FRAMING]
        return httpx2.Response(response.status_code, headers=headers, content=data, request=request)

    def error_text(self, call: int | str | None, failure: AgentCallError) -> str:
        """A JSON-RPC error that names a kept failure."""
        error = {"code": TRANSPORT_FAILURE, "message": failure.code, "data": self._failures.keep(failure)}
        return json.dumps({"jsonrpc": "2.0", "id": call, "error": error})

    def scan(self, data: bytes) -> None:
        """Raises BodyError where a message is no strict JSON within the caps."""
        check_items(parse_body(data, max_bytes=self._caps.bytes, depth=self._caps.depth))

    def measure(self, event: bytearray) -> None:
        """Raises BodyError where an event is over the cap."""
        if len(event) > self._caps.bytes:
            raise BodyError("too_large", f"an event is over {self._caps.bytes} bytes")

    def _failed(self, request: httpx2.Request, call: int | str | None, failure: AgentCallError) -> httpx2.Response:
        if call is None:  # nobody waits for a notification, a GET or a DELETE
            return httpx2.Response(405 if request.method != "POST" else 202, request=request)
        text = self.error_text(call, failure)
        return httpx2.Response(200, headers={"content-type": "application/json"}, text=text, request=request)


_FRAMING: Final = frozenset({"content-length", "content-encoding", "transfer-encoding", "connection"})


class _ScannedEvents(httpx2.AsyncByteStream):
    """A stream of server-sent events; an event that fails the scan is replaced by the failure, and ends the stream."""

    def __init__(self, transport: _GuardedTransport, response: httpx2.Response, call: int | str | None) -> None:
        self._transport, self._response, self._call = transport, response, call

    async def __aiter__(self) -> AsyncIterator[bytes]:
        event, flood, searched = bytearray(), Flood(), 0
        try:
            async for chunk in self._response.aiter_raw():
                event += chunk
                while (end := _event_end(event, searched)) >= 0:
                    whole = bytes(event[:end])
                    del event[:end]
                    searched = 0
                    self._transport.scan(_data_of(whole) or b"null")
                    flood.check(anyio.current_time())
                    yield whole
                self._transport.measure(event)
                searched = max(0, len(event) - LONGEST_MARK + 1)  # what was searched is not searched again
        except BodyError as error:
            yield self._failure(AgentCallError(error.code, error.message))
        except httpx2.HTTPError as error:
            message = f"the connection broke in the middle of the answer: {type(error).__name__}"
            yield self._failure(AgentCallError("lost", message))

    def _failure(self, failure: AgentCallError) -> bytes:
        if self._call is None:
            return b""
        return f"event: message\ndata: {self._transport.error_text(self._call, failure)}\n\n".encode()

    async def aclose(self) -> None:
        await self._response.aclose()


def _event_end(event: bytearray, searched: int) -> int:
    """Where the first whole event ends, past its blank line; -1 where there is none. None ends before `searched`."""
    ends = [at + len(mark) for mark in EVENT_MARKS if (at := event.find(mark, searched)) >= 0]
    return min(ends, default=-1)


def _data_of(event: bytes) -> bytes:
    lines = event.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))


async def _bounded(response: httpx2.Response, bytes_max: int) -> bytes:
    """The raw body. Raises BodyError where it is compressed (we asked for it plain) or too large."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise BodyError("not_json", "the body is compressed although it was asked for plain")
    data = bytearray()
    async for chunk in response.aiter_raw():
        data += chunk
        if len(data) > bytes_max:
            raise BodyError("too_large", f"the body is over {bytes_max} bytes")
    return bytes(data)


def _request_id(request: httpx2.Request) -> int | str | None:
    """The id of the JSON-RPC request that a POST carries; None for a notification and for GET and DELETE."""
    if request.method != "POST":
        return None
    try:
        message = json.loads(request.content)
    except (ValueError, httpx2.StreamError):
        return None
    return message.get("id") if isinstance(message, dict) and "method" in message else None


def _is_rpc_error(data: bytes) -> bool:
    try:
        message = parse_body(data, max_bytes=ERROR_BODY_BYTES)
    except BodyError:
        return False
    return isinstance(message, dict) and isinstance(message.get("error"), dict) and "jsonrpc" in message


def _refused(response: httpx2.Response, data: bytes, *, in_session: bool) -> AgentCallError:
    """What an HTTP status over 399 without a JSON-RPC error says."""
    if response.status_code == 404 and in_session:
        return AgentCallError("unreachable", "the agent has forgotten the session")
    reply = Reply(
        text=data[:1000].decode(errors="replace"),
        failed=True,
        status=response.status_code,
        retry_after_ms=retry_after_ms(response.headers.get("retry-after")),
    )
    return refusal(reply, {})
