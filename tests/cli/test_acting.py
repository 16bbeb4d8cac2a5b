"""Commands that change something: init, submit, resolve, cancel, reviewers, agents call, check of broken files."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from cli.calling import call, invoice, replaced
from cli.conftest import Past
from process_orchestrator.assemble import Mode, open_orchestrator
from process_orchestrator.home import Home
from process_orchestrator.settings import Settings

# --- init and the config of assistants ---------------------------------------------------------------------------


def config_file(tmp_path: Path) -> Path:
    return tmp_path / "user" / "Claude" / "claude_desktop_config.json"


def test_init_seeds_a_home_once_and_prints_the_config_block(tmp_path: Path) -> None:
    home = tmp_path / "mine"
    said = call("init", home, "--json").json
    assert said["files_written"] > 20
    server = said["config"]["mcpServers"]["process-orchestrator"]
    assert Path(server["command"]).is_absolute()
    assert server["args"] == ["serve", "--home", str(home)]
    assert call("check", "--home", home).code == 0
    own = home / "contracts" / "payables" / "ledger.post.contract.yaml"
    replaced(own, "contract: ledger.post", "contract: ledger.post # mine")
    assert call("init", home, "--json").json["files_written"] == 0
    assert "# mine" in own.read_text(encoding="utf-8")


def test_init_prints_where_the_block_belongs(tmp_path: Path) -> None:
    said = call("init", tmp_path / "mine")
    assert said.code == 0
    assert str(config_file(tmp_path)) in said.out
    assert '"process-orchestrator": {' in said.out
    assert not config_file(tmp_path).exists()


@pytest.mark.skipif("sys.platform != 'linux'", reason="the place of the file is that of Linux")
def test_init_adds_itself_to_claude_desktop_and_keeps_all_else_and_every_former_file(tmp_path: Path) -> None:
    file = config_file(tmp_path)
    file.parent.mkdir(parents=True)
    former = json.dumps({"theme": "dark", "mcpServers": {"other": {"command": "x"}}})
    file.write_text(former, encoding="utf-8")
    first = call("init", tmp_path / "one", "--claude-desktop", "--json").json
    merged = json.loads(file.read_text(encoding="utf-8"))
    assert merged["theme"] == "dark"
    assert merged["mcpServers"]["other"] == {"command": "x"}
    assert merged["mcpServers"]["process-orchestrator"]["args"][-1] == str(tmp_path / "one")
    assert Path(first["backup"]).read_text(encoding="utf-8") == former
    again = call("init", tmp_path / "one", "--claude-desktop", "--json").json
    assert "backup" not in again or again["backup"] is None
    other = call("init", tmp_path / "two", "--claude-desktop", "--json").json
    assert other["backup"] != first["backup"]
    assert Path(first["backup"]).read_text(encoding="utf-8") == former


@pytest.mark.skipif("sys.platform != 'linux'", reason="the place of the file is that of Linux")
@pytest.mark.parametrize("content", ["[1]", "{", '{"mcpServers": []}'])
def test_init_leaves_a_config_alone_that_it_does_not_understand(content: str, tmp_path: Path) -> None:
    file = config_file(tmp_path)
    file.parent.mkdir(parents=True)
    file.write_text(content, encoding="utf-8")
    said = call("init", tmp_path / "mine", "--claude-desktop")
    assert said.code == 2
    assert file.read_text(encoding="utf-8") == content


# --- submit, cancel ----------------------------------------------------------------------------------------------


def test_submit_without_an_engine_stores_and_says_so(fresh_home: Path, tmp_path: Path) -> None:
    said = call(
        "submit", "invoice_approval", "--input", invoice(tmp_path, "straight.xml"), "--home", fresh_home, "--json"
    )
    view = said.json
    assert (said.code, view["status"]) == (0, "queued")
    assert said.err.startswith("stored; no engine is running on this home. Do: `orchestrator run ")
    assert view["process_id"] in said.err


def test_submit_under_one_key_meets_one_process(fresh_home: Path, tmp_path: Path) -> None:
    first = invoice(tmp_path, "straight.xml")
    words = ("submit", "invoice_approval", "--key", "HF-1", "--home", fresh_home, "--json", "--input")
    met = {call(*words, first).json["process_id"] for _ in range(2)}
    assert len(met) == 1
    other = call(*words, invoice(tmp_path, "large.xml"))
    assert (other.code, other.json["error"]["code"]) == (2, "KEY_REUSED")


def test_submit_beside_an_engine_says_nothing_of_one_missing(fresh_home: Path, tmp_path: Path) -> None:
    file = invoice(tmp_path, "straight.xml")

    async def beside() -> str:
        async with open_orchestrator(Home(path=fresh_home, state=fresh_home / "state"), Settings(), mode=Mode.DRIVE):
            said = await anyio.to_thread.run_sync(
                lambda: call("submit", "release_report", "--input", '{"repo_path": "/nowhere"}', "--home", fresh_home)
            )
            assert said.code == 0
            return said.err

    assert file.exists()
    assert anyio.run(beside) == ""


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ('{"document": NaN}', "BAD_ARGUMENT"),
        ('{"document": 1, "document": 2}', "BAD_ARGUMENT"),
        ('{"document"', "BAD_ARGUMENT"),
        ("nowhere.json", "BAD_ARGUMENT"),
        ("[]", "INPUT_MISMATCH"),
        ('{"document": 3}', "INPUT_MISMATCH"),
    ],
)
def test_an_input_that_does_not_fit_stores_nothing(given: str, code: str, fresh_home: Path) -> None:
    said = call("submit", "invoice_approval", "--input", given, "--home", fresh_home, "--json")
    assert (said.code, said.json["error"]["code"]) == (2, code)
    assert call("processes", "--home", fresh_home, "--json").json["processes"] == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("run", "invoice_aproval"), "UNKNOWN_PROCESS_TYPE"),
        (("run", "do something wonderful"), "AMBIGUOUS_TASK"),
        (("run", "--task", "invoice_approvel"), "AMBIGUOUS_TASK"),
        (("run", "p_" + "a" * 26), "UNKNOWN_PROCESS"),
        (("run", "invoice_approval", "--approval", "never"), "BAD_ARGUMENT"),
        (("run", "invoice_approval", "--budget", "-1", "--input", '{"document": "x"}'), "BUDGET_INVALID"),
    ],
)
def test_a_run_that_cannot_start_is_refused_with_what_to_do(
    words: tuple[str, ...], code: str, fresh_home: Path
) -> None:
    said = call(*words, "--home", fresh_home, "--json")
    assert (said.code, said.json["error"]["code"]) == (2, code)
    assert said.json["error"]["do"]


def test_a_misspelt_type_is_told_the_nearest(fresh_home: Path) -> None:
    said = call("run", "invoice_aproval", "--home", fresh_home)
    assert "invoice_approval" in said.err


def test_cancel_stops_a_process_and_says_of_an_ended_one_that_nothing_was_done(own_past: Past) -> None:
    stopped = call("cancel", own_past.waiting, "--reason", "sent twice", "--home", own_past.home, "--json")
    assert (stopped.code, stopped.json["status"]) == (0, "cancelled")
    again = call("cancel", own_past.done, "--home", own_past.home, "--json").json
    assert again["status"] == "completed"
    assert again["warnings"]


# --- resolve -----------------------------------------------------------------------------------------------------


def test_a_script_can_reject_but_not_approve(own_past: Past) -> None:
    approve = call("resolve", own_past.question, "--decision", "approve", "--home", own_past.home, "--json")
    assert (approve.code, approve.json["status"], approve.json["required"]) == (3, "needs_human", "A1")
    stale = call(
        "resolve", own_past.question, "--decision", "reject", "--version", "9", "--home", own_past.home, "--json"
    )
    assert (stale.code, stale.json["error"]["code"]) == (2, "VERSION_CONFLICT")
    reject = call(
        "resolve", own_past.question, "--decision", "Reject", "--note", "no", "--home", own_past.home, "--json"
    )
    assert (reject.code, reject.json["status"]) == (0, "resolved")
    assert reject.json["recorded"]["assurance"] == "A0"
    late = call("resolve", own_past.question, "--decision", "abort", "--home", own_past.home, "--json")
    assert (late.code, late.json["error"]["code"]) == (2, "ALREADY_RESOLVED")
    assert late.json["error"]["record"]["resolution"]["decision"] == "reject"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), "BAD_ARGUMENT"),
        (("--decision", "aprove"), "DECISION_NOT_ALLOWED"),
        (("--decision", "reject", "--data", "{"), "BAD_ARGUMENT"),
        (("--decision", "approve", "--as", "ana"), "BAD_ARGUMENT"),
    ],
)
def test_an_answer_that_is_none_records_nothing(words: tuple[str, ...], code: str, own_past: Past) -> None:
    said = call("resolve", own_past.question, *words, "--home", own_past.home, "--json")
    assert (said.code, said.json["error"]["code"]) == (2, code)
    assert call("escalations", "--home", own_past.home, "--json").json["escalations"][0]["status"] == "open"


# --- check -------------------------------------------------------------------------------------------------------


@pytest.mark.behaviour("check")
def test_check_names_file_line_pointer_and_what_to_change(fresh_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = fresh_home / "contracts" / "payables" / "invoice_approval.process.yaml"
    replaced(file, "contract: ledger.post", "contract: ledger.pots")
    monkeypatch.chdir(fresh_home)
    said = call("check")
    assert said.code == 2
    line = next(number for number, text in enumerate(file.read_text().splitlines(), 1) if "ledger.pots" in text)
    first = said.out.splitlines()[0]
    assert first.startswith(f"contracts/payables/invoice_approval.process.yaml:{line}: error ")
    assert "/plan/steps/4/contract" in said.out
    assert "Fix: " in first
    report = call("check", "--json")
    assert (report.code, report.json["ok"]) == (2, False)


def test_check_of_some_files_reports_those_alone(fresh_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced(
        fresh_home / "contracts" / "payables" / "ledger.void.contract.yaml", "contract: ledger.void", "contract: 3"
    )
    monkeypatch.chdir(fresh_home)
    sound = Path("contracts") / "payables" / "policy.check.contract.yaml"
    assert call("check", sound).code == 0
    assert call("check", sound.absolute()).code == 0
    assert call("check", "contracts/repository").code == 0
    assert call("check", "contracts").code == 2
    assert call("check", "nowhere.yaml", "--json").json["error"]["code"] == "BAD_ARGUMENT"


def test_check_reads_a_file_outside_the_home_beside_its_definitions(fresh_home: Path, tmp_path: Path) -> None:
    draft = tmp_path / "draft.contract.yaml"
    draft.write_text("contract: draft.one\nversion: 1\n", encoding="utf-8")
    said = call("check", draft, "--home", fresh_home)
    assert said.code == 2
    assert said.out.startswith(f"{draft}:")


# --- agents ------------------------------------------------------------------------------------------------------


def test_an_agent_is_called_by_hand_by_tool_or_by_address(fresh_home: Path) -> None:
    health = call("agents", "call", "vendor_directory", "GET:/health", "--home", fresh_home, "--json")
    assert (health.code, health.json) == (0, {"status": "ok"})
    missing = call("agents", "call", "vendor_directory", "get:/vendors/DE000000000", "--home", fresh_home, "--json")
    assert missing.code == 1
    tool = call("agents", "call", "document_desk", "no_such_tool", "--home", fresh_home, "--json")
    assert (tool.code, tool.json["isError"]) == (1, True)


# --- one call would do -------------------------------------------------------------------------------------------

ONE_STEP = """\
process: read_invoice
version: 1.0.0
summary: Read one invoice into fields.
input: {type: object, required: [document], properties: {document: {type: string, maxLength: 1000000}}}
output: {type: object, required: [number], properties: {number: {type: string}}}
contracts: [invoice.extract@^1]
plan:
  steps:
    - {id: extract, contract: invoice.extract, in: {document: $.input.document}}
  output: {number: $.steps.extract.output.invoice_number}
"""


@pytest.mark.behaviour("single-call")
def test_a_task_that_one_call_closes_is_told_so(fresh_home: Path, tmp_path: Path) -> None:
    (fresh_home / "contracts" / "payables" / "read_invoice.process.yaml").write_text(ONE_STEP, encoding="utf-8")
    said = call("submit", "read_invoice", "--input", invoice(tmp_path, "straight.xml"), "--home", fresh_home, "--json")
    assert said.code == 0
    assert said.json["verdict"]["kind"] == "single_call"
    assert "single_call" in call("state", said.json["process_id"], "--home", fresh_home).out


# --- the database ------------------------------------------------------------------------------------------------


def test_a_backup_is_made_verified_and_restored_from_the_command_line(own_past: Past, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    made = call("backup", copy, "--home", own_past.home, "--json").json
    assert (made["file"], made["bytes"]) == (str(copy), copy.stat().st_size)
    head = f"{made['rows']}:{made['head']}"
    said = call("backup", "--home", own_past.home)
    assert said.code == 0
    assert all(word in said.out for word in (made["head"], "chain.key", "home.key", "backups"))
    assert call("backup", copy, "--home", own_past.home).code == 2
    state = own_past.home / "state"
    for file in state.glob("orchestrator.db*"):
        file.unlink()
    (state / "orchestrator.db").write_bytes(copy.read_bytes())
    assert call("verify", "--published", head, "--home", own_past.home, "--json").json["ok"]
    assert call("state", own_past.done, "--home", own_past.home, "--json").json["status"] == "completed"


def test_verify_and_rebuild_agree_about_the_listings(own_past: Past) -> None:
    with closing(sqlite3.connect(own_past.home / "state" / "orchestrator.db")) as connection:
        connection.execute("UPDATE process SET status = 'completed'")
        connection.commit()
    found = call("verify", "--home", own_past.home)
    assert found.code == 4
    assert "orchestrator rebuild" in found.out
    rebuilt = call("rebuild", "--home", own_past.home, "--json").json
    assert (rebuilt["processes"], rebuilt["mended"]) == (4, 2)
    assert call("verify", "--home", own_past.home).code == 0
    assert "4 processes: 0 mended" in call("rebuild", "--home", own_past.home).out


def test_a_head_that_is_none_is_refused(past: Past) -> None:
    assert call("verify", "--published", "17:abc", "--home", past.home).code == 2


def test_a_head_that_the_journal_does_not_hold_shows_a_cut_tail(past: Past) -> None:
    said = call("verify", "--published", f"9999:{'a' * 64}", "--home", past.home, "--json")
    assert said.code == 4
    assert "the tail was cut" in said.json["first_bad"]["what"]
