"""HTTP agents: one request, one bounded answer, within one deadline.

No proxy or credentials from the environment, no redirects, no compressed bodies, and only addresses that the agent's
file allows. Retries are the core's; what the answer means is `answer`'s.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote, urlencode

import anyio
import httpx
import msgspec

from process_orchestrator.checking.validate import encode_body, parse_body
from process_orchestrator.core.errors import AgentCallError, BodyError
from process_orchestrator.core.facts.values import Fact
from process_orchestrator.performing.address import destination, readable
from process_orchestrator.performing.answer import Reply, refusal
from process_orchestrator.performing.credentials import Credentials
from process_orchestrator.performing.links import AgentCall
from process_orchestrator.performing.retry_after import retry_after_ms

CONNECT_S: Final = 10.0
BODILESS: Final = frozenset({"GET", "HEAD", "DELETE"})
ERROR_BODY_BYTES: Final = 65_536
"""An error's text is evidence, not data: more of it is not read."""

CONNECTIONS_MAX: Final = 100


class HttpTarget(Fact, frozen=True, kw_only=True):
    """Where an HTTP agent is, at this moment."""

    base_url: str
    allow_loopback: bool
    credentials: Credentials


class _Request(Fact, frozen=True, kw_only=True):
    method: str
    path: str
    query: list[tuple[str, str]]
    content: bytes | None
    content_type: str | None


class HttpLink:
    """One pool of connections to one HTTP agent. `target` is asked at each call, so that a secret may change."""

    def __init__(self, target: Callable[[], Awaitable[HttpTarget]], *, output_bytes: int) -> None:
        self._target, self._output_bytes = target, output_bytes
        self._client = httpx.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=20),
            headers={"Accept-Encoding": "identity", "Accept": "application/json, text/*;q=0.5"},
        )
        self._closed = False

    @property
    def usable(self) -> bool:
        return not self._closed

    @property
    def pid(self) -> int | None:
        return None

    async def open(self, timeout_s: float) -> None:
        """Nothing is opened ahead: connections are cheap, and an unused one would only go stale."""

    async def aclose(self) -> None:
        self._closed = True
        await self._client.aclose()

    async def call(self, bind: dict[str, Any], arguments: dict[str, Any], call: AgentCall) -> Reply:
        try:
            with anyio.fail_after(call.timeout_ms / 1000):
                reply = await self._exchange(bind, arguments, call)
        except TimeoutError:
            raise AgentCallError("timeout", f"no whole answer within {call.timeout_ms} ms") from None
        if reply.failed:
            raise refusal(reply, bind)
        return reply

    async def _exchange(self, bind: dict[str, Any], arguments: dict[str, Any], call: AgentCall) -> Reply:
        target = await self._target()
        request = await self._build(bind, arguments, call, target)
        cap = min(self._output_bytes, call.output_bytes)
        try:
            response = await self._client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise AgentCallError("unreachable", f"the agent cannot be reached: {type(error).__name__}") from error
        except httpx.HTTPError as error:
            raise _lost(error) from error
        try:
            return await _read(response, cap=cap, depth=call.depth)
        except httpx.HTTPError as error:
            raise _lost(error) from error
        except BodyError as error:
            raise AgentCallError(error.code, error.message) from error
        finally:
            with anyio.CancelScope(shield=True):  # closing a broken answer's connection takes no network round
                await response.aclose()

    async def _build(
        self, bind: dict[str, Any], arguments: dict[str, Any], call: AgentCall, target: HttpTarget
    ) -> httpx.Request:
        wanted = laid_out(bind, arguments)
        try:
            url = httpx.URL(target.base_url.rstrip("/") + wanted.path)
            url = url.copy_merge_params([*wanted.query, *target.credentials.query.items()])
        except httpx.InvalidURL as error:
            raise AgentCallError("unreachable", f"the address cannot be formed: {error}") from error
        goal = await destination(readable(str(url)), allow_loopback=target.allow_loopback)
        headers = {"Host": goal.web.authority, **target.credentials.headers}
        if wanted.content_type is not None:
            headers["Content-Type"] = wanted.content_type
        if call.keyed:
            headers["Idempotency-Key"] = call.key
        return self._client.build_request(
            wanted.method,
            url.copy_with(host=goal.ip),
            content=wanted.content,
            headers=headers,
            extensions={"sni_hostname": goal.web.host},
        )


def laid_out(bind: dict[str, Any], arguments: dict[str, Any]) -> _Request:
    """Arguments where `bind` wants them: first the path, then the query, the rest in the body.

    Without `query`, a method without a body takes all that is left as query. `body` is `json` (default), `form`, or
    the list of the arguments that go into a JSON body.
    """
    method = str(bind.get("method", "GET")).upper()
    left = arguments
    path = str(bind.get("path", "/"))
    for name in list(left):
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", quote(_plain(left[name]), safe=""))
            left = {key: value for key, value in left.items() if key != name}
    body = bind.get("body")
    bodiless = body is None and method in BODILESS
    in_query = bind.get("query", list(left) if bodiless else [])
    query = [(name, text) for name in in_query if name in left for text in _texts(left[name])]
    rest = {name: value for name, value in left.items() if name not in in_query}
    if bodiless:
        return _Request(method=method, path=path, query=query, content=None, content_type=None)
    if body == "form":
        content = urlencode([(name, text) for name, value in rest.items() for text in _texts(value)]).encode()
        return _Request(
            method=method, path=path, query=query, content=content, content_type="application/x-www-form-urlencoded"
        )
    if isinstance(body, list):
        rest = {name: value for name, value in rest.items() if name in body}
    return _Request(method=method, path=path, query=query, content=encode_body(rest), content_type="application/json")


async def _read(response: httpx.Response, *, cap: int, depth: int) -> Reply:
    failed = not 200 <= response.status_code < 300
    data = bytearray()
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        if not failed:
            raise BodyError("not_json", "the body is compressed although it was asked for plain")
    else:
        async for chunk in response.aiter_raw():
            data += chunk
            if failed and len(data) > ERROR_BODY_BYTES:
                break
            if len(data) > cap and not failed:
                raise BodyError("too_large", f"the body is over {cap} bytes")
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = kind == "application/json" or kind.endswith("+json")
    structured: Any = msgspec.UNSET
    if is_json and data and not failed:
        structured = parse_body(bytes(data), max_bytes=cap, depth=depth)
    return Reply(
        structured=structured,
        text=bytes(data).decode(errors="replace"),
        failed=failed,
        status=response.status_code,
        retry_after_ms=retry_after_ms(response.headers.get("retry-after")),
    )


def _lost(error: httpx.HTTPError) -> AgentCallError:
    return AgentCallError("lost", f"the connection broke in the middle of the call: {type(error).__name__}")


def _texts(value: Any) -> list[str]:
    return [_plain(item) for item in value] if isinstance(value, list) else [_plain(value)]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else encode_body(value).decode()
