"""Commands that only look: what they print, as prose and as JSON, and with which code they leave."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cli.calling import call, leaves
from cli.conftest import Past

LOOKING = {
    "processes": ("processes",),
    "state": ("state", "{done}"),
    "why": ("why", "{rejected}"),
    "escalations": ("escalations",),
    "escalation": ("escalations", "{waiting}.e1"),
    "contract": ("contracts", "show", "ledger.post"),
    "contracts": ("contracts", "show"),
    "type": ("processes", "show", "invoice_approval"),
    "types": ("processes", "show"),
    "agents": ("agents", "list"),
    "reviewers": ("reviewers", "list"),
    "check": ("check",),
    "verify": ("verify",),
    "doctor": ("doctor",),
}


def filled(words: tuple[str, ...], past: Past) -> list[str]:
    return [word.format(done=past.done, rejected=past.rejected, waiting=past.waiting) for word in words]


@pytest.mark.parametrize("name", LOOKING)
def test_a_command_that_looks_prints_one_json_object_and_nothing_else(name: str, past: Past) -> None:
    called = call(*filled(LOOKING[name], past), "--home", past.home, "--json")
    assert (called.code, called.err) == (0, "")
    assert isinstance(called.json, dict)


@pytest.mark.parametrize("name", LOOKING)
def test_a_command_that_looks_prints_prose_that_names_no_tool(name: str, past: Past) -> None:
    called = call(*filled(LOOKING[name], past), "--home", past.home)
    assert (called.code, called.err) == (0, "")
    for tool in (
        "get_state",
        "list_trace",
        "list_escalations",
        "list_processes",
        "resolve_escalation",
        "describe_agents",
    ):
        assert tool not in called.out


def test_processes_are_listed_newest_first_and_filtered(past: Past) -> None:
    rows = call("processes", "--home", past.home, "--json").json["processes"]
    assert [row["label"] for row in rows] == ["rejected", "waiting", "repeated", "done"]
    waiting = call("processes", "--status", "waiting_human", "--home", past.home, "--json").json["processes"]
    assert [row["process_id"] for row in waiting] == [past.waiting]
    labelled = call("processes", "--label", "done", "--type", "invoice_approval", "--home", past.home, "--json").json
    assert [row["process_id"] for row in labelled["processes"]] == [past.done]


def test_state_says_where_a_process_stands_and_what_to_do_next(past: Past) -> None:
    called = call("state", past.waiting, "--home", past.home)
    assert "waiting_human" in called.out
    assert called.out.splitlines()[-1].startswith("Cost") is False
    assert f"orchestrator resolve {past.question} --home {past.home}" in called.out


def test_an_id_is_read_generously(past: Past) -> None:
    view = call("state", f" '{past.done.upper()}' ", "--home", past.home, "--json").json
    assert view["process_id"] == past.done


def test_state_includes_the_report(past: Past) -> None:
    view = call("state", past.done, "--include", "report", "--home", past.home, "--json").json
    assert view["report"].startswith("#")


def test_a_trace_in_json_is_one_entry_a_line(past: Past) -> None:
    called = call("trace", past.done, "--home", past.home, "--json")
    entries = [json.loads(line) for line in called.out.splitlines()]
    assert [entry["seq"] for entry in entries] == sorted(entry["seq"] for entry in entries)
    assert entries[0]["event"] == "ProcessStarted"
    assert len(entries) >= 10


def test_a_trace_of_one_step_shows_what_went_in_and_came_out(past: Past) -> None:
    called = call("trace", past.done, "--step", "vendor", "--data", "--home", past.home, "--json")
    entries = [json.loads(line) for line in called.out.splitlines()]
    assert [entry["event"] for entry in entries] == ["CallPrepared", "CallSucceeded"]
    assert "tax_id" in entries[0]["input"]
    assert entries[1]["output"]["vendor_id"] == "V-1001"


def test_a_trace_of_failures_shows_the_failed_call_alone(past: Past) -> None:
    called = call("trace", past.repeated, "--failed", "--home", past.home, "--json")
    entry = called.json
    assert (entry["call"], entry["verdict"], entry["blame"]) == ("extract.1", "output_mismatch", "agent")


def test_a_trace_without_failures_says_so_beside_the_result(past: Past) -> None:
    called = call("trace", past.done, "--failed", "--home", past.home)
    assert (called.code, called.out) == (0, "")
    assert "nothing went wrong" in called.err


def test_a_trace_may_be_cut_and_gone_on_with(past: Past) -> None:
    first = [
        json.loads(line)
        for line in call("trace", past.done, "--limit", "3", "--home", past.home, "--json").out.splitlines()
    ]
    more = call(
        "trace", past.done, "--after", str(first[-1]["seq"]), "--limit", "1", "--home", past.home, "--json"
    ).json
    assert len(first) == 3
    assert more["seq"] > first[-1]["seq"]


def test_why_ends_with_the_next_command(past: Past) -> None:
    called = call("why", past.rejected, "--home", past.home)
    assert called.out.startswith("post failed: rejected.")
    assert called.out.splitlines()[-1].startswith(f"Next: orchestrator redrive {past.rejected} --home")


def test_a_question_shows_its_evidence_without_what_is_sensitive(past: Past) -> None:
    package = call("escalations", past.question, "--home", past.home, "--json").json
    assert [option["decision"] for option in package["options"]] == ["approve", "reject", "abort"]
    assert package["evidence"]
    assert not [text for text in leaves(package["evidence"]) if text.startswith("NL") and len(text) == 18]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("state", "p_" + "a" * 26), "UNKNOWN_PROCESS"),
        (("state", "nonsense"), "UNKNOWN_PROCESS"),
        (("trace", "{done}", "--step", "nowhere"), "UNKNOWN_STEP"),
        (("trace", "{done}", "--data"), "BAD_ARGUMENT"),
        (("trace", "{done}", "--kind", "odd"), "BAD_ARGUMENT"),
        (("escalations", "{done}.e9"), "UNKNOWN_ESCALATION"),
        (("escalations", "--status", "odd"), "BAD_ARGUMENT"),
        (("processes", "--status", "odd"), "BAD_ARGUMENT"),
        (("processes", "--since", "yesterday"), "BAD_ARGUMENT"),
        (("contracts", "show", "ledger.pos"), "UNKNOWN_CONTRACT"),
        (("processes", "show", "invoice_approvals"), "UNKNOWN_PROCESS_TYPE"),
        (("agents", "call", "document_desc", "read"), "UNKNOWN_AGENT"),
        (("reviewers", "revoke", "nobody"), "BAD_ARGUMENT"),
        (("reviewers", "add", "ana"), "BAD_ARGUMENT"),
    ],
)
def test_what_is_refused_leaves_with_2_and_says_what_to_do(words: tuple[str, ...], code: str, past: Past) -> None:
    said = call(*filled(words, past), "--home", past.home)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"{code}: ")
    assert " Do: " in said.err
    error = call(*filled(words, past), "--home", past.home, "--json").json["error"]
    assert error["code"] == code
    assert error["do"]


@pytest.mark.parametrize(
    "words", [("bogus",), ("state",), ("run", "--odd"), ("contracts", "bogus"), ("state", "p", "--wait", "x")]
)
def test_a_wrong_call_leaves_with_2_in_the_form_that_was_asked_for(words: tuple[str, ...]) -> None:
    said = call(*words)
    assert (said.code, said.out) == (2, "")
    assert "--help" in said.err
    assert call(*words, "--json").json["error"]["code"] == "BAD_ARGUMENT"


def test_looking_at_a_home_that_is_not_there_creates_nothing(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert call("processes", "--home", nowhere, "--json").json["processes"] == []
    assert call("escalations", "--home", nowhere, "--json").json["escalations"] == []
    assert call("verify", "--home", nowhere, "--json").json["rows"] == 0
    assert call("agents", "list", "--home", nowhere, "--json").json == {"agents": []}
    for words in (("state", "p_" + "a" * 26), ("why", "p_" + "a" * 26), ("cancel", "p_" + "a" * 26)):
        assert call(*words, "--home", nowhere, "--json").json["error"]["code"] == "UNKNOWN_PROCESS"
    resolved = call("resolve", "p_" + "a" * 26 + ".e1", "--decision", "reject", "--home", nowhere, "--json")
    assert resolved.json["error"]["code"] == "UNKNOWN_ESCALATION"
    for words in (("run", "invoice_approval"), ("submit", "invoice_approval"), ("check",)):
        refused = call(*words, "--home", nowhere)
        assert refused.code == 2
        assert "orchestrator init" in refused.err
    assert call("doctor", "--home", nowhere).code == 1
    assert not nowhere.exists()


def test_the_home_comes_from_the_option_the_environment_or_the_folder(
    past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(past.home)
    assert len(call("processes", "--json").json["processes"]) == 4
    monkeypatch.chdir(tmp_path)
    assert call("processes", "--json").json["processes"] == []
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(past.home))
    assert len(call("processes", "--json").json["processes"]) == 4
    monkeypatch.setenv("ORCHESTRATOR_STATE", str(tmp_path / "other"))
    assert call("processes", "--json").json["processes"] == []
    assert len(call("processes", "--state", past.home / "state", "--json").json["processes"]) == 4


def test_a_setting_that_does_not_exist_is_refused_by_name(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_ENGINE_COLOUR", "blue")
    called = call("processes", "--home", past.home)
    assert called.code == 2
    assert "engine.colour" in called.err


def test_a_database_that_cannot_be_trusted_leaves_with_4(own_past: Past) -> None:
    (own_past.home / "state" / "orchestrator.db").write_bytes(b"not a database" * 1000)
    called = call("state", own_past.done, "--home", own_past.home)
    assert called.code == 4
    assert "Do: " in called.err


def test_an_unexpected_error_is_one_line_and_4_and_a_traceback_only_on_demand(
    fresh_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (fresh_home / "state").write_text("a file where a folder belongs", encoding="utf-8")
    question = ("submit", "invoice_approval", "--input", '{"document": "x"}', "--home", fresh_home)
    called = call(*question)
    assert called.code == 4
    assert called.err.startswith("INTERNAL: an unexpected error, ")
    assert called.err.count("\n") == 1
    assert call(*question, "--json").json["error"]["code"] == "INTERNAL"
    monkeypatch.setenv("ORCHESTRATOR_DEBUG", "1")
    assert "Traceback" in call(*question).err


def test_help_and_version_leave_with_0() -> None:
    assert call("--version").out.strip()
    assert "demo" in call("--help").out
    assert "demo" in call().out


def test_doctor_says_how_the_database_is_how_much_room_is_left_and_when_it_was_backed_up(own_past: Past) -> None:
    def found() -> dict[str, dict[str, object]]:
        return {row["what"]: row for row in call("doctor", "--home", own_past.home, "--json").json["findings"]}

    before = found()
    rows = call("verify", "--home", own_past.home, "--json").json
    assert f"schema 1, {rows['rows']} rows, chain head {rows['head']}" in str(before["database"]["found"])
    assert " free " in str(before["storage"]["found"])
    assert "none yet" in str(before["backup"]["found"])
    assert str(before["set aside"]["found"]) == "0 processes"
    made = call("backup", "--home", own_past.home, "--json").json
    assert made["file"] in str(found()["backup"]["found"])
    with closing(sqlite3.connect(own_past.home / "state" / "orchestrator.db")) as connection:
        connection.execute("DELETE FROM journal WHERE id = (SELECT max(id) FROM journal)")
        connection.commit()
    after = found()
    assert after["database"]["ok"] is False
    assert "the tail was cut" in str(after["database"]["found"])


def test_what_was_set_aside_is_shown_wherever_its_process_is(own_past: Past) -> None:
    with closing(sqlite3.connect(own_past.home / "state" / "orchestrator.db")) as connection:
        connection.execute("INSERT INTO meta VALUES ('aside ' || ?, 'a fault of ours')", (own_past.waiting,))
        connection.commit()
    listed = {
        row["process_id"]: row["why"] for row in call("processes", "--home", own_past.home, "--json").json["processes"]
    }
    assert listed[own_past.waiting] == "engine"
    assert call("state", own_past.done, "--home", own_past.home, "--json").json["why"] is None
    said = call("doctor", "--home", own_past.home)
    assert said.code == 1
    assert f"1 processes; {own_past.waiting}: a fault of ours" in said.out
