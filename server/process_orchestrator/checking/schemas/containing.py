"""Whether every value of one schema keeps another: the decision of the canonical form, bounded in time and memory.

The canonical form is exponential on hostile schemas, and native code that nobody can interrupt. So every pair is
measured first: what is surely small is decided here; what is not, in a helper process with a deadline and (but for
Windows) a limit on memory; what is larger still, or ends the helper, stays unproven. Decisions are kept by content. It
knows schemas alone; values that show why something does not fit are looked for in `fitting`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

import orjson

from process_orchestrator.checking.schemas.projection import resolve
from process_orchestrator.checking.schemas.validate import Containment, check_depth, containment
from process_orchestrator.core.errors import BodyError

Json = Any
Schema = dict[str, Any] | bool

SCHEMA_BYTES_MAX: Final = 512_000
"""Of one schema: what is larger is not decided."""

DEPTH_MAX: Final = 120
"""Levels of a schema as written, and references in a row: native code recurses over both."""

HERE_BYTES_MAX: Final = 64_000
HERE_DEPTH_MAX: Final = 60
HERE_CROSSED_MAX: Final = 8
HERE_BRANCHES_MAX: Final = 64
HERE_MEMBERS_MAX: Final = 200
HERE_NEGATED_MAX: Final = 12
HERE_WORK_MAX: Final = 100_000
"""Up to these a pair is decided in this process. Of 140,000 random pairs within them the slowest took 63 ms."""

PAIR_S: Final = 1.0
"""Of one pair in the helper; where there are no alarm signals (Windows) the deadline of the batch alone holds."""

BATCH_S: Final = 4.0
HELPERS_MAX: Final = 3
"""Helpers started for one batch: each pair that ends one costs the start of the next."""

KEPT_MAX: Final = 8_192

_SCHEMAS: Final = ("items", "additionalProperties", "contains", "propertyNames", "unevaluatedProperties")
_HUGE: Final = 10**9


class Pair(NamedTuple):
    """What is given, and what is wanted."""

    producer: Schema
    consumer: Schema


class Containing:
    """Decides pairs and keeps what it decided. Not thread-safe."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Containment] = OrderedDict()

    def decide(self, pairs: Sequence[Pair]) -> list[Containment]:
        """How the values of each producer lie to those of its consumer; UNPROVEN where that is not known."""
        keys = [_key(pair) for pair in pairs]
        left: dict[bytes, Pair] = {}
        for key, pair in zip(keys, pairs, strict=True):
            if key is None or key in self._kept:
                continue
            if pair.consumer is True or written_alike(pair.producer, pair.consumer):
                self._keep(key, Containment.INSIDE)
            elif small(pair):
                self._keep(key, containment(pair.producer, pair.consumer))
            elif _bounded(pair):
                left[key] = pair
        if left:
            for key, decided in zip(left, _by_helper(list(left.values())), strict=True):
                self._keep(key, decided)
        return [self._kept.get(key, Containment.UNPROVEN) if key is not None else Containment.UNPROVEN for key in keys]

    def _keep(self, key: bytes, decided: Containment) -> None:
        self._kept[key] = decided
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)


def _key(pair: Pair) -> bytes | None:
    """The content of a pair; None where it is too large or too deep to be looked at."""
    try:
        both = [orjson.dumps(each, option=orjson.OPT_SORT_KEYS) for each in pair]
    except TypeError:
        return None
    if max(map(len, both)) > SCHEMA_BYTES_MAX:
        return None
    return sha256(both[0] + b"\n" + both[1]).digest()


def written_alike(one: Json, other: Json) -> bool:
    """Whether two values say the same word for word. Python alone takes `true` and `1` for equal."""
    return one == other and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def small(pair: Pair) -> bool:
    """Whether the canonical forms of both, and their comparison, surely cost little."""
    given, wanted = measured(pair.producer), measured(pair.consumer)
    if given is None or wanted is None:
        return False
    work = given.branches * wanted.branches * (given.nodes + wanted.nodes)
    crossed = max(given.crossed, wanted.crossed)
    branches = max(given.branches, wanted.branches)
    return work <= HERE_WORK_MAX and crossed <= HERE_CROSSED_MAX and branches <= HERE_BRANCHES_MAX


def _bounded(pair: Pair) -> bool:
    try:
        for each in pair:
            check_depth(each, DEPTH_MAX)
    except BodyError:
        return False
    return True


class Measure(NamedTuple):
    """What a schema may cost: its alternatives written out, those that come from multiplying choices, its keywords."""

    branches: int
    crossed: int
    nodes: int


class _TooCostlyError(Exception):
    """Raised within the measure; the schema is not small."""


def measured(schema: Schema) -> Measure | None:
    """The measure of a schema, or None where it is too large, too deep or of a kind that is costly by itself."""
    try:
        check_depth(schema, HERE_DEPTH_MAX)
        if len(orjson.dumps(schema)) > HERE_BYTES_MAX:
            return None
        return _Measuring(schema).of(schema, 0)
    except (BodyError, _TooCostlyError):
        return None


class _Measuring:
    def __init__(self, root: Schema) -> None:
        self._root = root
        self._targets: dict[str, Measure] = {}

    def of(self, schema: Schema, depth: int) -> Measure:
        if isinstance(schema, bool):
            return Measure(1, 1, 1)
        if depth > HERE_DEPTH_MAX:
            raise _TooCostlyError
        if len(schema.get("enum", ())) > HERE_MEMBERS_MAX:
            raise _TooCostlyError
        factors, crossed, nodes = self._choices(schema, depth)
        own = 1
        for each in self._parts(schema):
            inner = self.of(each, depth + 1)
            own, crossed, nodes = own + inner.branches - 1, max(crossed, inner.crossed), nodes + inner.nodes
        branches = own
        for factor in factors:
            branches = min(branches * factor, _HUGE)
        choices = [factor for factor in (own, *factors) if factor > 1]
        if len(choices) > 1:
            crossed = max(crossed, branches)
        return Measure(branches, crossed, nodes + len(schema))

    def _choices(self, schema: dict[str, Any], depth: int) -> tuple[list[int], int, int]:
        """Into how many alternatives each keyword splits the schema: together they multiply."""
        factors: list[int] = []
        crossed, nodes = 1, 0

        def count(inner: Measure) -> int:
            nonlocal crossed, nodes
            crossed, nodes = max(crossed, inner.crossed), nodes + inner.nodes
            return inner.branches

        unions = [schema[word] for word in ("anyOf", "oneOf") if word in schema]
        factors += [sum(count(self.of(each, depth + 1)) for each in union) for union in unions]
        factors += [count(self.of(each, depth + 1)) for each in schema.get("allOf", ())]
        factors += [1 + count(self.of(schema["if"], depth + 1))] if "if" in schema else []
        factors += [count(self.of(schema[word], depth + 1)) for word in ("then", "else") if word in schema]
        if "not" in schema:
            inner = self.of(schema["not"], depth + 1)
            if inner.nodes > HERE_NEGATED_MAX:  # what is closed has a way to be broken at each of its names
                raise _TooCostlyError
            factors.append(max(count(inner), inner.nodes))
        factors += [1 + count(self.of(each, depth + 1)) for each in schema.get("dependentSchemas", {}).values()]
        factors += [2 for _ in schema.get("dependentRequired", {})]
        if "$ref" in schema:
            factors.append(count(self._target(str(schema["$ref"]), depth)))
        return factors, crossed, nodes

    def _parts(self, schema: dict[str, Any]) -> list[Schema]:
        named = [schema.get(word, {}) for word in ("properties", "patternProperties")]
        parts: list[Schema] = [each for properties in named for each in properties.values()]
        parts += [schema[word] for word in _SCHEMAS if word in schema]
        return [*parts, *schema.get("prefixItems", ())]

    def _target(self, reference: str, depth: int) -> Measure:
        """What a reference leads to; one that leads back into itself stands for its name."""
        if reference not in self._targets:
            self._targets[reference] = Measure(1, 1, 1)
            self._targets[reference] = self.of(resolve({"$ref": reference}, self._root), depth + 1)
        return self._targets[reference]


# The helper


def _by_helper(pairs: list[Pair]) -> list[Containment]:
    """Decide in processes of their own; a pair that ends one, by time or memory, stays unproven."""
    decided: list[Containment] = []
    for _ in range(HELPERS_MAX):
        answers, over = _asked(pairs[len(decided) :])
        decided += answers
        if len(decided) >= len(pairs) or over:
            break
        decided.append(Containment.UNPROVEN)
    return [*decided, *[Containment.UNPROVEN] * (len(pairs) - len(decided))][: len(pairs)]


def _asked(pairs: list[Pair]) -> tuple[list[Containment], bool]:
    """The answers of one helper, and whether its time was over."""
    # -P: nothing is imported from the folder that the server happens to stand in.
    command = [sys.executable, "-P", "-m", "process_orchestrator.checking.schemas.containing_program", str(PAIR_S)]
    try:
        helper = subprocess.Popen(  # noqa: S603  our own program
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError:
        return [], True
    over = False
    with helper:
        try:
            out, _ = helper.communicate(orjson.dumps([list(pair) for pair in pairs]), timeout=BATCH_S)
        except subprocess.TimeoutExpired:
            helper.kill()
            out, _ = helper.communicate()
            over = True
    known = {each.value: each for each in Containment}
    lines = out.decode(errors="replace").split("\n")[:-1]  # a line that was cut off is no answer
    return [known.get(line.strip(), Containment.UNPROVEN) for line in lines[: len(pairs)]], over
