"""Change values in a YAML file and leave the rest of its text as it is: order, quoting, blank lines, comments.

Works on the places of the nodes in the text. What cannot be changed in place is written anew at the next larger
place, and the comments that stood there are hung above it. The result is read back: it holds exactly the new value
and every comment of the old text. Knows nothing of what a definition means.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any, Final, NamedTuple

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.tokens import BlockEntryToken, ScalarToken

from process_orchestrator.checking.documents.yaml_reader import read
from process_orchestrator.checking.importers.merge import item_name, same
from process_orchestrator.checking.importers.yaml_text import after_key, block_lines, item_lines
from process_orchestrator.core.errors import DefinitionError

Json = Any

ITEMS_COMPARED_MAX: Final = 2_000
"""Longer lists are written anew: aligning is quadratic."""


class _Comment(NamedTuple):
    at: int
    text: str  # with its #


class _CoarserError(Exception):
    """This place cannot be changed in itself; the one around it must be written anew."""


def edited(text: str, old: Json, new: dict[str, Json]) -> str:
    """`text`, which holds `old`, with what differs changed to `new`. A JSON text stays a JSON text."""
    if same(old, new):
        return text
    if _is_json(text):
        return json.dumps(new, indent=2, ensure_ascii=False) + "\n"
    comments = tuple(_comments(text))
    changed = _with_comments(_in_place(text, old, new, comments), comments)
    if changed is not None and _holds(changed, new):
        return changed
    anew = "\n".join(block_lines(new, 0)) + "\n"
    return "".join(f"{each.text}\n" for each in comments) + anew


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _holds(text: str, value: Json) -> bool:
    try:
        return same(read(text.encode(), file="").value, value)
    except DefinitionError:
        return False


def _with_comments(text: str | None, comments: tuple[_Comment, ...]) -> str | None:
    """The text with those comments at its end that it has lost on the way."""
    if text is None:
        return None
    try:
        lost = Counter(each.text for each in comments) - Counter(each.text for each in _comments(text))
    except yaml.YAMLError:
        return None
    return text.rstrip("\n") + "\n" + "".join(f"{each}\n" for each in lost.elements()) if lost else text


def _in_place(text: str, old: Json, new: dict[str, Json], comments: tuple[_Comment, ...]) -> str | None:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        editor = _Editor(text, comments)
        if not isinstance(root, MappingNode):
            return None
        editor.mapping(root, old, new)
    except (_CoarserError, yaml.YAMLError):
        return None
    return editor.result()


def _comments(text: str) -> Iterator[_Comment]:
    """Every comment, by its place: what stands between two tokens and is no white space."""
    end = 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        gap = text[end : token.start_mark.index]
        start = gap.find("#")
        while start >= 0:
            line_end = gap.find("\n", start)
            line_end = len(gap) if line_end < 0 else line_end
            yield _Comment(end + start, gap[start:line_end].rstrip())
            start = gap.find("#", line_end)
        if isinstance(token, ScalarToken) and token.style in ("|", ">"):
            header = text[token.start_mark.index :].partition("\n")[0]
            if "#" in header:
                yield _Comment(token.start_mark.index + header.index("#"), header[header.index("#") :].rstrip())
        end = max(end, token.end_mark.index)


class _Editor:
    """Collects replacements of stretches of a text, and makes them all at once."""

    def __init__(self, text: str, comments: tuple[_Comment, ...]) -> None:
        self._text = text
        self._comments = comments
        self._edits: list[tuple[int, int, str]] = []
        self._dashes = [
            token.start_mark.index
            for token in yaml.scan(text, Loader=yaml.SafeLoader)
            if isinstance(token, BlockEntryToken)
        ]

    def result(self) -> str:
        text, start = self._text, len(self._text)
        for begin, end, written in sorted(self._edits, key=lambda each: each[:2], reverse=True):
            if end > start:
                raise _CoarserError
            text, start = text[:begin] + written + text[end:], begin
        return text

    def mapping(self, node: MappingNode, old: Mapping[str, Json], new: Mapping[str, Json]) -> None:
        """A block mapping, key by key."""
        if node.flow_style or not new or not old:
            raise _CoarserError
        children = {str(key.value): (key, value) for key, value in node.value}
        column = node.start_mark.column
        kept = [key for key in old if key in new]
        if not kept:
            raise _CoarserError
        behind: str | None = None
        for key, value in new.items():
            if key in children:
                behind = key
                if not same(old[key], value):
                    self._value(*children[key], old[key], value)
                continue
            lines = _entry(key, value, column)
            self._insert(children[behind or kept[-1]][1], lines)
        for key in old:
            if key not in new:
                self._remove(children[key][0].start_mark.index, children[key][1])

    def _sequence(self, node: SequenceNode, old: list[Json], new: list[Json]) -> None:
        """A block list, item by item."""
        if node.flow_style or not new or not old or max(len(old), len(new)) > ITEMS_COMPARED_MAX:
            raise _CoarserError
        names = [item_name(each) for each in old], [item_name(each) for each in new]
        blocks = SequenceMatcher(None, *names, autojunk=False).get_matching_blocks()
        pairs = {block.b + step: block.a + step for block in blocks for step in range(block.size)}
        if not pairs:
            raise _CoarserError
        column = node.start_mark.column
        behind: int | None = None
        first = pairs[min(pairs)]
        for index, value in enumerate(new):
            if index in pairs:
                behind = pairs[index]
                if not same(old[behind], value):
                    self._item(node.value[behind], old[behind], value)
            elif behind is None:
                self._insert_before(self._dash(node.value[first]), item_lines(value, column))
            else:
                self._insert(node.value[behind], item_lines(value, column))
        for index in set(range(len(old))) - set(pairs.values()):
            self._remove(self._dash(node.value[index]), node.value[index])

    def _value(self, key: ScalarNode, node: Node, old: Json, new: Json) -> None:
        """The value of a key: in place where it can be, else from its colon to its end."""
        done = len(self._edits)
        try:
            self._inner(node, old, new)
        except _CoarserError:
            del self._edits[done:]
            start, end = key.end_mark.index, _end(node, self._text)
            column = key.start_mark.column
            lines = after_key(f"{' ' * column}:", new, column)
            self._replace(start, end, [lines[0][column:], *lines[1:]], above=key.start_mark.index)

    def _item(self, node: Node, old: Json, new: Json) -> None:
        done = len(self._edits)
        try:
            self._inner(node, old, new)
        except _CoarserError:
            del self._edits[done:]
            dash = self._dash(node)
            column = dash - (self._text.rfind("\n", 0, dash) + 1)
            lines = item_lines(new, column)
            self._replace(dash, _end(node, self._text), [lines[0][column:], *lines[1:]], above=dash)

    def _inner(self, node: Node, old: Json, new: Json) -> None:
        if isinstance(node, MappingNode) and isinstance(new, Mapping):
            self.mapping(node, old, new)
        elif isinstance(node, SequenceNode) and isinstance(new, list):
            self._sequence(node, old, new)
        else:
            raise _CoarserError

    def _replace(self, start: int, end: int, lines: list[str], *, above: int) -> None:
        """Write a stretch anew; comments in it go above the line that it begins on."""
        line_end = self._line_end(end)
        if len(lines) > 1:  # nothing may follow a block on its last line
            end = line_end
        lost = [each.text for each in self._within(start, end)]
        self._edits.append((start, end, "\n".join(lines)))
        self._hang(lost, above)

    def _remove(self, start: int, node: Node) -> None:
        """Take whole lines out; comments on them stay."""
        begin = self._line_start(start)
        if self._text[begin:start].strip(" "):
            raise _CoarserError  # something else begins on this line
        end = self._line_end(_end(node, self._text))
        lost = [each.text for each in self._within(begin, end)]
        indent = " " * (start - begin)
        self._edits.append((begin, min(end + 1, len(self._text)), "".join(f"{indent}{each}\n" for each in lost)))

    def _insert(self, node: Node, lines: list[str]) -> None:
        """New lines below the line that a node ends on."""
        at = self._line_end(_end(node, self._text))
        self._join(at, "".join(f"\n{line}" for line in lines))

    def _insert_before(self, start: int, lines: list[str]) -> None:
        begin = self._line_start(start)
        if self._text[begin:start].strip(" "):
            raise _CoarserError
        self._join(begin, "".join(f"{line}\n" for line in lines))

    def _hang(self, comments: list[str], above: int) -> None:
        if comments:
            begin = self._line_start(above)
            indent = " " * (len(self._text[begin:above]) - len(self._text[begin:above].lstrip(" ")))
            self._join(begin, "".join(f"{indent}{each}\n" for each in comments))

    def _join(self, at: int, text: str) -> None:
        """An insertion; behind those that were made at the same place."""
        for index, (start, end, written) in enumerate(self._edits):
            if start == end == at:
                self._edits[index] = (start, end, written + text)
                return
        self._edits.append((at, at, text))

    def _within(self, start: int, end: int) -> tuple[_Comment, ...]:
        return tuple(each for each in self._comments if start <= each.at < end)

    def _dash(self, node: Node) -> int:
        """Where the dash of an item stands."""
        at = bisect_left(self._dashes, node.start_mark.index) - 1
        if at < 0:
            raise _CoarserError
        return self._dashes[at]

    def _line_start(self, index: int) -> int:
        return self._text.rfind("\n", 0, index) + 1

    def _line_end(self, index: int) -> int:
        end = self._text.find("\n", index)
        return len(self._text) if end < 0 else end


def _entry(key: str, value: Json, column: int) -> list[str]:
    return block_lines({key: value}, column)


def _end(node: Node, text: str) -> int:
    """Where the text of a node really ends: blocks end with their last child, not where the next thing begins."""
    while isinstance(node, (MappingNode, SequenceNode)) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    start, end = node.start_mark.index, node.end_mark.index
    if isinstance(node, ScalarNode) and node.style in ("|", ">"):
        return start + len(text[start:end].rstrip())
    return end
