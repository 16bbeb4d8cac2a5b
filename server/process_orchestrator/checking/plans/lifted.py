"""A part of a schema taken out of it so that it stands alone: what its references lead to comes along under `$defs`.

Names under `$defs` follow the order in which they are met, so the same part gives the same text. Annotations are left
behind: they decide nothing. It never widens or narrows: what it cannot take out exactly it refuses.
"""

from __future__ import annotations

from typing import Any, Final

from process_orchestrator.checking.schemas.containing import written_alike
from process_orchestrator.checking.schemas.keywords import KEYWORDS, LIST, MAP, ONE
from process_orchestrator.checking.schemas.projection import Schema, Shape, target_of

NODES_MAX: Final = 4_000
"""Schema objects in one lifted schema."""

DEPTH_MAX: Final = 100

_LEFT_BEHIND: Final = frozenset(
    (
        *("$defs", "$comment", "$schema", "title", "description", "default", "examples"),
        *("deprecated", "readOnly", "writeOnly", "contentSchema", "contentEncoding", "contentMediaType"),
    )
)
_NAMED_PLACES: Final = frozenset(("$anchor", "$dynamicAnchor", "$dynamicRef", "$id"))


class UnliftableError(Exception):
    """The part is too large, or refers to places in a way that does not survive being taken out."""


class Lifter:
    """Takes parts out of any number of schemas into one new schema."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}
        self._names: dict[tuple[int, str], str] = {}
        self._roots: list[Schema] = []  # kept alive: their identity is part of a name
        self._nodes = 0

    def shape(self, shape: Shape) -> Schema:
        """One schema for all alternatives of a shape. Raises UnliftableError."""
        schemas: list[Schema] = []
        for schema, root in shape.alternatives:
            lifted = self.schema(schema, root)
            if not any(written_alike(lifted, each) for each in schemas):
                schemas.append(lifted)
        if not schemas:
            return False
        return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}

    def schema(self, schema: Schema, root: Schema, depth: int = 0) -> Schema:
        """A part of `root`. Raises UnliftableError."""
        if isinstance(schema, bool):
            return schema
        self._nodes += 1
        if self._nodes > NODES_MAX or depth > DEPTH_MAX:
            raise UnliftableError
        made: dict[str, Any] = {}
        for key, value in schema.items():
            if key in _LEFT_BEHIND or key.startswith("x-"):
                continue
            if key in _NAMED_PLACES:
                raise UnliftableError
            kind = KEYWORDS.get(key)
            if key == "$ref":
                made[key] = f"#/$defs/{self._definition(str(value), root, depth)}"
            elif kind == ONE:
                made[key] = self.schema(value, root, depth + 1)
            elif kind == LIST:
                made[key] = [self.schema(each, root, depth + 1) for each in value]
            elif kind == MAP:
                made[key] = {name: self.schema(each, root, depth + 1) for name, each in value.items()}
            else:
                made[key] = value
        return made

    def alone(self, schema: Schema) -> Schema:
        """A schema with all definitions that were met, which stands by itself."""
        if not self.definitions:
            return schema
        return {"$defs": self.definitions, **(schema if isinstance(schema, dict) else {"allOf": [schema]})}

    def _definition(self, reference: str, root: Schema, depth: int) -> str:
        at = (id(root), reference)
        if at not in self._names:
            target = target_of(reference, root)
            if target is None:
                raise UnliftableError
            name = self._names[at] = f"d{len(self._names)}"
            self._roots.append(root)
            self.definitions[name] = True  # what stays of it if the rest cannot be taken out
            self.definitions[name] = self.schema(target, root, depth + 1)
        return self._names[at]


def lifted(shape: Shape) -> Schema:
    """A shape as one schema that stands alone. Raises UnliftableError."""
    lifter = Lifter()
    return lifter.alone(lifter.shape(shape))
