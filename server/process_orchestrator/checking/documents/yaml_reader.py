"""The strict reader of definition files: YAML (JSON included) in, JSON values and a map from pointer to line out.

Narrower than YAML on purpose. Only what JSON can say is read: `true false null`, JSON numbers, strings, lists,
mappings with string keys. Anchors, aliases, tags, duplicate keys and plain words that another YAML reader would take
for something else than text (`True`, `~`, `012`, `.5`) are refused, each with its line. Works on the event stream, so
that depth and size are bounded while reading and nothing is ever constructed from a tag.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Final, NoReturn

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from process_orchestrator.checking.documents.lines import Document
from process_orchestrator.checking.schemas.pointers import step_into
from process_orchestrator.core.errors import DefinitionError

Json = Any

FILE_BYTES_MAX: Final = 1_000_000
DEPTH_MAX: Final = 64
INTEGER_MAX: Final = 2**53 - 1
"""Beyond this RFC 8785 has no canonical form and readers disagree."""

JSON_WORDS: Final[dict[str, Json]] = {"true": True, "false": False, "null": None}
JSON_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
YAML_ONLY: Final = re.compile(
    r"~|Null|NULL|True|TRUE|False|FALSE"
    r"|[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
    r"|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
"""Plain words that YAML 1.2 reads as something else than text, though JSON does not know them."""

UNREADABLE: Final = "save the file as UTF-8 text"


def read(data: bytes, *, file: str) -> Document:
    """Read one definition file. Raises DefinitionError with exactly one problem."""
    if len(data) > FILE_BYTES_MAX:
        message = f"the file has {len(data)} bytes, at most {FILE_BYTES_MAX} are read"
        raise _refusal(file, "FILE_TOO_LARGE", 1, "", message, "split it; a definition is seldom over 100 kB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refusal(file, "NOT_UTF8", line, "", "the file is not UTF-8 text", UNREADABLE) from None
    return _Reader(file).read(text)


def _refusal(file: str, code: str, line: int, pointer: str, message: str, fix: str) -> DefinitionError:
    place = Document(file=file, value=None, lines={pointer: line})
    return DefinitionError((place.error(code, pointer, message, fix),))


class _Open:
    """A list or mapping that has begun and not yet ended."""

    __slots__ = ("key", "pointer", "value")

    def __init__(self, value: list[Json] | dict[str, Json], pointer: str) -> None:
        self.value = value
        self.pointer = pointer
        self.key: str | None = None


class _Reader:
    """Builds the value from parser events with a stack of its own: no recursion, whatever the file holds."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._stack: list[_Open] = []
        self._lines: dict[str, int] = {}
        self._root: Json = None
        self._has_root = False

    def read(self, text: str) -> Document:
        documents = 0
        for event in self._events(text):
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._fail(
                        "MANY_DOCUMENTS", event, "the file holds more than one document", "one definition a file"
                    )
            else:
                self._take(event)
        if not self._has_root:
            raise _refusal(
                self._file, "EMPTY_FILE", 1, "", "the file is empty", "begin with contract:, process: or agent:"
            )
        return Document(file=self._file, value=self._root, lines=self._lines)

    def _events(self, text: str) -> Iterator[Event]:
        try:
            yield from yaml.parse(text, Loader=yaml.CSafeLoader)
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            fix = "remove it, or write it as an escape in double quotes"
            raise _refusal(
                self._file, "YAML_SYNTAX", line, self._here(), "a character that YAML forbids", fix
            ) from None
        except yaml.MarkedYAMLError as error:
            unclosed = str(error.context).startswith("while parsing a flow")  # what is missing is missed much later
            mark = error.context_mark if unclosed else error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            message = f"no valid YAML: {error.problem or error.context}"
            fix = _syntax_fix(str(error.problem))
            raise _refusal(self._file, "YAML_SYNTAX", line, self._here(), message[:300], fix) from None

    def _take(self, event: Event) -> None:
        if isinstance(event, AliasEvent):
            self._fail("YAML_ALIAS", event, "aliases (*name) are not read", "write the value out where it is used")
        if isinstance(event, (ScalarEvent, SequenceStartEvent, MappingStartEvent)):
            self._plain(event)
        if isinstance(event, ScalarEvent):
            self._scalar(event)
        elif isinstance(event, (SequenceStartEvent, MappingStartEvent)):
            self._begin(event)
        elif isinstance(event, (SequenceEndEvent, MappingEndEvent)):
            self._stack.pop()

    def _plain(self, event: ScalarEvent | SequenceStartEvent | MappingStartEvent) -> None:
        if event.anchor is not None:
            self._fail("YAML_ALIAS", event, f"anchors (&{event.anchor}) are not read", "remove the anchor")
        if event.tag is not None:
            self._fail("YAML_TAG", event, f"tags ({event.tag}) are not read", "remove the tag; quote a text")

    def _begin(self, event: SequenceStartEvent | MappingStartEvent) -> None:
        if len(self._stack) >= DEPTH_MAX:
            self._fail("TOO_DEEP", event, f"nested deeper than {DEPTH_MAX} levels", "flatten the definition")
        value: list[Json] | dict[str, Json] = [] if isinstance(event, SequenceStartEvent) else {}
        pointer = self._place(value, event)
        self._stack.append(_Open(value, pointer))

    def _scalar(self, event: ScalarEvent) -> None:
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            self._key(top, event)
        else:
            self._place(self._scalar_value(event), event)

    def _key(self, top: _Open, event: ScalarEvent) -> None:
        key = str(event.value)
        if not event.style and (key in JSON_WORDS or JSON_NUMBER.fullmatch(key) or YAML_ONLY.fullmatch(key) or not key):
            self._fail("NON_STRING_KEY", event, f"the key {key!r} is no text", f'put it in quotes: "{key}":')
        pointer = step_into(top.pointer, key)
        if key in top.value:
            first = self._lines[pointer]
            message = f"the key `{key}` stands twice (first on line {first})"
            self._fail("DUPLICATE_KEY", event, message, "remove one of the two", pointer=pointer)
        self._lines[pointer] = _line(event)
        top.key = key

    def _place(self, value: Json, event: Event) -> str:
        """Put a value where it belongs and return its pointer."""
        if not self._stack:
            self._root, self._has_root = value, True
            return ""
        top = self._stack[-1]
        if isinstance(top.value, list):
            pointer = step_into(top.pointer, len(top.value))
            self._lines[pointer] = _line(event)
            top.value.append(value)
            return pointer
        if top.key is None:
            self._fail("NON_STRING_KEY", event, "a list or mapping stands as a key", "use a text as the key")
        pointer = step_into(top.pointer, top.key)
        top.value[top.key] = value
        top.key = None
        return pointer

    def _scalar_value(self, event: ScalarEvent) -> Json:
        text = str(event.value)
        if event.style:
            return text
        if text in JSON_WORDS:
            return JSON_WORDS[text]
        if JSON_NUMBER.fullmatch(text):
            return self._number(text, event)
        if not text:
            self._fail("YAML_SCALAR", event, "the value is missing", 'write null, "" or a value')
        if YAML_ONLY.fullmatch(text):
            message = f"{text} means different things to different YAML readers"
            self._fail("YAML_SCALAR", event, message, _scalar_fix(text))
        return text

    def _number(self, text: str, event: ScalarEvent) -> int | float:
        whole = not any(mark in text for mark in ".eE")
        if whole and len(text) <= 17 and abs(int(text)) <= INTEGER_MAX:
            return int(text)
        number = math.inf if whole else float(text)
        if math.isinf(number):
            self._fail(
                "NUMBER_RANGE", event, f"{text[:40]} is too large for a JSON number", "write it as text, in quotes"
            )
        return number

    def _here(self) -> str:
        if not self._stack:
            return ""
        top = self._stack[-1]
        if isinstance(top.value, list):
            return step_into(top.pointer, len(top.value))
        return top.pointer if top.key is None else step_into(top.pointer, top.key)

    def _fail(self, code: str, event: Event, message: str, fix: str, *, pointer: str | None = None) -> NoReturn:
        line = _line(event)
        raise _refusal(self._file, code, line, self._here() if pointer is None else pointer, message, fix)


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _scalar_fix(text: str) -> str:
    lower = text.casefold()
    if lower in ("true", "false", "null"):
        return f'write {lower}, or "{text}" for the text'
    return f'write null, or "{text}" for the text' if lower == "~" else f'write a JSON number, or "{text}" for the text'


def _syntax_fix(problem: str) -> str:
    if "mapping values are not allowed" in problem or "expected <block end>" in problem:
        return "check the indentation, and put a text with `: ` in it in quotes"
    if "cannot start any token" in problem:
        return "indent with spaces, not tabs; put a text that begins with @, ` or % in quotes"
    if "Unicode" in problem:
        return "write the character itself instead of its escape"
    return "check brackets, quotes and indentation near this line"
