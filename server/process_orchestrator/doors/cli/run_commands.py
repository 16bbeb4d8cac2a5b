"""Commands that run and read processes: run, submit, state, trace, why, cancel, processes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.prompt import Prompt

from process_orchestrator.assemble import Mode
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.ports import Proof, ProofKind
from process_orchestrator.doors.cli.live import Watcher
from process_orchestrator.doors.cli.session import (
    EXIT_OF_STATUS,
    Exit,
    HomeOption,
    JsonOption,
    Session,
    StateOption,
    open_session,
    print_json,
    read_json_file,
    run,
)
from process_orchestrator.views import text
from process_orchestrator.views.models import ProcessView, ResolveRequest, SubmitRequest

if TYPE_CHECKING:
    from process_orchestrator.orchestrator import Orchestrator

Approval = Literal["policy", "plan", "every_step"]
InputOption = Annotated[str | None, typer.Option("--input", metavar="FILE", help="JSON object; - reads stdin.")]
LabelOption = Annotated[str | None, typer.Option("--label", help="Your own word for this work, to find it again.")]
KeyOption = Annotated[
    str | None, typer.Option("--key", help="Stable name of this piece of work: the same key meets the same process.")
]
BudgetOption = Annotated[str | None, typer.Option("--budget", metavar="USD", help="Most that it may cost.")]
ApprovalOption = Annotated[str, typer.Option("--approval", help="policy, plan or every_step.")]
ProcessArgument = Annotated[str, typer.Argument(metavar="PROCESS_ID")]


def run_command(
    what: Annotated[str, typer.Argument(metavar="TYPE|TASK", help="A process type, or a task in plain words.")],
    input_file: InputOption = None,
    task: Annotated[bool, typer.Option("--task", help="Read the argument as a task even if it names a type.")] = False,
    follow_on: Annotated[
        bool, typer.Option("--follow", help="Stay while a human is waited for, until the process has ended.")
    ] = False,
    key: KeyOption = None,
    label: LabelOption = None,
    budget: BudgetOption = None,
    approval: ApprovalOption = "policy",
    home: HomeOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a process here and now, and watch it: to its end, or to the question that a human must answer."""
    session = open_session(home, state, as_json=as_json)

    async def work() -> Exit:
        body = read_json_file(input_file)
        async with session.orchestrator(Mode.DRIVE) as orchestrator:
            names = {row.name for row in (await orchestrator.describe()).process_types or []}
            known = not task and (what in names or not any(character.isspace() for character in what))
            view = await orchestrator.submit(
                SubmitRequest(
                    task=None if known else what,
                    process_type=what if known else None,
                    input=body,
                    budget_usd=budget,
                    approval=_approval(approval),
                    idempotency_key=key,
                    label=label,
                ),
                caller=session.caller,
            )
            return await _watch(session, orchestrator, view, follow_on=follow_on)

    run(session, work)


async def _watch(session: Session, orchestrator: Orchestrator, view: ProcessView, *, follow_on: bool) -> Exit:
    """Show a process until it ends; at a question, ask the person at the terminal or leave with WAITING."""
    asked: set[str] = set()
    watcher = Watcher(session, orchestrator)
    while True:
        view = await watcher.follow(view)
        if view.status != "waiting_human":
            break
        question = next((row for row in view.escalations if row.escalation_id not in asked), None)
        if session.interactive and question is not None:
            asked.add(question.escalation_id)
            await _ask(session, orchestrator, question.escalation_id)
        elif not follow_on:
            break
        view = await orchestrator.state(view.process_id, wait_s=20, since=view.version, caller=session.caller)
    if session.json:
        print_json(view.payload())
        return EXIT_OF_STATUS.get(view.status, Exit.OK)
    session.show(view, text.process_text(view))
    if view.status == "failed":
        why = await orchestrator.why(view.process_id, caller=session.caller)
        session.out.print(text.why_text(why), markup=False)
    return EXIT_OF_STATUS.get(view.status, Exit.OK)


async def _ask(session: Session, orchestrator: Orchestrator, escalation_id: str) -> None:
    """Put one question to the person at the terminal; an empty answer leaves it open."""
    package = await orchestrator.escalation(escalation_id, caller=session.caller)
    session.out.print(text.escalation_text(package), markup=False)
    simple = [option.decision for option in package.options if option.data_schema is None]
    decision = Prompt.ask("Decision (Enter leaves it open)", choices=[*simple, ""], default="", console=session.out)
    if not decision:
        return
    request = ResolveRequest(escalation_id=escalation_id, decision=decision, version=package.version)
    try:
        result = await orchestrator.resolve(request, proof=Proof(kind=ProofKind.TERMINAL), caller=session.caller)
    except RefusedError as error:
        sys.stderr.write(f"{error}\n")
        return
    session.out.print(text.resolution_text(result), markup=False)


def submit_command(
    process_type: Annotated[str, typer.Argument(metavar="TYPE")],
    input_file: InputOption = None,
    task: Annotated[str | None, typer.Option("--task", help="The task in plain words, kept with the process.")] = None,
    key: KeyOption = None,
    label: LabelOption = None,
    budget: BudgetOption = None,
    approval: ApprovalOption = "policy",
    home: HomeOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a process and return at once; a running engine carries it on, else the next one does."""
    session = open_session(home, state, as_json=as_json)

    async def work() -> Exit:
        async with session.orchestrator(Mode.WRITE) as orchestrator:
            view = await orchestrator.submit(
                SubmitRequest(
                    task=task,
                    process_type=process_type,
                    input=read_json_file(input_file),
                    budget_usd=budget,
                    approval=_approval(approval),
                    idempotency_key=key,
                    label=label,
                ),
                caller=session.caller,
            )
            session.show(view, text.process_text(view))
            if not orchestrator.driven:
                sys.stderr.write(
                    "stored; no engine is running on this home. Do: `orchestrator serve` or `orchestrator run`.\n"
                )
        return Exit.OK

    run(session, work)


def _approval(word: str) -> Approval:
    if word not in {"policy", "plan", "every_step"}:
        raise RefusedError("BAD_ARGUMENT", f"--approval {word} is no mode.", do="use policy, plan or every_step.")
    return word  # pyright: ignore[reportReturnType] - checked above


def state_command(
    process_id: ProcessArgument,
    wait: Annotated[float, typer.Option("--wait", metavar="S", help="Wait up to 25 s for a change.")] = 0,
    since: Annotated[int | None, typer.Option("--since", help="The version already seen.")] = None,
    include: Annotated[list[str] | None, typer.Option("--include", help="plan, report or diagram.")] = None,
    home: HomeOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where a process stands and why it waits."""
    session = open_session(home, state, as_json=as_json)

    async def work() -> None:
        async with session.orchestrator(Mode.READ) as orchestrator:
            view = await orchestrator.state(
                process_id, wait_s=wait, since=since, include=tuple(include or ()), caller=session.caller
            )
            session.show(view, text.process_text(view))

    run(session, work)


def trace_command(
    process_id: ProcessArgument,
    step: Annotated[str | None, typer.Option("--step", help="A step, or a unit such as lines[3].")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="process, plan, call, escalation or timer.")] = None,
    data: Annotated[bool, typer.Option("--data", help="With --step: what went in and came out, masked.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Only what went wrong.")] = False,
    after: Annotated[int, typer.Option("--after", help="Start after this seq.")] = 0,
    limit: Annotated[int, typer.Option("--limit", help="At most so many entries; 0: all.")] = 0,
    home: HomeOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what was called, with what data and how it ended, oldest first; with --json one entry a line."""
    session = open_session(home, state, as_json=as_json)

    async def work() -> None:
        position, left = after, limit or None
        async with session.orchestrator(Mode.READ) as orchestrator:
            while True:
                page = await orchestrator.trace(
                    process_id, step=step, kind=kind, data=data, after=position, limit=100, caller=session.caller
                )
                entries = [e for e in page.entries if not failed or (e.verdict is not None and e.verdict != "ok")]
                entries = entries if left is None else entries[:left]
                for entry in entries:
                    if session.json:
                        print_json(entry.payload())
                    else:
                        session.out.print(text.trace_line(entry), markup=False)
                left = None if left is None else left - len(entries)
                if page.next_after is None or left == 0:
                    return
                position = page.next_after

    run(session, work)


def why_command(
    process_id: ProcessArgument, home: HomeOption = None, state: StateOption = None, as_json: JsonOption = False
) -> None:
    """Show the failing call alone: request, answer, errors, the agent's stderr, and the next command."""
    session = open_session(home, state, as_json=as_json)

    async def work() -> None:
        async with session.orchestrator(Mode.READ) as orchestrator:
            view = await orchestrator.why(process_id, caller=session.caller)
            session.show(view, text.why_text(view))

    run(session, work)


def cancel_command(
    process_id: ProcessArgument,
    reason: Annotated[str, typer.Option("--reason", help="Recorded with the process.")] = "cancelled on a terminal",
    home: HomeOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop a process for good. No new call starts; steps already done stay done."""
    session = open_session(home, state, as_json=as_json)

    async def work() -> None:
        async with session.orchestrator(Mode.WRITE) as orchestrator:
            view = await orchestrator.cancel(process_id, reason, caller=session.caller)
            session.show(view, text.process_text(view))

    run(session, work)


def list_processes(
    session: Session, *, status: str | None, process_type: str | None, label: str | None, limit: int, cursor: str | None
) -> None:
    """Print one page of processes, newest first."""

    async def work() -> None:
        async with session.orchestrator(Mode.READ) as orchestrator:
            page = await orchestrator.processes(
                status=status, process_type=process_type, label=label, limit=limit, cursor=cursor, caller=session.caller
            )
            session.show(page, text.processes_text(page))

    run(session, work)
