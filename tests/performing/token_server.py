"""A token endpoint and an agent that wants its tokens, on one scripted server."""

import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from anyio.abc import SocketStream

from performing.fleet import Directory, Heard, Script, ScriptedServer, http, open_pool, says, scripted_server
from process_orchestrator.performing.agent_pool import AgentPool

SECRET = "s3cret/with:signs"


class TokenDesk:
    """Counts what was asked. `granted` tokens are taken by the agent until they are revoked."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server, self.granted = server, list[str]()
        self.revoked: set[str] = set()
        self.answer: dict[str, Any] = {"token_type": "Bearer", "expires_in": 3600}
        server.scripts["/token"] = self.token
        server.scripts["/x"] = self.work

    @property
    def asked(self) -> list[Heard]:
        return [heard for heard in self.server.heard if heard.target == "/token"]

    @property
    def worked(self) -> list[Heard]:
        return [heard for heard in self.server.heard if heard.target != "/token"]

    def fields(self, index: int = -1) -> dict[str, str]:
        return dict(parse_qsl(self.asked[index].body.decode(), keep_blank_values=True))

    async def token(self, heard: Heard, stream: SocketStream) -> None:
        token = f"token-{len(self.granted) + 1}-0815"
        self.granted.append(token)
        await says({"access_token": token, **self.answer})(heard, stream)

    async def work(self, heard: Heard, stream: SocketStream) -> None:
        token = heard.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.granted or token in self.revoked:
            await says({"error": f"{token} has ended"}, status=401)(heard, stream)
        else:
            await says({"seen": heard.headers["authorization"]})(heard, stream)


def client(url: str, **changes: Any) -> dict[str, Any]:
    written = {"token_url": f"{url}/token", "client_id": "desk one", "client_secret": "env:DESK_SECRET"}
    return {"oauth2_client": written | changes}


def basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


@asynccontextmanager
async def token_desk(
    tmp_path: Path, *, token: Script | None = None, **changes: Any
) -> AsyncGenerator[tuple[AgentPool, TokenDesk]]:
    """A pool with one agent `desk` that wants tokens; `token` answers in the endpoint's place."""
    async with scripted_server() as server:
        desk = TokenDesk(server)
        if token is not None:
            server.scripts["/token"] = token
        async with open_pool(Directory(http("desk", server.url, auth=client(server.url, **changes))), tmp_path) as pool:
            yield pool, desk
