"""What it would cost, on a terminal: the twin of `estimate_cost`, and how what was said before runs held."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from process_orchestrator.assemble import Mode
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.doors.cli.run_commands import InputOption
from process_orchestrator.doors.cli.session import Session, command, read_json
from process_orchestrator.views.estimate_models import EstimateRequest
from process_orchestrator.views.estimate_view import estimate_text, history_text

BESIDE_HISTORY: Final = "--history shows what earlier runs took, and takes a process type alone."

Figure = str | None  # text: a decimal is read as it was written, and what is none is refused in our words


@command
async def estimate_command(
    session: Session,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[TYPE|TASK]", help="A process type, or a task in plain words; without, only the figures."
        ),
    ] = None,
    input_file: InputOption = None,
    task: Annotated[bool, typer.Option("--task", help="Read the argument as a task even if it names a type.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Let a model make the plan; it is paid.")] = False,
    calls: Annotated[Figure, typer.Option("--calls", metavar="N", help="Calls of a model in a case.")] = None,
    context_tokens: Annotated[
        Figure, typer.Option("--context-tokens", metavar="N", help="Tokens that one call reads.")
    ] = None,
    output_tokens: Annotated[
        Figure, typer.Option("--output-tokens", metavar="N", help="Tokens that one call writes.")
    ] = None,
    rate: Annotated[
        Figure, typer.Option("--rate-usd-per-mtok", metavar="USD", help="For a million tokens, both ways blended.")
    ] = None,
    share: Annotated[
        Figure, typer.Option("--manual-review-share", metavar="SHARE", help="Of cases that a person reviews: 0.06.")
    ] = None,
    review: Annotated[Figure, typer.Option("--review-usd", metavar="USD", help="What one review costs.")] = None,
    cases: Annotated[Figure, typer.Option("--cases", metavar="N", help="How many cases.")] = None,
    history: Annotated[
        bool, typer.Option("--history", help="What earlier runs took, and how the estimates before them held.")
    ] = False,
) -> None:
    """Say what a process would cost before anything runs: low, likely, high, and what is unknown. Starts nothing."""
    figures = {
        "calls": calls,
        "context_tokens": context_tokens,
        "output_tokens": output_tokens,
        "rate_usd_per_mtok": rate,
        "manual_review_share": share,
        "review_usd": review,
        "cases": cases,
    }
    if history and (task or plan or input_file is not None or any(each is not None for each in figures.values())):
        raise RefusedError("BAD_ARGUMENT", BESIDE_HISTORY, do="run `orchestrator estimate --history [TYPE]`.")
    if what is not None or history:
        session.need_definitions()
    async with session.orchestrator(Mode.READ) as orchestrator:
        if history:
            session.show(await orchestrator.history(what, caller=session.caller), history_text)
            return
        named = what is not None and not task and not any(character.isspace() for character in what.strip())
        request = EstimateRequest.model_validate(
            {
                "process_type": what if named else None,
                "task": None if named else what,
                "input": read_json(input_file),
                "plan": plan,
                **figures,
            }
        )
        session.show(await orchestrator.estimate(request, caller=session.caller), estimate_text)
