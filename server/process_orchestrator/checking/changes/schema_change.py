"""How a schema changed, place by place, and what that does to those who rely on it.

Objects are compared property by property, so that each change is told by itself; what is no plain object is compared
whole, by containment. A value that nobody declared is not counted as one that may come: a new optional argument of an
open object is a widening, although some text may have stood under its name before.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from process_orchestrator.checking.schemas.containing import written_alike
from process_orchestrator.checking.schemas.containment import Comparing, Contained
from process_orchestrator.checking.schemas.pointers import escape
from process_orchestrator.checking.schemas.shown import shown
from process_orchestrator.core.facts.values import Fact

Json = Any
Schema = Any

TOLD_MAX: Final = 4
"""Keywords told of one place."""

CHANGES_MAX: Final = 100
DEPTH_MAX: Final = 40


class Judgement(StrEnum):
    """What a change does to those who rely on how it was."""

    SAME = "same"
    TEXT = "text"  # words for people; every value is judged as before
    WIDENING = "widening"  # more is taken, or less is given: nobody who was served is not
    BREAKING = "breaking"  # somebody who was served may not be, or that cannot be ruled out


class SchemaChange(Fact, frozen=True, kw_only=True):
    """One change. `pointer` leads into the schema; `witness` stands at that place of a value."""

    judgement: Judgement
    pointer: str
    message: str
    witness: Json = msgspec.UNSET


TEXTS: Final = frozenset(
    {"title", "description", "$comment", "examples", "deprecated", "readOnly", "writeOnly", "$schema", "$id"}
)
"""Keywords that judge no value."""

_NAMED: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_ELSEWHERE: Final = frozenset({"required", "properties", "$defs", "definitions"})
"""Of an object: what is compared apart from its other keywords."""

_VALUES: Final = frozenset({"enum", "const", "default", "required", "type", "dependentRequired"})
_COMBINED: Final = frozenset(
    {
        *("$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"),
        *("unevaluatedProperties", "enum", "const", "patternProperties"),
    }
)
"""Where one of these stands, the properties beside it do not say all."""


def judge_schema(old: Schema, new: Schema, *, may_widen: bool) -> tuple[SchemaChange, ...]:
    """Every change between two schemas. `may_widen`: of an input, which may take more; else of an output.

    None stands for a schema that is not given: anything goes. At most 100 changes are told, the heaviest among them.
    """
    old, new = (True if each is None else each for each in (old, new))
    changes = list(_Comparison(old, new, may_widen=may_widen).changes())
    changes.sort(key=lambda change: -_WEIGHT.index(change.judgement))
    return tuple(changes[:CHANGES_MAX])


_WEIGHT: Final = (Judgement.SAME, Judgement.TEXT, Judgement.WIDENING, Judgement.BREAKING)


class _Comparison:
    """One pair of documents. What is compared lies in them; `#` names them."""

    def __init__(self, old: Schema, new: Schema, *, may_widen: bool) -> None:
        self._old, self._new, self._input = old, new, may_widen
        self._seen: set[tuple[str, str]] = set()
        self._comparing = Comparing()

    def changes(self) -> Iterator[SchemaChange]:
        yield from self._at(self._old, self._new, "", 0)

    def _at(self, old: Schema, new: Schema, place: str, depth: int) -> Iterator[SchemaChange]:
        if same(old, new) and not _refers(old):
            return
        if isinstance(old, dict) and isinstance(new, dict) and depth < DEPTH_MAX:
            refs = (old.get("$ref"), new.get("$ref"))
            if all(isinstance(ref, str) for ref in refs) and not ({*old, *new} - TEXTS - {"$ref", "$defs"}):
                yield from self._words(old, new, place)
                yield from self._behind(str(refs[0]), str(refs[1]), place, depth)
                return
            if _plain_object(old) and _plain_object(new):
                yield from self._words(old, new, place)
                yield from self._object(old, new, place, depth)
                return
            if _plain_array(old) and _plain_array(new):
                yield from self._words(old, new, place)
                yield from self._at(old["items"], new["items"], f"{place}/items", depth + 1)
                yield from self._whole({**old, "items": True}, {**new, "items": True}, place)
                return
        if not same(old, new) or _refers(old):
            yield from self._whole(old, new, place)

    def _behind(self, old: str, new: str, place: str, depth: int) -> Iterator[SchemaChange]:
        """What two references lead to; each pair of them once."""
        if (old, new) in self._seen:
            return
        self._seen.add((old, new))
        was, now = resolved(self._old, old), resolved(self._new, new)
        if was is None or now is None:
            yield SchemaChange(
                judgement=Judgement.BREAKING, pointer=place, message=f"{new if now is None else old} leads nowhere"
            )
        else:
            yield from self._at(was, now, new.removeprefix("#") if old == new else place, depth + 1)

    # --- objects ------------------------------------------------------------------------------------------------

    def _object(self, old: dict[str, Json], new: dict[str, Json], place: str, depth: int) -> Iterator[SchemaChange]:
        was, now = old.get("properties", {}), new.get("properties", {})
        needed, needs = set(old.get("required", ())), set(new.get("required", ()))
        for name in sorted({*was, *now}):
            at = f"{place}/properties/{escape(name)}"
            if (name in needed) != (name in needs):
                yield self._need(name, at, old, new)
            if name not in was:
                if not self._input or name not in needs - needed:
                    yield from self._added(name, old, new, at)
            elif name not in now:
                yield from self._removed(name, old, new, at)
            else:
                yield from self._at(was[name], now[name], at, depth + 1)
        for name in sorted((needed ^ needs) - {*was, *now}):
            yield self._need(name, f"{place}/required", old, new)
        names = dict.fromkeys({*was, *now}, True)
        rest = [
            {**{key: value for key, value in each.items() if key not in _ELSEWHERE}, "properties": names}
            for each in (old, new)
        ]
        if not same(*(without_texts(each) for each in rest)) or _refers(rest[0]):
            yield from self._whole(rest[0], rest[1], place)

    def _need(self, name: str, place: str, old: dict[str, Json], new: dict[str, Json]) -> SchemaChange:
        gained = name in new.get("required", ())
        if self._input:
            message = f"`{name}` must be given now" if gained else f"`{name}` may be left out now"
        else:
            message = f"`{name}` is always given now" if gained else f"`{name}` may be missing now"
        breaks = gained is self._input
        return SchemaChange(
            judgement=Judgement.BREAKING if breaks else Judgement.WIDENING,
            pointer=place,
            message=message,
            witness=self._without(name, old, new) if breaks else msgspec.UNSET,
        )

    def _without(self, name: str, old: dict[str, Json], new: dict[str, Json]) -> Json:
        """A value that leaves a property out: one that was taken, or one that may come now."""
        part = self._rooted(old, self._old) if self._input else self._rooted(new, self._new)
        return self._comparing.without(name, part)

    def _added(self, name: str, old: dict[str, Json], new: dict[str, Json], place: str) -> Iterator[SchemaChange]:
        before = old.get("additionalProperties", True)
        if self._input and not _mentions(old, name):
            yield SchemaChange(judgement=Judgement.WIDENING, pointer=place, message=f"`{name}` is taken as well")
            return
        was, now = self._rooted(before, self._old), self._rooted(new["properties"][name], self._new)
        found = self._comparing.contained(was, now) if self._input else self._comparing.contained(now, was)
        if found.contained is Contained.YES:
            what = "is taken as well" if self._input else "is given as well"
            yield SchemaChange(judgement=Judgement.WIDENING, pointer=place, message=f"`{name}` {what}")
        else:
            what = "must be of a form now" if self._input else "may be given, which was ruled out"
            yield SchemaChange(
                judgement=Judgement.BREAKING, pointer=place, message=f"`{name}` {what}", witness=found.witness
            )

    def _removed(self, name: str, old: dict[str, Json], new: dict[str, Json], place: str) -> Iterator[SchemaChange]:
        closed = new.get("additionalProperties") is False
        if self._input:
            what = "is refused now" if closed else "is no longer known, and may be ignored"
            yield SchemaChange(judgement=Judgement.BREAKING, pointer=place, message=f"`{name}` {what}")
            return
        after = self._rooted(new.get("additionalProperties", True), self._new)
        found = self._comparing.contained(after, self._rooted(old["properties"][name], self._old))
        if found.contained is Contained.YES:
            what = "is no longer given" if closed else "is no longer described"
            yield SchemaChange(judgement=Judgement.WIDENING, pointer=place, message=f"`{name}` {what}")
        else:
            message = f"`{name}` may be anything now, where it is given"
            yield SchemaChange(judgement=Judgement.BREAKING, pointer=place, message=message, witness=found.witness)

    # --- everything else ----------------------------------------------------------------------------------------

    def _words(self, old: dict[str, Json], new: dict[str, Json], place: str) -> Iterator[SchemaChange]:
        """Keywords of one place that judge no value, and the default."""
        for key in sorted(TEXTS & {*old, *new}):
            if not same(old.get(key), new.get(key)):
                message = f"`{key}` {told(old.get(key, msgspec.UNSET), new.get(key, msgspec.UNSET))}"
                yield SchemaChange(judgement=Judgement.TEXT, pointer=f"{place}/{escape(key)}", message=message)
        yield from self._default(old, new, place)

    def _default(self, old: dict[str, Json], new: dict[str, Json], place: str) -> Iterator[SchemaChange]:
        """What holds where a caller says nothing is part of what he relies on."""
        was, now = (each.get("default", msgspec.UNSET) for each in (old, new))
        if (was is msgspec.UNSET and now is msgspec.UNSET) or (was is not msgspec.UNSET and same(was, now)):
            return
        breaks = self._input and was is not msgspec.UNSET
        judgement = Judgement.BREAKING if breaks else Judgement.WIDENING if self._input else Judgement.TEXT
        yield SchemaChange(judgement=judgement, pointer=f"{place}/default", message=f"`default` {told(was, now)}")

    def _whole(self, old: Schema, new: Schema, place: str) -> Iterator[SchemaChange]:
        """Compared by what values they take, each within its document."""
        if isinstance(old, dict) and isinstance(new, dict):
            yield from self._default(old, new, place)
        was, now = without_texts(old), without_texts(new)
        if same(was, now) and not _refers(was):
            if not same(_words_of(old), _words_of(new)):
                yield SchemaChange(judgement=Judgement.TEXT, pointer=place, message="words for people changed")
            return
        was, now = self._rooted(was, self._old), self._rooted(now, self._new)
        if same(was, now):
            return
        inner, outer = (was, now) if self._input else (now, was)
        found = self._comparing.contained(inner, outer)
        what = _keywords(old, new)
        if found.contained is Contained.YES:
            back = self._comparing.contained(outer, inner).contained is Contained.YES
            judgement = Judgement.TEXT if back else Judgement.WIDENING
            more = "written otherwise" if back else "more is taken" if self._input else "less may come"
            yield SchemaChange(judgement=judgement, pointer=place, message=f"{more}: {what}")
            return
        less = "less is taken" if self._input else "more may come"
        doubt = "it cannot be ruled out that " if found.contained is Contained.UNKNOWN else ""
        yield SchemaChange(
            judgement=Judgement.BREAKING, pointer=place, message=f"{doubt}{less}: {what}", witness=found.witness
        )

    @staticmethod
    def _rooted(part: Schema, document: Schema) -> Schema:
        """A part that can be judged by itself: with the definitions that its references lead to."""
        if part is document or not isinstance(part, dict) or not isinstance(document, dict):
            return part
        return {**{key: document[key] for key in ("$defs", "definitions") if key in document}, **part}


def _plain_object(schema: dict[str, Json]) -> bool:
    required = schema.get("required", [])
    sound = isinstance(schema.get("properties", {}), dict) and isinstance(required, list)
    return (
        schema.get("type") == "object"
        and not _COMBINED & schema.keys()
        and sound
        and all(isinstance(name, str) for name in required)
    )


def _mentions(schema: dict[str, Json], name: str) -> bool:
    """Whether an object says something of a property that it does not declare: then callers may well give it."""
    return (
        name in schema.get("required", ())
        or name in str(schema.get("dependentRequired", ""))
        or isinstance(schema.get("additionalProperties", True), dict)
    )


def _plain_array(schema: dict[str, Json]) -> bool:
    apart = {"prefixItems", "contains", "unevaluatedItems"}
    return schema.get("type") == "array" and "items" in schema and not (_COMBINED | apart) & schema.keys()


def resolved(document: Schema, reference: str) -> Schema | None:
    """What a local reference leads to; None for one that leads nowhere or out of the document."""
    if not reference.startswith("#"):
        return None
    found = document
    for token in reference.removeprefix("#").split("/")[1:]:
        key = unquote(token).replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found


def _refers(schema: Schema) -> bool:
    """Whether anything in it leads elsewhere: then it may have changed although its own words did not."""
    stack = [schema]
    while stack:
        top = stack.pop()
        if isinstance(top, dict):
            if isinstance(top.get("$ref"), str):
                return True
            stack.extend(top.values())
        elif isinstance(top, list):
            stack.extend(top)
    return False


def without_texts(schema: Schema) -> Schema:
    """The schema without what judges no value."""
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Json] = {}
    for key, value in schema.items():
        if key in TEXTS or key == "default":
            continue
        if key in _NAMED and isinstance(value, dict):
            kept[key] = {name: without_texts(each) for name, each in value.items()}
        elif isinstance(value, list) and key not in _VALUES:
            kept[key] = [without_texts(each) for each in value]
        else:
            kept[key] = value if key in _VALUES else without_texts(value)
    return kept


def _words_of(schema: Schema) -> list[Json]:
    """Every word for people in it, with its place."""
    found: list[Json] = []
    stack: list[tuple[str, Schema]] = [("", schema)]
    while stack:
        place, top = stack.pop()
        if isinstance(top, dict):
            for key, value in sorted(top.items()):
                if key in TEXTS and not isinstance(value, dict):
                    found.append([place, key, value])
                stack.append((f"{place}/{key}", value))
        elif isinstance(top, list):
            stack.extend((f"{place}/{index}", each) for index, each in enumerate(top))
    return found


def _keywords(old: Schema, new: Schema) -> str:
    """Which keywords of a place changed, and how."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return f"it {told(_any(old), _any(new))}"
    changed = [
        f"`{key}` {_members(old.get(key, msgspec.UNSET), new.get(key, msgspec.UNSET))}"
        for key in sorted({*old, *new} - TEXTS - {"default"})
        if not same(old.get(key, msgspec.UNSET), new.get(key, msgspec.UNSET))
    ]
    if not changed:
        return "what its references lead to changed"
    more = f", and {len(changed) - TOLD_MAX} more" if len(changed) > TOLD_MAX else ""
    return "; ".join(changed[:TOLD_MAX]) + more


def _any(schema: Schema) -> Json:
    return "anything" if schema is True else schema


def _members(was: Json, now: Json) -> str:
    """Of two lists only what came and what went."""
    if not isinstance(was, list) or not isinstance(now, list):
        return told(was, now)
    gone = [each for each in was if not any(same(each, other) for other in now)]
    come = [each for each in now if not any(same(each, other) for other in was)]
    parts = [f"lost {shown(gone)[1:-1]}"] if gone else []
    parts += [f"gained {shown(come)[1:-1]}"] if come else []
    return " and ".join(parts) or "is in another order"


def told(was: Json, now: Json) -> str:
    """How a value changed, in words; UNSET for one that is not there."""
    if was is msgspec.UNSET:
        return f"is new: {shown(now)}"
    if now is msgspec.UNSET:
        return f"is gone (it was {shown(was)})"
    return f"was {shown(was)} and is {shown(now)}"


def same(one: Json, other: Json) -> bool:
    """Equality of JSON values: true is not 1, and the order of an object's keys says nothing."""
    if one is other:
        return True
    if one is msgspec.UNSET or other is msgspec.UNSET:
        return False
    return written_alike(one, other)
