"""Asks an MCP server for its tools, on behalf of an import: which server is meant, and what it says of itself."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from process_orchestrator.assemble import list_tools
from process_orchestrator.checking.documents.definitions import Agent
from process_orchestrator.checking.importers import mcp, mcp_source
from process_orchestrator.checking.importers.existing import previous_selection
from process_orchestrator.checking.importers.mcp_source import McpSource
from process_orchestrator.checking.importers.naming import valid_name
from process_orchestrator.checking.importers.write import refuse_early
from process_orchestrator.checking.loading.loader import definition_from_dict, load_home
from process_orchestrator.core.errors import AgentCallError, DefinitionError, RefusedError
from process_orchestrator.views.formats import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_orchestrator.checking.importers.draft import Draft
    from process_orchestrator.doors.cli.session import Session

STDERR_LINES: Final = 3
TIMEOUT_S_MAX: Final = 600.0
TRANSPORTS: Final = ("mcp_stdio", "mcp_http")


async def listed(
    session: Session,
    target: Sequence[str],
    given: dict[str, Any],
    *,
    agent: str | None,
    only: tuple[str, ...],
    update: bool,
    timeout_s: float,
) -> Draft:
    """The draft of a server's tools. Raises RefusedError for whatever the server or the caller does wrong."""
    home = session.home.path
    source = _source(target, given, folder=Path.cwd(), home=home, known=_known(home, agent) if update else None)
    name = valid_name(agent or source.name, otherwise="server")
    if update and not only:
        only = previous_selection(home, name)
    refuse_early(home, name, update=update)
    definition = _definition(name, source)
    session.note(f"asking {source.source} for its tools (at most {_bounded(timeout_s):g} s)")
    for part in source.moved:
        session.note(f"{part} stands in the agent's file by its whole path, since the agent runs in another folder")
    for option in source.exposed:
        session.note(
            f"the value of {option} looks like a secret and will stand in the agent's file: better give --env NAME"
        )
    return mcp.draft_of(source, await _tools(session, definition, source, timeout_s), agent=name, only=only)


def _source(
    target: Sequence[str], given: dict[str, Any], *, folder: Path, home: Path, known: McpSource | None
) -> McpSource:
    if not target and known is not None:
        return known
    if len(target) == 1 and "://" in target[0]:
        if given["env"]:
            message = "--env belongs to a server that is started here; this one is at an address."
            raise RefusedError("BAD_ARGUMENT", message, do="leave it out.")
        return mcp_source.http_source(target[0], bearer=given["bearer"], header=given["header"], query=given["query"])
    if given["bearer"] is not None or given["header"] or given["query"]:
        message = "--bearer, --header and --query belong to a server at an address; this one is started here."
        raise RefusedError("BAD_ARGUMENT", message, do="give its secret as a variable: --env NAME.")
    return mcp_source.stdio_source(target, env=given["env"], folder=folder, home=home)


def _known(home: Path, agent: str | None) -> McpSource | None:
    """Where the agent of an earlier import is, as its file says it now."""
    for each in load_home(home).files.values() if agent is not None else ():
        value: Any = each.document.value
        if isinstance(each.definition, Agent) and each.definition.name == agent:
            if each.definition.transport.kind not in TRANSPORTS:
                message = f"the agent {agent} is no MCP server: it is reached by {each.definition.transport.kind}."
                raise RefusedError("BAD_ARGUMENT", message, do="name another one with --agent.")
            origin = value.get("x-imported")
            source = origin.get("source") if isinstance(origin, dict) else None
            return McpSource(name=agent or "", transport=value["transport"], source=str(source or each.file))
    return None


def _definition(name: str, source: McpSource) -> Agent:
    """The agent for as long as it is asked: it serves nothing yet, which no file may say."""
    written = {
        "agent": name,
        "summary": source.source,
        "transport": source.transport,
        "serves": [{"contract": f"{name}.tools", "bind": {"tool": "tools"}}],
    }
    try:
        return definition_from_dict("agent", written, file=f"agents_registry/{name}.agent.yaml")
    except DefinitionError as error:
        problem = error.problems[0]
        raise RefusedError("BAD_ARGUMENT", f"{problem.message} ({problem.pointer}).", do=problem.fix) from None


async def _tools(session: Session, agent: Agent, source: McpSource, timeout_s: float) -> list[dict[str, Any]]:
    folder = session.home.path / "agents_registry"  # where the agent will run
    there = folder.is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return await list_tools(session.home, agent, timeout_s=_bounded(timeout_s))
    except AgentCallError as error:
        if not there:
            with suppress(OSError):
                folder.rmdir()
        raise RefusedError(
            error.code,
            f"{source.source} was not imported: {one_line(error.message).removesuffix('.')}.{_said(error)}",
            do=f"start it by itself and see what it says; its log is {session.home.state / 'logs' / agent.name}.log."
            if agent.transport.kind == "mcp_stdio"
            else "look at the address, at its token, and whether it speaks MCP over streamable HTTP.",
        ) from error


def _said(error: AgentCallError) -> str:
    """The last lines of its stderr."""
    lines = [one_line(line) for line in (error.stderr or "").splitlines() if line.strip()]
    return f" It said: {' / '.join(lines[-STDERR_LINES:])}" if lines else ""


def _bounded(timeout_s: float) -> float:
    if not 0 < timeout_s <= TIMEOUT_S_MAX:
        message = f"--timeout must be above 0 and at most {TIMEOUT_S_MAX:g} seconds."
        raise RefusedError("BAD_ARGUMENT", message, do="leave it out, or give such a number.")
    return timeout_s
