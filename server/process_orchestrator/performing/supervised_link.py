"""The link to an HTTP agent that we run ourselves: its calls, and the end of its program with the pool."""

from __future__ import annotations

import contextlib
from typing import Any

import anyio

from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.performing.answer import Reply
from process_orchestrator.performing.http_agent import HttpLink
from process_orchestrator.performing.links import AgentCall
from process_orchestrator.performing.supervise import Supervised


class SupervisedLink:
    """An `HttpLink` whose failures carry the program's last lines as evidence."""

    def __init__(self, link: HttpLink, supervised: Supervised) -> None:
        self._link, self._supervised = link, supervised

    @property
    def usable(self) -> bool:
        return self._link.usable

    @property
    def pid(self) -> int | None:
        return self._supervised.pid

    async def open(self, timeout_s: float) -> None:
        with contextlib.suppress(AgentCallError), anyio.move_on_after(timeout_s):
            await self._supervised.port()

    async def call(self, bind: dict[str, Any], arguments: dict[str, Any], call: AgentCall) -> Reply:
        try:
            return await self._link.call(bind, arguments, call)
        except AgentCallError as error:
            error.stderr = error.stderr or self._supervised.tail()
            raise

    async def aclose(self) -> None:
        await self._link.aclose()
        await self._supervised.aclose()
