"""Commands that run and read processes: run, submit, state, trace, why, cancel, processes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import anyio
import typer

from process_orchestrator.assemble import Mode
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.doors.cli.asking import ask_and_resolve
from process_orchestrator.doors.cli.input_lines import read_lines, submit_lines
from process_orchestrator.doors.cli.live import ENDED, Watcher
from process_orchestrator.doors.cli.session import (
    EXIT_OF_STATUS,
    Exit,
    Session,
    command,
    print_json,
    read_json,
    run,
)
from process_orchestrator.usecases.identifiers import PROCESS_ID
from process_orchestrator.views import text
from process_orchestrator.views.models import ProcessView, SubmitRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from process_orchestrator.orchestrator import Orchestrator
    from process_orchestrator.views.models import TraceEntry

WRONG: Final = frozenset({"CallFailed", "CallLost", "StageFailed", "CancelRequested"})
"""Events that `trace --failed` shows."""

Approval = Literal["policy", "plan", "every_step"]
InputOption = Annotated[
    str | None, typer.Option("--input", metavar="FILE|JSON", help="JSON object: a file, - for stdin, or in place.")
]
LabelOption = Annotated[str | None, typer.Option("--label", help="Your own word for this work, to find it again.")]
KeyOption = Annotated[
    str | None, typer.Option("--key", help="Stable name of this piece of work: the same key meets the same process.")
]
BudgetOption = Annotated[str | None, typer.Option("--budget", metavar="USD", help="Most that it may cost.")]
ApprovalOption = Annotated[str, typer.Option("--approval", help="policy, plan or every_step.")]
ProcessArgument = Annotated[str, typer.Argument(metavar="PROCESS_ID", help="As `processes` lists it.")]


@command
async def run_command(
    session: Session,
    what: Annotated[
        str,
        typer.Argument(
            metavar="TYPE|TASK|PROCESS_ID", help="A process type, a task in plain words, or a stored process to go on."
        ),
    ],
    input_file: InputOption = None,
    task: Annotated[bool, typer.Option("--task", help="Read the argument as a task even if it names a type.")] = False,
    follow_on: Annotated[
        bool, typer.Option("--follow", help="Stay while a human is waited for, until the process has ended.")
    ] = False,
    key: KeyOption = None,
    label: LabelOption = None,
    budget: BudgetOption = None,
    approval: ApprovalOption = "policy",
) -> Exit:
    """Run a process here and now, and watch it: to its end, or to the question that a human must answer."""
    session.need_definitions()
    request = _request(input_file, key=key, label=label, budget=budget, approval=approval)
    async with session.orchestrator(Mode.DRIVE) as orchestrator:
        if not task and PROCESS_ID.fullmatch(what.strip().lower()):
            view = await orchestrator.state(what, caller=session.caller)
            return await watch(session, orchestrator, view, follow_on=follow_on)
        named = not task and await _names_a_type(orchestrator, what)
        found = {"process_type": what} if named else {"task": what}
        view = await orchestrator.submit(request.model_copy(update=found), caller=session.caller)
        return await watch(session, orchestrator, view, follow_on=follow_on)


async def _names_a_type(orchestrator: Orchestrator, what: str) -> bool:
    """An exact type name wins; a single word is meant as one, so that a slip is told instead of read as a task."""
    names = {row.name for row in (await orchestrator.describe()).process_types or []}
    return what in names or not any(character.isspace() for character in what.strip())


async def watch(session: Session, orchestrator: Orchestrator, view: ProcessView, *, follow_on: bool) -> Exit:
    """Show a process until it ends; at a question, ask the person at the terminal or leave with WAITING."""
    for warning in view.warnings:
        session.note(f"Warning: {warning}")
    try:
        view = await _followed(session, orchestrator, view, follow_on=follow_on)
    except anyio.get_cancelled_exc_class():
        session.note(
            f"\ninterrupted; process {view.process_id} is stored and goes on with the next engine. "
            f"Do: `orchestrator run {view.process_id}{session.options}`."
        )
        raise
    session.show(view, text.process_text)
    if view.status == "failed" and not session.json:
        session.show(await orchestrator.why(view.process_id, caller=session.caller), text.why_text)
    return EXIT_OF_STATUS.get(view.status, Exit.OK)


async def _followed(session: Session, orchestrator: Orchestrator, view: ProcessView, *, follow_on: bool) -> ProcessView:
    left: set[str] = set()
    watcher = Watcher(session, orchestrator)
    while True:
        view = await watcher.follow(view)
        if view.status != "waiting_human":
            return view
        asked = [row.escalation_id for row in view.escalations if row.status == "open"]
        question = next((each for each in asked if each not in left), None)
        if session.interactive and question is not None:
            if not await ask_and_resolve(session, orchestrator, question):
                left.add(question)
            view = await orchestrator.state(view.process_id, caller=session.caller)
        elif follow_on:
            view = await orchestrator.state(view.process_id, wait_s=20, since=view.version, caller=session.caller)
        else:
            return view


@command
async def submit_command(
    session: Session,
    process_type: Annotated[str, typer.Argument(metavar="TYPE")],
    input_file: InputOption = None,
    lines: Annotated[
        Path | None,
        typer.Option(
            "--lines", metavar="FILE", help="One JSON object a line, each a process; --key is then a pointer."
        ),
    ] = None,
    task: Annotated[str | None, typer.Option("--task", help="The task in plain words, kept with the process.")] = None,
    key: KeyOption = None,
    label: LabelOption = None,
    budget: BudgetOption = None,
    approval: ApprovalOption = "policy",
    follow_on: Annotated[
        bool, typer.Option("--follow", help="Carry it on here, to its end or to the question that a human must answer.")
    ] = False,
) -> Exit:
    """Start a process, or one for each line of a file, and return at once; a running engine carries it on."""
    session.need_definitions()
    if lines is not None and input_file is not None:
        raise RefusedError("BAD_ARGUMENT", "--input and --lines are given.", do="give one of them.")
    request = _request(input_file, key=key, label=label, budget=budget, approval=approval)
    request = request.model_copy(update={"task": task, "process_type": process_type})
    if lines is not None:
        read = read_lines(lines, key)
        async with session.orchestrator(Mode.DRIVE if follow_on else Mode.WRITE) as orchestrator:
            return await submit_lines(session, orchestrator, request, read, follow=follow_on)
    async with session.orchestrator(Mode.DRIVE if follow_on else Mode.WRITE) as orchestrator:
        view = await orchestrator.submit(request, caller=session.caller)
        if follow_on:
            return await watch(session, orchestrator, view, follow_on=False)
    session.show(view, text.process_text)
    if view.status not in ENDED:
        await session.note_without_engine("stored", view.process_id)
    return Exit.OK


def _request(
    input_file: str | None, *, key: str | None, label: str | None, budget: str | None, approval: str
) -> SubmitRequest:
    """What `run` and `submit` ask for alike; each says itself what it is to be done with."""
    return SubmitRequest(
        input=read_json(input_file),
        budget_usd=budget,
        approval=_approval(approval),
        idempotency_key=key,
        label=label,
    )


def _approval(word: str) -> Approval:
    if word not in {"policy", "plan", "every_step"}:
        raise RefusedError("BAD_ARGUMENT", f"--approval {word} is no mode.", do="use policy, plan or every_step.")
    return word  # pyright: ignore[reportReturnType] - checked above


@command
async def state_command(
    session: Session,
    process_id: ProcessArgument,
    wait: Annotated[float, typer.Option("--wait", metavar="S", help="Wait up to 25 s for a change.")] = 0,
    since: Annotated[int | None, typer.Option("--since", help="The version already seen.")] = None,
    include: Annotated[list[str] | None, typer.Option("--include", help="plan, report or diagram.")] = None,
) -> None:
    """Show where a process stands and why it waits."""
    async with session.orchestrator(Mode.READ) as orchestrator:
        view = await orchestrator.state(
            process_id, wait_s=wait, since=since, include=tuple(include or ()), caller=session.caller
        )
        session.show(view, text.process_text)


@command
async def trace_command(
    session: Session,
    process_id: ProcessArgument,
    step: Annotated[str | None, typer.Option("--step", help="A step, or a unit such as lines[3].")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="process, plan, call, escalation or timer.")] = None,
    data: Annotated[bool, typer.Option("--data", help="With --step: what went in and came out, masked.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Only what went wrong.")] = False,
    after: Annotated[int, typer.Option("--after", help="Start after this seq.")] = 0,
    limit: Annotated[int, typer.Option("--limit", help="At most so many entries; 0: all.")] = 0,
) -> None:
    """Show what was called, with what data and how it ended, oldest first; with --json one entry a line."""
    position, left, printed = after, limit or None, 0
    async with session.orchestrator(Mode.READ) as orchestrator:
        while position is not None and left != 0:
            page = await orchestrator.trace(
                process_id, step=step, kind=kind, data=data, after=position, limit=100, caller=session.caller
            )
            entries = [entry for entry in page.entries if not failed or _went_wrong(entry)][:left]
            for entry in entries:
                _print_entry(session, entry)
            printed += len(entries)
            left = None if left is None else left - len(entries)
            position = page.next_after
    if not printed:
        what = "nothing went wrong in a call" if failed else "no such entry"
        session.note(f"{what}. Do: `orchestrator why {process_id}{session.options}` says how it stands.")


def _went_wrong(entry: TraceEntry) -> bool:
    return entry.event in WRONG or entry.verdict not in {None, "ok"}


def _print_entry(session: Session, entry: TraceEntry) -> None:
    if session.json:
        print_json(entry.payload())
    else:
        session.out.print(text.clean(text.trace_line(entry)), markup=False, soft_wrap=True)


@command
async def why_command(
    session: Session,
    process_id: ProcessArgument,
) -> None:
    """Show the failing call alone: request, answer, errors, the agent's stderr, and the next command."""
    async with session.orchestrator(Mode.READ) as orchestrator:
        view = await orchestrator.why(process_id, caller=session.caller)
        session.show(view, text.why_text)


@command
async def cancel_command(
    session: Session,
    process_id: ProcessArgument,
    reason: Annotated[str, typer.Option("--reason", help="Recorded with the process.")] = "cancelled on a terminal",
) -> None:
    """Stop a process for good. No new call starts; steps already done stay done."""
    async with session.orchestrator(session.writing) as orchestrator:
        view = await orchestrator.cancel(process_id, reason, caller=session.caller)
        session.show(view, text.process_text)


def list_processes(session: Session, filters: Mapping[str, str | None], *, limit: int) -> None:
    """Print one page of processes, newest first."""

    async def work() -> None:
        async with session.orchestrator(Mode.READ) as orchestrator:
            page = await orchestrator.processes(
                status=filters["status"],
                process_type=filters["process_type"],
                label=filters["label"],
                since=filters["since"],
                limit=limit,
                cursor=filters["cursor"],
                caller=session.caller,
            )
            session.show(page, text.processes_text)

    run(session, work)
