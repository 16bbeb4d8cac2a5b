"""`--update`: what the source says now goes into the files where people left them as imported; what they wrote stays.

Three-way, file by file: the last import (the record), the source now, the file. Removed files stay removed, renamed
contracts keep their names. What a person must look at again becomes a todo in the file and a line of the outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from process_orchestrator.checking.importers import places
from process_orchestrator.checking.importers.documents import agent_text, contract_text, first_error
from process_orchestrator.checking.importers.draft import Change, Draft, Outcome, WrittenFile
from process_orchestrator.checking.importers.existing import Existing, Found
from process_orchestrator.checking.importers.merge import ABSENT, Row, merge, same
from process_orchestrator.checking.importers.yaml_edit import edited

Json = Any

REVERTS_MAX: Final = 4
"""Parts of a file that are given back to the person before the whole file is left as it is."""

PROMISES: Final = ("/input", "/output", "/errors", "/effects", "/idempotency")
"""Where a change at the source asks for a new version of a contract that is in use."""


def updated(draft: Draft, existing: Existing, fresh: places.Record) -> Outcome:
    """Merge a draft into what is there, and write what changed."""
    rows: list[WrittenFile | Change] = []
    for key, document in fresh.contracts.items():
        rows += _contract(draft, existing, key, document)
    earlier = {} if existing.record is None else existing.record.contracts
    for key in earlier:
        if key not in fresh.contracts and key not in draft.known and key in existing.contracts:
            rows += _gone(existing.contracts[key], draft)
    agent = _with_earlier(fresh.agent, existing.record)
    rows += _agent(draft, existing, agent)
    files = [each for each in rows if isinstance(each, WrittenFile)]
    changes = [each for each in rows if isinstance(each, Change)]
    record = places.Record(agent=agent, contracts={**earlier, **fresh.contracts}, only=draft.only)
    places.write_record(existing.home, existing.agent, record)
    return Outcome(agent=existing.agent, source=draft.source, files=tuple(files), changes=tuple(changes))


def _contract(draft: Draft, existing: Existing, key: str, new: dict[str, Json]) -> Iterator[WrittenFile | Change]:
    base = None if existing.record is None else existing.record.contracts.get(key)
    found = existing.contracts.get(key)
    if found is None and base is not None:
        file = places.contract_file(existing.home, existing.agent, new["contract"]).relative_to(existing.home)
        yield WrittenFile(file=file.as_posix(), action="removed", name=new["contract"])
    elif found is None:
        path = places.contract_file(existing.home, existing.agent, new["contract"])
        places.put(path, contract_text(draft, new))
        file = path.relative_to(existing.home).as_posix()
        yield WrittenFile(file=file, action="written", name=new["contract"], todo=tuple(new.get("todo", ())))
        yield Change(file=file, pointer="", how="new", message=f"{key} is new at the source")
    else:
        yield from _merged("contract", found, base, new)


def _agent(draft: Draft, existing: Existing, new: dict[str, Json]) -> Iterator[WrittenFile | Change]:
    base = None if existing.record is None else existing.record.agent
    if existing.agent_found is not None:
        yield from _merged("agent", existing.agent_found, base, new)
        return
    path = places.agent_file(existing.home, existing.agent)
    file = path.relative_to(existing.home).as_posix()
    if base is not None:
        yield WrittenFile(file=file, action="removed", name=existing.agent)
        return
    places.put(path, agent_text(draft, new))
    yield WrittenFile(file=file, action="written", name=existing.agent, todo=tuple(new.get("x-todo", ())))


def _merged(
    kind: str, found: Found, base: dict[str, Json] | None, new: dict[str, Json]
) -> Iterator[WrittenFile | Change]:
    """Merge one file and write it where it changed."""
    name, todo_key = str(found.value[kind]), "todo" if kind == "contract" else "x-todo"
    if base is None or first_error(kind, found.text) is not None:
        reason = "there is no record of what was imported" if base is None else "the file has errors: mend them first"
        yield WrittenFile(file=found.file, action="unchanged", name=name, todo=_lines(found.value.get(todo_key)))
        if base is None and same(found.value, new):
            return
        yield Change(file=found.file, pointer="", how="conflict", message=f"left as it is: {reason}")
        return
    value, rows, text = _sound(kind, found, base, new)
    if text != found.text:
        places.put(found.path, text)
    action = "unchanged" if text == found.text else "updated"
    yield WrittenFile(file=found.file, action=action, name=name, todo=_lines(value.get(todo_key)))
    for row in rows:
        yield Change(file=found.file, pointer=row.pointer, how=row.how, message=row.message)


def _sound(
    kind: str, found: Found, base: dict[str, Json], new: dict[str, Json]
) -> tuple[dict[str, Json], tuple[Row, ...], str]:
    """The merged file. A part that the two changes together would break stays as the person wrote it."""
    merged, rows = merge(base, new, found.value)
    value: dict[str, Json] = {**found.value} if merged is ABSENT else {**merged}
    for _ in range(REVERTS_MAX):
        told = _told(kind, found.value, value, rows)
        text = edited(found.text, found.value, told)
        problem = first_error(kind, text)
        if problem is None:
            return told, rows, text
        part = problem.pointer.split("/")[1] if problem.pointer else ""
        if part not in found.value or same(value.get(part), found.value[part]):
            break
        value[part] = found.value[part]
        message = f"the source's change and yours do not go together ({problem.message}); yours is kept"
        rows = (*(row for row in rows if row.pointer.split("/")[1:2] != [part]), Row(f"/{part}", "conflict", message))
    message = "the source's changes and yours do not go together; the file is left as it is"
    return found.value, (Row("", "conflict", message),), found.text


def _told(kind: str, ours: dict[str, Json], value: dict[str, Json], rows: Iterable[Row]) -> dict[str, Json]:
    """The value with a todo for each thing that needs a decision again."""
    key = "todo" if kind == "contract" else "x-todo"
    wanted = [f"{row.pointer or '/'}: {row.message}" for row in rows if row.how == "conflict"]
    promised = [row.pointer for row in rows if row.how == "taken" and row.pointer.startswith(PROMISES)]
    if kind == "contract" and ours.get("status", "active") == "active" and promised:
        wanted.append(
            f"/version: the source changed {', '.join(promised[:3])}; raise the version (`contracts diff` says how far)"
        )
    have: list[Json] = list(value.get(key, []))
    added = [each for each in wanted if each not in have]
    return {**value, key: [*have, *added]} if added else value


def _gone(found: Found, draft: Draft) -> tuple[WrittenFile, Change]:
    message = f"{draft.source} no longer offers it"
    if first_error("contract", found.text) is not None:
        row = WrittenFile(file=found.file, action="unchanged", name=str(found.value["contract"]))
        return row, Change(file=found.file, pointer="", how="gone", message=message)
    line = f"{message}: remove this contract, or bind it to another agent"
    todo = [*found.value.get("todo", []), line]
    told = found.value if line in found.value.get("todo", []) else {**found.value, "todo": todo}
    text = edited(found.text, found.value, told)
    if text != found.text:
        places.put(found.path, text)
    action = "updated" if text != found.text else "unchanged"
    row = WrittenFile(file=found.file, action=action, name=str(found.value["contract"]), todo=_lines(told["todo"]))
    return row, Change(file=found.file, pointer="", how="gone", message=message)


def _with_earlier(agent: dict[str, Json], record: places.Record | None) -> dict[str, Json]:
    """The agent as it would be imported, with what it served before and this import did not choose."""
    if record is None:
        return agent
    here = {each["x-imported"] for each in agent["serves"]}
    earlier = [each for each in record.agent.get("serves", []) if each.get("x-imported") not in here]
    return {**agent, "serves": [*earlier, *agent["serves"]]}


def _lines(todo: Json) -> tuple[str, ...]:
    return tuple(str(each) for each in todo) if isinstance(todo, list) else ()
