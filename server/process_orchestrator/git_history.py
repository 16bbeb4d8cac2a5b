"""What the definitions of a home were when they were last committed. git is asked for stored content, nothing else.

No command here reads the index or the working tree, and hooks, monitors, filters and fetches are ruled out: a folder
from elsewhere must not run a program because it was checked. Without git, without a repository or without a commit
there is no history, and that is no error.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

from process_orchestrator.checking.documents.yaml_reader import FILE_BYTES_MAX
from process_orchestrator.checking.loading.loader import FOLDERS, is_definition

GIT_S: Final = 10.0
FILES_MAX: Final = 1_000
BYTES_MAX: Final = 64_000_000
"""Changed definitions that are read from the last commit, and their length together."""

_QUIET: Final = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "protocol.allow=never"),
    *("--no-optional-locks", "--no-replace-objects", "--literal-pathspecs", "--no-pager"),
)
_ENVIRONMENT: Final = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "LC_ALL": "C",
}
_INHERITED: Final = ("PATH", "HOME", "USERPROFILE", "SYSTEMROOT", "XDG_CONFIG_HOME")
"""What git needs to know whose repositories are trusted. What a hook that runs us has set is left out."""


class _Stored(NamedTuple):
    sha: str
    file: str


def found_git() -> str | None:
    """The program, where there is one."""
    return shutil.which("git")


def has_commit(folder: Path) -> bool:
    """Whether a folder lies in a repository that holds at least one commit."""
    answer = _git(folder, ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])
    return bool(answer)


def changed_since_commit(home: Path) -> dict[str, bytes]:
    """Definitions of the last commit that are written otherwise now or are gone, by file below the home."""
    listed = _git(home, ["ls-tree", "-r", "-z", "-l", "HEAD", *(f"{folder}/" for folder in FOLDERS)])
    if listed is None:
        return {}
    stored: list[_Stored] = []
    room = BYTES_MAX
    for row in listed.split(b"\0"):
        about, _, name = row.partition(b"\t")
        words = about.decode("ascii", "replace").split()
        file = os.fsdecode(name)
        if len(words) != 4 or words[1] != "blob" or not is_definition(Path(file).name):
            continue
        _, _, sha, size = words
        if size.isdigit() and int(size) <= min(FILE_BYTES_MAX, room) and not _is_content(home / file, sha):
            stored.append(_Stored(sha, file))
            room -= int(size)
    return _contents(home, stored[:FILES_MAX])


def committed(folder: Path, revision: str) -> bytes | None:
    """A file as a commit holds it: `HEAD:./ledger/post.contract.yaml`; None where there is no such file."""
    if "\n" in revision or revision.startswith("-"):
        return None
    answer = _git(folder, ["cat-file", "--batch"], said=revision.encode("utf-8", "surrogateescape") + b"\n")
    return _first(answer or b"")[0]


def _contents(home: Path, stored: list[_Stored]) -> dict[str, bytes]:
    if not stored:
        return {}
    said = "".join(f"{each.sha}\n" for each in stored).encode()
    answer = _git(home, ["cat-file", "--batch"], said=said) or b""
    found: dict[str, bytes] = {}
    for each in stored:
        content, answer = _first(answer)
        if content is not None:
            found[each.file] = content
    return found


def _first(answer: bytes) -> tuple[bytes | None, bytes]:
    """The first object of `cat-file --batch`, and what follows it."""
    head, _, rest = answer.partition(b"\n")
    words = head.split(b" ")
    if len(words) != 3 or words[1] != b"blob" or not words[2].isdigit():
        return None, rest
    size = int(words[2])
    return (rest[:size], rest[size + 1 :]) if size <= FILE_BYTES_MAX else (None, rest[size + 1 :])


def _is_content(path: Path, sha: str) -> bool:
    """Whether a file holds the very content that git stores under a name."""
    try:
        if not path.is_file():  # a pipe would never end
            return False
        with path.open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
    except OSError:
        return False
    head = b"blob %d\0" % len(data)
    hashed = hashlib.sha256 if len(sha) == 64 else hashlib.sha1
    return hashed(head + data, usedforsecurity=False).hexdigest() == sha


def _git(folder: Path, command: list[str], *, said: bytes = b"") -> bytes | None:
    """What git prints, or None where it fails, is not there or takes too long."""
    program = found_git()
    if program is None or not folder.is_dir():
        return None
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603 - a fixed argument list, no shell
            [program, *_QUIET, *command],
            cwd=folder,
            input=said,
            capture_output=True,
            timeout=GIT_S,
            env={**inherited, **_ENVIRONMENT},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
