"""A `Paged` while one event changes it: each page is copied at its first change, what it was made of stays as it is."""

from __future__ import annotations

from typing import TypeVar

from process_orchestrator.core.facts.paged import Entries, Paged, page_of

V = TypeVar("V")


class Pages(Entries[V]):
    """Entries that may be changed, until `done` makes a fact of them again."""

    __slots__ = ("_before", "_own", "pages")

    def __init__(self, before: Paged[V]) -> None:
        self._before = before
        self._own: set[str] = set()
        self.pages = before.pages

    def __setitem__(self, name: str, value: V) -> None:
        self._page(page_of(name))[name] = value

    def discard(self, name: str) -> None:
        """Take an entry out, if it is there."""
        page = page_of(name)
        if name not in self.pages.get(page, ()):
            return
        entries = self._page(page)
        del entries[name]
        if not entries:
            del self.pages[page]
            self._own.discard(page)

    def done(self) -> Paged[V]:
        return Paged(pages=self.pages) if self.pages is not self._before.pages else self._before

    def _page(self, page: str) -> dict[str, V]:
        """A page that is this draft's own."""
        if page in self._own:
            return self.pages[page]
        if self.pages is self._before.pages:
            self.pages = dict(self.pages)
        self._own.add(page)
        entries = self.pages[page] = dict(self.pages.get(page, ()))
        return entries
