"""What stands behind each resource address, and what completes its parts. A second door to what the tools answer.

Knows no MCP; `mcp_reading` registers the addresses. Reads only; raises RefusedError as the tools do.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final, Literal

from process_orchestrator.core.errors import RefusedError
from process_orchestrator.orchestrator import Orchestrator
from process_orchestrator.views.models import Caller, TraceEntry, View

COMPLETIONS_MAX: Final = 100
"""Most completions that one answer may hold, by the protocol."""
_PAGE: Final = 100


class ResourceReader:
    """The text of each resource."""

    def __init__(self, orchestrator: Orchestrator, caller: Caller) -> None:
        self._orchestrator, self._caller = orchestrator, caller

    async def contracts(self) -> str:
        """All contracts, and the process types: each is itself a contract that another orchestrator can call."""
        index = await self._orchestrator.describe()
        return _document({"contracts": _payloads(index.contracts), "process_types": _payloads(index.process_types)})

    async def processes(self) -> str:
        return _document({"process_types": _payloads((await self._orchestrator.describe()).process_types)})

    async def agents(self) -> str:
        return _document({"agents": _payloads((await self._orchestrator.describe()).agents)})

    async def contract(self, name: str, version: str) -> str:
        try:
            return _one((await self._orchestrator.describe(contract=f"{name}@{version}")).contract, name, version)
        except RefusedError as refused:
            if refused.code != "UNKNOWN_CONTRACT":
                raise
            return await self.process_type(name, version)

    async def process_type(self, name: str, version: str) -> str:
        return _one((await self._orchestrator.describe(f"{name}@{version}")).process_type, name, version)

    async def state(self, process_id: str) -> str:
        return _document((await self._orchestrator.state(process_id, caller=self._caller)).payload())

    async def trace(self, process_id: str) -> str:
        """One entry a line."""
        return "".join([f"{_line(entry)}\n" async for entry in self._entries(process_id)])

    async def step_body(self, process_id: str, step: str, part: Literal["input", "output"]) -> str:
        return _document(await self._orchestrator.step_body(process_id, step, part, caller=self._caller))

    async def diagram(self, process_id: str) -> str:
        return await self._orchestrator.diagram(process_id, caller=self._caller)

    async def report(self, process_id: str) -> str:
        return await self._orchestrator.report(process_id, caller=self._caller)

    async def escalation(self, escalation_id: str) -> str:
        return _document((await self._orchestrator.escalation(escalation_id, caller=self._caller)).payload())

    async def _entries(self, process_id: str) -> AsyncIterator[TraceEntry]:
        after: int | None = 0
        while after is not None:
            page = await self._orchestrator.trace(process_id, after=after, limit=_PAGE, caller=self._caller)
            for entry in page.entries:
                yield entry
            after = page.next_after


class Completer:
    """Values that a part of an address or a prompt's argument may take."""

    def __init__(self, orchestrator: Orchestrator, caller: Caller) -> None:
        self._orchestrator, self._caller = orchestrator, caller

    async def values(self, address: str, argument: str, typed: str, known: dict[str, str]) -> tuple[str, ...]:
        """Those that begin with `typed`, newest first or by name. `known` are the parts filled in before."""
        match argument:
            case "process_id":
                page = await self._orchestrator.processes(limit=_PAGE, caller=self._caller)
                found: Iterable[str] = [row.process_id for row in page.processes]
            case "escalation_id":
                open_ones = await self._orchestrator.escalations(limit=_PAGE, caller=self._caller)
                found = [row.escalation_id for row in open_ones.escalations]
            case "name":
                found = [name for name, _ in await self._definitions(address)]
            case "version":
                found = [version for name, version in await self._definitions(address) if name == known.get("name")]
            case "step":
                found = await self._steps(known.get("process_id", ""))
            case _:
                found = ()
        return tuple(dict.fromkeys(value for value in found if value.startswith(typed)))

    async def _definitions(self, address: str) -> list[tuple[str, str]]:
        index = await self._orchestrator.describe()
        rows = [(row.name, row.version) for row in index.process_types or []]
        if address.startswith("contracts:"):
            rows = [*((row.name, row.version) for row in index.contracts or []), *rows]
        return rows

    async def _steps(self, process_id: str) -> list[str]:
        try:
            view = await self._orchestrator.state(process_id, caller=self._caller)
        except RefusedError:
            return []  # an id that is not complete yet has no steps to offer
        return [step.id for step in view.steps]


def _one(view: Any, name: str, version: str) -> str:
    """A definition found under `name`, if it is the version asked for: an address never answers with another one."""
    if view is None or view.version != version:
        raise RefusedError(
            "UNKNOWN_CONTRACT",
            f"there is no {name} {version} here.",
            do="read contracts://index or call describe_agents.",
        )
    return _document(view.payload())


def _payloads(views: Iterable[View] | None) -> list[dict[str, Any]]:
    return [view.payload() for view in views or ()]


def _document(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _line(entry: TraceEntry) -> str:
    return _document(entry.payload())
