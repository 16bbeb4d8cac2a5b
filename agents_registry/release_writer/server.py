"""Release writer: an agent that turns a repository's log into a release report. An MCP server on stdio with one tool.

Keeps the contract `release.write`. Commits are grouped by their conventional prefix (`feat: …`, `fix(api)!: …`);
those without a known one stand under "Other". It reads texts and returns text: it opens no repository and no file.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Final, NotRequired

from commits import Commit, DiffSize, UnreadableLogError, is_clean, read_branch, read_diff, read_log
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from typing_extensions import TypedDict  # what the SDK wants below Python 3.12; it comes with the SDK

TITLES: Final = {  # in the order of the report
    "feat": "Features",
    "fix": "Fixes",
    "perf": "Performance",
    "refactor": "Refactoring",
    "docs": "Documentation",
    "test": "Tests",
    "build": "Build",
    "ci": "Continuous integration",
    "style": "Style",
    "chore": "Chores",
    "revert": "Reverts",
    "other": "Other",
}
SYNONYMS: Final = {"feature": "feat", "bugfix": "fix", "hotfix": "fix", "doc": "docs", "tests": "test", "deps": "build"}
SHORTEST: Final = {"repo_path": 1, "base": 1}
LONGEST: Final = {"repo_path": 1000, "base": 200, "diff_status": 20, "title": 200}
MARKUP: Final = re.compile(r"([\\`*_{}\[\]<>#|!~&])")


class Group(TypedDict):
    """Commits of one kind."""

    kind: str
    title: str
    count: int


class Changed(TypedDict):
    """Size of the diff against the base."""

    files: int
    insertions: int
    deletions: int


class Report(TypedDict):
    """The report and the figures in it."""

    markdown: str
    commits: int
    groups: list[Group]
    breaking: int
    branch: str
    clean: bool
    changed: NotRequired[Changed]


writer = MCPServer("release-writer", version="1.0.0", log_level="WARNING")


@writer.tool(annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False))
def write_release_report(
    *, repo_path: str, base: str, log: str, status: str, diff: str, diff_status: str, title: str = ""
) -> Report:
    """Group the commits of a log and write a release report in Markdown."""
    for name, text in (("repo_path", repo_path), ("base", base), ("diff_status", diff_status), ("title", title)):
        if not SHORTEST.get(name, 0) <= len(text) <= LONGEST[name]:
            raise ToolError(f"{name} must have {SHORTEST.get(name, 0)} to {LONGEST[name]} characters")
    try:
        commits = read_log(log)
    except UnreadableLogError as problem:
        raise ToolError(f"unreadable_log: {problem}") from problem
    size = read_diff(diff) if diff_status == "done" else None
    grouped = _grouped(commits)
    branch = read_branch(status)
    clean = is_clean(status)
    heading = _escaped(title or f"Release report: {PurePath(repo_path).name or repo_path}")
    facts = [*_summary(commits), _state(branch, clean=clean), _size(size, base)]
    sections = [_section(TITLES[kind], members) for kind, members in grouped.items()]
    breaking = [commit for commit in commits if commit.breaking]
    if breaking:
        sections.insert(0, _section("Breaking changes", breaking))
    report: Report = {
        "markdown": "\n\n".join([f"# {heading}", "\n".join(f"- {fact}" for fact in facts), *sections]) + "\n",
        "commits": len(commits),
        "groups": [{"kind": kind, "title": TITLES[kind], "count": len(found)} for kind, found in grouped.items()],
        "breaking": len(breaking),
        "branch": branch,
        "clean": clean,
    }
    if size:
        report["changed"] = {"files": size.files, "insertions": size.insertions, "deletions": size.deletions}
    return report


def _grouped(commits: list[Commit]) -> dict[str, list[Commit]]:
    """Commits by kind, kinds in the order of TITLES, empty kinds left out."""
    groups: dict[str, list[Commit]] = {kind: [] for kind in TITLES}
    for commit in commits:
        kind = SYNONYMS.get(commit.kind, commit.kind)
        groups[kind if kind in TITLES else "other"].append(commit)
    return {kind: members for kind, members in groups.items() if members}


def _summary(commits: list[Commit]) -> list[str]:
    if not commits:
        return ["No commits."]
    days = sorted(commit.day for commit in commits)
    authors = sorted({commit.author for commit in commits})
    named = ", ".join(_escaped(author) for author in authors[:10]) + (", …" if len(authors) > 10 else "")
    return [f"{_counted(len(commits), 'commit')} from {days[0]} to {days[-1]}", f"Authors: {named}"]


def _state(branch: str, *, clean: bool) -> str:
    place = f"Branch {_escaped(branch)}" if branch else "No branch checked out"
    return f"{place}, {'nothing uncommitted' if clean else 'with uncommitted changes'}"


def _size(size: DiffSize | None, base: str) -> str:
    if size is None:
        return f"Diff against {_escaped(base)}: not available"
    return f"Diff against {_escaped(base)}: {_counted(size.files, 'file')}, +{size.insertions} -{size.deletions} lines"


def _section(title: str, commits: list[Commit]) -> str:
    rows = [
        f"- {f'**{_escaped(commit.scope)}:** ' if commit.scope else ''}{_escaped(commit.subject)} ({commit.sha[:7]})"
        for commit in commits
    ]
    return "\n".join([f"## {title}", "", *rows])


def _escaped(text: str) -> str:
    """Text that Markdown and HTML print as it stands: a commit cannot put links, images or headings into a report."""
    return MARKUP.sub(r"\\\1", text.replace("\n", " "))


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


if __name__ == "__main__":
    writer.run("stdio")
