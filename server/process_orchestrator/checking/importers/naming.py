"""Names and short texts that our formats take, made of foreign ones. Any text goes in; what comes out is valid."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container
from typing import Final

NAME_CHARS_MAX: Final = 64
CONTRACT_CHARS_MAX: Final = 128
SUMMARY_CHARS_MAX: Final = 300
FOREIGN_CHARS_MAX: Final = 400
"""Of a foreign name, so much is looked at."""

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER: Final = re.compile(r"[^a-z0-9]+")


def valid_name(text: str, *, otherwise: str = "unnamed", chars: int = NAME_CHARS_MAX) -> str:
    """A name `^[a-z][a-z0-9_]*$` made of any text: `findPetsByStatus` → `find_pets_by_status`."""
    plain = unicodedata.normalize("NFKD", text[:FOREIGN_CHARS_MAX]).encode("ascii", "ignore").decode()
    words = _OTHER.sub("_", _CAMEL.sub("_", plain).casefold()).strip("_")
    if not words:
        return otherwise
    if not words[0].isalpha():
        words = f"{otherwise[0]}_{words}"
    return words[:chars].rstrip("_")


def contract_name(agent: str, text: str) -> str:
    """The name of a contract of an agent: `pets.list_pets`. A dot in the foreign name is no dot here."""
    return f"{agent}.{valid_name(text, otherwise='operation', chars=CONTRACT_CHARS_MAX - len(agent) - 8)}"


def free_name(wanted: str, taken: Container[str]) -> str:
    """`wanted`, or with the first number behind it that nobody has."""
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}_{number}", number + 1
    return name


def one_line(text: object, *, chars: int = SUMMARY_CHARS_MAX) -> str:
    """A foreign text on one line: white space folded, what is not printable replaced, cut where it is too long."""
    raw = text[: chars * 4] if isinstance(text, str) else ""
    plain = "".join(each if each.isprintable() else " " for each in raw.encode("utf-8", "replace").decode())
    words = " ".join(plain.split())
    return words if len(words) <= chars else f"{words[: chars - 1].rstrip()}…"
