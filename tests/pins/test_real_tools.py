"""The judgements on what twenty real MCP servers list: 379 tools, each changed in five ways."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from process_orchestrator.checking.changes.live_change import compare
from process_orchestrator.checking.documents.pins import pin

SERVERS = sorted((Path(__file__).parent.parent / "importing" / "servers").glob("*.json"))
WAYS = ("nothing", "words", "optional", "required", "gone")
Tool = dict[str, Any]


def tools_of(path: Path) -> list[Tool]:
    listed = json.loads(path.read_text())
    return listed if isinstance(listed, list) else listed["tools"]


def changed(tool: Tool, way: str) -> Tool:
    live = copy.deepcopy(tool)
    given = live["inputSchema"]
    if way == "words":
        live["description"] = "Else."
    if way in {"optional", "required"}:
        given.setdefault("properties", {})["surprise"] = {"type": "string"}
    if way == "required":
        given["required"] = [*given.get("required", []), "surprise"]
    if way == "gone":
        given["properties"].pop(next(iter(given["properties"])))
    return live


def judged(tools: list[Tool]) -> Counter[tuple[str, str]]:
    return Counter(
        (way, compare(tool["name"], pin(tool), changed(tool, way)).verdict.value)
        for tool in tools
        for way in WAYS
        if way != "gone" or tool["inputSchema"].get("properties")
    )


EXPECTED = {
    ("nothing", "same"),
    ("words", "text_changed"),
    ("optional", "compatible"),
    ("required", "breaking"),
    ("gone", "breaking"),
}


def test_the_first_tool_of_each_server_is_judged_as_it_was_changed() -> None:
    assert set(judged([tools_of(path)[0] for path in SERVERS])) == EXPECTED


@pytest.mark.slow
def test_every_tool_is_judged_as_it_was_changed() -> None:
    found = judged([tool for path in SERVERS for tool in tools_of(path)])
    assert set(found) == EXPECTED
    assert found["words", "text_changed"] >= 300
