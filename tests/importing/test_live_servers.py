"""Real servers of both registries, started and imported from; and what we have recorded of them is what they still list."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cli.calling import call
from importing import real_servers
from process_orchestrator.checking.loading.loader import load_home

FOLDER = real_servers.ROOT / ".real-servers"
HOW = "python tests/importing/real_servers.py fetch .real-servers --live"
LIVE = tuple(server for server in real_servers.SERVERS if server.live)


def installed(server: real_servers.Server, empty: Path) -> list[str]:
    """The command of a server. One that is not here is a skip with its reason, in CI a failure."""
    own = real_servers.OF_OURS / server.program
    argv = [str(own), *server.argv(FOLDER, empty)[1:]] if own.exists() else server.argv(FOLDER, empty)
    if Path(argv[0]).exists():
        return argv
    if os.environ.get("CI"):
        pytest.fail(f"{server.name} is not installed: {HOW}")
    pytest.skip(f"{server.name} comes from a registry: {HOW}")


@pytest.mark.slow
@pytest.mark.behaviour("import-mcp-real")
@pytest.mark.parametrize("server", LIVE, ids=lambda server: server.name)
def test_a_real_server_is_started_listed_and_imported(server: real_servers.Server, tmp_path: Path) -> None:
    empty, home = tmp_path / "empty", tmp_path / "home"
    empty.mkdir()
    done = call("contracts", "import", "mcp", "--home", home, "--json", "--", *installed(server, empty))
    assert done.code == 0, done.err
    registry = load_home(home)
    assert not [each for each in registry.problems if each.level == "error"]
    assert registry.contracts
    assert all(each.status == "draft" for each in registry.contracts)
    recorded = real_servers.RECORDED / f"{server.name}.json"
    if recorded.exists():
        names = {tool["name"] for tool in json.loads(recorded.read_text(encoding="utf-8"))["tools"]}
        (agent,) = registry.agents
        listed = {serve.bind["tool"] for serve in agent.serves}
        assert len(listed & names) >= len(names) // 2, "the recorded list is of another server"


CALLS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("everything", "echo", {"message": "hello"}),
    ("memory", "read_graph", {}),
    ("filesystem", "list_allowed_directories", {}),
)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "tool", "arguments"), CALLS, ids=lambda each: each if isinstance(each, str) else "")
def test_an_imported_tool_answers_as_its_draft_says(
    name: str, tool: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    (server,) = real_servers.chosen([name])
    empty, home = tmp_path / "empty", tmp_path / "home"
    empty.mkdir()
    argv = installed(server, empty)
    assert call("contracts", "import", "mcp", "--home", home, "--agent", "real", "--", *argv).code == 0
    begin = ("agents", "call", "real", tool, "--input", json.dumps(arguments), "--home", home)
    done = call(*begin, "--infer-output", "--write", "--json")
    assert done.code == 0, done.err
    assert done.json["output"]["type"] == "object"
    assert not [each for each in load_home(home).problems if each.level == "error"]
