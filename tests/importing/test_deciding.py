"""Decisions go into files as people keep them: their comments, line ends and form stay, and what changed meanwhile wins."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from process_orchestrator.checking.importers.deciding import Answers, Signed, activate
from process_orchestrator.checking.importers.mcp import draft_of
from process_orchestrator.checking.importers.mcp_source import McpSource
from process_orchestrator.checking.importers.write import bring_in
from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.core.errors import RefusedError

DESK = McpSource(name="desk", transport={"kind": "mcp_stdio", "command": ["desk"]}, source="desk")
ME = Signed(by="ana", at="2026-11-23T00:00:00Z")
WHOLE = Answers(effects="read", accepted=("/output",))
LOOSE = "effects:\n  # why: it only looks\n  kind: irreversible   # until Ana says\n  resources: [desk]"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The draft of one tool."""
    bring_in(draft_of(DESK, [{"name": "look", "inputSchema": {"type": "object"}}], agent="desk"), tmp_path)
    return tmp_path / "contracts" / "desk" / "desk.look.contract.yaml"


@pytest.mark.parametrize(
    "kept",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("effects: {kind: irreversible}", LOOSE).encode(),
        lambda text: (text + "# at its end").encode(),
    ],
    ids=["windows", "marked", "commented", "unended"],
)
def test_a_file_is_changed_where_it_must_be_however_it_is_kept(
    kept: Callable[[str], bytes], file: Path, tmp_path: Path
) -> None:
    file.write_bytes(kept(file.read_text(encoding="utf-8")))
    comments = [
        line for line in file.read_text(encoding="utf-8-sig").splitlines() if "#" in line and "A draft" not in line
    ]
    (done,) = activate(tmp_path, ["desk.look"], WHOLE, ME)
    assert (done.effects, done.decided) == ("read", ("effects: read", "accepted as it stands: /output"))
    registry = load_home(tmp_path)
    assert not [each for each in registry.problems if each.level == "error"]
    assert [each.status for each in registry.contracts] == ["active"]
    text = file.read_text(encoding="utf-8")
    assert "A draft" not in text
    for line in comments:
        assert line[line.index("#") :] in text


def test_a_file_kept_as_json_stays_json(file: Path, tmp_path: Path) -> None:
    value = {"contract": "desk.look", "version": "1.0.0", "summary": "Looks.", "status": "draft", "todo": ["say what"]}
    schemas = {"input": {"type": "object"}, "output": {"type": "object"}, "effects": {"kind": "write"}}
    file.write_text(json.dumps({**value, **schemas}), encoding="utf-8")
    with pytest.raises(RefusedError, match="--accept /"):
        activate(tmp_path, ["desk.look"], Answers(), ME)
    activate(tmp_path, ["desk.look"], Answers(accepted=("/",)), ME)
    written = json.loads(file.read_text(encoding="utf-8"))
    assert written["status"] == "active"
    assert written["x-decided"] == [
        {"at": ME.at, "by": "ana", "decided": "accepted as it stands: /", "todo": ["say what"]}
    ]


def test_of_two_drafts_neither_is_written_while_one_stays_open(tmp_path: Path) -> None:
    output = {"type": "object", "properties": {"n": {"type": "integer"}}}
    tools = [{"name": "a", "inputSchema": {}, "outputSchema": output}, {"name": "b", "inputSchema": {}}]
    bring_in(draft_of(DESK, tools, agent="desk"), tmp_path)
    with pytest.raises(RefusedError, match=r"one thing is undecided in desk\.b"):
        activate(tmp_path, ["desk.a", "desk.b"], Answers(effects="read"), ME)
    assert {each.status for each in load_home(tmp_path).contracts} == {"draft"}
    activate(tmp_path, ["desk.a", "desk.b"], WHOLE, ME)
    assert {each.status for each in load_home(tmp_path).contracts} == {"active"}
