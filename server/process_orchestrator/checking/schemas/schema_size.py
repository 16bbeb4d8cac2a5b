"""How much work a schema can make for native code, told from its text: native code cannot be interrupted.

Two things are exponential there: the canonical form in the ways in which alternatives combine, and the list of errors
in the alternatives that a value passes on its way down, since every alternative lists its own. Where a figure is over
its bound, the one who asks does without.
"""

from __future__ import annotations

from typing import Any, Final

from process_orchestrator.checking.schemas.pointers import value_at

Json = Any

WAYS_MAX: Final = 300
"""Combinations of alternatives up to which a schema is canonicalised."""

ERRORS_MAX: Final = 20_000
"""Errors, all alternatives told, up to which they are listed: about 0.1 s."""

NODES_MAX: Final = 5_000
MAPS: Final = frozenset(("properties", "patternProperties", "dependentSchemas"))
PLAIN: Final = frozenset(("$defs", "enum", "const", "default", "examples"))
"""What holds no schema that applies here; definitions count where they are referred to."""


def modest(schema: Json) -> bool:
    """Whether canonicalising is cheap: few nodes, and few ways to combine the alternatives."""
    stack, nodes = [schema], 0
    while stack:
        top = stack.pop()
        nodes += 1
        if nodes > NODES_MAX:
            return False
        stack.extend(top.values() if isinstance(top, dict) else top if isinstance(top, list) else ())
    return _ways(schema, schema, {}) <= WAYS_MAX


def _ways(schema: Json, root: Json, known: dict[str, int]) -> int:
    """In how many ways the alternatives of one place combine, at the worst place. Its depth is the validator's, 200."""
    if not isinstance(schema, dict):
        return 1
    own, below = 1, 1
    for key, value in schema.items():
        if key in {"allOf", "anyOf", "oneOf"} and isinstance(value, list):
            ways = [_ways(each, root, known) for each in value]
            for each in ways if key == "allOf" else [sum(ways)]:
                own = min(own * max(1, each), WAYS_MAX + 1)
        elif key in {"dependentSchemas", "dependentRequired"} and isinstance(value, dict):
            for each in value.values():  # each holds or does not apply
                own = min(own * (1 + _ways(each, root, known)), WAYS_MAX + 1)
        elif key in {"if", "then", "else", "not"}:
            own = min(own * (1 + _ways(value, root, known)), WAYS_MAX + 1)
        elif key == "$ref":
            if value not in known:
                known[value] = 1  # what leads back to itself is a symbol to the native code
                known[value] = _ways(referred(value, root), root, known)
            own = min(own * known[value], WAYS_MAX + 1)
        elif key not in PLAIN:
            below = max([below, *(_ways(each, root, known) for each in _parts(key, value))])
    return max(own, below)


def _parts(key: str, value: Json) -> list[Json]:
    """The schemas in the value of a keyword: of a map of schemas each, of a list each, else the one."""
    if key in MAPS:
        return list(value.values()) if isinstance(value, dict) else []
    return value if isinstance(value, list) else [value]


def referred(reference: Json, root: Json) -> Json:
    """What a local reference names; None where there is nothing."""
    target = str(reference).removeprefix("#")
    if target.startswith("/") or not target:
        return value_at(root, target)
    stack: list[Json] = [root]
    while stack:
        top = stack.pop()
        if isinstance(top, dict):
            if target in (top.get("$anchor"), top.get("$dynamicAnchor")):
                return top
            stack.extend(top.values())
        elif isinstance(top, list):
            stack.extend(top)
    return None


class Telling:
    """Whether all errors of a value can be listed in bounded time."""

    __slots__ = ("_fixed", "_per_level")

    def __init__(self, schema: Json) -> None:
        self._fixed, self._per_level = _told(schema)

    def affordable(self, depth: int) -> bool:
        """Whether a value of that many containers in one another has at most about `ERRORS_MAX` errors in all."""
        total = self._fixed
        for _ in range(depth if self._per_level > 1 else 0):
            total *= self._per_level
            if total > ERRORS_MAX:
                return False
        return total <= ERRORS_MAX


def _told(schema: Json) -> tuple[int, int]:
    """Errors that alternatives list for a flat value, and by how much each level of recursion multiplies them."""
    known: dict[str, int] = {}
    recursive, branching = False, 1

    def count(part: Json) -> int:
        nonlocal recursive, branching
        if not isinstance(part, dict):
            return 1
        total = 0
        for key, value in part.items():
            if key in {"$ref", "$dynamicRef"}:
                name = str(value)
                recursive = recursive or known.get(name) == 0  # being counted: it leads back to itself
                if name not in known:
                    known[name] = 0
                    known[name] = count(referred(value, schema))
                total += known[name]
            elif key in {"anyOf", "oneOf"} and isinstance(value, list):
                branching = max(branching, sum(_refers(each) for each in value))
                total += sum(count(each) for each in value)
            elif key not in PLAIN:
                total += max([0, *(count(each) for each in _parts(key, value))])
            total = min(total, ERRORS_MAX + 1)
        return max(1, total)

    return count(schema), branching if recursive else 1


def _refers(schema: Json) -> bool:
    stack: list[Json] = [schema]
    while stack:
        top = stack.pop()
        if isinstance(top, dict):
            if "$ref" in top or "$dynamicRef" in top:
                return True
            stack.extend(top.values())
        elif isinstance(top, list):
            stack.extend(top)
    return False
