"""The tools of an MCP server as drafts of contracts.

Pure: takes what `tools/list` answered, whoever asked. Names, schemas and hints are taken over as the server tells
them; what they promise is not believed. Every description is data: the summary is our reading of its first sentences,
for a person to confirm, and nothing in it is ever followed.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from process_orchestrator.checking.importers.adapt import Adapted, adapted, is_object_schema
from process_orchestrator.checking.importers.draft import Draft, DraftContract, Todo
from process_orchestrator.checking.importers.mcp_source import McpSource
from process_orchestrator.checking.importers.naming import SUMMARY_CHARS_MAX, one_line
from process_orchestrator.checking.schemas.nearest import nearest
from process_orchestrator.core.errors import RefusedError

Json = Any

FIRST_VERSION: Final = "1.0.0"
SHOWN_CHARS_MAX: Final = 80
READ_CHARS_MAX: Final = 4_000
"""Of a description, so much is read for its first sentences."""

TEXT_ONLY: Final[dict[str, Json]] = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
}
"""What a tool gives that declares no output: the text of its answer, always."""

SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+(?=\S)|(?<=。)")
MARKUP: Final = re.compile(r"</?[A-Za-z][\w-]{0,40}>|```[a-z]*|^[#>*\-\s]+", re.MULTILINE)
HIDDEN: Final = frozenset(("Cf", "Co", "Cn", "Cs"))
"""Unicode classes that no reader sees: direction marks, tags, private use, lone surrogates."""

HINTS: Final = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")


def draft_of(source: McpSource, tools: Sequence[Json], *, agent: str, only: Sequence[str] = ()) -> Draft:
    """What a server offers, as far as `only` (names of tools, `*` for any part) chooses it.

    Raises RefusedError BAD_ARGUMENT where a choice chooses nothing.
    """
    sound, left_out = _sound(tools)
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in sound):
            close = ", ".join(one_line(each, chars=SHOWN_CHARS_MAX) for each in nearest(pattern, sound))
            message = f"{source.source} has no tool `{one_line(pattern, chars=SHOWN_CHARS_MAX)}`."
            do = f"choose among its {len(sound)} tools, for example: {close}." if close else "it lists no tools at all."
            raise RefusedError("BAD_ARGUMENT", message, do=do)
    chosen = [name for name in sound if not only or any(fnmatchcase(name, each) for each in only)]
    return Draft(
        kind="mcp",
        source=source.source,
        agent=agent,
        document={"summary": _summary_of_agent(source, chosen), "transport": source.transport},
        contracts=tuple(_contract(sound[name], agent=agent) for name in chosen),
        known=tuple(sound),
        only=tuple(only),
        left_out=tuple(left_out),
    )


def _sound(tools: Sequence[Json]) -> tuple[dict[str, dict[str, Json]], list[str]]:
    """Tools by name, in their order; and what of the list is no tool, or names one for the second time."""
    sound: dict[str, dict[str, Json]] = {}
    left_out: list[str] = []
    for index, tool in enumerate(tools):
        name = tool.get("name") if isinstance(tool, dict) else None
        if not isinstance(name, str) or not name:
            left_out.append(f"item {index + 1} of the list: it is no tool with a name")
        elif name in sound:
            left_out.append(f"{one_line(name, chars=SHOWN_CHARS_MAX)}: the server lists two tools of this name")
        else:
            sound[name] = tool
    return sound, left_out


def _summary_of_agent(source: McpSource, names: Sequence[str]) -> str:
    listed = ", ".join(one_line(name, chars=40) for name in names[:6])
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return one_line(f"MCP server {source.source}: {listed}{more}.")


def _contract(tool: dict[str, Json], *, agent: str) -> DraftContract:
    name = str(tool["name"])
    given = adapted(tool.get("inputSchema"))
    output, bind, about_output = _answer(tool, agent=agent, name=name)
    hints = _hints(tool)
    todo = [
        *_about_words(tool),
        _about_effects(hints),
        *_about_repeating(hints),
        *_about_schema("/input", given),
        *about_output,
    ]
    document = {
        "version": FIRST_VERSION,
        "summary": _summary(tool),
        "input": given.schema,
        "output": output,
        "effects": {"kind": "irreversible"},
        **({"x-hints": hints} if hints else {}),
    }
    return DraftContract(key=name, name=name, document=document, bind=bind, todo=tuple(todo))


def _answer(tool: dict[str, Json], *, agent: str, name: str) -> tuple[Json, dict[str, Json], list[Todo]]:
    """The output schema, the bind that reads such an answer, and what is open about it."""
    declared = tool.get("outputSchema")
    if is_object_schema(declared):
        made = adapted(declared)
        return made.schema, {"tool": name}, _about_schema("/output", made)
    why = "the tool declares no output" if declared is None else "the tool declares an output that is no object"
    tool_name = shlex.quote(one_line(name, chars=SHOWN_CHARS_MAX))
    command = f"orchestrator agents call {agent} {tool_name} --input JSON --infer-output --write"
    text = f"{why}; its answer is taken as text, or as `{command}` finds it"
    return TEXT_ONLY, {"tool": name, "result": "text"}, [Todo(pointer="/output", text=text)]


def _about_schema(side: str, made: Adapted) -> list[Todo]:
    return [Todo(pointer=side, text=f"{note}; write it otherwise, or accept it") for note in made.notes]


def _hints(tool: dict[str, Json]) -> dict[str, bool]:
    annotations = tool.get("annotations")
    if not isinstance(annotations, dict):
        return {}
    return {name: annotations[name] for name in HINTS if isinstance(annotations.get(name), bool)}


def _about_effects(hints: dict[str, bool]) -> Todo:
    """The server's hint is a suggestion: until a person confirms it, a tool may do what cannot be taken back."""
    if hints.get("readOnlyHint"):
        text = "the server says that it only reads: if you know that it does, answer --effects read"
    elif hints.get("destructiveHint") is False:
        text = "the server says that it changes something and destroys nothing: if so, answer --effects write"
    elif hints.get("destructiveHint"):
        text = "the server says that it may destroy something: answer --effects irreversible, or what you know better"
    else:
        text = "the server does not say what it does to the world: answer --effects none, read, write or irreversible"
    return Todo(pointer="/effects/kind", text=text)


def _about_repeating(hints: dict[str, bool]) -> list[Todo]:
    if not hints.get("idempotentHint") or hints.get("readOnlyHint"):
        return []
    text = "the server says that a second such call changes nothing more: if so, answer --idempotency natural"
    return [Todo(pointer="/idempotency", text=text)]


def _about_words(tool: dict[str, Json]) -> list[Todo]:
    """A description whose words are not all to be seen may speak to a model behind a person's back."""
    words = f"{tool.get('title', '')} {tool.get('description', '')}"
    if not any(unicodedata.category(each) in HIDDEN for each in words.replace("\N{ZERO WIDTH JOINER}", "")):
        return []
    text = "the description holds characters that cannot be seen; they were removed here. Ask why before you trust it"
    return [Todo(pointer="/summary", text=text)]


def _summary(tool: dict[str, Json]) -> str:
    """The first sentence or two of the description, else the title or the name."""
    annotations = tool.get("annotations")
    titles = [tool.get("title"), annotations.get("title") if isinstance(annotations, dict) else None, tool["name"]]
    description = tool.get("description")
    written = MARKUP.sub(" ", description[:READ_CHARS_MAX]) if isinstance(description, str) else ""
    summary = ""
    for sentence in SENTENCE_END.split(one_line(written, chars=READ_CHARS_MAX)):
        longer = f"{summary} {sentence}".strip()
        if summary and (len(longer) > SUMMARY_CHARS_MAX // 2 or len(summary) > SUMMARY_CHARS_MAX // 4):
            break
        summary = longer
    for otherwise in titles:
        summary = summary or one_line(otherwise)
    return one_line(summary) or "A tool without a name that can be shown."
