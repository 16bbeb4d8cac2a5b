"""The command line as a program: runs by pipe and by terminal, with real agents."""

import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from acceptance.driving import PROGRAM, document, environment, run_cli
from process_orchestrator.home import Home

pexpect = pytest.importorskip("pexpect", reason="a terminal is driven with pexpect, which Windows has not")

ASSURANCE_FILES = (
    "contracts/payables/ledger.post.contract.yaml",
    "contracts/payables/invoice_approval.process.yaml",
)
QUESTION = "Enter leaves it open"


def invoice(name: str) -> str:
    return json.dumps({"document": document(name)})


@contextmanager
def terminal(*arguments: str, width: int = 100) -> Generator[Any]:
    """A command on a terminal of its own, ended when the test is."""
    child = pexpect.spawn(
        str(PROGRAM),
        list(arguments),
        env={**environment(), "TERM": "xterm-256color", "COLUMNS": str(width)},
        encoding="utf-8",
        timeout=30,
        dimensions=(50, width),
    )
    try:
        yield child
    finally:
        child.close(force=True)


def ended(child: Any) -> int:
    """The exit code of a command that must end by itself."""
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus is not None
    return child.exitstatus


# --- demo --------------------------------------------------------------------------------------------------------


@pytest.mark.behaviour("demo")
def test_the_demo_tells_its_story_without_a_terminal_a_key_or_a_network(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(PROGRAM), "demo", "--keep", str(tmp_path / "demo")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={name: value for name, value in environment().items() if not name.endswith(("_KEY", "_TOKEN"))},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" completed") == 3
    assert "output_mismatch at /currency (pattern), blame agent" in done.stdout
    assert "A0: asserted, no person proven" in done.stdout
    assert '"posting_id": "L-000003"' in done.stdout
    assert '"args": [\n        "serve",' in done.stdout
    assert str(tmp_path / "demo" / "state" / "orchestrator.db") in done.stdout
    assert (tmp_path / "demo" / "state" / "orchestrator.db").exists()
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_demo_asks_the_person_at_the_terminal(tmp_path: Path) -> None:
    with terminal("demo", "--keep", str(tmp_path / "demo"), width=140) as child:
        child.expect(QUESTION)
        child.sendline("approve")
        child.expect("A1: typed on this terminal")
        assert ended(child) == 0


def test_the_demo_leaves_a_folder_alone_that_is_in_use(home: Home) -> None:
    code, printed, _ = run_cli_without_home("demo", "--keep", str(home.path), "--json")
    assert (code, printed["error"]["code"]) == (2, "BAD_ARGUMENT")


def run_cli_without_home(*arguments: str) -> tuple[int, Any, str]:
    done = subprocess.run(
        [str(PROGRAM), *arguments], capture_output=True, text=True, timeout=60, check=False, env=environment()
    )
    return done.returncode, json.loads(done.stdout), done.stderr


# --- run ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_prints_its_last_view_alone_and_waits_with_3(home: Home) -> None:
    code, view, log = run_cli(home, "run", "invoice_approval", "--input", "-", text=invoice("large.xml"))
    assert (code, view["status"]) == (3, "waiting_human")
    assert view["escalations"][0]["required_assurance"] == "A1"
    assert all(view["process_id"] in line for line in log.splitlines())

    # What was stored goes on with the next engine, here on the word of a person at a terminal.
    question = view["escalations"][0]["escalation_id"]
    with terminal("run", view["process_id"], "--home", str(home.path), width=80) as child:
        child.expect("──▶")
        child.expect(QUESTION)
        child.sendline("")
        assert ended(child) == 3
    with terminal("resolve", question, "--home", str(home.path)) as child:
        child.expect(QUESTION)
        child.sendline("purchase")
        child.expect("is none of them")
        child.sendline("appr")
        child.expect("A1")
        child.expect("no engine is running on this home")
        assert ended(child) == 0
    code, view, _ = run_cli(home, "run", view["process_id"])
    assert (code, view["status"], view["output"]["posted"]) == (0, "completed", True)
    code, report, _ = run_cli(home, "verify")
    assert (code, report["ok"]) == (0, True)


@pytest.mark.slow
def test_a_run_that_fails_ends_with_why(home: Home) -> None:
    with terminal("run", "invoice_approval", "--input", invoice("large.xml"), "--home", str(home.path)) as child:
        child.expect(QUESTION)
        child.sendline("reject")
        child.expect("post failed: rejected")
        child.expect("Next: orchestrator redrive p_")
        assert ended(child) == 1


@pytest.mark.slow
def test_an_interrupted_run_says_that_nothing_is_lost(home: Home) -> None:
    with terminal("run", "invoice_approval", "--input", invoice("large.xml"), "--home", str(home.path)) as child:
        child.expect(QUESTION)
        child.sendintr()
        child.expect("is stored and goes on with the next engine")
        assert ended(child) == 130


def test_a_reader_that_leaves_early_is_no_failure_of_ours(home: Home) -> None:
    cut = subprocess.run(
        f"'{PROGRAM}' contracts show ledger.post --home '{home.path}' | head -1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env=environment(),
    )
    assert "Traceback" not in cut.stderr
    assert "INTERNAL" not in cut.stderr


# --- reviewers ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.behaviour("P9")
def test_a_reviewer_proves_with_a_passphrase_what_a_terminal_alone_cannot(home: Home) -> None:
    for name in ASSURANCE_FILES:
        file = home.path / name
        file.write_text(file.read_text(encoding="utf-8").replace("min_assurance: A1", "min_assurance: A2"))
    code, view, _ = run_cli(home, "run", "invoice_approval", "--input", "-", text=invoice("large.xml"))
    assert (code, view["escalations"][0]["required_assurance"]) == (3, "A2")
    question = view["escalations"][0]["escalation_id"]
    where = ("--home", str(home.path))

    with terminal("reviewers", "add", "ana", *where) as child:
        child.expect("Passphrase of ana:")
        child.sendline("correct horse")
        child.expect("Once more:")
        child.sendline("correct horse")
        child.expect("--as ana")
        assert "correct horse" not in child.before
        assert ended(child) == 0
    with terminal("resolve", question, "--decision", "approve", *where) as child:
        child.expect("needs_human")
        assert ended(child) == 3
    with terminal("resolve", question, "--decision", "approve", "--as", "ana", *where) as child:
        child.expect("Passphrase of ana:")
        child.sendline("wrong horse")
        child.expect("BAD_ARGUMENT")
        assert ended(child) == 2
    with terminal("resolve", question, *where) as child:
        child.expect(QUESTION)
        child.sendline("approve")
        child.expect("Reviewer")
        child.sendline("ana")
        child.expect("Passphrase of ana:")
        child.sendline("correct horse")
        child.expect("ana")
        assert ended(child) == 0
    code, resolved, _ = run_cli(home, "escalations", question)
    assert (resolved["resolution"]["by"], resolved["resolution"]["assurance"][:2]) == ("ana", "A2")
    code, known, _ = run_cli(home, "reviewers", "revoke", "ana")
    assert (code, known["status"]) == (0, "revoked")
    assert run_cli(home, "reviewers", "list")[1] == {"reviewers": []}


# --- cost of looking ---------------------------------------------------------------------------------------------


def test_commands_that_look_do_not_load_what_only_agents_need(home: Home) -> None:
    """The MCP SDK and the HTTP client cost about a second of start-up."""
    asked = (
        "import sys\n"
        "from process_orchestrator.doors.cli.main import main\n"
        "try: main(['processes', '--home', sys.argv[1]])\n"
        "except SystemExit: pass\n"
        "print(sorted({'mcp', 'httpx', 'litellm', 'process_orchestrator.performing'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked, str(home.path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env={**os.environ},
    )
    assert done.stdout.splitlines()[-1] == "[]"
