import re
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml

from domains.running import AGENTS, Agent, Connect, Keeper

MESSAGES = ["feat: begin", "fix(core): mend\n\nTwo lines\nof body.", "Plain words"]


@pytest.fixture(scope="module")
async def git(connect: Connect) -> AsyncIterator[Agent]:
    async with connect("mcp_server_git") as agent:
        yield agent


@pytest.fixture
def repository(tmp_path: Path, git_environment: dict[str, str]) -> Path:
    folder = tmp_path / "shop with spaces"
    folder.mkdir()
    run = ["git", "-C", str(folder)]
    subprocess.run([*run, "init", "-q", "-b", "main"], check=True, env=git_environment)
    for number, message in enumerate(MESSAGES):
        (folder / "prices.txt").write_text(f"line\n{number}\n")
        subprocess.run([*run, "add", "."], check=True, env=git_environment)
        subprocess.run([*run, "commit", "-q", "-m", message], check=True, env=git_environment)
    return folder


def bound() -> dict[str, dict[str, Any]]:
    definition = yaml.safe_load((AGENTS / "git.agent.yaml").read_text(encoding="utf-8"))
    return {serve["contract"].partition("@")[0]: serve["bind"] for serve in definition["serves"]}


async def test_every_bound_tool_is_there_and_takes_what_its_contract_gives(
    git: Agent, keeper: Callable[[str], Keeper]
) -> None:
    tools = {tool.name: tool for tool in (await git.client.list_tools()).tools}
    for contract, bind in bound().items():
        given = keeper(contract).definition["input"]
        schema = tools[bind["tool"]].input_schema
        assert set(given["properties"]) <= set(schema["properties"])
        assert set(schema["required"]) <= set(given["required"])
        annotations = tools[bind["tool"]].annotations
        assert annotations is not None
        assert annotations.read_only_hint


async def test_a_real_repository_becomes_a_real_report(
    git: Agent, connect: Connect, repository: Path, keeper: Callable[[str], Keeper]
) -> None:
    (repository / "prices.txt").write_text("line\nchanged\nadded\n")
    path = str(repository)
    log = await git.text("git_log", repo_path=path, max_count=10)
    status = await git.text("git_status", repo_path=path)
    diff = await git.text("git_diff", repo_path=path, target="HEAD", context_lines=0)
    async with connect("release_writer/server.py") as writer:
        report = await writer.answer(
            "write_release_report",
            repo_path=path, base="HEAD", log=log, status=status, diff=diff, diff_status="done",
        )  # fmt: skip
    keeper("release.write").check_output(report)
    assert report["changed"] == {"files": 1, "insertions": 2, "deletions": 1}
    assert [(group["kind"], group["count"]) for group in report["groups"]] == [("feat", 1), ("fix", 1), ("other", 1)]
    assert (report["branch"], report["clean"]) == ("main", False)
    assert report["markdown"].startswith("# Release report: shop with spaces\n\n- 3 commits from ")
    assert "- Authors: Ana Árvore\n" in report["markdown"]
    assert "- **core:** mend (" in report["markdown"]


def declared(tool: str, text: str) -> str | None:
    bind = next(bind for bind in bound().values() if bind["tool"] == tool)
    full = f"Error executing tool {tool}: {text}"
    return next((code for code, rule in bind["errors"].items() if re.search(rule["text"], full)), None)


async def test_each_failure_of_git_is_mapped_to_a_declared_error(git: Agent, repository: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    await anyio.run_process(["git", "init", "-q", str(empty)])
    failures: list[tuple[str, dict[str, Any], str]] = [
        ("git_log", {"repo_path": str(tmp_path)}, "not_a_repository"),
        ("git_log", {"repo_path": str(tmp_path / "nowhere")}, "not_a_repository"),
        ("git_log", {"repo_path": str(empty)}, "no_commits"),
        ("git_status", {"repo_path": str(tmp_path)}, "not_a_repository"),
        ("git_diff", {"repo_path": str(tmp_path), "target": "HEAD"}, "not_a_repository"),
        ("git_diff", {"repo_path": str(repository), "target": "v9"}, "unknown_revision"),
    ]
    for tool, arguments, code in failures:
        assert declared(tool, await git.error(tool, **arguments)) == code
