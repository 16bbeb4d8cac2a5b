"""Tokens of OAuth 2.0 by the client-credentials grant: fetched once, kept until shortly before they end.

One source for each agent. Many calls that wait for a token wait for one request, and share its failure. Nothing here
was sent to the agent, so every failure is `unreachable` and not done; class `denied` where the endpoint refuses our
client. No secret and no token stands in a message. Source: RFC 6749, sections 2.3.1, 4.4, 5.1, 5.2.
"""

from __future__ import annotations

import base64
import re
from collections import deque
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import anyio

from process_orchestrator.checking.retry_after import retry_after_ms
from process_orchestrator.checking.schemas.validate import parse_body
from process_orchestrator.core.errors import AgentCallError, BodyError
from process_orchestrator.core.facts.values import Fact, FailureClass, Outcome
from process_orchestrator.performing.address import Resolver, readable
from process_orchestrator.performing.credentials import Client
from process_orchestrator.performing.http_answer import redirected
from process_orchestrator.performing.http_exchange import HttpClient, Network, Received, Sending
from process_orchestrator.performing.http_request import FORM
from process_orchestrator.performing.secrets import Secrets

FETCH_S: Final = 30.0
ANSWER_BYTES_MAX: Final = 65_536
TOKEN_CHARACTERS_MAX: Final = 16_384
LIFE_S_DEFAULT: Final = 300.0
"""Of a token that comes without `expires_in`: short, since nobody said how long it holds."""

LIFE_S_MAX: Final = 86_400.0
EARLY_S: Final = 60.0
EARLY_SHARE: Final = 0.2
"""A token is given up a minute, or a fifth of its life, before it ends: a call takes a while, and clocks differ."""

TOKENS_MASKED: Final = 4
"""Tokens of one agent that are masked in answers, the newest ones: those before ended long ago."""

_TOKEN: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)
_ERROR: Final = re.compile(r"[a-z_]{1,40}", re.ASCII)


class _Held(Fact, frozen=True, kw_only=True):
    client: Client
    token: str
    until: float

    def __repr__(self) -> str:
        return "_Held(***)"


class _Failed(Fact, frozen=True, kw_only=True):
    client: Client
    at: float
    error: tuple[str, FailureClass | None, int | None]


def token_source(secrets: Secrets, *, allow_loopback: bool, resolve: Resolver) -> TokenSource:
    """The tokens of one agent, whose endpoint is reached under the agent's own rules."""
    return TokenSource(Network(resolve=resolve), secrets, allow_loopback=allow_loopback)


class TokenSource:
    """The token of one agent. Times are of the clock that timeouts run by."""

    def __init__(self, network: Network, secrets: Secrets, *, allow_loopback: bool) -> None:
        self._network, self._secrets, self._allow_loopback = network, secrets, allow_loopback
        self._lock = anyio.Lock()
        self._held: _Held | None = None
        self._failed: _Failed | None = None
        self._masked: deque[str] = deque()

    async def token(self, client: Client) -> str:
        """A token that holds for a while. Raises AgentCallError (unreachable: nothing was sent to the agent)."""
        came = anyio.current_time()
        held = self._still_held(client)
        if held is not None:
            return held
        async with self._lock:
            held = self._still_held(client)
            if held is not None:
                return held
            failed = self._failed
            if failed is not None and failed.client == client and failed.at >= came:
                message, class_, wait_ms = failed.error
                raise _unreachable(message, class_=class_, wait_ms=wait_ms)
            try:
                self._held = await self._fetched(client)
            except AgentCallError as error:
                facts = (error.message, error.class_, error.retry_after_ms)
                self._failed = _Failed(client=client, at=anyio.current_time(), error=facts)
                raise
            return self._held.token

    def drop(self, token: str) -> None:
        """The agent refused this token: the next call fetches another, unless somebody has done so."""
        if self._held is not None and self._held.token == token:
            self._held = None

    def _still_held(self, client: Client) -> str | None:
        held = self._held
        fits = held is not None and held.client == client and anyio.current_time() < held.until
        return held.token if fits and held is not None else None

    async def _fetched(self, client: Client) -> _Held:
        url = readable(client.token_url)
        sending = Sending(method="POST", url=url, headers=self._headers(client), content=_form(client))
        try:
            with anyio.fail_after(FETCH_S):
                received = await self._asked(sending)
        except TimeoutError:
            raise _unreachable(f"the token endpoint did not answer within {FETCH_S:g} s") from None
        except AgentCallError as error:
            raise _unreachable(f"no token: {error.message}", class_=error.class_) from error
        elsewhere = redirected(received, url)
        if elsewhere is not None:
            raise _unreachable(f"no token: {elsewhere.message}", class_=FailureClass.PERMANENT)
        answer = _read(received)
        if not received.succeeded:
            raise self._refused(received, answer)
        token = answer.get("access_token")
        if not isinstance(token, str) or len(token) > TOKEN_CHARACTERS_MAX or not _TOKEN.fullmatch(token):
            raise _unreachable("the token endpoint answered without an access_token that can be sent")
        self._mask(token)
        if str(answer.get("token_type", "bearer")).lower() != "bearer":
            raise _unreachable("the token endpoint gives tokens of another type than bearer", class_=_FOR_GOOD)
        return _Held(client=client, token=token, until=anyio.current_time() + _life_s(answer.get("expires_in")))

    async def _asked(self, sending: Sending) -> Received:
        """One request over a connection of its own: tokens are rare, and nothing is left open."""
        http = HttpClient(self._network)
        try:
            return await http.ask(sending, allow_loopback=self._allow_loopback, bytes_max=ANSWER_BYTES_MAX)
        finally:
            with anyio.CancelScope(shield=True):
                await http.aclose()

    def _headers(self, client: Client) -> dict[str, str]:
        headers = {"Content-Type": FORM, "Accept": "application/json"}
        if client.send == "basic":
            pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
            shown = base64.b64encode(pair.encode()).decode()
            self._secrets.remember(shown)
            headers["Authorization"] = f"Basic {shown}"
        return headers

    def _refused(self, received: Received, answer: dict[str, Any]) -> AgentCallError:
        """What the endpoint's error says: our client is refused for good, or it cannot answer now."""
        code, said = answer.get("error"), answer.get("error_description")
        named = f" ({code})" if isinstance(code, str) and _ERROR.fullmatch(code) else ""
        more = f": {self._secrets.mask_text(said)[:150]}" if isinstance(said, str) and named else ""
        message = f"the token endpoint answered status {received.status}{named}{more}"
        if received.status in {400, 401, 403}:
            return _unreachable(message, class_=FailureClass.DENIED)
        if received.status < 500 and received.status not in {408, 425, 429}:
            return _unreachable(message, class_=_FOR_GOOD)
        return _unreachable(message, wait_ms=retry_after_ms(received.headers.get("retry-after")))

    def _mask(self, token: str) -> None:
        if token in self._masked:
            self._secrets.remember(token)
        else:
            self._secrets.hold(token)
            self._masked.append(token)
        while len(self._masked) > TOKENS_MASKED:
            self._secrets.forget(self._masked.popleft())


_FOR_GOOD: Final = FailureClass.PERMANENT


def _form(client: Client) -> bytes:
    fields = {"grant_type": "client_credentials", **client.params}
    if client.scope is not None:
        fields["scope"] = client.scope
    if client.send == "form":
        fields |= {"client_id": client.client_id, "client_secret": client.client_secret}
    return urlencode(fields).encode()


def _read(received: Received) -> dict[str, Any]:
    """The endpoint's JSON object; of an error, none where it is something else."""
    try:
        answer = parse_body(received.data, max_bytes=ANSWER_BYTES_MAX, depth=8)
    except BodyError as error:
        answer = error
    if isinstance(answer, dict):
        return answer
    if received.succeeded:
        raise _unreachable("the token endpoint's answer is no JSON object")
    return {}


def _life_s(expires_in: Any) -> float:
    """How long to keep a token. Some servers write the number as a text."""
    if isinstance(expires_in, str) and expires_in.isascii() and expires_in.isdigit():
        expires_in = int(expires_in[:12])
    if not isinstance(expires_in, int | float) or isinstance(expires_in, bool):
        expires_in = LIFE_S_DEFAULT
    life_s = max(0.0, min(float(expires_in), LIFE_S_MAX))
    return life_s - min(EARLY_S, life_s * EARLY_SHARE)


def _unreachable(message: str, *, class_: FailureClass | None = None, wait_ms: int | None = None) -> AgentCallError:
    return AgentCallError("unreachable", message, class_=class_, outcome=Outcome.NOT_DONE, retry_after_ms=wait_ms)
