"""Commands by which a person decides: escalations, resolve, reviewers."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

import typer

from process_orchestrator.assemble import Mode
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.ports import Proof, ProofKind
from process_orchestrator.doors.cli.asking import ask_choice, ask_passphrase, proof_of, question_panel
from process_orchestrator.doors.cli.live import ENDED
from process_orchestrator.doors.cli.session import (
    Exit,
    Session,
    command,
    print_json,
    read_json,
)
from process_orchestrator.hosting.reviewers import Reviewers
from process_orchestrator.views import text
from process_orchestrator.views.models import EscalationView, ResolveRequest

reviewers_app = typer.Typer(help="People whose passphrase proves a decision (assurance A2).")

ReviewerArgument = Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits, `_`, `.` and `-`.")]


@command
async def escalations_command(
    session: Session,
    escalation_id: Annotated[
        str | None, typer.Argument(metavar="[ESCALATION_ID]", help="Show this question with its whole package.")
    ] = None,
    status: Annotated[str, typer.Option("--status", help="open, resolved or all.")] = "open",
    process: Annotated[
        str | None, typer.Option("--process", metavar="PROCESS_ID", help="Only those of this process.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many, up to 100.")] = 20,
    cursor: Annotated[str | None, typer.Option("--cursor", help="Where the page before this one ended.")] = None,
) -> None:
    """List the questions that wait for a person; with an id, one question with its whole package."""
    async with session.orchestrator(Mode.READ) as orchestrator:
        if escalation_id is not None:
            view = await orchestrator.escalation(escalation_id, caller=session.caller)
            session.show(view, text.escalation_text)
            return
        page = await orchestrator.escalations(
            status=cast("Literal['open', 'resolved', 'all']", status.lower()),
            process_id=process,
            limit=limit,
            cursor=cursor,
            caller=session.caller,
        )
        session.show(page, text.escalations_text)


@command
async def resolve_command(
    session: Session,
    escalation_id: Annotated[str, typer.Argument(metavar="ESCALATION_ID", help="As `escalations` lists it.")],
    decision: Annotated[str | None, typer.Option("--decision", help="One of the question's options.")] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="FILE|JSON", help="JSON for the decision: a file, - for stdin, or in place."),
    ] = None,
    note: Annotated[str | None, typer.Option("--note", help="Why, in your own words.")] = None,
    version: Annotated[int | None, typer.Option("--version", help="Refuse if the question has changed since.")] = None,
    reviewer: Annotated[
        str | None, typer.Option("--as", metavar="REVIEWER", help="Prove who decides with a passphrase (A2).")
    ] = None,
) -> Exit:
    """Answer a question. --as asks for a passphrase (A2); a terminal without it counts A1, a script A0."""
    request = ResolveRequest(
        escalation_id=escalation_id, decision=decision, data=read_json(data), note=note, version=version
    )
    # Looked at and asked before anything is opened for writing: a person who thinks must not hold the home.
    async with session.orchestrator(Mode.READ) as orchestrator:
        package = await orchestrator.escalation(escalation_id, caller=session.caller)
    answered = await _answered(session, package, request, reviewer)
    if answered is None:
        session.note("left open; nothing was recorded.")
        return Exit.WAITING
    request, proof = answered
    async with session.orchestrator(session.writing) as orchestrator:
        result = await orchestrator.resolve(request, proof=proof, caller=session.caller)
    session.show(result, text.resolution_text)
    if result.status == "resolved" and result.process_status not in ENDED:
        await session.note_without_engine("recorded", result.process_id)
    return {"resolved": Exit.OK, "refused": Exit.REFUSED}.get(result.status, Exit.WAITING)


async def _answered(
    session: Session, package: EscalationView, request: ResolveRequest, reviewer: str | None
) -> tuple[ResolveRequest, Proof] | None:
    """The decision and how it reached us; None where the person leaves the question open."""
    if request.decision is None and package.status == "open":
        if not session.interactive:
            options = ", ".join(option.decision for option in package.options)
            raise RefusedError("BAD_ARGUMENT", "no decision was given.", do=f"add --decision, one of: {options}.")
        session.out.print(question_panel(package))
        choice = await ask_choice(session, package)
        if choice is None:
            return None
        given = choice.data if request.data is None else request.data
        chosen: dict[str, Any] = {"decision": choice.option.decision, "data": given}
        # What was shown is what was decided on.
        request = request.model_copy(update=chosen | {"version": request.version or package.version})
        if reviewer is None:
            proof = await proof_of(session, choice.option)
            return None if proof is None else (request, proof)
    if reviewer is not None:
        secret = await ask_passphrase(session, f"Passphrase of {reviewer}:")
        return request, Proof(kind=ProofKind.PASSPHRASE, reviewer=reviewer, secret=secret)
    # One that is settled already is asked for all the same: the refusal names who decided.
    settled = {} if request.decision else {"decision": "abort"}
    kind = ProofKind.TERMINAL if session.terminal else ProofKind.ARGUMENT
    return request.model_copy(update=settled), Proof(kind=kind)


@reviewers_app.command("add")
@command
async def add_reviewer(
    session: Session,
    name: ReviewerArgument,
) -> None:
    """Add a reviewer; asks for a passphrase twice."""
    passphrase = await ask_passphrase(session, f"Passphrase of {name}:")
    if passphrase != await ask_passphrase(session, "Once more:"):
        raise RefusedError("BAD_ARGUMENT", "the two passphrases differ.", do="run it again.")
    Reviewers(session.home.make_state()).add(name, passphrase)
    _say(session, {"reviewer": name, "status": "added"}, f"{name} can now decide with --as {name} (A2-local).")


@reviewers_app.command("list")
@command
async def list_reviewers(
    session: Session,
) -> None:
    """List the reviewers."""
    names = [reviewer.name for reviewer in Reviewers(session.home.state).active()]
    nobody = "No reviewer exists. Do: run `orchestrator reviewers add NAME` in a terminal."
    _say(session, {"reviewers": names}, "\n".join(names) or nobody)


@reviewers_app.command("revoke")
@command
async def revoke_reviewer(
    session: Session,
    name: ReviewerArgument,
) -> None:
    """Take a reviewer's right away; decisions already recorded stay."""
    Reviewers(session.home.state).revoke(name)
    _say(session, {"reviewer": name, "status": "revoked"}, f"{name} can no longer decide.")


def _say(session: Session, body: dict[str, object], sentence: str) -> None:
    if session.json:
        print_json(body)
    else:
        session.out.print(sentence, markup=False)
