"""The known names closest to a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import Final

SCORE_MIN: Final = 0.6
"""Below this two names have so little in common that naming one would mislead."""

NAME_CHARS_MAX: Final = 200
"""Longer names are cut before they are compared: comparing is quadratic."""


def nearest(name: str, known: Iterable[str], *, count: int = 3) -> tuple[str, ...]:
    """At most `count` known names, best first, whatever their likeness; equal ones in alphabetical order."""
    wanted = name.casefold()[:NAME_CHARS_MAX]
    scored = sorted((-likeness(wanted, other.casefold()[:NAME_CHARS_MAX]), other) for other in set(known))
    return tuple(other for _, other in scored[:count])


def likely(name: str, known: Iterable[str]) -> str | None:
    """The one known name that was probably meant, or None."""
    best = nearest(name, known, count=1)
    if best and likeness(name.casefold()[:NAME_CHARS_MAX], best[0].casefold()) >= SCORE_MIN:
        return best[0]
    return None


def likeness(one: str, other: str) -> float:
    """From 0 (nothing in common) to 1 (equal); transposed and dropped letters cost little."""
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
