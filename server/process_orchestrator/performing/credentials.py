"""The auth forms of an agent file as headers and query parameters, their secrets read at each use."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import Fact
from process_orchestrator.performing.secrets import Secrets, is_reference


class Credentials(Fact, frozen=True, kw_only=True):
    """What to add to a request. Never logged."""

    headers: dict[str, str] = {}
    query: dict[str, str] = {}

    def __repr__(self) -> str:
        return "Credentials(***)"


async def credentials(auth: dict[str, Any] | None, secrets: Secrets, *, folder: Path) -> Credentials:
    """Read `{bearer}`, `{header}`, `{query}` or `{basic}`. Raises AgentCallError (unreachable: nothing was sent)."""
    if not auth:
        return Credentials()
    kind, value = next(iter(auth.items()))
    if kind == "bearer":
        secret = await secrets.resolve(value, folder=folder)
        return Credentials(headers={"Authorization": f"Bearer {secret.reveal()}"})
    if kind in {"header", "query"}:
        found = {name: (await secrets.resolve(each, folder=folder)).reveal() for name, each in value.items()}
        return Credentials(headers=found) if kind == "header" else Credentials(query=found)
    if kind == "basic":
        user = (await secrets.resolve(value["user"], folder=folder)).reveal()
        password = (await secrets.resolve(value["password"], folder=folder)).reveal()
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        if is_reference(value["password"]):
            secrets.remember(token)  # an agent that echoes its headers would give the password away in this form
        return Credentials(headers={"Authorization": f"Basic {token}"})
    raise AgentCallError("unreachable", f"this version knows no auth of the form {kind}")
