"""Which contract a step may name: the type's explicit map, resolved to one version of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from process_orchestrator.checking.documents.definitions import Agent, Contract, ProcessType, Serve
from process_orchestrator.checking.documents.draft_status import draft_words
from process_orchestrator.checking.documents.versions import reference
from process_orchestrator.checking.plans.fitting import Fitting
from process_orchestrator.checking.schemas.nearest import likely

if TYPE_CHECKING:
    from process_orchestrator.checking.plans.compile import CompiledProcess
    from process_orchestrator.core.facts.values import Assurance


class Definitions(Protocol):
    """What the check looks names up in: the registry."""

    @property
    def fitting(self) -> Fitting: ...

    def contract(self, name: str, /) -> Contract | None: ...

    def agent(self, name: str, /) -> Agent | None: ...

    def serving(self, contract: Contract, /) -> tuple[tuple[Agent, Serve], ...]: ...

    def process(self, name: str, version: str | None = None, /) -> ProcessType | None: ...

    def plan(self, process_type: ProcessType, /, *, server_floor: Assurance = ...) -> CompiledProcess: ...

    def nearest(self, kind: str, name: str, /) -> tuple[str, ...]: ...


class ContractMap:
    """The contracts that a plan of a type may use."""

    def __init__(self, process_type: ProcessType, registry: Definitions) -> None:
        self._registry = registry
        self._listed: dict[str, list[str]] = {}
        for written in process_type.contracts:
            self._listed.setdefault(reference(written).name, []).append(written)
            listed = registry.contract(written)
            if listed is not None and listed.undo is not None:
                self._listed.setdefault(reference(listed.undo.contract).name, []).append(listed.undo.contract)

    def contract(self, name: str) -> tuple[Contract | None, tuple[str, str, str] | None]:
        """The contract that a step names; or why it may not."""
        wanted = reference(name)
        if self._listed and wanted.name not in self._listed:
            if self._registry.contract(wanted.name) is None:
                return None, self._unknown(name)
            message = f"`{wanted.name}` is not on the map of this type (`contracts`)"
            better = likely(wanted.name, self._listed)
            fix = f"write `{better}`, or add it to `contracts`" if better else "add it to `contracts`"
            return None, ("NOT_ON_MAP", message, fix)
        entries = self._listed.get(wanted.name, [name])
        found = [self._registry.contract(entry) for entry in entries]
        if wanted.range:
            exact = self._registry.contract(name)
            if exact is not None and any(reference(entry).matches(exact.version) for entry in entries):
                found = [exact]
            found = [each for each in found if each is not None and wanted.matches(each.version)]
        contract = next((each for each in found if each is not None), None)
        if contract is None:
            return None, self._unknown(name)
        if contract.status != "active":
            words = draft_words(contract)
            return None, ("DRAFT", words.message, words.fix)
        return contract, None

    def _unknown(self, name: str) -> tuple[str, str, str]:
        names = ", ".join(self._registry.nearest("contract", name)) or "none yet"
        return "UNKNOWN_CONTRACT", f"there is no contract {name}", f"nearest: {names}"
