"""The commands `agents pin` and `agents drift`: accept what agents offer now, and see what changed since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from process_orchestrator.assemble import open_agents
from process_orchestrator.checking.documents.pins import (
    LOCK_FILE,
    PinState,
    PinVerdict,
    bound_names,
    document_of,
    write_pins,
)
from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.checking.schemas.shown import shown
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.doors.cli.session import Exit, Session, command, print_json
from process_orchestrator.views.formats import one_line
from process_orchestrator.views.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from process_orchestrator.checking.documents.definitions import Agent
    from process_orchestrator.checking.documents.pins import Definition
    from process_orchestrator.performing.agent_pool import AgentPool
    from process_orchestrator.usecases.pinning import AgentDrift, Ask, BoundDrift

TIMEOUT_S: Final = 60.0

AgentNames = Annotated[
    list[str] | None, typer.Argument(metavar="[AGENT...]", help="As `agents list` names them; without, all.")
]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", metavar="S", min=1, max=600, help="Wait so many seconds for each agent.")
]


@command
async def pin_command(session: Session, agents: AgentNames = None, timeout_s: TimeoutOption = TIMEOUT_S) -> Exit:
    """Accept what agents offer now: writes agents_registry/agents.lock and says what that changes. Commit the file."""
    from process_orchestrator.usecases.pinning import named_agents, pin_agents  # noqa: PLC0415 - as below

    session.need_definitions()
    registry = load_home(session.home.path)
    chosen = named_agents(registry, agents or ())
    if registry.pins.broken is not None and agents:
        raise RefusedError(
            "BAD_ARGUMENT",
            f"{LOCK_FILE} cannot be read, so the pins of other agents would be lost: {registry.pins.broken}.",
            do="mend or remove it, or pin all agents: `orchestrator agents pin`.",
        )
    async with open_agents(session.home, session.settings) as pool:
        done = await pin_agents(registry, chosen, _asking(pool), timeout_s=timeout_s, whole=not agents)
    changed = write_pins(session.home.path, done.pins)
    if session.json:
        body = {"ok": not done.refused, "file": LOCK_FILE, "changed": changed, "refused": list(done.refused)}
        print_json({**body, "agents": [_row(each, pinning=True) for each in done.agents]})
    else:
        lines = [line for each in done.agents for line in _lines(each, pinning=True)]
        lines += [f"NOT PINNED  {each}" for each in done.refused]
        lines.append(f"{LOCK_FILE} {'written: look at it and commit it' if changed else 'holds this already'}")
        session.out.print(clean("\n".join(lines)), markup=False)
    return Exit.FAILED if done.refused else Exit.OK


@command
async def drift_command(session: Session, agents: AgentNames = None, timeout_s: TimeoutOption = TIMEOUT_S) -> Exit:
    """Compare what agents offer now with their pins. Exit code 1 where anything differs or does not answer."""
    # Late: 20 ms that no other command pays.
    from process_orchestrator.usecases.pinning import drift, named_agents  # noqa: PLC0415

    session.need_definitions()
    registry = load_home(session.home.path)
    if registry.pins.broken is not None:
        raise RefusedError(
            "BAD_ARGUMENT",
            f"{LOCK_FILE} cannot be read: {registry.pins.broken}.",
            do="take back the change, or write it anew with `orchestrator agents pin`.",
        )
    chosen = named_agents(registry, agents or ())
    async with open_agents(session.home, session.settings) as pool:
        rows = await drift(registry, chosen, _asking(pool), timeout_s=timeout_s)
    well = all(each.well for each in rows)
    if session.json:
        print_json({"ok": well, "agents": [_row(each) for each in rows]})
    else:
        lines = [line for each in rows for line in _lines(each)]
        session.out.print(clean("\n".join(lines)) if lines else f"no agents in {session.home.path}", markup=False)
    return Exit.OK if well else Exit.FAILED


def _asking(pool: AgentPool) -> Ask:
    """How an agent is asked what it offers: itself, or by the document that it was imported from."""

    async def ask(agent: Agent, timeout_s: float) -> Mapping[str, Definition]:
        if document_of(agent) is None:
            return await pool.definitions(agent.name, timeout_s=timeout_s)
        from process_orchestrator.checking.importers.openapi_offer import offered  # noqa: PLC0415 - as above

        return await offered(agent, names=bound_names(agent), timeout_s=timeout_s)

    return ask


def _row(each: AgentDrift, *, pinning: bool = False) -> dict[str, object]:
    """One agent in JSON; what it is bound to with its verdict, the changes and the diff."""
    bound = [
        {
            "name": one.name,
            "verdict": _verdict(one, pinning=pinning),
            "contracts": one.contracts,
            "process_types": one.process_types,
            "changes": msgspec.to_builtins(one.change.changes) if one.change else [],
            "diff": one.change.diff if one.change else (),
        }
        for one in each.bound
    ]
    return {"agent": each.agent, "kind": each.kind, "pin": each.state.value, "why": each.why, "bound": bound}


def _verdict(one: BoundDrift, *, pinning: bool) -> str:
    if one.change is None:
        return "new" if pinning else PinState.NOT_PINNED.value
    return one.change.verdict.value


def _lines(each: AgentDrift, *, pinning: bool = False) -> Iterator[str]:
    if not each.bound:
        do = "" if each.state is not PinState.NOT_PINNED else f". Do: `orchestrator agents pin {each.agent}`"
        yield f"{each.agent} ({each.kind}): {each.state}{f', {one_line(each.why)}' if each.why else ''}{do}"
        return
    yield f"{each.agent} ({each.kind})"
    for one in each.bound:
        yield f"  {one.name}: {_verdict(one, pinning=pinning)}"
        if one.change is None or one.change.verdict is PinVerdict.SAME:
            continue
        for change in one.change.changes:
            yield f"    {change.judgement.value:<10}{change.pointer}  {one_line(change.message)}"
            if change.witness is not msgspec.UNSET:
                yield f"    {'':<10}for example {shown(change.witness)}"
        yield f"    contracts: {', '.join(one.contracts) or 'none'}"
        yield f"    process types: {', '.join(one.process_types) or 'none'}"
        yield from (f"    | {line}" for line in one.change.diff)
