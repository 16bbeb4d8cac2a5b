"""Reads the texts that git tools print: the log into commits, the status into a branch, the diff into a size.

Commit texts come from strangers: they are cleaned of control characters here and escaped where they are printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

SUBJECT_CHARS_MAX: Final = 200
COMMITS_MAX: Final = 1_000

# One entry of the log. A message may hold lines that look alike; only the four in this order, with a whole hash,
# begin an entry.
ENTRY: Final = re.compile(
    r"^Commit: (?P<sha>[0-9a-f]{40}|[0-9a-f]{64})\n"
    r"Author: (?P<author>.*)\nDate: (?P<date>\d{4}-\d\d-\d\d.*)\nMessage: ",
    re.MULTILINE,
)
CONVENTIONAL: Final = re.compile(
    r"(?P<kind>[A-Za-z]{2,12})(?:\((?P<scope>[^()\n]{1,60})\))?(?P<breaks>!)?: +(?P<text>\S.*)"
)
BREAKING_FOOTER: Final = re.compile(r"^BREAKING[ -]CHANGE: ", re.MULTILINE)
BRANCH: Final = re.compile(r"^On branch (\S+)", re.MULTILINE)
CLEAN: Final = ("nothing to commit, working tree clean", "nothing to commit (")


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """One commit. `kind` is the conventional prefix in lower case, empty without one."""

    sha: str
    author: str
    day: str
    kind: str
    scope: str
    subject: str
    breaking: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class DiffSize:
    """How much a diff touches."""

    files: int
    insertions: int
    deletions: int


class UnreadableLogError(Exception):
    """The text is no log."""


def read_log(text: str) -> list[Commit]:
    """Read the commits in the order of the log, each hash once, at most COMMITS_MAX."""
    if not text.startswith("Commit history:"):
        raise UnreadableLogError("the log does not begin with 'Commit history:'")
    return list({commit.sha: commit for commit in _entries(text)}.values())[:COMMITS_MAX]


def read_branch(status: str) -> str:
    """Name of the branch; empty on a detached head."""
    match = BRANCH.search(status)
    return match[1] if match else ""


def is_clean(status: str) -> bool:
    """Whether the status says that nothing is left to commit."""
    return any(words in status for words in CLEAN)


def read_diff(text: str) -> DiffSize:
    """Count files and lines of a unified diff. The line counts stand in hunk heads: `@@ -from,count +from,count @@`."""
    files = insertions = deletions = 0
    pending_out = pending_in = 0  # lines of the current hunk still to come: content that looks like a head is content
    for row in text.split("\n"):  # splitlines would also split on form feeds inside the content
        if pending_out > 0 or pending_in > 0:
            pending_out -= row.startswith(("-", " "))
            pending_in -= row.startswith(("+", " "))
            deletions += row.startswith("-")
            insertions += row.startswith("+")
        elif row.startswith("diff --git "):
            files += 1
        elif head := re.match(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@", row):
            pending_out, pending_in = (1 if count is None else int(count) for count in head.groups())
    return DiffSize(files=files, insertions=insertions, deletions=deletions)


def _entries(text: str) -> Iterator[Commit]:
    heads = list(ENTRY.finditer(text))
    ends = [*(head.start() for head in heads[1:]), len(text)]
    for head, end in zip(heads, ends, strict=False):  # an empty log has an end, but no head
        message = text[head.end() : end].strip("\n")
        subject = _one_line(message.partition("\n")[0])
        conventional = CONVENTIONAL.fullmatch(subject)
        breaking = bool(BREAKING_FOOTER.search(message) or (conventional and conventional["breaks"]))
        yield Commit(
            sha=head["sha"],
            author=_one_line(head["author"]),
            day=head["date"][:10],
            kind=conventional["kind"].lower() if conventional else "",
            scope=(conventional["scope"] or "") if conventional else "",
            subject=conventional["text"] if conventional else subject,
            breaking=breaking,
        )


def _one_line(text: str) -> str:
    """Drop control characters and the marks that turn the direction of text; shorten what is too long."""
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words if len(words) <= SUBJECT_CHARS_MAX else words[: SUBJECT_CHARS_MAX - 1] + "…"
