"""`contracts import mcp`, `contracts activate`, `agents call --infer-output`: from a server to contracts that plans may use."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cli.calling import Called, call
from process_orchestrator.checking.loading.loader import load_home

PROGRAM = Path(__file__).resolve().parents[1] / "importing" / "tools_server.py"
TIME = Path(sys.executable).with_name("mcp-server-time")
TOOLS = [
    {
        "name": "count",
        "description": "Counts.",
        "inputSchema": {"type": "object"},
        "annotations": {"readOnlyHint": True},
    },
    {"name": "add", "description": "Adds.", "inputSchema": {"type": "object"}},
    {"name": "drop", "description": "Drops.", "inputSchema": {"type": "object"}},
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """What the scripted server lists."""
    file = tmp_path / "tools.json"
    file.write_text(json.dumps({"tools": TOOLS}), encoding="utf-8")
    return file


def imported(home: Path, listed: Path, *options: str, server: tuple[str, ...] = ()) -> Called:
    command = (sys.executable, PROGRAM, listed, *server)
    return call("contracts", "import", "mcp", "--agent", "desk", "--home", home, *options, "--", *command)


def statuses(home: Path) -> dict[str, str]:
    return {each.name: each.status for each in load_home(home).contracts}


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.behaviour("import-mcp")
def test_a_real_server_is_imported_and_decided(home: Path) -> None:
    done = call("contracts", "import", "mcp", "--home", home, "--json", "--", TIME, "--local-timezone", "UTC")
    assert done.code == 0, done.err
    assert done.json["agent"] == "time"
    assert {each["name"] for each in done.json["files"]} == {"time", "time.get_current_time", "time.convert_time"}
    assert statuses(home) == {"time.get_current_time": "draft", "time.convert_time": "draft"}

    both = ("time.get_current_time", "time.convert_time")
    refused = call("contracts", "activate", *both, "--home", home)
    assert refused.code == 2
    assert "undecided in time.get_current_time" in refused.err
    assert "--effects read|write|irreversible" in refused.err
    assert set(statuses(home).values()) == {"draft"}

    decided = call("contracts", "activate", *both, "--effects", "read", "--home", home, "--json", "--accept", "/output")
    assert decided.code == 0, decided.err
    assert [each["effects"] for each in decided.json["activated"]] == ["read", "read"]
    assert set(statuses(home).values()) == {"active"}

    assert call("check", "--home", home).code == 0


def test_what_was_decided_stands_in_the_file_and_nothing_else_of_it_changes(home: Path, listed: Path) -> None:
    assert imported(home, listed).code == 0
    file = home / "contracts" / "desk" / "desk.count.contract.yaml"
    file.write_text(file.read_text(encoding="utf-8") + "# my own words\n", encoding="utf-8")
    options = ("--effects", "read", "--accept", "/output", "--home", home)
    done = call("contracts", "activate", "desk.count", *options)
    assert done.code == 0, done.err
    assert "desk.count is active: Counts." in done.out
    words = file.read_text(encoding="utf-8")
    assert "# my own words" in words
    assert "A draft" not in words
    (found,) = [each for each in load_home(home).files.values() if each.file.endswith("desk.count.contract.yaml")]
    value: Any = found.document.value
    assert "todo" not in value
    assert [each["decided"] for each in value["x-decided"]] == ["effects: read", "accepted as it stands: /output"]
    assert all(each["by"] and each["at"].endswith("Z") and each["todo"] for each in value["x-decided"])
    assert statuses(home)["desk.add"] == "draft"


def test_a_pattern_names_several_drafts_and_each_is_told(home: Path, listed: Path) -> None:
    assert imported(home, listed).code == 0
    done = call("contracts", "activate", "desk.*d*", "--effects", "write", "--accept", "/output", "--home", home)
    assert done.code == 0, done.err
    assert statuses(home) == {"desk.count": "draft", "desk.add": "active", "desk.drop": "active"}
    assert "desk.add is active" in done.out
    assert "desk.drop is active" in done.out
    refused = call("contracts", "activate", "desk.d*", "--effects", "write", "--home", home)
    assert refused.code == 2
    assert "no draft is called desk.d*" in refused.err
    assert "desk.count" in refused.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("desk.nothing", "--effects", "read"), "no contract desk.nothing"),
        (("desk.count", "--effects", "reads"), "no kind of effect"),
        (("desk.count", "--effects", "read"), "undecided"),
        (("desk.count", "--effects", "read", "--accept", "/output", "--accept", "/input"), "nothing is open at /input"),
        (("desk.count", "desk.nothing", "--effects", "read", "--accept", "/output"), "no contract desk.nothing"),
        (("desk.add", "--effects", "write", "--idempotency", "key", "--accept", "/output"), "not be sound any more"),
    ],
)
def test_a_decision_that_does_not_hold_changes_nothing(
    home: Path, listed: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert imported(home, listed).code == 0
    before = {file: file.read_bytes() for file in home.rglob("*.yaml")}
    refused = call("contracts", "activate", *arguments, "--home", home)
    assert refused.code == 2
    assert said in refused.err
    assert {file: file.read_bytes() for file in home.rglob("*.yaml")} == before


def test_tools_come_in_pages_and_only_those_chosen_become_drafts(home: Path, listed: Path) -> None:
    done = imported(home, listed, "--only", "c*,add", server=("--page", "1"))
    assert done.code == 0, done.err
    assert set(statuses(home)) == {"desk.count", "desk.add"}
    assert imported(home, listed, "--update", server=("--page", "2")).code == 0
    assert set(statuses(home)) == {"desk.count", "desk.add"}
    wider = imported(home, listed, "--update", "--only", "*")
    assert wider.code == 0, wider.err
    assert set(statuses(home)) == {"desk.count", "desk.add", "desk.drop"}


@pytest.mark.behaviour("import-mcp")
@pytest.mark.parametrize(
    ("mode", "code", "said"),
    [
        ("--endless", "too_large", "does not end after 20 pages"),
        ("--huge", "too_large", "over"),
        ("--garbage", "output_mismatch", "no MCP result"),
        ("--dies", "lost", "cannot go on: no such table"),
        pytest.param("--chatter", "lost", "ended in the middle", marks=pytest.mark.slow),
    ],
)
def test_a_server_that_lies_about_its_tools_is_named_and_leaves_nothing(
    home: Path, listed: Path, mode: str, code: str, said: str
) -> None:
    done = imported(home, listed, server=(mode,))
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith(f"{code}: "), done.err
    assert said in done.err
    assert not list(home.rglob("*.yaml"))


@pytest.mark.behaviour("import-mcp")
def test_a_server_that_hangs_is_given_up_and_ended_with_its_children(home: Path, listed: Path, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    started = time.monotonic()
    done = imported(home, listed, "--timeout", "1", "--env", f"PIDS={pids}", server=("--hang",))
    assert done.code == 2
    assert "timeout: " in done.err
    assert time.monotonic() - started < 6
    assert not any(running(int(pid)) for pid in pids.read_text(encoding="utf-8").split())


def test_what_does_not_start_or_is_named_wrongly_is_refused_in_words(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    begin = ("contracts", "import", "mcp", "--home", home)
    for arguments, said in (
        (("--", "/nowhere/server"), "does not start"),
        (("--env", "NO_SUCH_TOKEN", "--", sys.executable, PROGRAM), "NO_SUCH_TOKEN"),
        ((), "the command of the server is empty"),
        (("--bearer", "env:T", "--", "uvx", "x"), "--bearer, --header and --query belong to a server at an address"),
        (("--env", "T", "https://example.org/mcp"), "--env belongs to a server that is started here"),
        (("http://127.0.0.1:1/mcp",), "cannot be reached"),
        (("--timeout", "0", "--", "uvx", "x"), "--timeout must be"),
        (("--update", "--agent", "desk"), "the command of the server is empty"),
    ):
        done = call(*begin, *arguments)
        assert done.code == 2, arguments
        assert said in done.err, done.err
    assert not list(home.rglob("*.yaml"))
    assert not (home / "agents_registry").exists()


def test_an_agent_that_is_there_is_refused_before_its_server_is_started(home: Path, listed: Path) -> None:
    assert imported(home, listed).code == 0
    again = call("contracts", "import", "mcp", "--agent", "desk", "--home", home, "--", "/nowhere/server")
    assert again.code == 2
    assert "is already here" in again.err
    assert "--update" in again.err


def test_answers_of_a_tool_are_looked_at_together(home: Path, listed: Path) -> None:
    assert imported(home, listed).code == 0
    begin = ("agents", "call", "desk")
    inputs = ("--input", '{"n": 1}', "--input", '@{"n": 2.5, "m": "x"}')
    done = call(*begin, "count", *inputs, "--infer-output", "--json", "--home", home)
    assert done.code == 0, done.err
    assert done.json["result"] == "json"
    assert done.json["output"] == {
        "type": "object",
        "properties": {"n": {"type": "number"}, "m": {"type": "string"}},
        "required": ["n"],
    }
    assert "2 answers" in done.json["notes"][0]
    for arguments, said in (
        (("count", *inputs), "2 times --input is too often"),
        (("count", "--write"), "--write belongs to --infer-output"),
        (("drop", "--infer-output"), "answered an error"),
        (("count", "--infer-output", "--input", "[1]"), "no JSON object"),
    ):
        refused = call(*begin, *arguments, "--home", home)
        assert refused.code == 2
        assert said in refused.err, refused.err


def test_a_schema_of_answers_goes_into_a_draft_and_never_into_a_contract_in_use(home: Path, listed: Path) -> None:
    assert imported(home, listed).code == 0
    begin = ("agents", "call", "desk", "count", "--input", '{"n": 1}', "--infer-output", "--write", "--home", home)
    assert call(*begin).code == 0
    (agent,) = load_home(home).agents
    assert agent.serves[0].bind == {"tool": "count", "result": "json"}
    assert call("contracts", "activate", "desk.count", "--effects", "read", "--home", home).code == 0
    assert imported(home, listed, "--update").code == 0
    refused = call(*begin)
    assert refused.code == 2
    assert "is active; nothing was changed" in refused.err
    made = load_home(home).contract("desk.count")
    assert made is not None
    assert made.output["required"] == ["n"]
    assert made.status == "active"
