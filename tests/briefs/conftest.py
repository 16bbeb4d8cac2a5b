import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


from collections.abc import AsyncGenerator
from pathlib import Path

from orchestrator.home import Desk, open_desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Desk]:
    async with open_desk(tmp_path) as opened:
        yield opened
