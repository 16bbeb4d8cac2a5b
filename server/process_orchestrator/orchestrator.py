"""The use cases that the doors offer: one method per tool, and nothing a door would have to know beside them.

It checks what comes from outside against the pinned definitions, hands it to the host, and renders views. It decides
nothing that the core decides, stores nothing itself, and knows no protocol. Above it stand the doors, below it `Host`.
Every method raises RefusedError for what cannot be done, and lets EngineError and StorageError pass.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from process_orchestrator.core.facts.values import Assurance
from process_orchestrator.core.ports import Host, Proof
from process_orchestrator.views.models import (
    Caller,
    CheckReportView,
    Description,
    ErrorView,
    EscalationPage,
    EscalationView,
    ProcessPage,
    ProcessView,
    Resolution,
    ResolveRequest,
    SubmitRequest,
    TracePage,
    Validation,
    WhyView,
)

if TYPE_CHECKING:
    from process_orchestrator.checking.compiled import Compiler
    from process_orchestrator.checking.registry import Registry
    from process_orchestrator.core.errors import OrchestratorError

LOCAL = Caller()


@dataclass(frozen=True, kw_only=True)
class AgentHealth:
    """What is known of a running agent: `health` up, down or idle; `circuit` closed, open or half_open."""

    health: str
    circuit: str = "closed"
    last_error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the use cases must know of their installation.

    `reviewers_exist` is asked at each `needs_human`; `agents_health` at each `describe`; `models` is "rules" where no
    model is configured; `console_url` the address of the console where one is served.
    """

    server_floor: Assurance = Assurance.A0
    models: str = "rules"
    console_url: str | None = None
    reviewers_exist: Callable[[], bool] = lambda: False
    agents_health: Callable[[], Mapping[str, AgentHealth]] = dict


class Orchestrator:
    def __init__(
        self,
        host: Host,
        registry: Callable[[], Registry],
        compiler: Compiler,
        *,
        surroundings: Surroundings | None = None,
    ) -> None:
        self._host, self._registry, self._compiler = host, registry, compiler
        self._surroundings = surroundings or Surroundings()

    async def submit(self, request: SubmitRequest, *, caller: Caller = LOCAL) -> ProcessView:
        """Start a process, or meet the one that its idempotency key already names."""
        raise NotImplementedError

    async def state(
        self,
        process_id: str,
        *,
        wait_s: float = 0,
        since: int | None = None,
        include: Sequence[str] = (),
        caller: Caller = LOCAL,
    ) -> ProcessView:
        """Where a process stands. Waits at most `wait_s` (25) for a version over `since`."""
        raise NotImplementedError

    async def trace(
        self,
        process_id: str,
        *,
        step: str | None = None,
        kind: str | None = None,
        data: bool = False,
        after: int = 0,
        limit: int = 20,
        caller: Caller = LOCAL,
    ) -> TracePage:
        """What happened, oldest first."""
        raise NotImplementedError

    async def resolve(self, request: ResolveRequest, *, proof: Proof, caller: Caller = LOCAL) -> Resolution:
        """Let a person's decision enter, once its data keep the pinned contract."""
        raise NotImplementedError

    async def escalations(
        self,
        *,
        status: Literal["open", "resolved", "all"] = "open",
        process_id: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
        caller: Caller = LOCAL,
    ) -> EscalationPage:
        """Questions to people, the most urgent first."""
        raise NotImplementedError

    async def escalation(self, escalation_id: str, *, caller: Caller = LOCAL) -> EscalationView:
        """One question with its whole package."""
        raise NotImplementedError

    async def processes(
        self,
        *,
        status: str | None = None,
        process_type: str | None = None,
        label: str | None = None,
        since: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
        caller: Caller = LOCAL,
    ) -> ProcessPage:
        """Processes, newest first. `since` is an RFC 3339 time."""
        raise NotImplementedError

    async def cancel(self, process_id: str, reason: str, *, caller: Caller = LOCAL) -> ProcessView:
        """Stop a process for good; of an ended one its view, with a warning."""
        raise NotImplementedError

    async def describe(
        self, process_type: str | None = None, *, contract: str | None = None, agent: str | None = None
    ) -> Description:
        """What can be done here: an index, or one definition whole."""
        raise NotImplementedError

    async def validate(
        self,
        *,
        contract: str | None = None,
        version: str | None = None,
        direction: str | None = None,
        payload: Any = None,
        definition: str | None = None,
    ) -> Validation:
        """Check a payload against a contract, or the text of a definition. Stores nothing."""
        raise NotImplementedError

    async def check(self) -> CheckReportView:
        """The problems of all definition files, and the verdicts of all plans."""
        raise NotImplementedError

    async def report(self, process_id: str, *, caller: Caller = LOCAL) -> str:
        """The closing report in Markdown."""
        raise NotImplementedError

    async def diagram(self, process_id: str, *, caller: Caller = LOCAL) -> str:
        """The plan as a Mermaid flowchart with live status."""
        raise NotImplementedError

    async def why(self, process_id: str, *, caller: Caller = LOCAL) -> WhyView:
        """The call that made a process fail or wait."""
        raise NotImplementedError

    async def step_body(
        self, process_id: str, step: str, part: Literal["input", "output"], *, caller: Caller = LOCAL
    ) -> Any:
        """The whole input or output of a step or unit, masked; what views cut is read here."""
        raise NotImplementedError

    def changes(self, process_id: str, *, caller: Caller = LOCAL) -> AsyncIterator[ProcessView]:
        """A view at once and after every change, until the process ends or needs a person."""
        raise NotImplementedError

    def error_view(self, error: OrchestratorError) -> ErrorView:
        """The structured form of an error."""
        raise NotImplementedError
