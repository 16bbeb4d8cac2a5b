"""Pinned definitions and stored bodies as the performer reads them: through bounded caches of its own.

Everything is named by its sha256, so a cached value is right for ever. Values are shared: whoever reads one must not
change it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final, Generic, TypeVar

import msgspec

from process_orchestrator.checking.documents.versions import reference
from process_orchestrator.checking.plans.compiled import CompiledContract, CompiledPlan, Compiler
from process_orchestrator.checking.schemas.validate import read_stored
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import AgentPin, ContractPin, Ref
from process_orchestrator.core.ports import Artifacts, Body

DEFINITIONS_MAX: Final = 512
BODIES_MAX: Final = 2048
BODIES_BYTES_MAX: Final = 16_000_000
BODY_CACHED_BYTES_MAX: Final = 262_144

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


class Pinned:
    """Compiled definitions and promises by sha256."""

    def __init__(self, artifacts: Artifacts, compiler: Compiler) -> None:
        self._artifacts, self._compiler = artifacts, compiler
        self._plans: Recent[CompiledPlan] = Recent(DEFINITIONS_MAX)
        self._contracts: Recent[CompiledContract] = Recent(DEFINITIONS_MAX)
        self._documents: Recent[dict[str, Any]] = Recent(DEFINITIONS_MAX)
        self._binds: Recent[dict[str, Any]] = Recent(DEFINITIONS_MAX)

    async def plan(self, sha256: str) -> CompiledPlan:
        kept = self._plans.get(sha256)
        return kept if kept is not None else await self._plans.of(sha256, self._plan)

    async def contract(self, sha256: str) -> CompiledContract:
        kept = self._contracts.get(sha256)
        return kept if kept is not None else await self._contracts.of(sha256, self._contract)

    async def document(self, sha256: str) -> dict[str, Any]:
        """A pinned definition as it was written."""
        return await self._documents.of(sha256, self._document)

    async def bind(self, agent: AgentPin, contract: ContractPin) -> dict[str, Any]:
        """How the agent promised to serve the contract. Raises AgentCallError where it did not."""
        key = f"{agent.sha256}/{contract.sha256}"
        kept = self._binds.get(key)
        if kept is not None:
            return kept
        promise = await self.document(agent.sha256)
        for serve in promise.get("serves", ()):
            wanted = reference(serve["contract"])
            if wanted.name == contract.name and wanted.matches(contract.version):
                return self._binds.put(key, serve.get("bind") or {})
        raise AgentCallError("unreachable", f"{agent.name} did not promise {contract.name}@{contract.version}")

    async def _plan(self, sha256: str) -> CompiledPlan:
        return self._compiler.plan(await self._artifacts.definition(sha256))

    async def _contract(self, sha256: str) -> CompiledContract:
        return self._compiler.contract(await self._artifacts.definition(sha256))

    async def _document(self, sha256: str) -> dict[str, Any]:
        return read_stored((await self._artifacts.definition(sha256)).data)
