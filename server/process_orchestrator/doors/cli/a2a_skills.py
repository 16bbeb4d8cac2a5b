"""Reads the card of an A2A agent on behalf of an import: which agent is meant, and which skills it lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from process_orchestrator.assemble import read_card
from process_orchestrator.checking.documents.definitions import Agent
from process_orchestrator.checking.importers import a2a, mcp_source
from process_orchestrator.checking.importers.existing import previous_selection
from process_orchestrator.checking.importers.naming import valid_name
from process_orchestrator.checking.loading.loader import definition_from_dict, load_home
from process_orchestrator.core.errors import AgentCallError, DefinitionError, RefusedError
from process_orchestrator.views.formats import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from process_orchestrator.checking.importers.draft import Draft
    from process_orchestrator.doors.cli.session import Session

TIMEOUT_S_MAX: Final = 600.0


async def drafted(
    session: Session,
    url: str | None,
    *,
    secrets: tuple[str | None, Sequence[str]],
    agent: str | None,
    only: tuple[str, ...],
    update: bool,
    timeout_s: float,
) -> Draft:
    """The draft of an agent's skills. `secrets`: the bearer, and headers as NAME=SECRET. Raises RefusedError."""
    if not 0 < timeout_s <= TIMEOUT_S_MAX:
        message = f"--timeout must be above 0 and at most {TIMEOUT_S_MAX:g} seconds."
        raise RefusedError("BAD_ARGUMENT", message, do="leave it out, or give such a number.")
    home = session.home.path
    transport = _known(home, agent) if url is None and update else _transport(url, secrets)
    definition = _definition(valid_name(agent or "agent", otherwise="agent"), transport)
    session.note(f"reading the card at {transport['card'].partition('?')[0]} (at most {timeout_s:g} s)")
    try:
        card = await read_card(session.home, definition, timeout_s=timeout_s)
    except AgentCallError as error:
        message = f"the agent was not imported: {one_line(error.message).removesuffix('.')}."
        raise RefusedError(
            error.code, message, do="look at the address and its token; a card lies at /.well-known/agent-card.json."
        ) from error
    name = valid_name(agent or card.name, otherwise="agent")
    if update and not only:
        only = previous_selection(home, name)
    return a2a.draft_of(card, transport, agent=name, only=only)


def _transport(url: str | None, secrets: tuple[str | None, Sequence[str]]) -> dict[str, Any]:
    if url is None:
        raise RefusedError("BAD_ARGUMENT", "an address is missing.", do="give that of the agent, or of its card.")
    bearer, header = secrets
    # The same address and secrets as an MCP server's: one reading of both.
    found = mcp_source.http_source(url, bearer=bearer, header=header).transport
    return {"kind": "a2a", "card": found.pop("url"), **{key: found[key] for key in found if key != "kind"}}


def _known(home: Path, agent: str | None) -> dict[str, Any]:
    """How the agent of an earlier import is reached, as its file says it now."""
    for each in load_home(home).files.values():
        value: Any = each.document.value
        if isinstance(each.definition, Agent) and each.definition.name == agent:
            if each.definition.transport.kind != "a2a":
                message = f"the agent {agent} is reached by {each.definition.transport.kind}, not over A2A."
                raise RefusedError("BAD_ARGUMENT", message, do="name another one with --agent.")
            return dict(value["transport"])
    raise RefusedError(
        "BAD_ARGUMENT", "an address is missing.", do="give it, or with --agent the name of an agent that is there."
    )


def _definition(name: str, transport: dict[str, Any]) -> Agent:
    """The agent for as long as it is asked: it serves nothing yet, which no file may say."""
    serves = [{"contract": f"{name}.card", "bind": {"skill": "card"}}]
    written = {"agent": name, "summary": "Being imported.", "transport": transport, "serves": serves}
    try:
        return definition_from_dict("agent", written, file=f"agents_registry/{name}.agent.yaml")
    except DefinitionError as error:
        problem = error.problems[0]
        raise RefusedError("BAD_ARGUMENT", f"{problem.message} ({problem.pointer}).", do=problem.fix) from None
