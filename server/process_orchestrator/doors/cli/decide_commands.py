"""Commands by which a person decides: escalations, resolve, reviewers."""

from __future__ import annotations

import sys
from typing import Annotated, Literal, cast

import typer

from process_orchestrator.assemble import Mode
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.ports import Proof, ProofKind
from process_orchestrator.doors.cli.session import (
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
from process_orchestrator.hosting.reviewers import Reviewers
from process_orchestrator.views import text
from process_orchestrator.views.models import ResolveRequest

reviewers_app = typer.Typer(help="People whose passphrase proves a decision (assurance A2).", no_args_is_help=True)


def escalations_command(
    escalation_id: Annotated[str | None, typer.Argument(metavar="[ESCALATION_ID]")] = None,
    status: Annotated[str, typer.Option("--status", help="open, resolved or all.")] = "open",
    process: Annotated[str | None, typer.Option("--process", metavar="PROCESS_ID")] = None,
    limit: Annotated[int, typer.Option("--limit")] = 20,
    cursor: Annotated[str | None, typer.Option("--cursor")] = None,
    home: HomeOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the questions that wait for a person; with an id, one question with its whole package."""
    session = open_session(home, state, as_json=as_json)
    if status not in {"open", "resolved", "all"}:
        raise typer.BadParameter("--status is open, resolved or all.")

    async def work() -> None:
        async with session.orchestrator(Mode.READ) as orchestrator:
            if escalation_id is not None:
                view = await orchestrator.escalation(escalation_id, caller=session.caller)
                session.show(view, text.escalation_text(view))
                return
            page = await orchestrator.escalations(
                status=cast("Literal['open', 'resolved', 'all']", status),
                process_id=process,
                limit=limit,
                cursor=cursor,
                caller=session.caller,
            )
            session.show(page, text.escalations_text(page))

    run(session, work)


def resolve_command(
    escalation_id: Annotated[str, typer.Argument(metavar="ESCALATION_ID")],
    decision: Annotated[str | None, typer.Option("--decision", help="One of the question's options.")] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="FILE", help="JSON for the decision; - is stdin.")
    ] = None,
    note: Annotated[str | None, typer.Option("--note", help="Why, in your own words.")] = None,
    version: Annotated[int | None, typer.Option("--version", help="Refuse if the question has changed since.")] = None,
    reviewer: Annotated[
        str | None, typer.Option("--as", metavar="REVIEWER", help="Prove who decides with a passphrase (A2).")
    ] = None,
    home: HomeOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a question. --as asks for a passphrase (A2); a terminal without it counts A1, a script A0."""
    session = open_session(home, state, as_json=as_json)

    async def work() -> Exit:
        async with session.orchestrator(Mode.WRITE) as orchestrator:
            chosen = decision
            if chosen is None:
                package = await orchestrator.escalation(escalation_id, caller=session.caller)
                if not session.interactive:
                    options = ", ".join(option.decision for option in package.options)
                    raise RefusedError(
                        "BAD_ARGUMENT", "no decision was given.", do=f"add --decision, one of: {options}."
                    )
                session.out.print(text.escalation_text(package), markup=False)
                chosen = str(typer.prompt("Decision"))
            request = ResolveRequest(
                escalation_id=escalation_id, decision=chosen, data=read_json_file(data), note=note, version=version
            )
            result = await orchestrator.resolve(request, proof=_proof(session, reviewer), caller=session.caller)
            session.show(result, text.resolution_text(result))
            return {"resolved": Exit.OK, "refused": Exit.REFUSED}.get(result.status, Exit.WAITING)

    run(session, work)


def _proof(session: Session, reviewer: str | None) -> Proof:
    """Say how this decision reached us; the engine derives from it how strong the proof is."""
    if reviewer is not None:
        return Proof(kind=ProofKind.PASSPHRASE, reviewer=reviewer, secret=_passphrase(f"Passphrase of {reviewer}: "))
    return Proof(kind=ProofKind.TERMINAL if session.interactive else ProofKind.ARGUMENT)


def _passphrase(question: str) -> str:
    """Ask for a passphrase on the terminal itself; from a pipe it would prove nobody's presence."""
    if not sys.stdin.isatty():
        raise RefusedError(
            "BAD_ARGUMENT", "a passphrase is typed on a terminal, and stdin is none.", do="run it in a terminal."
        )
    return str(typer.prompt(question.rstrip(": "), hide_input=True, err=True))


@reviewers_app.command("add")
def add_reviewer(name: str, home: HomeOption = None, state: StateOption = None, as_json: JsonOption = False) -> None:
    """Add a reviewer; asks for a passphrase twice."""
    session = open_session(home, state, as_json=as_json)

    async def work() -> None:
        passphrase = _passphrase(f"Passphrase of {name}")
        if passphrase != _passphrase("Once more"):
            raise RefusedError("BAD_ARGUMENT", "the two passphrases differ.", do="run it again.")
        Reviewers(session.home.make_state()).add(name, passphrase)
        _say(session, {"reviewer": name, "status": "added"}, f"{name} can now decide with --as {name} (A2-local).")

    run(session, work)


@reviewers_app.command("list")
def list_reviewers(home: HomeOption = None, state: StateOption = None, as_json: JsonOption = False) -> None:
    """List the reviewers."""
    session = open_session(home, state, as_json=as_json)

    async def work() -> None:
        names = [reviewer.name for reviewer in Reviewers(session.home.state).list()]
        nobody = "no reviewer exists. Do: run `orchestrator reviewers add NAME` in a terminal."
        _say(session, {"reviewers": names}, "\n".join(names) or nobody)

    run(session, work)


@reviewers_app.command("revoke")
def revoke_reviewer(name: str, home: HomeOption = None, state: StateOption = None, as_json: JsonOption = False) -> None:
    """Take a reviewer's right away; decisions already recorded stay."""
    session = open_session(home, state, as_json=as_json)

    async def work() -> None:
        Reviewers(session.home.state).revoke(name)
        _say(session, {"reviewer": name, "status": "revoked"}, f"{name} can no longer decide.")

    run(session, work)


def _say(session: Session, body: dict[str, object], sentence: str) -> None:
    if session.json:
        print_json(body)
    else:
        session.out.print(sentence, markup=False)
