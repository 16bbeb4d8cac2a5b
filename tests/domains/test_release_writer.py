from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from domains.running import Agent, Connect, Keeper


@pytest.fixture(scope="module")
async def writer(connect: Connect) -> AsyncIterator[Agent]:
    async with connect("release_writer/server.py") as agent:
        yield agent


def entry(number: int, message: str, *, author: str = "Ana", day: str = "2026-11-20") -> str:
    return f"Commit: {number:040x}\nAuthor: {author}\nDate: {day} 10:00:00+00:00\nMessage: {message}\n\n"


def material(*entries: str, **changes: Any) -> dict[str, Any]:
    return {
        "repo_path": "/srv/git/shop",
        "base": "v1.0.0",
        "log": "Commit history:\n" + "\n".join(entries),
        "status": "Repository status:\nOn branch main\nnothing to commit, working tree clean",
        "diff": "Diff with v1.0.0:\n",
        "diff_status": "done",
    } | changes


async def test_commits_are_grouped_by_prefix_in_a_fixed_order(writer: Agent, keeper: Callable[[str], Keeper]) -> None:
    report = await writer.answer(
        "write_release_report",
        **material(
            entry(5, "Tidy up", author="Ben", day="2026-11-21"),
            entry(4, "FIX: round the tax"),
            entry(3, "feat(cart)!: drop the old basket"),
            entry(2, "feature: sell vouchers\n\nBody text.\n\nBREAKING CHANGE: prices are net"),
            entry(1, "wip: whatever"),
        ),
    )
    keeper("release.write").check_output(report)
    assert report["groups"] == [
        {"kind": "feat", "title": "Features", "count": 2},
        {"kind": "fix", "title": "Fixes", "count": 1},
        {"kind": "other", "title": "Other", "count": 2},
    ]
    assert (report["commits"], report["breaking"], report["branch"], report["clean"]) == (5, 2, "main", True)
    assert report["markdown"] == (
        "# Release report: shop\n\n"
        "- 5 commits from 2026-11-20 to 2026-11-21\n"
        "- Authors: Ana, Ben\n"
        "- Branch main, nothing uncommitted\n"
        "- Diff against v1.0.0: 0 files, +0 -0 lines\n\n"
        "## Breaking changes\n\n"
        "- **cart:** drop the old basket (0000000)\n"
        "- sell vouchers (0000000)\n\n"
        "## Features\n\n"
        "- **cart:** drop the old basket (0000000)\n"
        "- sell vouchers (0000000)\n\n"
        "## Fixes\n\n"
        "- round the tax (0000000)\n\n"
        "## Other\n\n"
        "- Tidy up (0000000)\n"
        "- whatever (0000000)\n"
    )


async def test_the_examples_of_the_contract_keep_it(writer: Agent, keeper: Callable[[str], Keeper]) -> None:
    for example in keeper("release.write").definition["examples"]:
        if "output" in example:
            report = await writer.answer("write_release_report", **example["input"])
            assert {**report, "markdown": ""} == {**example["output"], "markdown": ""}
        else:
            assert (await writer.error("write_release_report", **example["input"])).startswith(example["error"])


async def test_the_size_of_a_diff_is_counted_from_its_hunks(writer: Agent) -> None:
    diff = (
        "Diff with HEAD:\n"
        "diff --git a/x.sql b/x.sql\n--- a/x.sql\n+++ b/x.sql\n@@ -1,2 +1,2 @@\n"
        "--- a comment in SQL\n-diff --git a/y b/y\n+++ plus\n+@@ -1 +1 @@\n"
        "@@ -9 +9,0 @@\n-gone\x0c+not a line of its own\n"
        "diff --git a/new b/new\nnew file mode 100644\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+one\n\\ No newline"
    )
    report = await writer.answer("write_release_report", **material(diff=diff))
    assert report["changed"] == {"files": 2, "insertions": 3, "deletions": 3}


async def test_a_skipped_diff_is_named_as_missing(writer: Agent) -> None:
    report = await writer.answer("write_release_report", **material(diff="", diff_status="skipped"))
    assert "changed" not in report
    assert "- Diff against v1.0.0: not available\n" in report["markdown"]


async def test_commit_texts_cannot_write_markup_into_the_report(writer: Agent) -> None:
    hostile = "fix: <script>x</script> ![i](http://evil) \x1b[31m\u202etxt | `a`"
    report = await writer.answer("write_release_report", **material(entry(1, hostile, author="[A](x)")))
    assert "<script>" not in report["markdown"].replace("\\<", "")
    assert "\\!\\[i\\](http://evil)" in report["markdown"]
    assert "\x1b" not in report["markdown"]
    assert "\u202e" not in report["markdown"]
    assert "Authors: \\[A\\](x)" in report["markdown"]


async def test_a_message_that_quotes_a_log_is_one_commit(writer: Agent) -> None:
    quoting = "docs: show a log\n\nCommit: abc\nAuthor: Eve\nDate: 2026-01-01\nMessage: not a commit"
    report = await writer.answer("write_release_report", **material(entry(2, quoting), entry(1, "fix: a")))
    assert report["commits"] == 2


async def test_one_hash_is_counted_once(writer: Agent) -> None:
    report = await writer.answer("write_release_report", **material(entry(1, "fix: a"), entry(1, "fix: a")))
    assert report["commits"] == 1


async def test_a_title_and_a_detached_head_are_said(writer: Agent) -> None:
    status = "Repository status:\nHEAD detached at 1234567\nChanges not staged for commit:\n"
    report = await writer.answer("write_release_report", **material(status=status, title="Version 2"))
    assert report["markdown"].startswith(
        "# Version 2\n\n- No commits.\n- No branch checked out, with uncommitted changes"
    )
    assert (report["branch"], report["clean"]) == ("", False)
