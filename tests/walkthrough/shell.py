"""One shell that runs a document's commands line by line, as a reader does: what each printed, and how long it took."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

LINE_S = 60.0
MARK = "@@walkthrough"


@dataclass(frozen=True)
class Ran:
    """One line of a document, run."""

    line: str
    code: int
    out: str
    seconds: float


class Shell:
    """A bash with nothing of ours in it but what is given. Leaving it ends all that was started in it."""

    def __init__(self, *, folder: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def run(self, line: str) -> Ran:
        """Run one line and wait until it has ended, or is in the background and has said a word."""
        assert self._process.stdin is not None
        started = time.monotonic()
        behind = line.rstrip().endswith("&")
        self._process.stdin.write(f"{line}\necho {MARK}:$?\n".encode())
        self._process.stdin.flush()
        out = self._read(until=lambda text: _marked(text) and (not behind or "http://" in text))
        code = re.search(rf"{MARK}:(\d+)\n", out)
        assert code is not None, out
        return Ran(line, int(code[1]), out.replace(code[0], ""), time.monotonic() - started)

    def _read(self, *, until: object) -> str:
        assert callable(until)
        assert self._process.stdout is not None
        data, deadline = b"", time.monotonic() + LINE_S
        while not until(data.decode(errors="replace")):
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(self._process.stdout.fileno(), 65_536) if ready else b""
            assert chunk, f"nothing more after {data.decode(errors='replace')}"
            data += chunk
        return data.decode(errors="replace")


def _marked(text: str) -> bool:
    return re.search(rf"{MARK}:\d+\n", text) is not None


def commands(document: str) -> list[str]:
    """Every line of the document's shell blocks; a line that ends with a backslash goes on in the next."""
    blocks = re.findall(r"^```sh\n(.*?)^```", document, flags=re.MULTILINE | re.DOTALL)
    joined = "".join(blocks).replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def shown(document: str) -> list[str]:
    """Every line that the document shows as printed. `…` in it stands for anything."""
    blocks = re.findall(r"^```text\n(.*?)^```", document, flags=re.MULTILINE | re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip(" …")]


def is_said(line: str, out: str) -> bool:
    """Whether a line of the document was printed."""
    pattern = ".*".join(re.escape(part) for part in line.split("…"))
    return re.search(pattern, out) is not None
