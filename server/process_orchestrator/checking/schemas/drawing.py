"""Draws one value after another from a schema: by chance, towards its bounds, within limits. It may miss.

Who asks lets the validator judge. Alternatives are tried in random order, beyond a few levels the plain ones first, so
that recursive schemas come to an end.
"""

from __future__ import annotations

import time
from fractions import Fraction
from random import Random
from typing import Any, Final

from process_orchestrator.checking.schemas.flat_schema import DeadEndError, Flat, flatten, types_of
from process_orchestrator.checking.schemas.sample_text import (
    CHARACTERS_MAX,
    FORMATS,
    sample_base64,
    sample_pattern,
    sample_words,
)
from process_orchestrator.checking.schemas.validate import Validator, encode_body
from process_orchestrator.core.errors import BodyError, SchemaError
from process_orchestrator.core.facts.values import Fact

Json = Any
Schema = dict[str, Any] | bool

TRIES: Final = 12
SHALLOW: Final = 4
"""Levels down to which optional parts are drawn too."""

ITEMS_MORE: Final = 3
WHOLE: Final = (0, 1, -1, 2, 7, 100, 1000, -40, 2**31, 2**53 - 1)
PARTS: Final = (0.5, 1.25, -0.01, 19.99, 3.0, 1e6, 1e-7, 0, 1, -3)
ANYTHING: Final[tuple[Json, ...]] = (None, True, False, 0, 1.5, "x", "", [], {}, ["a", 1], {"a": {"b": None}})
LEAF: Final = frozenset(
    (
        *("type", "pattern", "format", "minLength", "maxLength", "multipleOf", "minimum", "maximum", "not", "allOf"),
        *("exclusiveMinimum", "exclusiveMaximum", "const", "enum", "minItems", "maxItems", "uniqueItems"),
        "propertyNames",
    )
)
"""Keywords that can be judged without the rest of the schema."""


class Limits(Fact, frozen=True, kw_only=True):
    """What one search may cost. `seconds` is the last net; the others end the work first, the same everywhere."""

    draws: int = 400  # values drawn, kept or not
    nodes: int = 3_000  # within one value
    all_nodes: int = 150_000  # within all of them
    depth: int = 24  # containers within containers
    seconds: float = 5.0


LIMITS: Final = Limits()


class Drawing:
    """Values of one schema. Counts what they cost."""

    def __init__(self, schema: Schema, random: Random, limits: Limits, *, samples_in: Schema = True) -> None:
        """`samples_in` is the schema as written: examples beside a pattern that cannot be sampled are taken from it."""
        self._schema, self._random, self._limits = schema, random, limits
        self._draws, self._nodes, self._left = 0, 0, 0
        self._until = time.monotonic() + limits.seconds
        self._depth = 0
        self._judges: dict[bytes, Validator | None] = {}
        self._samples = _samples(samples_in)

    def goes_on(self) -> bool:
        """Whether another value may be drawn."""
        return self._draws < self._limits.draws and self._nodes < self._limits.all_nodes and not self.over()

    def over(self) -> bool:
        """Whether the time is used up."""
        return time.monotonic() > self._until

    def value(self) -> Json:
        """The next value, or None, which is a value too, where a draw came to nothing."""
        self._draws += 1
        self._left, self._depth = self._limits.nodes, 0
        try:
            return self._draw(self._schema)
        except (DeadEndError, RecursionError):
            return None
        finally:
            self._nodes += self._limits.nodes - self._left

    def _draw(self, schema: Schema) -> Json:
        self._left -= 1
        if self._left < 0 or self._depth > self._limits.depth:
            raise DeadEndError
        for _ in range(TRIES):
            flat = flatten(schema, self._schema, self._ordered)
            try:
                value = self._of(flat)
            except DeadEndError:
                if not isinstance(schema, dict) or self._left < 0:
                    raise
                continue
            if self._keeps(flat, value):
                return value
        raise DeadEndError

    def _ordered(self, branches: list[Json]) -> list[Json]:
        self._random.shuffle(branches)
        if self._depth >= SHALLOW:
            branches.sort(key=_cost)
            if len(branches) > 1 and _cost(branches[0]) == 0 and self._random.random() < 0.3:
                branches = [each for each in branches if _cost(each) == 0]
                self._random.shuffle(branches)
        return branches

    def _of(self, flat: Flat) -> Json:
        if "const" in flat:
            return flat["const"]
        if "enum" in flat:
            if not flat["enum"]:
                raise DeadEndError
            return self._random.choice(flat["enum"])
        if not flat:
            return self._random.choice(ANYTHING)
        types = types_of(flat.get("type")) if "type" in flat else _suited(flat)
        kind = self._random.choice(sorted(types))
        if kind in {"object", "array"}:
            self._depth += 1
            try:
                return self._object(flat) if kind == "object" else self._array(flat)
            finally:
                self._depth -= 1
        if kind in {"integer", "number"}:
            return self._number(flat, whole=kind == "integer")
        if kind == "string":
            return self._text(flat)
        return None if kind == "null" else self._random.random() < 0.5

    # Objects

    def _object(self, flat: Flat) -> dict[str, Json]:
        names: dict[str, Json] = flat.get("properties", {})
        made: dict[str, Json] = {}
        for name in flat.get("required", ()):
            made[name] = self._draw(self._schema_of(name, flat))
        share = self._random.choice((0.0, 0.5, 1.0)) if self._depth <= SHALLOW else 0.0
        most, fewest = flat.get("maxProperties", len(names) + 20), flat.get("minProperties", 0)
        optional = [name for name in names if name not in made]
        self._random.shuffle(optional)
        for name in optional:
            if len(made) < most and (len(made) < fewest or self._random.random() < share):
                self._put(made, name, flat)
        for name in [
            each for key, needed in flat.get("dependentRequired", {}).items() if key in made for each in needed
        ]:
            if name not in made:
                made[name] = self._draw(self._schema_of(name, flat))
        extra = self._random.choice((0, 0, 1, 2)) if self._depth <= SHALLOW else 0
        for _ in range(TRIES + 2 * max(0, fewest - len(made))):
            if len(made) >= most or (len(made) >= fewest and extra <= 0):
                break
            extra -= 1
            try:
                name = self._name(flat)
            except DeadEndError:
                break
            if name not in made:
                self._put(made, name, flat)
        return made

    def _put(self, made: dict[str, Json], name: str, flat: Flat) -> None:
        try:
            made[name] = self._draw(self._schema_of(name, flat))
        except DeadEndError:
            if self._left < 0:
                raise

    def _name(self, flat: Flat) -> str:
        """The name of a property that the schema does not list."""
        patterns = list(flat.get("patternProperties", {}))
        if patterns and (self._random.random() < 0.7 or flat.get("additionalProperties") is False):
            name = sample_pattern(self._random.choice(patterns), self._random)
        elif "propertyNames" in flat:
            name = self._draw({"allOf": [flat["propertyNames"], {"type": "string"}]})
        elif flat.get("additionalProperties") is False:
            raise DeadEndError
        else:
            name = self._random.choice(("extra", "x-note", "Ü", "a b", f"k{self._random.randint(0, 999)}"))
        if name is None:
            raise DeadEndError
        return name

    def _schema_of(self, name: str, flat: Flat) -> Schema:
        parts = [flat["properties"][name]] if name in flat.get("properties", {}) else []
        parts += [each for pattern, each in flat.get("patternProperties", {}).items() if self._matches(pattern, name)]
        if not parts:
            for key in ("additionalProperties", "unevaluatedProperties"):
                if key in flat:
                    parts.append(flat[key])
                    break
        return parts[0] if len(parts) == 1 else {"allOf": parts} if parts else True

    def _matches(self, pattern: str, name: str) -> bool:
        return self._judged({"pattern": pattern}, name)

    # Arrays

    def _array(self, flat: Flat) -> list[Json]:
        first: list[Schema] = flat.get("prefixItems", [])
        rest: Schema = flat.get("items", flat.get("unevaluatedItems", True))
        fewest = flat.get("minItems", 0)
        most = flat.get("maxItems", max(fewest, len(first)) + ITEMS_MORE)
        if rest is False:
            most = min(most, len(first))
        if fewest > min(most, self._left):
            raise DeadEndError
        length = self._random.choice(
            (fewest, min(most, fewest + 1), min(most, fewest + self._random.randint(1, ITEMS_MORE)))
        )
        if self._depth > SHALLOW:
            length = fewest
        elif self._random.random() < 0.15 and most <= 50:
            length = most
        wanted = flat.get("minContains", 1) if "contains" in flat else 0
        length = min(most, max(length, wanted))
        held = set(range(max(0, length - wanted), length))
        made: list[Json] = []
        seen: set[bytes] = set()
        for index in range(length):
            schema = first[index] if index < len(first) else rest
            if index in held:
                schema = {"allOf": [schema, flat["contains"]]}
            made.append(self._item(schema, seen if flat.get("uniqueItems") else None))
        if flat.get("not", {}) == {"type": "array", "uniqueItems": True} and made:
            made.append(made[0])
        return made

    def _item(self, schema: Schema, seen: set[bytes] | None) -> Json:
        for _ in range(TRIES):
            value = self._draw(schema)
            if seen is None:
                return value
            name = encode_body(value)
            if name not in seen:
                seen.add(name)
                return value
        raise DeadEndError

    # Numbers and texts

    def _number(self, flat: Flat, *, whole: bool) -> int | float:
        low = max((flat[key] for key in ("minimum", "exclusiveMinimum") if key in flat), default=None)
        high = min((flat[key] for key in ("maximum", "exclusiveMaximum") if key in flat), default=None)
        step = flat.get("multipleOf", 1 if whole else None)
        if step is not None:
            return self._multiple(low, high, Fraction(str(step)), whole=whole)
        choices = [each for each in (low, high) if each is not None]
        if low is not None and high is not None:
            choices += [low + (high - low) * self._random.random() for _ in range(3)]
        elif low is not None or high is not None:
            edge, sign = (low, 1) if low is not None else (high or 0, -1)
            choices += [edge + sign * part for part in (0.5, 1, 1000.25, self._random.random())]
        else:
            choices = [*PARTS, round(self._random.uniform(-1e4, 1e4), 2)]
        return self._random.choice(choices)

    def _multiple(self, low: float | None, high: float | None, step: Fraction, *, whole: bool) -> int | float:
        if whole:  # the least common multiple of the step and one
            step = Fraction(step.numerator)
        span = self._random.choice(WHOLE) if self._random.random() < 0.4 else self._random.randint(-1000, 1000)
        fewest = None if low is None else -(-Fraction(str(low)) // step)
        most = None if high is None else Fraction(str(high)) // step
        if fewest is not None and most is not None:
            if fewest > most:
                raise DeadEndError
            reach = most - fewest
            count = fewest + self._random.choice((0, reach, min(1, reach), self._random.randint(0, reach)))
        elif fewest is not None:
            count = fewest + self._random.choice((0, 1, abs(span)))
        elif most is not None:
            count = most - self._random.choice((0, 1, abs(span)))
        else:
            count = span
        value = count * step
        return int(value) if value.denominator == 1 and (whole or self._random.random() < 0.5) else float(value)

    def _text(self, flat: Flat) -> str:
        fewest, most = flat.get("minLength", 0), flat.get("maxLength")
        if fewest > (CHARACTERS_MAX if most is None else min(most, CHARACTERS_MAX)):
            raise DeadEndError
        patterns = [each["pattern"] for each in (flat, *flat.get("allOf", ())) if "pattern" in each]
        if patterns:
            known = [text for each in patterns for text in self._samples.get(each, ())]
            drawn = [sample_pattern(each, self._random, at_least=fewest) for each in patterns]
            if None in drawn or (known and self._random.random() < 0.2):
                if not known:
                    raise DeadEndError
                return self._random.choice(known)
            pairs = sorted(
                zip(patterns, drawn, strict=True), key=lambda pair: (pair[0][-1:] == "$", pair[0][:1] != "^")
            )
            return "".join(each or "" for _, each in pairs)
        if flat.get("format") in FORMATS:
            return FORMATS[flat["format"]](self._random)
        if flat.get("contentEncoding") == "base64":
            return sample_base64(self._random)
        return sample_words(self._random, at_least=fewest, at_most=most)

    # The judge of one place

    def _keeps(self, flat: Flat, value: Json) -> bool:
        """Whether a drawn value keeps what of its place can be judged without the rest of the schema."""
        leaf = {key: each for key, each in flat.items() if key in LEAF}
        return self._judged(leaf, value)

    def _judged(self, leaf: dict[str, Json], value: Json) -> bool:
        try:
            name = encode_body(leaf)
        except BodyError:
            return True
        if name not in self._judges:
            self._judges[name] = _judge(leaf)
        judge = self._judges[name]
        return judge is None or judge.is_valid(value)


def _judge(leaf: dict[str, Json]) -> Validator | None:
    """None where the leaf refers to other places: then the whole value is judged, later."""
    try:
        return Validator(leaf)
    except SchemaError:
        return None


def _suited(flat: Flat) -> set[str]:
    """The types that a schema without `type` speaks of; most schemas that leave it out mean one."""
    found = {
        kind
        for kind, keys in (
            ("object", ("properties", "required", "patternProperties", "propertyNames", "additionalProperties")),
            ("array", ("items", "prefixItems", "contains", "minItems", "maxItems", "uniqueItems")),
            ("string", ("pattern", "format", "minLength", "maxLength")),
            ("number", ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
        )
        if any(key in flat for key in keys)
    }
    return found or types_of(None)


def _cost(schema: Json) -> int:
    """0 for what surely holds nothing deeper."""
    if not isinstance(schema, dict):
        return 0
    kinds = types_of(schema.get("type")) if "type" in schema else set[str]()
    deep = bool({"object", "array"} & kinds) or not ("type" in schema or "const" in schema or "enum" in schema)
    return 1 if deep else 0


def _samples(schema: Json) -> dict[str, tuple[str, ...]]:
    """Texts that the schema itself gives as examples or default, by pattern."""
    found: dict[str, tuple[str, ...]] = {}
    stack: list[Json] = [schema]
    while stack:
        top = stack.pop()
        if isinstance(top, dict):
            if isinstance(top.get("pattern"), str):
                given = [*top.get("examples", ()), top.get("default")]
                texts = tuple(each for each in given if isinstance(each, str))
                found[top["pattern"]] = found.get(top["pattern"], ()) + texts
            stack.extend(top.values())
        elif isinstance(top, list):
            stack.extend(top)
    return found
