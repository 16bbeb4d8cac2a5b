"""Parts of several schemas moved into one new schema, names of their definitions kept where they are free."""

from __future__ import annotations

from typing import Any

from process_orchestrator.checking.schemas.keywords import KEYWORDS, LIST, MAP, ONE
from process_orchestrator.checking.schemas.projection import Schema, target_of

Json = Any


class Transplant:
    """Takes parts in; `definitions` are what their references now lead to. Recursion is followed once per target."""

    def __init__(self) -> None:
        self.definitions: dict[str, Json] = {}
        self._names: dict[tuple[int, str], str] = {}
        self._roots: list[Schema] = []  # kept alive: their identity is part of a name

    def part(self, schema: Json, root: Schema) -> Json:
        """`schema`, a part of `root`, as a part of the new schema."""
        if not isinstance(schema, dict):
            return schema
        made: dict[str, Json] = {}
        for key, value in schema.items():
            kind = KEYWORDS.get(key)
            if key == "$ref":
                made[key] = f"#/$defs/{self._definition(str(value), root)}"
            elif key == "$defs" and schema is root:
                continue
            elif kind == ONE:
                made[key] = self.part(value, root)
            elif kind == LIST and isinstance(value, list):
                made[key] = [self.part(each, root) for each in value]
            elif kind == MAP and isinstance(value, dict):
                made[key] = {name: self.part(each, root) for name, each in value.items()}
            else:
                made[key] = value
        return made

    def _definition(self, reference: str, root: Schema) -> str:
        at = (id(root), reference)
        if at not in self._names:
            wanted = reference.rpartition("/")[2].replace("~1", "_").replace("~0", "_").replace("%", "_") or "Whole"
            name, number = wanted, 2
            while name in self.definitions:
                name, number = f"{wanted}_{number}", number + 1
            self._names[at] = name
            self._roots.append(root)
            self.definitions[name] = True
            self.definitions[name] = self.part(target_of(reference, root), root)
        return self._names[at]
