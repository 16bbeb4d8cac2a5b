"""A mapping of names in pages: to change one entry copies one page, so a wide map costs an item what a small one does.

Immutable like every fact; `core.pages` is how one event changes it. Entries stand in the order of their pages, then of
their arrival. It knows only how names are written: items of a mapped step that are neighbours share a page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, overload

from process_orchestrator.core.facts.values import Fact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

V = TypeVar("V")


def page_of(name: str) -> str:
    """The page of a unit or of what is named after it: a hundred items on each, all else on one.

    `lines[1234].2` -> `lines[12`, `lines[7]` -> `lines[`, `post` -> nothing.
    """
    if "[" not in name:
        return ""
    begin = name.index("[") + 1
    return name[: max(begin, name.find("]", begin) - 2)]


class Paged(Fact, Generic[V], kw_only=True):
    """Entries by name, read as a mapping is. A page that would be empty is not there."""

    pages: dict[str, dict[str, V]] = {}

    def __getitem__(self, name: str) -> V:
        return self.pages[page_of(name)][name]

    @overload
    def get(self, name: str) -> V | None: ...
    @overload
    def get(self, name: str, default: V) -> V: ...
    def get(self, name: str, default: V | None = None) -> V | None:
        page = self.pages.get(page_of(name))
        return page.get(name, default) if page is not None else default

    def __contains__(self, name: str) -> bool:
        return name in self.pages.get(page_of(name), ())

    def __iter__(self) -> Iterator[str]:
        for page in self.pages.values():
            yield from page

    def __len__(self) -> int:
        return sum(map(len, self.pages.values()))

    def __bool__(self) -> bool:
        return bool(self.pages)

    def values(self) -> list[V]:
        return [value for page in self.pages.values() for value in page.values()]

    def items(self) -> list[tuple[str, V]]:
        return [entry for page in self.pages.values() for entry in page.items()]


def paged(entries: Iterable[tuple[str, V]]) -> Paged[V]:
    """Entries put in pages."""
    pages: dict[str, dict[str, V]] = {}
    for name, value in entries:
        pages.setdefault(page_of(name), {})[name] = value
    return Paged(pages=pages)
