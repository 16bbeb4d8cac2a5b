"""The use cases that the doors offer: one method per tool, and nothing a door would have to know beside them.

It checks what comes from outside against the pinned definitions, hands it to the host, and renders views. It decides
nothing that the core decides, stores nothing itself, and knows no protocol. Above it stand the doors, below it `Host`.
Every method raises RefusedError for what cannot be done, and lets EngineError and StorageError pass.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.ports import AgentHealth, Host, ProcessQuery, Proof
from process_orchestrator.usecases.bodies import BodyReader
from process_orchestrator.usecases.deciding import Decider
from process_orchestrator.usecases.definitions import Definitions
from process_orchestrator.usecases.reading import Reader
from process_orchestrator.usecases.redrive_request import RedriveRequest
from process_orchestrator.usecases.run_history import RunHistory
from process_orchestrator.usecases.submitting import Submitter
from process_orchestrator.usecases.surroundings import Surroundings, Workplace
from process_orchestrator.views.diagram import diagram
from process_orchestrator.views.error_view import error_view
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
from process_orchestrator.views.process_view import steps_view

if TYPE_CHECKING:
    from process_orchestrator.checking.loading.registry import Registry
    from process_orchestrator.checking.plans.compiled import Compiler
    from process_orchestrator.core.errors import OrchestratorError
    from process_orchestrator.usecases.estimating import Estimator
    from process_orchestrator.usecases.redriving import Redriver
    from process_orchestrator.views.estimate_models import EstimateRequest, EstimateView, HistoryView
    from process_orchestrator.views.plan_ahead import PlanAheadView, PlanRequest
    from process_orchestrator.views.replay_view import ReplayView

__all__ = ["AgentHealth", "Orchestrator", "RedriveRequest", "Surroundings"]

LOCAL: Final = Caller()


class Orchestrator:
    def __init__(
        self,
        host: Host,
        registry: Callable[[], Registry],
        compiler: Compiler,
        *,
        surroundings: Surroundings | None = None,
    ) -> None:
        workplace = Workplace(
            host=host,
            registry=registry,
            compiler=compiler,
            bodies=BodyReader(host, compiler),
            runs=RunHistory(host),
            surroundings=surroundings or Surroundings(),
        )
        self._reader = Reader(workplace)
        self._submitter = Submitter(workplace, self._reader)
        self._decider = Decider(workplace, self._reader, self._submitter)
        self._workplace = workplace
        self._definitions = Definitions(workplace)

    async def submit(self, request: SubmitRequest, *, caller: Caller = LOCAL) -> ProcessView:
        """Start a process, or meet the one that its idempotency key already names."""
        return await self._submitter.submit(request, caller)

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
        return await self._reader.state(process_id, wait_s=wait_s, since=since, include=include, caller=caller)

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
        only = (step, kind)
        return await self._reader.trace(process_id, only=only, data=data, after=after, limit=limit, caller=caller)

    async def resolve(self, request: ResolveRequest, *, proof: Proof, caller: Caller = LOCAL) -> Resolution:
        """Let a person's decision enter, once its data keep the pinned contract."""
        return await self._decider.resolve(request, proof, caller)

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
        return await self._reader.questions(
            status=status, process_id=process_id, limit=limit, cursor=cursor, caller=caller
        )

    async def escalation(self, escalation_id: str, *, caller: Caller = LOCAL) -> EscalationView:
        """One question with its whole package."""
        _, view = await self._reader.question(escalation_id, caller)
        return view

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
        query = ProcessQuery(status=status, process_type=process_type, label=label, limit=limit, cursor=cursor)
        return await self._reader.processes(query, since=since, caller=caller)

    async def cancel(self, process_id: str, reason: str, *, caller: Caller = LOCAL) -> ProcessView:
        """Stop a process for good; of an ended one its view, with a warning."""
        return await self._decider.cancel(process_id, reason, caller)

    def _redriver(self) -> Redriver:
        # As in `replay`: loaded where it is needed.
        from process_orchestrator.usecases.redriving import Redriver  # noqa: PLC0415

        return Redriver(self._workplace, self._reader, self._submitter)

    async def redrive(self, request: RedriveRequest, *, caller: Caller = LOCAL) -> ProcessView:
        """Take an ended process up in a new one: what was done is taken over, the rest runs."""
        return await self._redriver().redrive(request, caller)

    async def unfinished(self, label: str, *, status: str = "failed", caller: Caller = LOCAL) -> tuple[str, ...]:
        """The ended processes of a label that no redrive has taken up yet, oldest first."""
        return await self._redriver().unfinished(label, status, caller)

    async def replay(
        self, ids: Sequence[str] = (), *, registry: Registry | None = None, caller: Caller = LOCAL
    ) -> ReplayView:
        """Recorded processes, or all, decided anew without a call; by the definitions of `registry` where given."""
        # The rooms that build arguments are loaded where they are needed: most commands only look.
        from process_orchestrator.usecases.replaying import Replayer  # noqa: PLC0415

        return await Replayer(self._workplace, self._reader, self._submitter).replay(ids, caller, registry)

    def _estimator(self) -> Estimator:
        # As in `replay`: loaded where it is needed.
        from process_orchestrator.usecases.estimating import Estimator  # noqa: PLC0415

        return Estimator(self._workplace)

    async def estimate(self, request: EstimateRequest, *, caller: Caller = LOCAL) -> EstimateView:
        """What a process, or any number of cases, would cost. Starts nothing; no model is asked unless `plan`."""
        return await self._estimator().estimate(request, caller)

    async def plan(self, request: PlanRequest) -> PlanAheadView:
        """The plan that a task would be done by, and its check. Starts nothing; asks a model where one must make it."""
        # As in `replay`: loaded where it is needed.
        from process_orchestrator.usecases.planning import PlanAhead  # noqa: PLC0415

        return await PlanAhead(self._workplace).ahead(request)

    async def history(self, process_type: str | None = None, *, caller: Caller = LOCAL) -> HistoryView:
        """What earlier runs took, by type and version, and how what was said before each held."""
        return await self._estimator().history(process_type, caller)

    async def describe(
        self, process_type: str | None = None, *, contract: str | None = None, agent: str | None = None
    ) -> Description:
        """What can be done here: an index, or one definition whole."""
        return await self._definitions.describe(process_type, contract, agent)

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
        if definition is not None:
            return await self._definitions.validate_text(definition)
        if contract is None:
            raise RefusedError(
                "BAD_ARGUMENT", "neither contract nor definition is given.", do="give contract, direction and payload."
            )
        return self._definitions.validate_payload(contract, version, direction, payload)

    async def check(self) -> CheckReportView:
        """The problems of all definition files, and the verdicts of all plans."""
        return self._definitions.check()

    async def report(self, process_id: str, *, caller: Caller = LOCAL) -> str:
        """The closing report in Markdown."""
        return await self._reader.report(await self._reader.find(process_id, caller))

    async def diagram(self, process_id: str, *, caller: Caller = LOCAL) -> str:
        """The plan as a Mermaid flowchart with live status."""
        state = await self._reader.find(process_id, caller)
        return diagram(state, steps_view(state))

    async def why(self, process_id: str, *, caller: Caller = LOCAL) -> WhyView:
        """The call that made a process fail or wait."""
        return await self._reader.why(process_id, caller)

    async def step_body(
        self, process_id: str, step: str, part: Literal["input", "output"], *, caller: Caller = LOCAL
    ) -> Any:
        """The whole input or output of a step or unit, masked; what views cut is read here."""
        return await self._reader.step_body(process_id, step, part, caller)

    def changes(self, process_id: str, *, caller: Caller = LOCAL) -> AsyncGenerator[ProcessView]:
        """A view at once and after every change, until the process ends or needs a person."""
        return self._reader.changes(process_id, caller)

    def error_view(self, error: OrchestratorError) -> ErrorView:
        """The structured form of an error."""
        return error_view(error)
