from pathlib import Path

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder of its own."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder
