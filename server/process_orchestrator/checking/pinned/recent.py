"""The values that were asked for last. Everything here is named by its content, so what is kept is right for ever."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """The values that were put last, by key, at most `count` of them. One that is dropped and needed is put again."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._kept: OrderedDict[Hashable, T] = OrderedDict()
        self.get: Callable[[Hashable], T | None] = self._kept.get  # as it is: it is asked five times a call

    def put(self, key: Hashable, value: T) -> T:
        self._kept[key] = value
        if len(self._kept) > self._count:
            self._kept.popitem(last=False)
        return value

    async def of(self, key: str, make: Callable[[str], Awaitable[T]]) -> T:
        """The kept value, or a new one. Two tasks may make it at once; both make the same."""
        kept = self.get(key)
        return kept if kept is not None else self.put(key, await make(key))
