"""HTTP agents: one call, one answer, within one deadline; asked again where the work takes longer or has pages.

Where arguments stand is `http_request`'s, how bytes travel `http_exchange`'s, what the answer means `answer`'s. Only
addresses of the agent's own origin are asked. Retries are the core's, but for one: a call that was refused with 401 was
not done, and is made once more with a new token.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import msgspec
from msgspec.structs import replace

from process_orchestrator.checking.addresses import WebAddress
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import Fact, Outcome
from process_orchestrator.performing.address import readable
from process_orchestrator.performing.answer import Reply, refusal
from process_orchestrator.performing.credentials import Authorizer, Credentials
from process_orchestrator.performing.http_answer import UNAUTHORIZED, redirected, reply_of
from process_orchestrator.performing.http_exchange import HttpClient, Network, Progress, Received, Sending
from process_orchestrator.performing.http_pages import whole_of
from process_orchestrator.performing.http_poll import outcome_of
from process_orchestrator.performing.http_request import Wanted, laid_out, query_text
from process_orchestrator.performing.links import AgentCall


class HttpTarget(Fact, frozen=True, kw_only=True):
    """Where an HTTP agent is, at this moment."""

    base_url: str
    allow_loopback: bool
    authorizer: Authorizer


class HttpLink:
    """One pool of connections to one HTTP agent. `target` is asked at each call, so that a secret may change."""

    def __init__(
        self, target: Callable[[], Awaitable[HttpTarget]], *, output_bytes: int, network: Network | None = None
    ) -> None:
        self._target, self._output_bytes = target, output_bytes
        self._http = HttpClient(network or Network())
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
        await self._http.aclose()

    async def call(self, bind: dict[str, Any], arguments: dict[str, Any], call: AgentCall) -> Reply:
        progress = Progress()
        try:
            with anyio.fail_after(call.timeout_ms / 1000):
                target = await self._target()
                reply = await self._reply(bind, laid_out(bind, arguments), call, target, progress)
        except TimeoutError:
            if progress.sent:
                message = f"no whole answer within {call.timeout_ms} ms"
                raise AgentCallError("timeout", message, answered=progress.accepted) from None
            message = f"the agent could not be reached within {call.timeout_ms} ms; nothing was sent"
            raise AgentCallError("timeout", message, outcome=Outcome.NOT_DONE) from None
        if reply.failed:
            raise refusal(reply, bind)
        return reply

    async def _reply(
        self, bind: dict[str, Any], wanted: Wanted, call: AgentCall, target: HttpTarget, progress: Progress
    ) -> Reply:
        base = readable(target.base_url)
        url = replace(base, path=base.path.rstrip("/") + wanted.path, query=query_text(wanted.query))
        headers = dict(wanted.headers)
        if wanted.content_type is not None:
            headers["Content-Type"] = wanted.content_type
        if call.keyed:
            headers["Idempotency-Key"] = call.key
        sending = Sending(method=wanted.method, url=url, headers=headers, content=wanted.content)
        conversation = _Conversation(self._http, target, progress, bytes_max=min(self._output_bytes, call.output_bytes))
        reply, answered = await conversation.ask(sending, depth=call.depth)

        async def look(at: WebAddress) -> tuple[Reply, dict[str, str]]:
            asked = Sending(method="GET", url=at, headers=wanted.headers)
            return await conversation.ask(asked, depth=call.depth)

        if not reply.failed and "poll" in bind:
            progress.accepted = True
            reply = await outcome_of(reply, answered, bind=bind, url=url, base=base, ask=look)
        elif not reply.failed and "pages" in bind:
            bytes_max = conversation.bytes_max
            reply = await whole_of(reply, answered, bind=bind, url=url, bytes_max=bytes_max, ask=look)
        return _wrapped(reply, bind)


class _Conversation:
    """The requests of one call."""

    def __init__(self, http: HttpClient, target: HttpTarget, progress: Progress, *, bytes_max: int) -> None:
        self._http, self._target, self._progress, self.bytes_max = http, target, progress, bytes_max

    async def ask(self, sending: Sending, *, depth: int) -> tuple[Reply, dict[str, str]]:
        """One answer and its headers. Raises AgentCallError."""
        received = await self._authorized(sending)
        elsewhere = redirected(received, sending.url)
        if elsewhere is not None:
            raise elsewhere
        return reply_of(received, bytes_max=self.bytes_max, depth=depth), received.headers

    async def _authorized(self, sending: Sending) -> Received:
        """The answer; a 401 to a token that may have ended is no answer yet."""
        authorizer, sent_before = self._target.authorizer, self._progress.sent
        credentials = await authorizer.credentials()
        received = await self._exchange(with_credentials(sending, credentials))
        if received.status != UNAUTHORIZED or not authorizer.refused(credentials):
            return received
        self._progress.sent = sent_before  # a 401 says that nothing was done
        return await self._exchange(with_credentials(sending, await authorizer.credentials()))

    async def _exchange(self, sending: Sending) -> Received:
        return await self._http.ask(
            sending,
            allow_loopback=self._target.allow_loopback,
            bytes_max=self.bytes_max,
            progress=self._progress,
        )


def with_credentials(sending: Sending, credentials: Credentials) -> Sending:
    """A request with what shows who asks. An argument never stands in the place of a credential."""
    ours = {name.lower() for name in credentials.headers}
    headers = {name: text for name, text in sending.headers.items() if name.lower() not in ours}
    url = sending.url
    for name, value in credentials.query.items():
        marked = query_text(((name, value),))
        prefix = marked.partition("=")[0] + "="
        kept = [part for part in url.query.split("&") if part and not part.startswith(prefix)]
        url = replace(url, query="&".join([*kept, marked]))
    return replace(sending, url=url, headers={**headers, **credentials.headers})


def _wrapped(reply: Reply, bind: dict[str, Any]) -> Reply:
    """An answer that is no object, under the name that its bind gives it."""
    name = bind.get("wrap")
    if name is None or reply.structured is msgspec.UNSET or isinstance(reply.structured, dict):
        return reply
    return replace(reply, structured={name: reply.structured}, text=None)
