"""A `Paged` while one event changes it: each page is copied at its first change, what it was made of stays as it is."""

from __future__ import annotations

from typing import TypeVar

from process_orchestrator.core.facts.paged import Paged, page_of

V = TypeVar("V")


def opened(before: Paged[V]) -> Paged[V]:
    """The same entries, whose pages may be exchanged for others."""
    return Paged(pages=dict(before.pages))


def of(entries: Paged[V], name: str, *, before: Paged[V]) -> dict[str, V]:
    """The page of a name, which may be written: `entries` were opened from `before`."""
    page = page_of(name)
    own = entries.pages.get(page)
    if own is None:
        own = entries.pages[page] = {}
    elif own is before.pages.get(page):
        own = entries.pages[page] = dict(own)
    return own


def discard(entries: Paged[V], name: str, *, before: Paged[V]) -> None:
    """Take an entry out, if it is there. `entries` were opened from `before`."""
    if name not in entries:
        return
    page = of(entries, name, before=before)
    del page[name]
    if not page:
        del entries.pages[page_of(name)]
