"""Random pairs of schemas: a change that is not called breaking is not refuted by any value that is found."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

import pytest

from process_orchestrator.checking.changes.schema_change import Judgement, judge_schema
from process_orchestrator.checking.schemas.generate import Limits, valid_values
from process_orchestrator.checking.schemas.validate import Validator
from process_orchestrator.core.errors import SchemaError

NAMES = ("a", "b", "c", "d")
FEW = Limits(draws=80, seconds=0.5)
Schema = Any


class Drawing:
    """Schemas and small changes to them, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def pair(self) -> tuple[Schema, Schema]:
        old = self._root()
        return old, self._changed(old) if self._random.random() < 0.85 else self._root()

    def _leaf(self) -> Schema:
        choose = self._random
        return choose.choice(
            [
                {"type": "string"},
                {"type": "string", "maxLength": choose.randint(0, 5)},
                {"type": "integer"},
                {"type": "number", "minimum": choose.randint(-3, 3)},
                {"enum": choose.sample(["a", "b", "c", 1, 2, None], choose.randint(1, 4))},
                {"type": ["string", "null"]},
                {"const": "a"},
                {"$ref": "#/$defs/x"},
                True,
                {},
            ]
        )

    def _schema(self, depth: int = 0) -> Schema:
        choose = self._random
        if depth > 2 or choose.random() < 0.35:
            return self._leaf()
        kind = choose.random()
        if kind < 0.7:
            return self._object(depth)
        if kind < 0.85:
            return {"type": "array", "items": self._schema(depth + 1), "maxItems": choose.randint(0, 3)}
        return {choose.choice(["anyOf", "oneOf"]): [self._schema(depth + 1), self._schema(depth + 1)]}

    def _object(self, depth: int) -> Schema:
        choose = self._random
        some = choose.sample(NAMES, choose.randint(0, 4))
        optional = {
            "required": choose.sample(NAMES, choose.randint(0, 2)),
            "additionalProperties": choose.choice([False, True, self._schema(depth + 2)]),
            "maxProperties": choose.randint(1, 4),
            "patternProperties": {"^a": self._schema(depth + 2)},
            "dependentRequired": {"a": ["b"]},
            "description": "words",
        }
        chances = (0.6, 0.4, 0.1, 0.1, 0.1, 0.3)
        kept = {
            key: each for (key, each), chance in zip(optional.items(), chances, strict=True) if choose.random() < chance
        }
        return {"type": "object", "properties": {name: self._schema(depth + 1) for name in some}, **kept}

    def _root(self) -> Schema:
        inner = self._schema()
        whole = (
            inner
            if isinstance(inner, dict) and "properties" in inner
            else {"type": "object", "properties": {"a": inner}}
        )
        return {
            **whole,
            "$defs": {"x": self._random.choice([{"type": "integer"}, {"type": "number"}, {"enum": ["a"]}])},
        }

    def _changed(self, schema: Schema) -> Schema:
        choose, changed = self._random, copy.deepcopy(schema)
        nodes: list[dict[str, Any]] = []
        stack: list[Any] = [changed]
        while stack:
            top = stack.pop()
            if isinstance(top, dict):
                nodes.append(top)
            stack.extend(top.values() if isinstance(top, dict) else top if isinstance(top, list) else ())
        for _ in range(choose.randint(1, 2)):
            node, name = choose.choice(nodes), choose.choice(NAMES)
            if isinstance(node.get("properties"), dict) and choose.random() < 0.7:
                if node["properties"].pop(name, None) is None or choose.random() < 0.5:
                    node["properties"][name] = self._schema(2)
            elif isinstance(node.get("enum"), list):
                node["enum"] = node["enum"][:-1] or ["z"]
            elif isinstance(node.get("type"), str) and choose.random() < 0.5:
                node["type"] = choose.choice(["string", "integer", "number", "object", "array"])
            else:
                key, value = choose.choice(
                    [("required", choose.sample(NAMES, 2)), ("additionalProperties", False), ("maxLength", 3)]
                )
                node[key] = value
        return changed


def refuted(inner: Schema, outer: Schema, *, seed: int) -> Any:
    """A value of `inner` that `outer` refuses, if one is found."""
    judge = Validator(outer)
    return next(
        (each for each in valid_values(inner, count=20, seed=seed, limits=FEW) if not judge.is_valid(each)), None
    )


def unsound(seed: int, pairs: int) -> list[Any]:
    drawing, found = Drawing(seed), []
    for number in range(pairs):
        old, new = drawing.pair()
        try:
            _ = Validator(old), Validator(new)
        except SchemaError:
            continue
        for may_widen in (False, True):
            changes = judge_schema(old, new, may_widen=may_widen)
            heaviest = changes[0].judgement if changes else Judgement.SAME
            if heaviest is Judgement.BREAKING:
                continue
            ways = [(old, new) if may_widen else (new, old)]
            if heaviest is not Judgement.WIDENING:
                ways.append((ways[0][1], ways[0][0]))
            for inner, outer in ways:
                value = refuted(inner, outer, seed=number)
                if value is not None:
                    found.append((may_widen, old, new, value, changes))
    return found


def test_what_is_not_breaking_is_not_refuted() -> None:
    assert unsound(seed=5, pairs=60) == []


@pytest.mark.slow
def test_what_is_not_breaking_is_not_refuted_at_length() -> None:
    assert unsound(seed=11, pairs=3000) == []
