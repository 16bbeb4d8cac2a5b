"""The auth forms of an agent file as headers and query parameters, their secrets read at each use.

How a token is fetched is `oauth`'s, which brings an HTTP client: it is asked for here only where an agent has one.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import Fact, FailureClass
from process_orchestrator.performing.secrets import Secrets, is_reference

if TYPE_CHECKING:
    from process_orchestrator.performing.oauth import TokenSource

_HEADER_TEXT: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", re.ASCII)


class Credentials(Fact, frozen=True, kw_only=True):
    """What to add to a request. Never logged."""

    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    token: str | None = None  # fetched, so that another one may be had

    def __repr__(self) -> str:
        return "Credentials(***)"


class Client(Fact, frozen=True, kw_only=True):
    """What is shown to a token endpoint. Never logged."""

    token_url: str
    client_id: str
    client_secret: str
    scope: str | None = None
    send: str = "basic"
    params: dict[str, str] = {}

    def __repr__(self) -> str:
        return "Client(***)"


class Authorizer:
    """One agent's way to show who asks. `tokens` makes the source of its tokens, at the first need of one."""

    def __init__(
        self,
        auth: dict[str, Any] | None,
        secrets: Secrets,
        *,
        folder: Path,
        tokens: Callable[[], TokenSource] | None = None,
    ) -> None:
        self._auth, self._secrets, self._folder = auth, secrets, folder
        self._make, self._tokens = tokens, None

    async def credentials(self) -> Credentials:
        """What to add to a request now. Raises AgentCallError (unreachable: nothing was sent)."""
        client = (self._auth or {}).get("oauth2_client")
        if client is None or self._make is None:
            return await credentials(self._auth, self._secrets, folder=self._folder)
        if self._tokens is None:
            self._tokens = self._make()
        token = await self._tokens.token(await self._client(client))
        return Credentials(headers={"Authorization": f"Bearer {token}"}, token=token)

    def refused(self, used: Credentials) -> bool:
        """The agent answered 401 to these: whether others may be had for one more try."""
        if used.token is None or self._tokens is None:
            return False
        self._tokens.drop(used.token)
        return True

    async def _client(self, written: dict[str, Any]) -> Client:
        client_id = (await self._secrets.resolve(written["client_id"], folder=self._folder)).reveal()
        secret = (await self._secrets.resolve(written["client_secret"], folder=self._folder)).reveal()
        return Client(
            token_url=written["token_url"],
            client_id=client_id,
            client_secret=secret,
            scope=written.get("scope"),
            send=written.get("send", "basic"),
            params=written.get("params") or {},
        )


async def credentials(auth: dict[str, Any] | None, secrets: Secrets, *, folder: Path) -> Credentials:
    """Read `{bearer}`, `{header}`, `{query}` or `{basic}`. Raises AgentCallError (unreachable: nothing was sent)."""
    if not auth:
        return Credentials()
    kind, value = next(iter(auth.items()))
    if kind == "bearer":
        secret = await secrets.resolve(value, folder=folder)
        return Credentials(headers={"Authorization": f"Bearer {_sendable('Authorization', secret.reveal())}"})
    if kind in {"header", "query"}:
        found = {name: (await secrets.resolve(each, folder=folder)).reveal() for name, each in value.items()}
        if kind == "query":
            return Credentials(query=found)
        return Credentials(headers={name: _sendable(name, text) for name, text in found.items()})
    if kind == "basic":
        user = (await secrets.resolve(value["user"], folder=folder)).reveal()
        password = (await secrets.resolve(value["password"], folder=folder)).reveal()
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        if is_reference(value["password"]):
            secrets.remember(token)  # an agent that echoes its headers would give the password away in this form
        return Credentials(headers={"Authorization": f"Basic {token}"})
    raise AgentCallError("unreachable", f"this version knows no auth of the form {kind}")


def _sendable(name: str, secret: str) -> str:
    """A secret that a header can hold. Raises AgentCallError: nobody can send it, so nothing was sent."""
    if _HEADER_TEXT.fullmatch(secret):
        return secret
    message = f"the secret for the header {name} is empty or holds what no header may (a line break, a blank at an end)"
    raise AgentCallError("unreachable", f"{message}; nothing was sent", class_=FailureClass.PERMANENT)
