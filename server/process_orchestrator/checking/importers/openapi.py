"""An OpenAPI 3.0 or 3.1 document as drafts of contracts, and the HTTP agent that keeps them.

What the document says is taken over; what it cannot say (what a call does to the world, whether it may be repeated)
is guessed from the method, to the safe side, and left as a todo. Nothing is fetched or written here.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from process_orchestrator.checking.importers.adapt import adapted
from process_orchestrator.checking.importers.draft import Draft, DraftContract, Todo
from process_orchestrator.checking.importers.naming import one_line, valid_name
from process_orchestrator.checking.importers.openapi_document import OpenApi, Operation, listed, mapping, text
from process_orchestrator.checking.importers.openapi_input import CannotBeCalledError, Taken, taken
from process_orchestrator.checking.importers.openapi_output import answers
from process_orchestrator.checking.importers.openapi_schema import bundled
from process_orchestrator.checking.importers.openapi_server import Reach, Server, server
from process_orchestrator.core.errors import RefusedError

Json = Any

VERSION: Final = "1.0.0"
EMPTY_WORDS: Final = frozenset(("api", "openapi", "open", "rest", "http", "spec", "specification", "service", "the"))
"""Words of a title that say nothing."""

AGENT_WORDS_MAX: Final = 3

GUESSES: Final[dict[str, tuple[dict[str, Json], str]]] = {
    "GET": ({"effects": "read"}, "a GET is taken to read only: is that so?"),
    "HEAD": ({"effects": "read"}, "a HEAD is taken to read only: is that so?"),
    "PUT": (
        {"effects": "write", "idempotency": "natural"},
        "a PUT is taken to write, and to do nothing more when it is repeated: is that so?",
    ),
    "POST": (
        {"effects": "write", "idempotency": "unsafe"},
        "a POST is taken to write, and not to be repeated: does it only read (then read), can it be taken back (undo), "
        "or never (irreversible)?",
    ),
    "PATCH": (
        {"effects": "write", "idempotency": "unsafe"},
        "a PATCH is taken to write, and not to be repeated: can it be taken back (undo), or never (irreversible)?",
    ),
    "DELETE": (
        {"effects": "irreversible", "idempotency": "unsafe"},
        "a DELETE is taken for irreversible: if what it removes can be had back, write write",
    ),
}
"""What a method is taken to do, and the question to a person."""


def agent_name(value: Json, *, source: str) -> str:
    """What to call the agent of a document: its title without the words that say nothing."""
    title = valid_name(text(mapping(mapping(value).get("info")).get("title")), otherwise="")
    words = [each for each in title.split("_") if each not in EMPTY_WORDS and not each[:1].isdigit()]
    short = "_".join(words[:AGENT_WORDS_MAX])
    return valid_name(short or title or source.rpartition("/")[2].partition(".")[0], otherwise="api")


def draft_of(
    value: Json,
    *,
    source: str,
    agent: str,
    only: Sequence[str] = (),
    reach: Reach = Reach(),  # noqa: B008 - a tuple, and nothing of it can be changed
) -> Draft:
    """The operations of a document that `only` chooses: methods, paths or operationIds, `*` for any part of a name.

    Reads generously: whether the document is valid is `openapi_check`'s to say.
    Raises RefusedError for a document that is not read, or has nothing to choose.
    """
    document = OpenApi(value, source=source)
    operations = tuple(document.operations())
    chosen = tuple(each for each in operations if _is_chosen(each, only))
    if only and not chosen:
        known = ", ".join(each.key for each in operations[:3]) or "none at all"
        raise RefusedError(
            "BAD_ARGUMENT",
            f"--only {','.join(only)} chooses no operation of {source}.",
            do=f"it has, for example: {known}.",
        )
    left_out = [] if only else [*document.not_called()]
    name = valid_name(agent, otherwise="api")
    place = server(document, chosen, agent=name, reach=reach)
    contracts: list[DraftContract] = []
    for each in chosen:
        try:
            contracts.append(_contract(document, each, place, agent=name))
        except CannotBeCalledError as error:
            left_out.append(f"{each.key}: {error}")
    info = mapping(document.value.get("info"))
    summary = one_line(info.get("summary")) or one_line(info.get("title")) or f"The API of {source}."
    return Draft(
        kind="openapi",
        source=source,
        agent=name,
        document={"summary": summary, "transport": place.transport},
        contracts=tuple(contracts),
        todo=place.todo,
        known=tuple(each.key for each in operations),
        only=tuple(only),
        left_out=tuple(left_out),
    )


def chosen_part(value: Json, *, source: str, only: Sequence[str]) -> dict[str, Json]:
    """The document with the paths that `only` chooses, and all its components: what an import reads of it."""
    document = OpenApi(value, source=source)
    kept = {each.path for each in document.operations() if _is_chosen(each, only)}
    paths = mapping(document.value.get("paths"))
    return {**document.value, "paths": {path: each for path, each in paths.items() if path in kept or not only}}


def _is_chosen(operation: Operation, only: Sequence[str]) -> bool:
    """Whether each kind of choice that is made (methods, paths or operationIds) holds for an operation."""
    methods = [each.upper() for each in only if each.isalpha() and each.upper() == each]
    names = [each for each in only if each not in methods]
    if methods and operation.method not in methods:
        return False
    return not names or any(
        fnmatchcase(wanted, each) for each in names for wanted in (operation.path, operation.key, operation.id)
    )


def _contract(document: OpenApi, operation: Operation, place: Server, *, agent: str) -> DraftContract:
    given = taken(document, operation, secret=place.secret)
    back = answers(document, operation)
    todo = [*_about_effects(operation, given), *given.todo, *back.todo]
    sides: dict[str, Json] = {}
    for side, schema in (("input", given.schema), ("output", back.schema)):
        alone = bundled(document, schema, side=side)
        ours = adapted(alone.schema)
        sides[side] = _with_names(ours.schema, schema) if side == "input" else ours.schema
        todo += [Todo(pointer=f"/{side}", text=each) for each in (*alone.notes, *_grouped(ours.notes))]
    return DraftContract(
        key=operation.key,
        name=operation.id or f"{operation.method} {operation.path}",
        document={
            "version": VERSION,
            "summary": _summary(operation),
            **sides,
            **({"errors": back.errors} if back.errors else {}),
            **_effects(operation, given, agent),
            **({"deprecated": {"since": VERSION}} if operation.body.get("deprecated") is True else {}),
        },
        bind={"method": operation.method, **given.bind, **back.bind},
        todo=tuple(todo),
    )


def _effects(operation: Operation, given: Taken, agent: str) -> dict[str, Json]:
    guess, _ = GUESSES[operation.method]
    first = next((each for each in operation.path.split("/") if each and not each.startswith("{")), "all")
    tag = one_line(next(iter(listed(operation.body.get("tags"))), None), chars=60) or one_line(first, chars=60)
    effects: dict[str, Json] = {"effects": {"kind": guess["effects"], "resources": [f"{agent}:{tag.casefold()}"]}}
    if given.key is not None:
        return {**effects, "idempotency": {"key": given.key}}
    return {**effects, **({"idempotency": guess["idempotency"]} if "idempotency" in guess else {})}


def _about_effects(operation: Operation, given: Taken) -> list[Todo]:
    todo = [Todo(pointer="/effects/kind", text=GUESSES[operation.method][1])]
    if given.key is not None:
        said = "the header Idempotency-Key is taken to make a repetition harmless: does the API promise that?"
        todo.append(Todo(pointer="/idempotency", text=said))
    return todo


def _summary(operation: Operation) -> str:
    for each in (operation.body.get("summary"), operation.body.get("description")):
        if said := one_line(each):
            return said
    return one_line(operation.key)


def _with_names(ours: dict[str, Json], given: dict[str, Json]) -> dict[str, Json]:
    """An input whose arguments are all there by name, whatever became of their schemas: the bind names them."""
    known = mapping(ours.get("properties"))
    lost = {name: True for name in given["properties"] if name not in known}
    hidden = {name for name, each in given["properties"].items() if mapping(each).get("readOnly") is True}
    return ours if set(lost) <= hidden else {**ours, "properties": {**known, **lost}}


def _grouped(notes: Sequence[str]) -> list[str]:
    """Notes on schemas, each of which begins with its place: one for all places of which the same is said."""
    places: dict[str, list[str]] = {}
    for each in notes:
        place, _, what = each.partition(" ")
        places.setdefault(what, []).append(place)
    return [
        f"{found[0]} {what}" + (f" (and at {len(found) - 1} more places)" if len(found) > 1 else "")
        for what, found in places.items()
    ]
