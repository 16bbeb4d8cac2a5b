"""How sure a model was of its first choice: the least likely token of the first string that its schema leaves open.

What a model says of its own confidence is worthless; what its host measured is not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

Json = Any

LITERAL: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
DEPTH_MAX: Final = 32


def choice_probability(
    text: str, data: Json, schema: dict[str, Any], tokens: Sequence[tuple[bytes, float]]
) -> float | None:
    """Probability of the first choice of an answer. `tokens` are its tokens, each with the logarithm of its own.

    None where nothing was left to choose, or the tokens do not make up the text.
    """
    place = _first_choice(data, schema)
    written = text.encode(errors="surrogatepass")
    whole = b"".join(token for token, _ in tokens)
    start = whole.find(written)
    if place is None or start < 0:
        return None
    literals = list(LITERAL.finditer(written))
    if place >= len(literals):
        return None
    begin, end = (start + each for each in literals[place].span())
    at, least = 0, 0.0
    for token, logarithm in tokens:
        if at < end - 1 and at + len(token) > begin + 1:
            least = min(least, logarithm)
        at += len(token)
    return math.exp(least) if least == least else None  # noqa: PLR0124 - NaN


def _first_choice(data: Json, schema: dict[str, Any]) -> int | None:
    """Which of the answer's string literals, keys included, is the first value that an `enum` leaves open."""
    for at, (value, node) in enumerate(_literals(data, schema, schema, 0)):
        if node is not None and len(node.get("enum", ())) > 1 and value in node["enum"]:
            return at
    return None


def _literals(
    value: Json, node: dict[str, Any] | None, root: dict[str, Any], depth: int
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Every key and string of a value in the order of its text; a string with the schema that it stands under."""
    if isinstance(value, str):
        yield value, _meant(value, node, root)
    elif isinstance(value, dict) and depth < DEPTH_MAX:
        known = _meant(value, node, root) or {}
        for key, inner in value.items():
            yield key, None
            yield from _literals(inner, known.get("properties", {}).get(key), root, depth + 1)
    elif isinstance(value, list) and depth < DEPTH_MAX:
        known = _meant(value, node, root) or {}
        items = known.get("items")
        for inner in value:
            yield from _literals(inner, items if isinstance(items, dict) else None, root, depth + 1)


def _meant(value: Json, node: Any, root: dict[str, Any]) -> dict[str, Any] | None:
    """The schema that speaks of a value: through references within the document, and the branch that fits its kind."""
    for _ in range(DEPTH_MAX):
        if not isinstance(node, dict):
            return None
        reference = node.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/$defs/"):
            node = root.get("$defs", {}).get(reference.removeprefix("#/$defs/"))
            continue
        branches = [each for each in (*node.get("anyOf", ()), *node.get("oneOf", ())) if isinstance(each, dict)]
        if not branches:
            return node
        node = next((each for each in branches if _fits(value, each)), None)
    return None


def _fits(value: Json, branch: dict[str, Any]) -> bool:
    if isinstance(value, dict):
        return set(value) <= set(branch.get("properties", {})) and set(branch.get("required", ())) <= set(value)
    return value in branch["enum"] if "enum" in branch else value == branch.get("const", value)
