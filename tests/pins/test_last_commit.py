"""`check` holds changed definitions against the last commit; git runs nothing of the repository's own."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from cli.calling import call
from pins.homes import commit, contract, git, make_home, process, write
from process_orchestrator.git_history import changed_since_commit, committed

NARROW = {"type": "object", "properties": {"number": {"type": "string", "maxLength": 2}}, "required": ["number"]}


def problems(home: Path) -> list[str]:
    """The version problems that `check` finds, as file and message."""
    report = call("check", "--home", home, "--json").json
    found = [
        f"{file['file']}: {problem['message']} Fix: {problem['fix']}"
        for file in report["files"]
        for problem in file["problems"]
        if problem["code"] == "BUMP_TOO_SMALL"
    ]
    assert report["ok"] is not bool(found)
    return found


@pytest.mark.behaviour("bumps")
def test_a_change_under_too_low_a_version_is_an_error_that_says_which_to_write(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    assert problems(home) == [], "no repository"
    git(home, "init", "-q")
    assert problems(home) == [], "no commit"
    commit(home)
    assert problems(home) == [], "nothing changed"
    write(home, "contracts/book.contract.yaml", contract("desk.book", input=NARROW))
    [found] = problems(home)
    assert found.startswith("contracts/book.contract.yaml: since the last commit (1.0.0) there is a breaking change")
    assert found.endswith("Fix: write `version: 2.0.0`")
    write(home, "contracts/book.contract.yaml", contract("desk.book", input=NARROW, version="1.1.0"))
    assert len(problems(home)) == 1
    write(home, "contracts/book.contract.yaml", contract("desk.book", summary="Else.", version="1.0.1"))
    assert problems(home) == []


def test_process_types_moved_files_and_lowered_versions_are_found(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    commit(home)
    write(home, "contracts/booking.process.yaml", process(budget={"usd": 2.0}))
    (home / "contracts/look.contract.yaml").unlink()
    write(home, "contracts/moved/look.contract.yaml", contract("desk.look", kind="read", summary="Else."))
    write(home, "contracts/book.contract.yaml", contract("desk.book", version="0.9.0"))
    files = sorted(each.partition(":")[0] for each in problems(home))
    assert files == [
        "contracts/book.contract.yaml",
        "contracts/booking.process.yaml",
        "contracts/moved/look.contract.yaml",
    ]


def test_what_is_new_or_was_a_draft_may_have_any_version(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    write(home, "contracts/draft.contract.yaml", contract("desk.draft", status="draft", todo=["decide"]))
    (home / "contracts/broken.contract.yaml").write_text("contract: [")
    commit(home)
    write(home, "contracts/draft.contract.yaml", contract("desk.draft", input=NARROW))
    write(home, "contracts/second.contract.yaml", contract("desk.second", version="7.0.0"))
    write(home, "contracts/other.contract.yaml", contract("desk.book", version="1.5.0", input=NARROW))
    write(home, "contracts/broken.contract.yaml", contract("desk.broken"))
    assert problems(home) == []


def test_a_home_below_the_root_of_its_repository_is_found(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    commit(tmp_path)
    write(home, "contracts/book.contract.yaml", contract("desk.book", input=NARROW))
    assert len(problems(home)) == 1
    assert set(changed_since_commit(home)) == {"contracts/book.contract.yaml"}


def test_nothing_of_the_repository_is_run(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    commit(home)
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    trap.chmod(trap.stat().st_mode | stat.S_IEXEC)
    (home / ".gitattributes").write_text("*.yaml filter=trap diff=trap\n")
    for name in ("core.fsmonitor", "filter.trap.clean", "filter.trap.smudge", "diff.trap.textconv", "core.pager"):
        git(home, "config", name, str(trap))
    for name in ("core.sshCommand", "core.editor", "diff.external", "core.alternateRefsCommand"):
        git(home, "config", name, str(trap))
    for hook in ("post-index-change", "pre-commit", "post-checkout", "reference-transaction"):
        shutil.copy(trap, home / ".git" / "hooks" / hook)
    write(home, "contracts/book.contract.yaml", contract("desk.book", input=NARROW))
    git(home, "status")
    (tmp_path / "sprung").unlink()  # so the trap works
    assert len(problems(home)) == 1
    assert committed(home, "HEAD:./contracts/book.contract.yaml") is not None
    call("doctor", "--home", home)
    assert not (tmp_path / "sprung").exists()


def test_without_git_nothing_is_compared_and_doctor_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = make_home(tmp_path)
    commit(home)
    write(home, "contracts/book.contract.yaml", contract("desk.book", input=NARROW))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert problems(home) == []
    assert "versions of changed definitions are not compared" in call("doctor", "--home", home).out
