"""Versions and references: `1.2.0`, `ledger.post@^1`. Three numbers, optionally a pre-release; no build metadata."""

from __future__ import annotations

import re
from typing import Final

from process_orchestrator.core.facts.values import Fact

VERSION: Final = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(?:-([0-9A-Za-z.-]+))?")
RANGE: Final = re.compile(r"([\^~])(0|[1-9][0-9]*)(?:\.(0|[1-9][0-9]*))?(?:\.(0|[1-9][0-9]*))?")

Order = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


class Reference(Fact, frozen=True, kw_only=True):
    """A name and the versions of it that will do. `range` is empty for any version."""

    name: str
    range: str = ""

    def matches(self, version: str) -> bool:
        """Whether `version` will do. A pre-release does only where it is named exactly."""
        if not self.range:
            return "-" not in version
        found = RANGE.fullmatch(self.range)
        if found is None:
            return version == self.range
        if "-" in version or VERSION.fullmatch(version) is None:
            return False
        sign, *written = found.groups()
        low = tuple(int(part or 0) for part in written)
        return low <= order(version)[:3] < _above(sign, low, sum(part is not None for part in written))


def reference(text: str) -> Reference:
    """Take `name` or `name@range` apart; the form itself is the meta-schema's to check."""
    name, _, wanted = text.partition("@")
    return Reference(name=name, range=wanted)


def order(version: str) -> Order:
    """A sort key: by numbers, a pre-release below its release. A text that is no version sorts first."""
    found = VERSION.fullmatch(version)
    if found is None:
        return (-1, 0, 0, False, ())
    major, minor, patch, pre = found.groups()
    parts = tuple((not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in (pre or "").split("."))
    return (int(major), int(minor), int(patch), pre is None, parts if pre else ())


def _above(sign: str, low: tuple[int, ...], written: int) -> tuple[int, int, int]:
    """The first version that is too high: `^` holds the leftmost non-zero number, `~` the minor one where written."""
    major, minor, patch = low
    if sign == "~":
        return (major + 1, 0, 0) if written == 1 else (major, minor + 1, 0)
    if major or written == 1:
        return (major + 1, 0, 0)
    if minor or written == 2:
        return (0, minor + 1, 0)
    return (0, 0, patch + 1)
