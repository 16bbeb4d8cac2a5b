"""`orchestrator run "…"` in plain words, for each of the three domains: real command, engine, agents and local model.

From a cassette; `./dev real-model` asks the 1.5B itself, `./dev real-model --record` keeps what it says. A task names
the path of a repository, so that repository stands at the same place in every run.
"""

import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from domains.running import ROOT
from domains.test_processes import seeded
from real_model.serving import absent, serving
from real_model.thinking import TAPES

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.environ.get("REAL_MODEL") == "quick", reason="a part is tried")]

MODE: Final = os.environ.get("REAL_MODEL", "")
TAPE: Final = TAPES / "words.jsonl"
RUN_S: Final = 600
INVOICE: Final = ROOT / "server" / "process_orchestrator" / "doors" / "demo_data" / "second.txt"
REPOSITORY: Final = Path("/tmp/plain-words/shop")

TICKET: Final = (
    "Customer ana@example.com writes that order SO-1042 has not arrived. Find out where it is and draft an answer."
)


@contextmanager
def model() -> Generator[dict[str, str]]:
    """The environment of a command whose tiers are the local model: recorded, or asked itself."""
    tiers = {"LIGHT": "600", "STRONG": "1500"}
    given = {f"ORCHESTRATOR_MODELS_{tier}_MODEL": "openai/large" for tier in tiers}
    given |= {f"ORCHESTRATOR_MODELS_{tier}_MAX_TOKENS": most for tier, most in tiers.items()}
    given |= {f"ORCHESTRATOR_MODELS_{tier}_TIMEOUT_S": "300" for tier in tiers}
    given["ORCHESTRATOR_MODELS_CASSETTE"] = str(TAPE)
    if not MODE:
        if not TAPE.exists():
            pytest.skip(f"{TAPE.name} is not recorded. Do: ./dev real-model --record")
        bases = {f"ORCHESTRATOR_MODELS_{tier}_API_BASE": "http://127.0.0.1:1/v1" for tier in tiers}
        yield given | bases | {"ORCHESTRATOR_MODELS_CASSETTE_MODE": "replay"}
        return
    if (why := absent()) is not None:
        pytest.fail(why)
    if MODE != "record":
        given.pop("ORCHESTRATOR_MODELS_CASSETTE")
    with serving() as served:
        bases = {f"ORCHESTRATOR_MODELS_{tier}_API_BASE": served.api_base for tier in tiers}
        yield given | bases | {"ORCHESTRATOR_MODELS_CASSETTE_MODE": "record"}


def run(task: str, folder: Path) -> tuple[int, dict[str, Any]]:
    """The exit code and the view of `orchestrator run TASK` in a home of its own."""
    home = seeded(folder / "home")
    with model() as given:
        argv = [sys.executable, "-m", "process_orchestrator", "run", "--task", task, "--home", str(home.path), "--json"]
        done = subprocess.run(
            argv, env={**os.environ, **given}, capture_output=True, text=True, timeout=RUN_S, check=False
        )
    assert done.stdout.count("\n") == 1, (done.stdout, done.stderr[-2000:])
    return done.returncode, json.loads(done.stdout)


def test_a_customers_question_is_planned_and_answered(tmp_path: Path) -> None:
    code, view = run(TICKET, tmp_path)
    assert (code, view["status"], view["process_type"]) == (0, "completed", "resolve_ticket"), view
    assert view["planned_by"] == "model"
    assert "SO-1042" in view["output"]["answer"] or "TN-40010042" in view["output"]["answer"]
    assert view["output"]["outcome"] == "delivery_explained"


def test_an_invoice_in_a_task_is_booked(tmp_path: Path) -> None:
    text = INVOICE.read_text(encoding="utf-8")
    code, view = run(f"Accounts payable: please book this invoice.\n\n{text}", tmp_path)
    assert (code, view["status"], view["process_type"]) == (0, "completed", "invoice_approval"), view
    assert (view["output"]["posted"], view["output"]["total"]) == (True, 646.25)


@pytest.mark.skipif(os.name != "posix", reason="the recorded task names a path of a POSIX system")
def test_a_repository_named_in_a_task_is_reported_on(tmp_path: Path) -> None:
    REPOSITORY.mkdir(parents=True, exist_ok=True)
    person = {f"GIT_{who}_{what}": "ana@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    commands = [["init", "-q", "-b", "main"], ["commit", "-q", "--allow-empty", "-m", "feat: begin"]]
    if not (REPOSITORY / ".git").exists():
        for words in commands:
            subprocess.run(["git", "-C", str(REPOSITORY), *words], env={**os.environ, **person}, check=True)
    code, view = run(f"Write a release report for the Git repository {REPOSITORY}.", tmp_path)
    assert (code, view["status"], view["process_type"]) == (0, "completed", "release_report"), view
    assert view["output"]["commits"] == 1
