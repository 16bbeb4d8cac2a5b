"""A listing of tools as an MCP agent sends it, page by page, each tool whole; and what it says of changes to it.

The SDK's own listing drops members that it does not know: a change there would go unseen, and what is pinned would not
be what was sent. Who asks, and how long, is `mcp_agent`'s.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Final, Protocol

import anyio
import mcp_types
from pydantic import BaseModel

from process_orchestrator.core.errors import AgentCallError

PAGES_MAX: Final = 20
"""Of a list of tools; each has at most a thousand."""


class Listing(BaseModel):
    """One page. The session has checked its form."""

    tools: list[dict[str, Any]]
    nextCursor: str | None = None  # noqa: N815 - as it is on the wire


async def all_tools(page: Callable[[str | None], Awaitable[Listing]]) -> list[dict[str, Any]]:
    """Every tool, in the agent's order; a member that is null is none. Raises AgentCallError where it does not end."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(PAGES_MAX):
        listed = await page(cursor)
        found += [{key: value for key, value in tool.items() if value is not None} for tool in listed.tools]
        cursor = listed.nextCursor
        if cursor is None:
            return found
    raise AgentCallError("too_large", f"the list of tools does not end after {PAGES_MAX} pages")


class Listening(Protocol):
    """What of the SDK's client is needed here."""

    def listen(self, *, tools_list_changed: bool = False) -> AbstractAsyncContextManager[Any]: ...


class Notices:
    """How often an agent has said that its tools changed."""

    def __init__(self) -> None:
        self.count = 0
        self._on_notice: Callable[[], None] | None = None
        self._wanted = anyio.Event()

    def subscribe(self, on_notice: Callable[[], None]) -> None:
        """From now on a notice is asked for where it must be, and told."""
        self._on_notice = on_notice
        self._wanted.set()

    async def heard(self, message: object) -> None:
        """Every message that the agent sends unasked."""
        if isinstance(message, mcp_types.ToolListChangedNotification):
            self.count += 1
            if self._on_notice is not None:
                self._on_notice()

    async def listen(self, client: Listening) -> None:
        """Once they are wanted, keep a subscription open, in those protocol eras where notices must be asked for."""
        await self._wanted.wait()
        # The call boundary of an agent: one that cannot tell is asked at each interval all the same.
        with suppress(Exception):
            async with client.listen(tools_list_changed=True) as events:
                async for _ in events:
                    pass  # each is told to `heard` as well
