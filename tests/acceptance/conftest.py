"""Homes and servers for tests that come from outside."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from acceptance.driving import Connect, server
from process_orchestrator.home import Home, seed_home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with the shipped definitions, as `init` makes it."""
    made = Home(path=tmp_path / "home", state=tmp_path / "home" / "state")
    seed_home(made)
    made.make_state()
    return made


@pytest.fixture
def lenient_home(home: Home) -> Home:
    """The same, with approvals at A0, for tests whose subject is not who may approve."""
    for name in (
        "contracts/payables/ledger.post.contract.yaml",
        "contracts/payables/invoice_approval.process.yaml",
    ):
        file = home.path / name
        file.write_text(
            file.read_text(encoding="utf-8").replace("min_assurance: A1", "min_assurance: A0"), encoding="utf-8"
        )
    return home


@pytest.fixture
def connect(home: Home) -> Connect:
    """Start `orchestrator serve` on the home and speak to it with the official client."""

    @asynccontextmanager
    async def open_client(mode: str = "auto", **options: Any) -> AsyncGenerator[Client]:
        async with Client(server(home), mode=mode, **options) as client:
            yield client

    return open_client
