"""Writes homes as a newcomer would, in YAML by the page of formats, and runs a process type in them for real."""

from __future__ import annotations

import re
import textwrap
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from process_orchestrator.assemble import open_orchestrator
from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.core.ports import Proof, ProofKind
from process_orchestrator.home import Home
from process_orchestrator.orchestrator import Orchestrator
from process_orchestrator.settings import Settings
from process_orchestrator.views.models import ProcessView, Resolution, ResolveRequest, SubmitRequest, TraceEntry

PROGRAMS: Final = Path(__file__).parent / "agents"
ASSERTED: Final = Proof(kind=ProofKind.ARGUMENT, principal="local")
ENDS: Final = re.compile(r"^(contract|process|agent): ([a-z0-9_.]+)", re.MULTILINE)


def write_home(folder: Path, definitions: str) -> Home:
    """A home with each of the definitions, divided by lines of three dashes, in a file of its own."""
    home = Home(path=folder / "home", state=folder / "home" / "state")
    for place in ("contracts", "agents_registry"):
        (home.path / place).mkdir(parents=True)
    for text in textwrap.dedent(definitions).split("\n---\n"):
        found = ENDS.search(text)
        assert found is not None, text
        kind, name = found.groups()
        place = "agents_registry" if kind == "agent" else "contracts"
        written = text.replace("CLERK", str(PROGRAMS / "clerk.py")).replace("SHOP", str(PROGRAMS / "shop.py"))
        (home.path / place / f"{name}.{kind}.yaml").write_text(written, encoding="utf-8")
    return home


def problems(home: Home) -> list[str]:
    """What `check` says of a home: of each problem its level, file, pointer, message and fix."""
    registry = load_home(home.path)
    found = [*registry.problems]
    for each in registry.processes:
        found += registry.plan(each, server_floor=Settings().assurance.floor).problems
    return [f"{each.level} {each.code} {each.file} {each.pointer}: {each.message} Fix: {each.fix}" for each in found]


class Use:
    """An open home, used by a person that need not prove who he is."""

    def __init__(self, orchestrator: Orchestrator, home: Home) -> None:
        self.orchestrator, self.home = orchestrator, home

    async def run(self, process_type: str, given: dict[str, Any] | None = None, **rest: Any) -> ProcessView:
        """Submit and wait for the end or a question."""
        request = SubmitRequest(process_type=process_type, input=given or {}, wait_s=20, **rest)
        return await self.orchestrator.submit(request)

    async def decide(self, view: ProcessView, decision: str, data: Any = None) -> Resolution:
        """Answer the first question of a process."""
        name = view.escalations[0].escalation_id
        request = ResolveRequest(escalation_id=name, decision=decision, data=data)
        return await self.orchestrator.resolve(request, proof=ASSERTED)

    async def settled(self, view: ProcessView) -> ProcessView:
        """The process at its end or its next question."""
        latest = view
        async for change in self.orchestrator.changes(view.process_id):
            latest = change
        return latest

    async def decided(self, view: ProcessView, decision: str, data: Any = None) -> ProcessView:
        """Answer the first question, and wait for the end or the next one."""
        assert (await self.decide(view, decision, data)).status == "resolved"
        return await self.settled(view)

    async def trace(self, view: ProcessView, step: str | None = None) -> list[TraceEntry]:
        page = await self.orchestrator.trace(view.process_id, step=step, data=step is not None, limit=100)
        return page.entries


@asynccontextmanager
async def opened(home: Home) -> AsyncGenerator[Use]:
    """The home in use. A definition that does not load would make a test pass or fail for the wrong reason."""
    told = [line for line in problems(home) if line.startswith("error")]
    assert not told, "\n".join(told)
    async with open_orchestrator(home, Settings()) as orchestrator:
        yield Use(orchestrator, home)
