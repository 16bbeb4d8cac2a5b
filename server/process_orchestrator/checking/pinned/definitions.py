"""Pinned definitions by sha256, compiled: through a bounded cache of its own.

Values are shared: whoever reads one must not change it.
"""

from __future__ import annotations

from typing import Any, Final

from process_orchestrator.checking.documents.versions import reference
from process_orchestrator.checking.pinned.recent import Recent
from process_orchestrator.checking.plans.compiled import CompiledContract, CompiledPlan, Compiler
from process_orchestrator.checking.schemas.validate import read_stored
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import AgentPin, ContractPin
from process_orchestrator.core.ports import Artifacts

DEFINITIONS_MAX: Final = 512


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
