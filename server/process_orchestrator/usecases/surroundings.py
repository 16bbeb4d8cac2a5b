"""What the use cases must know of their installation, and what they share. Built by `assemble`, read only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from process_orchestrator.core.facts.values import Assurance
from process_orchestrator.core.ports import AgentHealth
from process_orchestrator.llm.port import Model, NoModel, told
from process_orchestrator.views.escalation_view import Places

if TYPE_CHECKING:
    from process_orchestrator.checking.loading.registry import Registry
    from process_orchestrator.checking.plans.compiled import Compiler
    from process_orchestrator.core.ports import Host
    from process_orchestrator.usecases.bodies import BodyReader
    from process_orchestrator.usecases.run_history import RunHistory


async def _nobody() -> Mapping[str, AgentHealth]:
    """No agent has been called."""
    return {}


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """`reviewers_exist` is asked at each `needs_human`, `agents_health` at each `describe`.

    `model` is the way to the configured models; `console_url` the address of the console where one is served.
    """

    server_floor: Assurance = Assurance.A0
    model: Model = field(default_factory=NoModel)
    console_url: str | None = None
    reviewers_exist: Callable[[], bool] = lambda: False
    agents_health: Callable[[], Awaitable[Mapping[str, AgentHealth]]] = _nobody

    @property
    def models(self) -> str:
        """Which models are set up, in words: "rules" where none is."""
        return told(self.model)

    @property
    def places(self) -> Places:
        return Places(console_url=self.console_url)


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """What every use case works with."""

    host: Host
    registry: Callable[[], Registry]
    compiler: Compiler
    bodies: BodyReader
    runs: RunHistory
    surroundings: Surroundings
