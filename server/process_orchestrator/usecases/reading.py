"""The use cases that change nothing: state, trace, questions, listings, report, diagram, why."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from process_orchestrator.checking.plans.fit import called
from process_orchestrator.checking.schemas.nearest import nearest
from process_orchestrator.core.errors import OrchestratorError, RefusedError
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.values import Phase, Status
from process_orchestrator.core.limits import TOOL_CALL_S_MAX
from process_orchestrator.core.ports import EscalationQuery, ProcessQuery
from process_orchestrator.core.status import settled as is_settled
from process_orchestrator.core.trace import EntryKind, Numbered, about, agents_of, kind_of
from process_orchestrator.usecases.bodies import step_facts
from process_orchestrator.usecases.explaining import Explainer
from process_orchestrator.usecases.identifiers import read_escalation_id, read_name, read_process_id, shown
from process_orchestrator.views.diagram import diagram
from process_orchestrator.views.escalation_view import escalation_view
from process_orchestrator.views.formats import epoch_ms
from process_orchestrator.views.model_spend import model_spend
from process_orchestrator.views.models import Caller, EscalationPage, NextAction, ProcessPage, TracePage
from process_orchestrator.views.next_actions import Below, see_question, see_trace
from process_orchestrator.views.plan_view import plan_view
from process_orchestrator.views.process_view import ENDED, Extras, process_row, process_view, steps_view
from process_orchestrator.views.report import Told, report
from process_orchestrator.views.simpler import instead_of
from process_orchestrator.views.trace_view import Known, trace_entry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from process_orchestrator.core.facts.specs import PlanFacts
    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.usecases.surroundings import Workplace
    from process_orchestrator.views.models import EscalationView, ProcessView, Simpler, TraceEntry, WhyView

CHILDREN_LOOKED_AT: Final = 5
"""Processes below one that are looked into for questions, at most."""
HELD_S: Final = 2.0
"""A poll that asks without waiting and has seen the newest version is held so long: it would only ask again."""

WRITTEN_S_MAX: Final = 5
"""How long an engine may take to write the evidence of a question that was opened while none ran."""

LIMIT_MAX: Final = 100
LOOK_BACK: Final = 500
"""Events before a page that are read to learn which agent its calls went to."""

REPORT_EVENTS_MAX: Final = 20_000
WHOLE_PROCESS: Final = "-"
KINDS: Final = tuple(kind.value for kind in EntryKind)
INCLUDES: Final = ("plan", "report", "diagram")
STATUSES: Final = tuple(status.value for status in Status)
GOING_ON: Final = (Status.QUEUED, Status.RUNNING)
ASKED: Final = ("open", "resolved", "all")


class Reader:
    """Reads processes of one host for one caller at a time; keeps nothing."""

    def __init__(self, workplace: Workplace) -> None:
        self._host, self._bodies, self._around = workplace.host, workplace.bodies, workplace.surroundings
        self._runs, self._workplace = workplace.runs, workplace
        self._explainer = Explainer(workplace.bodies)

    # --- one process -------------------------------------------------------------------------------------------

    async def find(self, process_id: str, caller: Caller) -> Process:
        """The state of a process that this caller may see. Raises RefusedError UNKNOWN_PROCESS."""
        try:
            name = read_process_id(process_id)
        except RefusedError as unreadable:
            raise await self._unknown("", unreadable.message, caller) from None
        message = f"there is no process {name} here."
        try:
            state = await self._host.state(name)
        except RefusedError as refused:
            if refused.code != "UNKNOWN_PROCESS":
                raise
            raise await self._unknown(name, message, caller) from None
        if not _visible(state.spec.principal, caller):
            raise await self._unknown(name, message, caller)
        return state

    async def _unknown(self, name: str, message: str, caller: Caller) -> RefusedError:
        """Names at most three processes that begin alike, else the newest three."""
        principal = _principal(caller)
        page = await self._host.processes(ProcessQuery(prefix=name[:5], principal=principal, limit=3))
        if not page.items:
            page = await self._host.processes(ProcessQuery(principal=principal, limit=3))
        near = [row.process_id for row in page.items]
        return RefusedError(
            "UNKNOWN_PROCESS",
            message,
            do=f"call list_processes; the nearest are {', '.join(near)}." if near else "call list_processes.",
            details={"nearest": near},
        )

    async def view(self, state: Process, *, extras: Extras | None = None) -> ProcessView:
        if state.status in GOING_ON and await self._is_set_aside(state.spec.process_id):
            extras = replace(extras or Extras(), set_aside=True)
        if state.plan is not None and state.plan.fit is not None and state.plan.fit.simpler:
            extras = replace(extras or Extras(), simpler=await self._simpler(state, state.plan))
        bodies, below = await self._bodies.process(state), await self._below(state, CHILDREN_LOOKED_AT)
        return process_view(state, bodies, places=self._around.places, extras=extras, below=below)

    async def _simpler(self, state: Process, plan: PlanFacts) -> list[Simpler]:
        """What would do instead of the plan, at the price of its contract and the time that earlier runs took."""
        step, kind = called(plan), state.spec.type
        price = None
        if step is not None and step.contract is not None:
            price = (await self._bodies.contract(step.contract.sha256)).contract.price_usd_micros
        usual = None if kind is None else await self._runs.usual_ms(kind.name, principal=state.spec.principal)
        return instead_of(plan, usd_micros=price, ms=usual)

    async def _below(self, state: Process, most: int) -> list[Below]:
        """The processes that this one waits for, and theirs: a question there is why nothing goes on here."""
        waiting = [unit for unit in state.units.values() if unit.child is not None and unit.phase is Phase.CALLING]
        found: list[Below] = []
        for unit in waiting[:most]:
            try:
                child = await self._host.state(unit.child or "")
            except RefusedError:  # it is about to begin
                continue
            asked = [each for each in child.escalations.values() if each.open]
            at = {"step": unit.step, "process_id": child.spec.process_id}
            found += [Below(**at, escalation_id=each.id, kind=each.kind.value) for each in asked]
            found += [] if asked else [Below(**at)]
            found += await self._below(child, most - len(found))
        return found[:most]

    async def _is_set_aside(self, process_id: str) -> bool:
        page = await self._host.processes(ProcessQuery(prefix=process_id, limit=1))
        return any(row.set_aside for row in page.items)

    async def state(
        self, process_id: str, *, wait_s: float, since: int | None, include: Sequence[str], caller: Caller
    ) -> ProcessView:
        unknown = [each for each in include if each not in INCLUDES]
        if unknown:
            raise RefusedError(
                "BAD_ARGUMENT", f"include has no {shown(unknown[0])}.", do=f"use any of {', '.join(INCLUDES)}."
            )
        warnings: list[str] = []
        state = await self.find(process_id, caller)
        if wait_s > TOOL_CALL_S_MAX:
            warnings.append(f"wait_s was lowered from {wait_s:g} to {TOOL_CALL_S_MAX}, the longest wait.")
        if since is not None and since > state.seq:
            warnings.append(f"since was {since}, but the newest version is {state.seq}.")
        state = await self._changed(state, wait_s=min(max(wait_s, 0.0), TOOL_CALL_S_MAX), since=since)
        wanted = {
            "plan": plan_view(state) if "plan" in include else None,
            "report": await self.report(state) if "report" in include else None,
            "diagram": diagram(state, steps_view(state)) if "diagram" in include else None,
        }
        extras = Extras(warnings=warnings, whole=caller.channel == "cli", **cast("dict[str, Any]", wanted))
        return await self.view(state, extras=extras)

    async def _changed(self, state: Process, *, wait_s: float, since: int | None) -> Process:
        """The state once it is newer than `since` (without it: than now), or as it is when the wait ends."""
        if state.status in ENDED:
            return state
        seen = state.seq if since is None else since
        held = HELD_S if wait_s == 0 and since is not None else wait_s
        if held <= 0 or state.seq > seen:
            return state
        return await self._host.wait(state.spec.process_id, since=min(seen, state.seq), timeout_s=held)

    async def settled(self, state: Process, *, wait_s: float) -> Process:
        """The state once it has ended or needs a person, or as it is after `wait_s`."""
        held = min(wait_s, TOOL_CALL_S_MAX)
        if is_settled(state) or held <= 0:
            return state
        return await self._host.wait(state.spec.process_id, since=state.seq, timeout_s=held, settled=True)

    async def changes(self, process_id: str, caller: Caller) -> AsyncGenerator[ProcessView]:
        """A view now and after every change, until the process ends or needs a person."""
        state = await self.find(process_id, caller)
        while True:
            yield await self.view(state)
            seen = state.seq
            if state.status is Status.WAITING_HUMAN and _unwritten(state):
                # Opened where no engine ran: the one that runs now writes the question before anybody is asked it.
                state = await self._host.wait(state.spec.process_id, since=seen, timeout_s=WRITTEN_S_MAX)
                if state.seq > seen:
                    continue
            if state.status in (*ENDED, Status.WAITING_HUMAN):
                return
            while state.seq <= seen:
                state = await self._host.wait(state.spec.process_id, since=seen, timeout_s=TOOL_CALL_S_MAX)

    # --- trace -------------------------------------------------------------------------------------------------

    async def trace(
        self,
        process_id: str,
        *,
        only: tuple[str | None, str | None],
        data: bool,
        after: int,
        limit: int,
        caller: Caller,
    ) -> TracePage:
        """`only` is the step or unit and the kind to be shown, None for all."""
        state = await self.find(process_id, caller)
        step, kind = read_name(only[0]) if only[0] else None, only[1]
        if step is not None and step_facts(state, step) is None:
            raise _unknown_step(state, step)
        if kind is not None and kind not in KINDS:
            raise RefusedError("BAD_ARGUMENT", f"there is no kind {shown(kind)}.", do=f"use {', '.join(KINDS)}.")
        if data and step is None:
            raise RefusedError("BAD_ARGUMENT", "data is shown of one step at a time.", do="give step too.")
        limit = max(1, min(limit, LIMIT_MAX))
        agents: dict[str, str] = {}
        found: list[Numbered] = []
        async for each in self._bodies.events(state.spec.process_id, after=max(0, after - LOOK_BACK)):
            if isinstance(each.event, e.CallPrepared):
                agents[each.event.call] = each.event.agent.name
            wanted = kind is None or kind_of(each.event) == kind
            if each.seq > after and wanted and (step is None or about(each.event, step, state)):
                found.append(each)
                if len(found) > limit:
                    break
        shown_events = found[:limit]
        known = Known(state=state, agents=agents)
        entries = [
            trace_entry(
                each,
                known,
                await (self._bodies.of_event(state, each.event) if data else self._bodies.told_by(each.event)),
            )
            for each in shown_events
        ]
        more = shown_events[-1].seq if len(found) > limit else None
        asked = {"step": step, "kind": kind, "data": data or None, "limit": limit, "after": more}
        return TracePage(
            process_id=state.spec.process_id,
            entries=entries,
            next_after=more,
            next_actions=[_next_page(state, asked)] if more is not None else [],
        )

    async def _all_entries(self, state: Process) -> list[TraceEntry]:
        return await self._told(state, await self._all_events(state))

    async def _told(self, state: Process, events: Sequence[Numbered]) -> list[TraceEntry]:
        known = Known(state=state, agents=agents_of(events))
        return [trace_entry(each, known, await self._bodies.told_by(each.event)) for each in events]

    async def _all_events(self, state: Process) -> list[Numbered]:
        events: list[Numbered] = []
        async for each in self._bodies.events(state.spec.process_id):
            events.append(each)
            if len(events) >= REPORT_EVENTS_MAX:
                break
        return events

    # --- report, why, bodies -----------------------------------------------------------------------------------

    async def report(self, state: Process) -> str:
        questions = [await self._question(state, each.id, whole=True) for each in state.escalations.values()]
        events = await self._all_events(state)
        told = Told(
            trace=await self._told(state, events),
            escalations=questions,
            spend=model_spend(events),
            against=await self._against(state),
        )
        return report(state, await self.view(state), told)

    async def _against(self, state: Process) -> str | None:
        """What an ended process took beside what was to be expected; None where that cannot be said."""
        if state.status not in ENDED:
            return None
        # Late: the calculator, which only a report pays.
        from process_orchestrator.usecases.estimating import Estimator  # noqa: PLC0415
        from process_orchestrator.views.estimate_view import against_text, against_view  # noqa: PLC0415

        with suppress(OrchestratorError):
            found = await Estimator(self._workplace).against(state, Caller(principal=state.spec.principal))
            return None if found is None else against_text(against_view(found))
        return None

    async def why(self, process_id: str, caller: Caller) -> WhyView:
        state = await self.find(process_id, caller)
        set_aside = state.status in GOING_ON and await self._is_set_aside(process_id)
        return await self._explainer.why(state, await self._all_entries(state), set_aside=set_aside)

    async def step_body(self, process_id: str, step: str, part: Literal["input", "output"], caller: Caller) -> Any:
        """The whole body of a step or unit, masked; of a failed call's output the answer as received.

        The step `-` is the process itself: no step can be called so.
        """
        state = await self.find(process_id, caller)
        name = read_name(step)
        if name == WHOLE_PROCESS:
            return await self._process_body(state, part)
        unit = state.units.get(name)
        if unit is None:
            raise _unknown_step(state, name)
        ref = unit.input if part == "input" else unit.output
        if ref is not None:
            return await self._bodies.of_unit(state, unit.id, part, ref)
        if part == "output" and unit.failure is not None and unit.failure.detail is not None:
            return (await self._bodies.failure_detail(state, unit.id, unit.failure.detail)).get("answer")
        raise RefusedError(
            "UNKNOWN_STEP", f"step {name} has no {part} yet; it is {unit.phase.value}.", do="call get_state."
        )

    async def _process_body(self, state: Process, part: Literal["input", "output"]) -> Any:
        value = await (self._bodies.process_input(state) if part == "input" else self._bodies.process_output(state))
        if value is None:
            raise RefusedError("UNKNOWN_STEP", f"the process has no {part} yet.", do="call get_state.")
        return value

    # --- questions ---------------------------------------------------------------------------------------------

    async def question(self, escalation_id: str, caller: Caller) -> tuple[Process, EscalationView]:
        """A question with its whole package. Raises RefusedError UNKNOWN_ESCALATION."""
        try:
            process_id, name = read_escalation_id(escalation_id)
        except RefusedError as unreadable:
            raise await self._unknown_question(unreadable.message, caller) from None
        try:
            state = await self.find(process_id, caller)
        except RefusedError as refused:
            if refused.code != "UNKNOWN_PROCESS":
                raise
            raise await self._unknown_question(f"there is no escalation {name}.", caller) from None
        if name not in state.escalations:
            open_ones = [each.id for each in state.escalations.values() if each.open][:3]
            raise _unknown_question(f"process {process_id} has no escalation {name}.", open_ones)
        return state, await self._question(state, name, whole=True)

    async def _unknown_question(self, message: str, caller: Caller) -> RefusedError:
        """Names the three most urgent questions that are open."""
        page = await self.questions(status="open", process_id=None, limit=3, cursor=None, caller=caller)
        return _unknown_question(message, [row.escalation_id for row in page.escalations])

    async def _question(self, state: Process, name: str, *, whole: bool) -> EscalationView:
        escalation = state.escalations[name]
        bodies = await self._bodies.escalation(state, escalation, whole=whole)
        return escalation_view(state, escalation, bodies, whole=whole, places=self._around.places)

    async def questions(
        self, *, status: str, process_id: str | None, limit: int, cursor: str | None, caller: Caller
    ) -> EscalationPage:
        if status not in ASKED:
            raise RefusedError("BAD_ARGUMENT", f"there is no status {shown(status)}.", do=f"use {', '.join(ASKED)}.")
        known: dict[str, Process] = {}
        if process_id is not None:
            state = await self.find(process_id, caller)
            process_id = state.spec.process_id
            known[process_id] = state
        query = EscalationQuery(
            status=status, process_id=process_id, limit=max(1, min(limit, LIMIT_MAX)), cursor=cursor
        )
        page = await self._host.escalations(query)
        rows: list[EscalationView] = []
        for row in page.items:
            if row.process_id not in known:
                known[row.process_id] = await self._host.state(row.process_id)
            state = known[row.process_id]
            if row.escalation_id in state.escalations and _visible(state.spec.principal, caller):
                rows.append(await self._question(state, row.escalation_id, whole=False))
        return EscalationPage(escalations=rows, next_cursor=page.next, next_actions=_look_closer(rows))

    # --- listings ----------------------------------------------------------------------------------------------

    async def processes(self, query: ProcessQuery, *, since: str | None, caller: Caller) -> ProcessPage:
        if query.status is not None and query.status not in STATUSES:
            raise RefusedError(
                "BAD_ARGUMENT", f"there is no status {shown(query.status)}.", do=f"use {', '.join(STATUSES)}."
            )
        from_ms = epoch_ms(since) if since is not None else None
        if since is not None and from_ms is None:
            raise RefusedError(
                "BAD_ARGUMENT", f"since is no time: {shown(since)}.", do="write it like 2026-11-22T09:00:00Z."
            )
        page = await self._host.processes(
            ProcessQuery(
                status=query.status,
                process_type=read_name(query.process_type) if query.process_type else None,
                label=query.label,
                principal=_principal(caller),
                since=from_ms,
                limit=max(1, min(query.limit, LIMIT_MAX)),
                cursor=query.cursor,
            )
        )
        return ProcessPage(processes=[process_row(row) for row in page.items], next_cursor=page.next)


def _visible(principal: str, caller: Caller) -> bool:
    """The local user sees everything; any other principal its own processes alone."""
    return caller.principal in ("local", principal)


def _principal(caller: Caller) -> str | None:
    return None if caller.principal == "local" else caller.principal


def _next_page(state: Process, asked: dict[str, Any]) -> NextAction:
    which = {name: value for name, value in asked.items() if value is not None}
    return see_trace(state.spec.process_id, "There are more entries; this is the next page.", **which)


def _unwritten(state: Process) -> bool:
    """Whether a question is open that has no evidence package yet."""
    return any(each.open and each.package is None for each in state.escalations.values())


def _unknown_step(state: Process, name: str) -> RefusedError:
    steps = [step.id for step in state.plan.steps] if state.plan else []
    return RefusedError(
        "UNKNOWN_STEP",
        f"process {state.spec.process_id} has no step {shown(name)}.",
        do=f"use one of {', '.join(steps)}." if steps else "wait until it is planned.",
        details={"nearest": list(nearest(name, steps))},
    )


def _unknown_question(message: str, open_ones: list[str]) -> RefusedError:
    do = f"use one that is open: {', '.join(open_ones)}." if open_ones else "call list_escalations."
    return RefusedError("UNKNOWN_ESCALATION", message, do=do, details={"nearest": open_ones})


def _look_closer(rows: Iterable[EscalationView]) -> list[NextAction]:
    first = next((row for row in rows if row.status == "open"), None)
    if first is None:
        return []
    reason = "Shows the whole package; show it to the user before you ask for a decision."
    return [see_question(first.escalation_id, reason)]
