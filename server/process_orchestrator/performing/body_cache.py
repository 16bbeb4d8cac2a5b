"""Stored bodies as the performer reads them: parsed once, through a bounded cache.

Everything is named by its sha256, so a cached value is right for ever. Values are shared: whoever reads one must not
change it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

import msgspec

from process_orchestrator.checking.schemas.validate import read_stored
from process_orchestrator.core.facts.values import Ref
from process_orchestrator.core.ports import Artifacts, Body

BODIES_MAX: Final = 2048
BODIES_BYTES_MAX: Final = 16_000_000
BODY_CACHED_BYTES_MAX: Final = 262_144


class _Held(msgspec.Struct, gc=False):  # thousands are kept, and none can be part of a cycle
    """A body, parsed when its value is first read: arguments on their way to an agent never are."""

    data: bytes
    value: Any = msgspec.UNSET


class BodyCache:
    """Bodies by sha256, parsed once, bounded in count and bytes. The oldest goes first; who needs it reads it again."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        self._kept: OrderedDict[str, _Held] = OrderedDict()
        self._bytes = 0

    async def value(self, ref: Ref) -> Any:
        """The parsed body. Shared: not to be changed."""
        held = self._kept.get(ref.sha256)
        if held is None:
            held = await self._read(ref)
        if held.value is msgspec.UNSET:
            held.value = read_stored(held.data)
        return held.value

    async def data(self, ref: Ref) -> bytes:
        held = self._kept.get(ref.sha256)
        return (held if held is not None else await self._read(ref)).data

    def keep(self, body: Body) -> None:
        """Remember a body that was just made: the next step is likely to read it."""
        sha256, data = body.ref.sha256, body.data
        if len(data) > BODY_CACHED_BYTES_MAX or sha256 in self._kept:
            return
        self._kept[sha256] = _Held(data)
        self._bytes += len(data)
        while len(self._kept) > BODIES_MAX or self._bytes > BODIES_BYTES_MAX:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= len(dropped.data)

    async def _read(self, ref: Ref) -> _Held:
        data = await self._artifacts.body(ref)
        self.keep(Body(ref=ref, data=data))
        return self._kept.get(ref.sha256) or _Held(data)
