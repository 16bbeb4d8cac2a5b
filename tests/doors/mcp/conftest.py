"""A connected official client over the in-process server, in each protocol era."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal

import pytest
from mcp import Client

from doors.mcp.fake_orchestrator import FakeOrchestrator
from process_orchestrator.doors.change_feed import ChangeFeed
from process_orchestrator.doors.mcp_server import build_server

Connect = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> Literal["auto", "legacy"]:
    """2026-07-28, and the revision that most hosts speak today."""
    return request.param


@pytest.fixture
def orchestrator() -> FakeOrchestrator:
    return FakeOrchestrator()


@pytest.fixture
def changes() -> ChangeFeed:
    return ChangeFeed()


@pytest.fixture
def connect(orchestrator: FakeOrchestrator, changes: ChangeFeed, mode: Literal["auto", "legacy"]) -> Connect:
    @asynccontextmanager
    async def connected(elicitation: Any = None) -> AsyncGenerator[Client]:
        server = build_server(orchestrator, changes=changes)
        async with Client(server, mode=mode, elicitation_callback=elicitation) as client:
            yield client

    return connected
