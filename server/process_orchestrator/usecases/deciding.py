"""The use cases by which people act on a running process: resolve a question, cancel.

What is asked is looked at before what is answered: who comes late learns who won, whatever his answer was. How sure it
is that a person decided is derived by the engine from the proof; nothing here states it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from process_orchestrator.core.assurance import sufficient
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts.events import CancelRequested, EscalationResolved
from process_orchestrator.core.facts.values import Assurance, Decision
from process_orchestrator.core.ports import Bodies
from process_orchestrator.usecases.decision_data import DataReader
from process_orchestrator.usecases.identifiers import shown
from process_orchestrator.views.escalation_view import answer_action, how_to_decide, recorded
from process_orchestrator.views.models import NextAction, Resolution
from process_orchestrator.views.next_actions import next_actions
from process_orchestrator.views.process_view import ENDED, Extras

if TYPE_CHECKING:
    from process_orchestrator.core.facts.state import Escalation, Process
    from process_orchestrator.core.ports import Proof
    from process_orchestrator.usecases.reading import Reader
    from process_orchestrator.usecases.submitting import Submitter
    from process_orchestrator.usecases.surroundings import Workplace
    from process_orchestrator.views.models import Caller, EscalationView, ProcessView, ResolveRequest

NOTE_CHARACTERS_MAX: Final = 2000
REQUEST_ID_BYTES: Final = 16
NO_REVIEWER: Final = (
    "No reviewer exists. Do: ask the user to run `orchestrator reviewers add NAME` in a terminal, then to decide there."
)
NO_PASSKEY: Final = (
    "This needs a passkey, which this installation cannot verify yet: the question can be rejected or aborted, not "
    "approved."
)


class Decider:
    def __init__(self, workplace: Workplace, reader: Reader, submitter: Submitter) -> None:
        self._host, self._around, self._reader = workplace.host, workplace.surroundings, reader
        self._data = DataReader(workplace, submitter)

    async def resolve(self, request: ResolveRequest, proof: Proof, caller: Caller) -> Resolution:
        state, view = await self._reader.question(request.escalation_id, caller)
        process_id = view.process_id
        if process_id in caller.lineage:
            raise RefusedError(
                "LINEAGE_REFUSED",
                f"process {process_id} asked for this work, so its own questions are not for it to answer.",
                do="leave the question to a person.",
            )
        escalation = state.escalations[view.escalation_id]
        if not escalation.open:
            raise _already(view)
        if request.decision is None or not request.decision.strip():
            return self._waiting(state, view, request)
        if request.version is not None and request.version != escalation.version:
            raise RefusedError(
                "VERSION_CONFLICT",
                f"{escalation.id} has version {escalation.version}, not {request.version}.",
                do="read it again with list_escalations, show it to the user, and decide on what it says now.",
                details={"record": view},
            )
        decision = _decision(request.decision, escalation, view)
        answered = await self._data.read(state, escalation, decision, request.data)
        event = EscalationResolved(
            at=0,
            escalation=escalation.id,
            version=request.version,
            decision=decision,
            data=answered.data,
            checked=answered.checked,
            agent=answered.agent,
            usd_micros=answered.usd_micros,
            reject_items=answered.reject_items,
            fresh_key=answered.fresh_key,
            process_type=answered.process_type,
            plan=answered.plan,
            budget=answered.budget,
            limits=answered.limits,
            note=_note(request.note),
            request_id=secrets.token_hex(REQUEST_ID_BYTES),
        )
        try:
            after = await self._host.deliver(
                process_id, event, answered.bodies, request_id=event.request_id, proof=proof
            )
        except RefusedError as refused:
            return await self._refused(refused, request, state, caller)
        return await self._recorded(after, request, caller)

    # --- answers -----------------------------------------------------------------------------------------------

    async def _recorded(self, state: Process, request: ResolveRequest, caller: Caller) -> Resolution:
        fresh, view = await self._reader.question(request.escalation_id, caller)
        state = fresh if fresh.seq > state.seq else state
        resolution = state.escalations[view.escalation_id].resolution
        return Resolution(
            status="resolved",
            escalation=view,
            process_id=view.process_id,
            process_status=state.status.value,
            recorded=recorded(resolution) if resolution is not None else None,
            next_actions=next_actions(state, (await self._reader.view(state)).escalations),
            warnings=list(request.warnings),
        )

    def _waiting(self, state: Process, view: EscalationView, request: ResolveRequest) -> Resolution:
        """The package, so that it can be shown; nothing was decided."""
        return Resolution(
            status="still_waiting",
            escalation=view,
            process_id=view.process_id,
            process_status=state.status.value,
            next_actions=[answer_action(view)],
            warnings=list(request.warnings),
        )

    async def _refused(
        self, refused: RefusedError, request: ResolveRequest, state: Process, caller: Caller
    ) -> Resolution:
        """A `needs_human` is an answer; every other refusal of the engine gets the record as it stands now."""
        if refused.code == "NEEDS_HUMAN":
            return await self._needs_human(refused, request, state, caller)
        if refused.code not in ("ALREADY_RESOLVED", "VERSION_CONFLICT", "DECISION_NOT_ALLOWED"):
            raise refused
        _, view = await self._reader.question(request.escalation_id, caller)
        if refused.code == "ALREADY_RESOLVED":
            raise _already(view) from refused
        raise RefusedError(refused.code, refused.message, do=refused.do, details={"record": view}) from refused

    async def _needs_human(
        self, refused: RefusedError, request: ResolveRequest, state: Process, caller: Caller
    ) -> Resolution:
        _, view = await self._reader.question(request.escalation_id, caller)
        escalation = state.escalations[view.escalation_id]
        required = Assurance(str(refused.details.get("required", escalation.min_assurance.value)))
        message = None
        if required is Assurance.A3:
            message = NO_PASSKEY
        elif not sufficient(Assurance.A1, required) and not self._around.reviewers_exist():
            message = NO_REVIEWER
        ways = [] if required is Assurance.A3 else how_to_decide(escalation, required, self._around.places)
        tell = NextAction(
            command=ways[0].command if ways else None,
            reason="Give the user this command and stop; repeating the call does not help.",
        )
        return Resolution(
            status="needs_human",
            escalation=view,
            process_id=view.process_id,
            process_status=state.status.value,
            required=required.value,
            how=ways,
            expires_at=view.deadline_at,
            message=message,
            next_actions=[tell] if ways else [],
            warnings=list(request.warnings),
        )

    # --- cancel ------------------------------------------------------------------------------------------------

    async def cancel(self, process_id: str, reason: str, caller: Caller) -> ProcessView:
        state = await self._reader.find(process_id, caller)
        name = state.spec.process_id
        if name in caller.lineage:
            raise RefusedError(
                "LINEAGE_REFUSED", f"process {name} asked for this work.", do="leave the decision to a person."
            )
        whole = caller.channel == "cli"
        if state.status in ENDED:
            warning = f"It was {state.status.value} already; nothing was cancelled."
            return await self._reader.view(state, extras=Extras(warnings=[warning], whole=whole))
        said = reason.strip()[:NOTE_CHARACTERS_MAX]
        if not said:
            raise RefusedError("BAD_ARGUMENT", "reason is empty.", do="say in the user's words why it is cancelled.")
        event = CancelRequested(at=0, by=caller.principal, reason=said, request_id=secrets.token_hex(REQUEST_ID_BYTES))
        after = await self._host.deliver(name, event, Bodies(), request_id=event.request_id, proof=None)
        return await self._reader.view(after, extras=Extras(whole=whole))


def _decision(text: str, escalation: Escalation, view: EscalationView) -> Decision:
    """One of the offered decisions; capitals, blanks and hyphens do not matter."""
    word = text.strip().strip("\"'`").lower().replace("-", "_").replace(" ", "_")
    offered = [each.value for each in escalation.decisions]
    if word not in offered:
        raise RefusedError(
            "DECISION_NOT_ALLOWED",
            f"{shown(text)} is not offered by {escalation.id}.",
            do=f"use one of {', '.join(offered)}.",
            details={"record": view, "nearest": offered},
        )
    return Decision(word)


def _note(text: str | None) -> str | None:
    said = (text or "").strip()
    if len(said) > NOTE_CHARACTERS_MAX:
        raise RefusedError("TOO_LARGE", f"note has {len(said)} characters.", do=f"send at most {NOTE_CHARACTERS_MAX}.")
    return said or None


def _already(view: EscalationView) -> RefusedError:
    """Who comes late learns who won."""
    answer = view.resolution
    how = f"{answer.decision} by {answer.by} at {answer.at}" if answer else "withdrawn, since its process ended"
    return RefusedError(
        "ALREADY_RESOLVED",
        f"{view.escalation_id} was settled before: {how}.",
        do=f"call get_state with process_id {view.process_id}.",
        details={"record": view},
    )
