"""`agents call`: one tool of an agent by hand, outside any process; and a schema of what it answers."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

import typer

from process_orchestrator.assemble import HTTP_CALL, Mode, call_agent
from process_orchestrator.checking.importers.answers import Inferred, inferred_from_results, inferred_from_values
from process_orchestrator.checking.importers.deciding import OutputWritten, write_output
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.doors.cli.activate_commands import signed
from process_orchestrator.doors.cli.session import Exit, Session, command, print_json, read_json

INPUTS_MAX: Final = 100


@command
async def call_agent_command(
    session: Session,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="As `agents list` names it.")],
    tool: Annotated[
        str, typer.Argument(metavar="TOOL", help="An MCP tool, an A2A skill, METHOD:/path, or a contract of a model.")
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="FILE|JSON", help="Arguments: a file, - for stdin, or JSON in place."),
    ] = None,
    infer_output: Annotated[
        bool, typer.Option("--infer-output", help="Print a schema of its answers; --input may be given several times.")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Write that schema into the draft that this agent binds to the tool.")
    ] = False,
    timeout_s: Annotated[float, typer.Option("--timeout", metavar="S", help="Give up after so many seconds.")] = 30,
) -> Exit:
    """Call one tool of an agent directly, outside any process and contract, and print its answer."""
    given = _given(arguments or [], several=infer_output)
    if write and not infer_output:
        raise RefusedError("BAD_ARGUMENT", "--write belongs to --infer-output.", do="give both, or neither.")
    async with session.orchestrator(Mode.READ) as orchestrator:
        detail = (await orchestrator.describe(agent=agent)).agent  # UNKNOWN_AGENT with the nearest
    name = detail.name if detail else agent
    answers = await call_agent(session.home, name, tool, given, timeout_s=timeout_s, settings=session.settings)
    if not infer_output:
        _show(session, answers[0])
        failed = isinstance(answers[0], dict) and answers[0].get("isError") is True
        return Exit.FAILED if failed else Exit.OK
    over_http = HTTP_CALL.fullmatch(tool) is not None
    values = over_http or (detail is not None and detail.kind in {"a2a", "model"})
    inferred = inferred_from_values(answers, may_wrap=over_http) if values else inferred_from_results(answers)
    written = _written(session, (name, tool), inferred) if write else None
    _show_inferred(session, inferred, written)
    return Exit.OK


def _given(inputs: list[str], *, several: bool) -> list[dict[str, Any]]:
    """The arguments of each call. `@FILE` is a file as well, as other tools write it."""
    if len(inputs) > (INPUTS_MAX if several else 1):
        do = (
            f"give at most {INPUTS_MAX}." if several else "give one, or --infer-output for a schema of several answers."
        )
        raise RefusedError("BAD_ARGUMENT", f"{len(inputs)} times --input is too often.", do=do)
    found = [read_json(each.removeprefix("@")) for each in inputs] or [{}]
    if not all(isinstance(each, dict) for each in found):
        raise RefusedError("BAD_ARGUMENT", "the arguments are no JSON object.", do="give one, such as {}.")
    return found


def _written(session: Session, bound: tuple[str, str], inferred: Inferred) -> OutputWritten:
    return write_output(session.home.path, bound, inferred, signed=signed())


def _show_inferred(session: Session, inferred: Inferred, written: OutputWritten | None) -> None:
    if session.json:
        files = {"written": [written.file, written.agent_file]} if written else {}
        read = {"result": inferred.result, **({"wrap": inferred.wrap} if inferred.wrap else {})}
        print_json({"output": inferred.schema, **read, "notes": list(inferred.notes), **files})
        return
    session.out.print_json(json.dumps(inferred.schema))
    for each in inferred.notes:
        session.note(each)
    if written is not None:
        session.note(f"written to {written.file}; {written.agent_file} reads the answer so")
    for name, value in (("result", inferred.result), ("wrap", inferred.wrap)):
        if written is None and value is not None:
            session.note(f"in the agent's bind this needs `{name}: {value}`; --write puts both in place")


def _show(session: Session, answer: Any) -> None:
    if session.json:
        print_json(answer)
    else:
        session.out.print_json(json.dumps(answer))
