"""What a model read out of a text, held against the text: whatever does not stand there is dropped, not believed.

A string or number that its schema leaves open must be found in the text; what the schema lists (enum, const, true and
false) needs no finding. Knows no task, no type and no model: a value, its schema and a text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Set as AbstractSet
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from process_orchestrator.checking.tasks.deadlines import dates_in
from process_orchestrator.core.facts.values import Fact

Json = Any
Schema = dict[str, Any]

ITEMS_MAX: Final = 200
"""Items of one list that are looked at; the rest is dropped."""

DEPTH_MAX: Final = 16
SPACED_MIN: Final = 6
SPACED_MAX: Final = 64
"""A text of so many characters with a digit in it (an IBAN, a telephone number) may be spaced otherwise."""

_NUMBER: Final = re.compile(
    r"(?<![\w.,])[-+]?\d{1,3}(?:[ '.,\u00a0\u202f]\d{3})+(?:[.,]\d+)?(?!\d)|[-+]?\d+(?:[.,]\d+)?"
)
_ISO_DATE: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ]\d{2}:\d{2}.*)?")
_NOTHING: Final = object()

_INSIDE_NUMBERS, _INSIDE_ADDRESSES, _INSIDE_IDS = ".,'-/:@_+", ".-@_+", "-@_+"
"""What joins the parts of one number, address or id: `10` does not stand in `10.50`, nor `SO-10` in `SO-10-B`."""


class Grounded(Fact, frozen=True, kw_only=True):
    """What is left of a value; `dropped` are the pointers of what the text does not hold."""

    value: Json
    dropped: tuple[str, ...]


class Text:
    """A text that values are looked up in."""

    def __init__(self, text: str) -> None:
        self._plain = _plain(text)
        self._numbers: frozenset[Decimal] | None = None
        self._dates: frozenset[date] | None = None
        self._written = text

    def holds(self, text: str) -> bool:
        """Whether a text stands here: in another case or spacing, as whole words; a date in any common form."""
        wanted = _plain(text)
        if not wanted:
            return False
        if _stands(wanted, self._plain):
            return True
        return self._holds_spaced(wanted) or self._holds_day(text)

    def holds_number(self, number: float) -> bool:
        """Whether a number stands here, as either language writes it."""
        if self._numbers is None:
            self._numbers = frozenset(
                value for each in _NUMBER.finditer(self._plain) for value in _read(each[0]) if value is not None
            )
        value = Decimal(number) if isinstance(number, int) else Decimal(str(number))
        # `SO-1042` holds 1042, though it looks like a minus; what holds no minus is never below zero.
        return value in self._numbers or (value > 0 and -value in self._numbers)

    def _holds_spaced(self, wanted: str) -> bool:
        """Whether it stands here with spaces elsewhere, as people write long numbers."""
        letters = "".join(wanted.split())
        if not SPACED_MIN <= len(letters) <= SPACED_MAX or not any(each.isdigit() for each in letters):
            return False
        pattern = " ?".join(re.escape(each) for each in letters)
        return any(_whole(self._plain, *each.span()) for each in re.finditer(pattern, self._plain))

    def _holds_day(self, text: str) -> bool:
        iso = _ISO_DATE.fullmatch(text.strip())
        if iso is None:
            return False
        try:
            wanted = date(int(iso[1]), int(iso[2]), int(iso[3]))
        except ValueError:
            return False
        if self._dates is None:
            self._dates = frozenset(dates_in(self._written))
        # A time of day beside the date must stand in the text as well: a made-up hour is as false as a made-up day.
        clock = re.search(r"[T ](\d{2}):(\d{2})", text)
        return wanted in self._dates and (clock is None or f"{clock[1]}:{clock[2]}" in self._plain)


def ground(value: Json, schema: Schema, text: str, *, given: AbstractSet[str] = frozenset()) -> Grounded:
    """The parts of a value that stand in the text. Members that the schema does not name are dropped, and null.

    `given`: texts that are taken from it as they are.
    """
    work = _Grounding(schema, Text(text), given)
    kept = work.kept(value, schema, "", 0)
    return Grounded(value={} if kept is _NOTHING else kept, dropped=tuple(work.dropped))


class _Grounding:
    def __init__(self, root: Schema, text: Text, given: AbstractSet[str]) -> None:
        self._root, self._text, self._given = root, text, given
        self.dropped: list[str] = []

    def kept(self, value: Json, schema: Schema, pointer: str, depth: int) -> Json:
        """What is left of one part; `_NOTHING` where nothing is."""
        if value is None or depth > DEPTH_MAX:
            return _NOTHING
        branches = tuple(self._branches(schema, 0))
        if _listed(value, branches):
            return value
        match value:
            case bool():
                return value
            case str():
                found = value in self._given or self._text.holds(value)
            case int() | float():
                found = self._text.holds_number(value)
            case dict():
                return self._members(value, branches, pointer, depth)
            case list():
                return self._items(value, branches, pointer, depth)
            case _:
                found = False
        if found:
            return value
        self.dropped.append(pointer)
        return _NOTHING

    def _members(self, value: dict[str, Json], branches: tuple[Schema, ...], pointer: str, depth: int) -> Json:
        known: dict[str, Schema] = {}
        for branch in branches:
            for name, part in branch.get("properties", {}).items():
                known.setdefault(name, part if isinstance(part, dict) else {})
        kept: dict[str, Json] = {}
        for name, each in value.items():
            if name not in known:
                self.dropped.append(f"{pointer}/{_token(name)}")
                continue
            found = self.kept(each, known[name], f"{pointer}/{_token(name)}", depth + 1)
            if found is not _NOTHING:
                kept[name] = found
        return kept if kept or not pointer else _NOTHING

    def _items(self, value: list[Json], branches: tuple[Schema, ...], pointer: str, depth: int) -> Json:
        item = next((part for branch in branches if isinstance(part := branch.get("items"), dict)), {})
        kept = [
            found
            for index, each in enumerate(value[:ITEMS_MAX])
            if (found := self.kept(each, item, f"{pointer}/{index}", depth + 1)) is not _NOTHING
        ]
        return kept or _NOTHING

    def _branches(self, schema: Schema, depth: int) -> list[Schema]:
        """A schema and all that it may stand for."""
        if depth > DEPTH_MAX:
            return []
        found = [schema]
        for word in ("anyOf", "oneOf", "allOf"):
            for each in schema.get(word, ()):
                found += self._branches(each, depth + 1) if isinstance(each, dict) else []
        target = self._resolved(schema.get("$ref"))
        return found if target is None else [*found, *self._branches(target, depth + 1)]

    def _resolved(self, reference: Json) -> Schema | None:
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        place: Json = self._root
        for token in reference.split("/")[1:]:
            name = token.replace("~1", "/").replace("~0", "~")
            if not isinstance(place, dict) or name not in place:
                return None
            place = place[name]
        return place if isinstance(place, dict) else None


def _listed(value: Json, branches: tuple[Schema, ...]) -> bool:
    """Whether a schema itself says this value: then it is a choice, no invention."""
    return any(
        value in branch.get("enum", ()) or ("const" in branch and branch["const"] == value) for branch in branches
    )


def _token(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _plain(text: str) -> str:
    shown = "".join(each for each in unicodedata.normalize("NFKC", text) if unicodedata.category(each) != "Cf")
    return " ".join(shown.casefold().split())


def _stands(wanted: str, text: str) -> bool:
    """Whether it stands there as whole words: `an` does not stand in `any`."""
    start = text.find(wanted)
    while start >= 0:
        if _whole(text, start, start + len(wanted)):
            return True
        start = text.find(wanted, start + 1)
    return False


def _whole(text: str, start: int, end: int) -> bool:
    """Whether what stands there is no piece of something longer."""
    address = "@" in text[start:end]
    named = address or any(each.isdigit() for each in text[start:end])
    inside = _INSIDE_ADDRESSES if address else _INSIDE_IDS
    before, after = text[max(start - 2, 0) : start + 1][::-1], text[end - 1 : end + 2]
    return not _goes_on(before, inside if address else "") and not _goes_on(after, inside if named else "")


def _goes_on(edge: str, inside: str) -> bool:
    """Whether a found text goes on beyond its edge: its last character there, and the next two going outwards."""
    own, mark, beyond = edge[:1], edge[1:2], edge[2:]
    if not own.isalnum() or not mark:
        return False
    if mark.isalnum() or not beyond.isalnum():
        return mark.isalnum()
    return mark in (_INSIDE_NUMBERS if own.isdigit() and beyond.isdigit() else inside)


def _read(written: str) -> tuple[Decimal | None, ...]:
    """What a written number may mean: `1.000` is one or a thousand, by language."""
    digits = re.sub(r"[ '\u00a0\u202f]", "", written)
    marks = [each for each in digits if each in ".,"]
    if not marks:
        return (_decimal(digits),)
    last = max(digits.rfind("."), digits.rfind(","))
    whole, fraction = re.sub(r"[.,]", "", digits[:last]), digits[last + 1 :]
    grouped = _decimal(whole + fraction) if len(fraction) == 3 else None
    broken = _decimal(f"{whole}.{fraction}") if len(set(marks)) > 1 or len(marks) == 1 else None
    return (grouped, broken)


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
