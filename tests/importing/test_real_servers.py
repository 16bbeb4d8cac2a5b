"""What real MCP servers list becomes drafts that the strict loader takes. See `real_servers.py` for where they come from."""

import json
from pathlib import Path
from typing import Any

import pytest

from process_orchestrator.checking.importers.mcp import draft_of
from process_orchestrator.checking.importers.mcp_source import stdio_source
from process_orchestrator.checking.importers.write import bring_in
from process_orchestrator.checking.loading.loader import load_home

FILES = sorted((Path(__file__).parent / "servers").glob("*.json"))


def recorded(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.behaviour("import-mcp-real")
def test_twenty_servers_of_both_registries_are_recorded_with_version_and_licence() -> None:
    told = [recorded(file) for file in FILES]
    assert len(told) >= 20
    assert {each["registry"] for each in told} == {"npm", "pypi"}
    assert all(each["version"] and each["licence"] != "unknown" and each["tools"] for each in told)
    assert sum(len(each["tools"]) for each in told) > 250


@pytest.mark.behaviour("import-mcp-real")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_tool_of_a_real_server_becomes_a_draft_that_loads(file: Path, tmp_path: Path) -> None:
    told = recorded(file)
    launcher = "uvx" if told["registry"] == "pypi" else "npx"
    source = stdio_source([launcher, told["package"]], folder=tmp_path, home=tmp_path)
    outcome = bring_in(draft_of(source, told["tools"], agent=source.name), tmp_path)
    registry = load_home(tmp_path)
    assert not [each for each in registry.problems if each.level == "error"]
    assert outcome.left_out == ()
    assert len(registry.contracts) == len(told["tools"])
    for contract in registry.contracts:
        assert contract.status == "draft"
        assert contract.todo
        assert contract.effect.value == "irreversible"
    (agent,) = registry.agents
    assert {serve.bind["tool"] for serve in agent.serves} == {tool["name"] for tool in told["tools"]}
