"""A JSON or YAML document that somebody else wrote, as JSON values: read generously, within bounds, nothing executed.

Wider than `yaml_reader`: anchors, aliases and merge keys are followed, numbers may be keys, dates are texts. Narrower
than YAML: tags construct nothing, a key that stands twice is refused. Size, depth and the number of values are
bounded while reading, aliases counted as what they stand for. Knows nothing of what the document means.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Final

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from process_orchestrator.checking.documents.yaml_reader import JSON_NUMBER, JSON_WORDS
from process_orchestrator.checking.importers.naming import one_line
from process_orchestrator.checking.schemas.validate import parse_body
from process_orchestrator.core.errors import BodyError, RefusedError

Json = Any

BYTES_MAX: Final = 20_000_000
DEPTH_MAX: Final = 120
VALUES_MAX: Final = 3_000_000
"""Aliases counted as often as they stand for something: a bomb of 300 bytes has a thousand million."""

DIGITS_MAX: Final = 300
MERGE: Final = "<<"
SPECIAL: Final = re.compile(r"~|Null|NULL|")
WORDS: Final = {"True": True, "TRUE": True, "False": False, "FALSE": False}


def read_foreign(data: bytes, *, source: str) -> Json:
    """The document as JSON values. Raises RefusedError BAD_ARGUMENT, which names the line."""
    if len(data) > BYTES_MAX:
        raise _refused(source, f"it has {len(data)} bytes, at most {BYTES_MAX} are read", "split it, or bundle less")
    if data.lstrip()[:1] in (b"{", b"["):
        try:
            return parse_body(data.removeprefix(b"\xef\xbb\xbf"), max_bytes=BYTES_MAX, depth=DEPTH_MAX)
        except BodyError as error:
            if error.code != "not_json":  # else it may be YAML in flow style
                raise _refused(source, f"{error.message} ({error.code})", "mend the document") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _refused(source, "it is not UTF-8 text", "save it as UTF-8") from None
    return _Reader(source).read(text)


def _refused(source: str, why: str, do: str) -> RefusedError:
    return RefusedError("BAD_ARGUMENT", f"{source} cannot be read: {why}.", do=f"{do}.")


class _Open:
    """A list or mapping that has begun and not yet ended."""

    __slots__ = ("anchor", "key", "merged", "size", "value")

    def __init__(self, value: list[Json] | dict[str, Json], anchor: str | None) -> None:
        self.value = value
        self.anchor = anchor
        self.key: str | None = None
        self.merged: list[dict[str, Json]] = []
        self.size = 1


class _Reader:
    """Builds the value with a stack of its own. Anchored values are shared, not copied: they are never changed."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Json, int]] = {}
        self._root: Json = None
        self._size = 0

    def read(self, text: str) -> Json:
        documents = 0
        for event in self._events(text):
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._fail(event, "it holds more than one document")
            elif isinstance(event, AliasEvent):
                value, size = self._anchors.get(str(event.anchor), (None, 0))
                if not size:
                    self._fail(event, "an alias stands inside of what it names")
                self._place(value, size, event)
            elif isinstance(event, ScalarEvent):
                self._scalar(event)
            elif isinstance(event, (MappingStartEvent, SequenceStartEvent)):
                if len(self._stack) >= DEPTH_MAX:
                    self._fail(event, f"it is nested deeper than {DEPTH_MAX} levels")
                self._stack.append(_Open([] if isinstance(event, SequenceStartEvent) else {}, event.anchor))
            elif isinstance(event, CollectionEndEvent):
                self._close(event)
        return self._root

    def _events(self, text: str) -> Iterator[Event]:
        loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the slow one reads the same
        try:
            yield from yaml.parse(text, Loader=loader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            why = f"line {line}: {one_line(error.problem)}"
            raise _refused(self._source, why, "mend the YAML near this line") from None
        except yaml.YAMLError:
            raise _refused(self._source, "it holds characters that no YAML text has", "remove them") from None

    def _close(self, event: Event) -> None:
        top = self._stack.pop()
        for merged in top.merged:
            if isinstance(top.value, dict):
                for key, value in merged.items():
                    top.value.setdefault(key, value)
        if top.anchor:
            self._anchors[top.anchor] = (top.value, top.size)
        self._place(top.value, top.size, event)

    def _scalar(self, event: ScalarEvent) -> None:
        top = self._stack[-1] if self._stack else None
        text = str(event.value)
        if top is not None and isinstance(top.value, dict) and top.key is None:
            if text in top.value and text != MERGE:
                self._fail(event, f"the key {one_line(text, chars=60)} stands twice")
            top.key = text
            return
        value = text if event.style or event.tag == "tag:yaml.org,2002:str" else self._plain(text, event)
        if event.anchor:
            self._anchors[event.anchor] = (value, 1)
        self._place(value, 1, event)

    def _plain(self, text: str, event: Event) -> Json:
        if text in JSON_WORDS or text in WORDS:
            return JSON_WORDS[text] if text in JSON_WORDS else WORDS[text]
        if SPECIAL.fullmatch(text):
            return None
        if JSON_NUMBER.fullmatch(text):
            if len(text) > DIGITS_MAX:
                self._fail(event, "a number has too many digits")
            number = float(text) if any(mark in text for mark in ".eE") else int(text)
            if isinstance(number, float) and math.isinf(number):
                self._fail(event, "a number is too large")
            return number
        return text

    def _place(self, value: Json, size: int, event: NodeEvent | Event) -> None:
        self._size += size if isinstance(event, AliasEvent) else 1
        if self._size > VALUES_MAX:
            self._fail(event, f"it stands for more than {VALUES_MAX} values")
        if not self._stack:
            self._root = value
            return
        top = self._stack[-1]
        top.size += size
        if top.size > VALUES_MAX:
            self._fail(event, f"it stands for more than {VALUES_MAX} values")
        if isinstance(top.value, list):
            top.value.append(value)
        elif top.key is None:
            self._fail(event, "a list or mapping stands as a key")
        elif top.key == MERGE:
            top.merged += [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]
            top.key = None
        else:
            top.value[top.key] = value
            top.key = None

    def _fail(self, event: Event, why: str) -> None:
        line = event.start_mark.line + 1 if event.start_mark else 1
        raise _refused(self._source, f"line {line}: {why}", "mend the document")
