"""What the tests of the formats share."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
