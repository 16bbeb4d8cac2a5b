"""Bring a draft into a home: names, files, and the refusal to touch what is there.

Each file is checked by the strict loader before it is written, so that no import leaves a broken definition behind.
What an update does with files that are there already is `update`'s.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from process_orchestrator.checking.importers import places
from process_orchestrator.checking.importers.documents import agent_text, contract_text, errors_of, first_error, ordered
from process_orchestrator.checking.importers.draft import Draft, DraftContract, Outcome, Todo, WrittenFile
from process_orchestrator.checking.importers.existing import Existing
from process_orchestrator.checking.importers.naming import contract_name, free_name, valid_name
from process_orchestrator.checking.importers.update import updated
from process_orchestrator.checking.schemas.pointers import segments
from process_orchestrator.core.errors import RefusedError

Json = Any

CONTRACTS_MAX: Final = 500
"""In one import: more than anybody decides about. Choose with --only."""

OPEN: Final[dict[str, Json]] = {"type": "object"}


def bring_in(draft: Draft, home: Path, *, update: bool = False) -> Outcome:
    """Write a draft's files, or merge them into those of an earlier import.

    Raises RefusedError where the agent is there and `update` was not asked for, and where it is not and it was.
    """
    agent = valid_name(draft.agent, otherwise="agent")
    _bounds(draft)
    existing = Existing.of(home, agent)
    _refuse(existing, update=update)
    names = _names(draft, existing)
    contracts, left_out = _contracts(draft, agent, names)
    if not contracts:
        reason = f"nothing of {draft.source} can be imported: {left_out[0]}."
        raise RefusedError("BAD_ARGUMENT", reason, do="mend the source, or write the contract by hand.")
    fresh, unbound = _bound(draft, agent, contracts)
    left_out = (*left_out, *unbound)
    outcome = updated(draft, existing, fresh) if update else _written(draft, existing, fresh)
    return replace(outcome, left_out=(*draft.left_out, *left_out))


def _bound(draft: Draft, agent: str, contracts: dict[str, dict[str, Json]]) -> tuple[places.Record, tuple[str, ...]]:
    """The agent that keeps the contracts, without those that its file cannot bind; and these, with the reason."""
    left_out: list[str] = []
    while True:
        document = _agent(draft, agent, contracts)
        problems = errors_of("agent", agent_text(draft, document))
        if not problems:
            return places.Record(agent=document, contracts=contracts, only=draft.only), tuple(left_out)
        problem, keys = problems[0], list(contracts)
        served = [(segments(each.pointer), each) for each in problems]
        unbound = {keys[int(parts[1])]: each for parts, each in served if parts[:1] == ("serves",) and len(parts) > 1}
        if not unbound or len(unbound) == len(keys):
            raise RefusedError(
                "BAD_ARGUMENT",
                f"no agent can be made of {draft.source}: {problem.message} ({problem.pointer}).",
                do=problem.fix,
            )
        left_out += [f"{key}: {each.message} ({each.pointer})" for key, each in unbound.items()]
        contracts = {key: each for key, each in contracts.items() if key not in unbound}


def refuse_early(home: Path, agent: str, *, update: bool) -> None:
    """Refuse what `bring_in` would refuse of an agent by its name alone, before its source is asked. As it raises."""
    _refuse(Existing.of(home, valid_name(agent, otherwise="agent")), update=update)


def _refuse(existing: Existing, *, update: bool) -> None:
    agent, path = existing.agent, places.agent_file(existing.home, existing.agent)
    if existing.there and not update:
        raise RefusedError(
            "BAD_ARGUMENT",
            f"the agent {agent} is already here ({path.relative_to(existing.home).as_posix()}); nothing was changed.",
            do="run it again with --update to take over what is new and keep what people wrote, "
            "or name another agent with --agent.",
        )
    if update and existing.record is None and not existing.was_imported:
        where = f"the agent {agent} here ({path.relative_to(existing.home).as_posix()}) was not made by an import"
        if existing.there:
            raise RefusedError("BAD_ARGUMENT", f"{where}; nothing was changed.", do="name another agent with --agent.")
    if update and not existing.there:
        raise RefusedError(
            "BAD_ARGUMENT",
            f"there is no agent {agent} here to update.",
            do="run it without --update, or name the agent with --agent.",
        )


def _bounds(draft: Draft) -> None:
    if not draft.contracts:
        chosen = f" that --only {','.join(draft.only)} chooses" if draft.only else ""
        raise RefusedError(
            "BAD_ARGUMENT",
            f"{draft.source} offers nothing{chosen} that could be imported.",
            do="look at what the source offers, and at --only.",
        )
    if len(draft.contracts) > CONTRACTS_MAX:
        raise RefusedError(
            "BAD_ARGUMENT",
            f"{draft.source} offers {len(draft.contracts)} operations, at most {CONTRACTS_MAX} are imported at once.",
            do="choose those that you need with --only, for example --only 'GET,/orders*'.",
        )


def _names(draft: Draft, existing: Existing) -> dict[str, str]:
    """The name of each contract by its key: the one of the last import, else one that is free."""
    taken = {*existing.contract_names, *existing.names.values()}
    names = dict(existing.names)
    for each in draft.contracts:
        if each.key not in names:
            names[each.key] = free_name(contract_name(existing.agent, each.name), taken)
            taken.add(names[each.key])
    return names


def _contracts(draft: Draft, agent: str, names: dict[str, str]) -> tuple[dict[str, dict[str, Json]], tuple[str, ...]]:
    """Every contract as it would be written, by key; and those that cannot be, with the reason."""
    found: dict[str, dict[str, Json]] = {}
    left_out: list[str] = []
    for each in draft.contracts:
        document, reason = _sound(draft, each, agent, names[each.key])
        if document is None:
            left_out.append(f"{each.key}: {reason}")
        else:
            found[each.key] = document
    return found, tuple(left_out)


def _sound(draft: Draft, contract: DraftContract, agent: str, name: str) -> tuple[dict[str, Json] | None, str]:
    """The contract as it would be written; a schema that our lint refuses is left open, with a todo that says why."""
    document, todo, reason = dict(contract.document), list(contract.todo), ""
    for _ in range(3):
        lines = list(dict.fromkeys(each.line for each in todo))
        origin = {"from": draft.kind, "agent": agent, "key": contract.key}
        whole = ordered("contract", name, {**document, "status": "draft", "todo": lines, "x-imported": origin})
        problem = first_error("contract", contract_text(draft, whole))
        if problem is None:
            return whole, ""
        reason = f"{problem.message} ({problem.pointer or 'the whole file'})"
        side = problem.pointer.split("/")[1] if problem.pointer else "output"
        side = "input" if not problem.pointer and document.get("output") == OPEN else side
        if side not in ("input", "output") or document.get(side) == OPEN:
            break
        if side == "input" and "path" in contract.bind:
            break  # the bind names arguments: without them it would be wrong
        document[side] = OPEN
        todo.append(Todo(pointer=f"/{side}", text=f"the schema could not be taken over, write one: {reason}"))
    return None, reason


def _agent(draft: Draft, agent: str, contracts: dict[str, dict[str, Json]]) -> dict[str, Json]:
    binds = {each.key: each.bind for each in draft.contracts}
    serves = [
        {"contract": f"{document['contract']}@^1", "bind": binds[key], "x-imported": key}
        for key, document in contracts.items()
    ]
    todo = [each.line for each in draft.todo]
    origin = {"from": draft.kind, "source": draft.source}
    return ordered("agent", agent, {**draft.document, "serves": serves, "x-todo": todo, "x-imported": origin})


def _written(draft: Draft, existing: Existing, fresh: places.Record) -> Outcome:
    home, agent = existing.home, existing.agent
    whole = {
        places.contract_file(home, agent, each["contract"]): (each["contract"], contract_text(draft, each), each)
        for each in fresh.contracts.values()
    }
    whole[places.agent_file(home, agent)] = (agent, agent_text(draft, fresh.agent), fresh.agent)
    for path in whole:
        if path.exists():
            raise RefusedError(
                "BAD_ARGUMENT",
                f"{path.relative_to(home).as_posix()} is already here; nothing was changed.",
                do="move it away, or name another agent with --agent.",
            )
    for path, (_, text, _) in whole.items():
        places.put(path, text, new=True)
    places.write_record(home, agent, fresh)
    return Outcome(
        agent=agent,
        source=draft.source,
        files=tuple(
            WrittenFile(file=path.relative_to(home).as_posix(), action="written", name=name, todo=_todo(document))
            for path, (name, _, document) in whole.items()
        ),
    )


def _todo(document: dict[str, Json]) -> tuple[str, ...]:
    return tuple(document.get("todo", document.get("x-todo", ())))
