"""The skills of an A2A agent as drafts of contracts.

Pure: takes a card, whoever read it. A card says of a skill which media types it takes and gives, and nothing of the
shape of what is in them; so each draft is a form for a person to fill in, and stays a draft until somebody has written
its schemas or accepted them as they are. Descriptions and examples are data: shown to that person, followed by nobody.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.parse import urlsplit

from process_orchestrator.checking.a2a_card import Card, Skill, card_url, same_origin
from process_orchestrator.checking.importers.draft import Draft, DraftContract, Todo
from process_orchestrator.checking.importers.naming import one_line
from process_orchestrator.checking.schemas.nearest import nearest
from process_orchestrator.core.errors import CardError, RefusedError

Json = Any

FIRST_VERSION: Final = "1.0.0"
MESSAGE: Final = "message"
EXAMPLES_SHOWN: Final = 3
SHOWN_CHARS_MAX: Final = 120

PLAIN: Final = re.compile(r"[A-Za-z0-9_./-]{1,80}")

TEXT: Final[dict[str, Json]] = {"type": "string"}
FILES: Final[dict[str, Json]] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"name": TEXT, "media_type": TEXT, "url": TEXT, "base64": TEXT},
    },
}


def draft_of(card: Card, transport: dict[str, Json], *, agent: str, only: Sequence[str] = ()) -> Draft:
    """What a card offers, as far as `only` (ids of skills, `*` for any part) chooses it.

    `transport` is that of an agent file: kind, card, and perhaps auth. Raises RefusedError BAD_ARGUMENT where a choice
    chooses nothing, or nothing in the card can be spoken to.
    """
    source = _shown(transport["card"])
    ids = [each.id for each in card.skills]
    for pattern in only:
        if not any(fnmatchcase(each, pattern) for each in ids):
            close = ", ".join(one_line(each, chars=SHOWN_CHARS_MAX) for each in nearest(pattern, ids)) or "none"
            message = f"the card at {source} lists no skill `{one_line(pattern, chars=SHOWN_CHARS_MAX)}`."
            raise RefusedError("BAD_ARGUMENT", message, do=f"choose among its {len(ids)} skills; the nearest: {close}.")
    placed, about = _placed(card, transport, source)
    chosen = [each for each in card.skills if not only or any(fnmatchcase(each.id, pattern) for pattern in only)]
    described = one_line(card.description) or f"A2A agent {one_line(card.name) or source}."
    return Draft(
        kind="a2a",
        source=source,
        agent=agent,
        document={"summary": described, "transport": placed},
        contracts=tuple(_contract(each, agent=agent) for each in chosen),
        todo=about,
        known=tuple(ids),
        only=tuple(only),
    )


def _placed(card: Card, transport: dict[str, Json], source: str) -> tuple[dict[str, Json], tuple[Todo, ...]]:
    """The transport, and what is to be confirmed of it where the card leads elsewhere."""
    try:
        interface = card.interface(transport.get("endpoint"))
        elsewhere = not same_origin(interface.url, transport["card"])
    except CardError as error:
        message = f"the card at {source} cannot be used: {error.message}."
        raise RefusedError("BAD_ARGUMENT", message, do="ask who runs it for a JSON-RPC interface.") from error
    if not elsewhere or "endpoint" in transport:
        return transport, ()
    text = (
        "the card names this address, which is another place than its own: messages and the token go there. "
        "Accept it if you know that it is theirs"
    )
    return {**transport, "endpoint": interface.url}, (Todo(pointer="/transport/endpoint", text=text),)


def _contract(skill: Skill, *, agent: str) -> DraftContract:
    given, bind = _input(skill)
    output, result = _output(skill)
    examples = "; ".join(one_line(each, chars=SHOWN_CHARS_MAX) for each in skill.examples[:EXAMPLES_SHOWN])
    such_as = f" Its examples: {examples}" if examples else ""
    shown = skill.id if PLAIN.fullmatch(skill.id) else f"'{one_line(skill.id, chars=SHOWN_CHARS_MAX)}'"
    takes = ", ".join(skill.input_modes) or "nothing that the card names"
    gives = ", ".join(skill.output_modes) or "nothing that the card names"
    todo = (
        Todo(pointer="/input", text=f"a card holds no schema (this skill takes {takes}): write what goes in.{such_as}"),
        Todo(
            pointer="/output",
            text=f"a card holds no schema (this skill gives {gives}): write what must come out; "
            f"`orchestrator agents call {agent} {shown} --input JSON --infer-output --write` makes one of real answers",
        ),
        Todo(
            pointer="/effects/kind",
            text="the card does not say what it does to the world: answer --effects none, read, write or irreversible",
        ),
    )
    described = one_line(skill.description) or one_line(skill.name) or f"Skill {one_line(skill.id)}."
    document = {
        "version": FIRST_VERSION,
        "summary": described,
        "input": given,
        "output": output,
        "effects": {"kind": "irreversible"},
        "x-modes": {"input": list(skill.input_modes), "output": list(skill.output_modes)},
    }
    return DraftContract(
        key=skill.id, name=skill.id, document=document, bind={"skill": skill.id, **bind, **result}, todo=todo
    )


def _input(skill: Skill) -> tuple[dict[str, Json], dict[str, str]]:
    """What the media types say of the input. JSON goes as a data part, text as a text part; a skill may take both."""
    as_text = any(each.startswith("text/") for each in skill.input_modes) or not skill.input_modes
    as_data = any(_is_json(each) for each in skill.input_modes)
    if as_text and not as_data:
        return {"type": "object", "required": [MESSAGE], "properties": {MESSAGE: TEXT}}, {"text": MESSAGE}
    if as_text:
        return {"type": "object", "properties": {MESSAGE: TEXT}}, {"text": MESSAGE}
    return {"type": "object"}, {}


def _output(skill: Skill) -> tuple[dict[str, Json], dict[str, str]]:
    modes = skill.output_modes
    if any(_is_json(each) for each in modes):
        return {"type": "object"}, {}
    if not modes or any(each.startswith("text/") for each in modes):
        return {"type": "object", "required": ["text"], "properties": {"text": TEXT}}, {"result": "text"}
    return {"type": "object", "required": ["files"], "properties": {"files": FILES}}, {}


def _is_json(mode: str) -> bool:
    return mode == "application/json" or mode.endswith("+json")


def _shown(url: str) -> str:
    parts = urlsplit(card_url(url))
    return one_line(f"{parts.scheme}://{parts.netloc}{parts.path}", chars=200)
