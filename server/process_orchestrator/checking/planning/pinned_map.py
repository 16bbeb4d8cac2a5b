"""The definitions that a plan is made of: contracts as the process has pinned them, agents as they are now.

Where a plan is made anew, the contracts of the steps that stay are those of the first plan, whatever the files say
since; all others, and who serves them, are looked up in the registry. Types are not offered, so none are known.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from process_orchestrator.checking.documents.versions import reference

if TYPE_CHECKING:
    from process_orchestrator.checking.documents.definitions import Agent, Contract, ProcessType, Serve
    from process_orchestrator.checking.plans.compile import CompiledProcess
    from process_orchestrator.checking.plans.fitting import Fitting
    from process_orchestrator.checking.plans.plan_map import Definitions
    from process_orchestrator.core.facts.values import Assurance


class PinnedMap:
    """`Definitions` for one process. `fitting` is the planner's own: it may be asked in another thread."""

    def __init__(self, registry: Definitions, *, pinned: Iterable[Contract], fitting: Fitting) -> None:
        self._registry, self.fitting = registry, fitting
        self._pinned = {each.name: each for each in pinned}

    def contract(self, name: str, /) -> Contract | None:
        wanted = reference(name)
        found = self._pinned.get(wanted.name)
        return found if found is not None and wanted.matches(found.version) else self._registry.contract(name)

    def agent(self, name: str, /) -> Agent | None:
        return self._registry.agent(name)

    def serving(self, contract: Contract, /) -> tuple[tuple[Agent, Serve], ...]:
        return self._registry.serving(contract)

    def process(self, name: str, version: str | None = None, /) -> ProcessType | None:  # noqa: ARG002 - the protocol's
        return None

    def plan(self, process_type: ProcessType, /, *, server_floor: Assurance = ...) -> CompiledProcess:  # type: ignore[assignment]
        return self._registry.plan(process_type, server_floor=server_floor)

    def nearest(self, kind: str, name: str, /) -> tuple[str, ...]:
        return self._registry.nearest(kind, name)
