"""What the tests of the shipped domains share: agents to connect to, contracts to keep, documents to read."""

import json
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from domains.running import ROOT, Agent, Connect, Keeper, connected


@pytest.fixture(scope="session")
def connect() -> Connect:
    """Starts an agent program (a path under the registry, or a module) with an environment."""

    def start(program: str, **environment: str) -> AbstractAsyncContextManager[Agent]:
        return connected(program, environment)

    return start


@pytest.fixture(scope="session")
def keeper() -> Callable[[str], Keeper]:
    return Keeper


@pytest.fixture(scope="session")
def invoices() -> dict[str, str]:
    """Every sample document by its file name."""
    demo = ROOT / "server" / "process_orchestrator" / "doors" / "demo_data"
    samples = [*Path(__file__).with_name("data").iterdir(), *demo.iterdir()]
    return {file.name: file.read_text(encoding="utf-8") for file in samples if file.suffix in {".xml", ".txt"}}


@pytest.fixture(scope="session")
def story() -> dict[str, Any]:
    demo = ROOT / "server" / "process_orchestrator" / "doors" / "demo_data"
    return json.loads((demo / "story.json").read_text(encoding="utf-8"))


@pytest.fixture
def git_environment(tmp_path: Path) -> dict[str, str]:
    """Git that reads no configuration of this machine and signs as a fixed person."""
    nobody = {"GIT_AUTHOR_NAME": "Ana Árvore", "GIT_AUTHOR_EMAIL": "ana@example.org"}
    committer = {"GIT_COMMITTER_NAME": "Ana Árvore", "GIT_COMMITTER_EMAIL": "ana@example.org"}
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "GIT_CONFIG_NOSYSTEM": "1",
        **nobody,
        **committer,
    }
