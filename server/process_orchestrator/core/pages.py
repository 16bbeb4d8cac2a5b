"""A `Paged` while one event changes it: each page is copied at its first change, what it was made of stays as it is.

`entries` is a copy of `before` that still has its pages. A page that is the same in both is not its own yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from process_orchestrator.core.facts.paged import page_of

if TYPE_CHECKING:
    from process_orchestrator.core.facts.paged import Paged

V = TypeVar("V")


def own(entries: Paged[V], page: str, *, before: Paged[V]) -> dict[str, V]:
    """A page that may be written, empty where there was none."""
    there = entries.pages.get(page)
    if there is None:
        there = entries.pages[page] = {}
    elif there is before.pages.get(page):
        there = entries.pages[page] = dict(there)
    return there


def discard(entries: Paged[V], name: str, *, before: Paged[V]) -> None:
    """Take an entry out, if it is there."""
    page = page_of(name)
    if name not in entries.pages.get(page, ()):
        return
    there = own(entries, page, before=before)
    del there[name]
    if not there:
        del entries.pages[page]
