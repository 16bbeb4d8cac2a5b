"""`release_report` on a real repository, by the public mcp-server-git through its own tools."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from acceptance.driving import run_cli
from process_orchestrator.home import Home

MESSAGES = ("feat: sell in euros", "fix(prices): round half up", "feat!: drop the old price list")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Three commits, the first of them tagged, and one change that is not committed."""
    folder = tmp_path / "shop"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    for number, message in enumerate(MESSAGES):
        (folder / "prices.txt").write_text(f"apple {number}\n", encoding="utf-8")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "--message", message)
        if number == 0:
            git(folder, "tag", "v1.0.0")
    (folder / "prices.txt").write_text("apple 9\n", encoding="utf-8")
    return folder


def git(folder: Path, *arguments: str) -> str:
    """Git as nobody's settings would have it."""
    own = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        **{
            f"GIT_{role}_{part}": f"{role.lower()}@example.org"
            for role in ("AUTHOR", "COMMITTER")
            for part in ("NAME", "EMAIL")
        },
    }
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **own}).stdout


@pytest.mark.slow
def test_a_real_repository_becomes_a_real_report(home: Home, repository: Path) -> None:
    agent = yaml.safe_load((home.path / "agents_registry" / "git.agent.yaml").read_text(encoding="utf-8"))
    assert "mcp_server_git" in agent["transport"]["command"]  # the third party's own program, nothing of ours between

    given = f'{{"repo_path": "{repository}", "base": "v1.0.0", "title": "Shop 2"}}'
    code, view, _ = run_cli(home, "run", "release_report", "--input", given)
    assert (code, view["status"]) == (0, "completed")
    output = view["output"]
    assert (output["commits"], output["breaking"], output["branch"], output["clean"]) == (3, 1, "main", False)
    assert output["markdown"].startswith("# Shop 2")
    for subject in ("sell in euros", "round half up", "drop the old price list"):
        assert subject in output["markdown"]
    assert {group["kind"]: group["count"] for group in output["groups"]} == {"feat": 2, "fix": 1}
    agents = {step["id"]: step["agent"] for step in view["steps"]}
    assert [agents[step] for step in ("status", "log", "diff")] == ["git", "git", "git"]
    assert git(repository, "status", "--porcelain") == " M prices.txt\n"  # read-only: as it was


@pytest.mark.slow
def test_a_folder_that_is_no_repository_ends_early_and_says_whose_fault_it_is(home: Home, tmp_path: Path) -> None:
    code, view, _ = run_cli(home, "run", "release_report", "--input", f'{{"repo_path": "{tmp_path}"}}')
    assert (code, view["status"]) == (1, "failed")
    assert (view["error"]["step"], view["error"]["blame"]) == ("status", "caller")
    code, why, _ = run_cli(home, "why", view["process_id"])
    assert (code, why["step"], why["request"]) == (0, "status", {"repo_path": str(tmp_path)})
