"""A process that lacks money, decided by commands alone: no engine runs while a person decides."""

import json
from pathlib import Path
from typing import Any

from acceptance.building import PROGRAMS, TEXT, TEXTS, HomeBuilder, record
from cli.calling import call
from process_orchestrator.home import Home

BOOK = {"const": ["book"]}


def built_home(path: Path) -> Home:
    build = HomeBuilder(path)
    build.contract(
        "order.pay",
        given=record({"ref": TEXT, "script": TEXTS, "request_id": TEXT}),
        answer=record({"id": {"type": "integer"}}),
        kind="write",
        idempotency={"key": "request_id"},
        cost={"per_call_usd": 0.5},
    )
    build.stdio_agent("books", PROGRAMS / "books.py", "{state}/books.db", serves={"order.pay": {"tool": "books"}})
    lines = {
        "id": "lines",
        "contract": "order.pay",
        "for_each": "$.input.lines",
        "in": {"ref": "$.item", "script": BOOK},
    }
    build.process("paying", lines, given=record({"lines": TEXTS}), budget={"usd": 1.0})
    return build.built()


def test_a_question_that_was_opened_while_no_engine_ran_is_whole_when_a_run_asks_it(tmp_path: Path) -> None:
    home = built_home(tmp_path / "home")

    def told(*words: str) -> tuple[int, Any]:
        """The exit code and the result of a command that opens the home and leaves it again."""
        done = call(*words, "--home", home.path, "--json")
        return done.code, done.json

    code, view = told("run", "paying", "--input", json.dumps({"lines": ["a", "b", "c"]}))
    assert (code, view["why"]) == (3, "budget")
    process_id = view["process_id"]
    first, second = f"{process_id}.e1", f"{process_id}.e2"

    code, refused = told("resolve", first, "--decision", "raise_budget", "--data", '{"usd": "9999999999"}')
    assert (code, refused["error"]["code"]) == (2, "BUDGET_INVALID")
    assert refused["error"]["do"] == 'send {"usd": "1.50"}: what is added.'

    code, resolved = told("resolve", first, "--decision", "raise_budget", "--data", '{"usd": "0.10"}')
    assert (code, resolved["status"], resolved["process_status"]) == (0, "resolved", "waiting_human")
    _, view = told("state", process_id)
    (question,) = view["escalations"]
    assert question["escalation_id"] == second
    assert question["warnings"], "that nobody has written it yet is said"

    code, view = told("run", process_id)
    (question,) = view["escalations"]
    assert (code, question["question"], question["warnings"]) == (
        3,
        "Step lines[2] may cost up to 0.50 USD: 0.40 USD too much. May more be spent?",
        [],
    )
    assert all(option["consequence"] for option in question["options"])

    code, _ = told("resolve", second, "--decision", "raise_budget", "--data", '{"usd": "1.50"}')
    assert code == 0
    code, view = told("run", process_id)
    assert (code, view["status"], view["cost"]["spent_usd"], view["cost"]["budget_usd"]) == (
        0,
        "completed",
        "1.50",
        "2.60",
    )
