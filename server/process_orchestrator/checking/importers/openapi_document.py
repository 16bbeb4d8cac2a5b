"""An OpenAPI 3.0 or 3.1 document: its operations, and what its references lead to. Data only; nothing is fetched.

Trusts nothing of the document's form beyond what is asked of it here: whatever stands where a mapping should is read
as an empty one. What leads out of the document is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

from process_orchestrator.checking.importers.naming import one_line
from process_orchestrator.checking.schemas.pointers import segments, step_into
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts.values import Fact

Json = Any

METHODS: Final = ("get", "head", "post", "put", "patch", "delete")
NOT_CALLED: Final = ("options", "trace", "query")
HOPS_MAX: Final = 50
REFS_SHOWN_MAX: Final = 3
VERSION: Final = re.compile(r"3\.([01])(\.\d+)?(-.*)?")
DATA_KEYS: Final = frozenset(("example", "examples", "default", "enum", "const"))
"""Below these stand values, in which `$ref` is a word like any other."""


class Operation(Fact, frozen=True, kw_only=True):
    """One method of one path."""

    method: str  # upper case
    path: str
    pointer: str
    body: dict[str, Json]
    shared: dict[str, Json]  # the path's own: parameters, servers

    @property
    def key(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def id(self) -> str:
        """The operationId; empty where there is none."""
        found = self.body.get("operationId")
        return found if isinstance(found, str) else ""


class OpenApi:
    """A document whose version is one that we read, and which refers to nothing but itself."""

    def __init__(self, value: Json, *, source: str) -> None:
        """Raises RefusedError for anything else."""
        self.source = source
        self.value = mapping(value)
        self.nullable = _version(value, source) == 0  # 3.0: `nullable`, and nothing counts beside a `$ref`
        _refuse_outside(self.value, source)

    def operations(self) -> Iterator[Operation]:
        """Every operation, in the order of the document; those of methods that agents are not called with left out."""
        for path, item in mapping(self.value.get("paths")).items():
            shared = self.followed(item)
            pointer = step_into("/paths", path)
            for method in METHODS:
                if isinstance(shared.get(method), dict) and path.startswith("/"):
                    yield Operation(
                        method=method.upper(),
                        path=path,
                        pointer=f"{pointer}/{method}",
                        body=shared[method],
                        shared={key: each for key, each in shared.items() if key not in METHODS},
                    )

    def not_called(self) -> tuple[str, ...]:
        """Operations whose method no agent is called with."""
        items = mapping(self.value.get("paths")).items()
        return tuple(
            f"{method.upper()} {path}: agents are not called with this method"
            for path, item in items
            for method in NOT_CALLED
            if method in self.followed(item)
        )

    def followed(self, node: Json) -> dict[str, Json]:
        """What a parameter, response, body or path item says, its `$ref` followed; empty where it leads nowhere."""
        for _ in range(HOPS_MAX):
            found = mapping(node)
            if not isinstance(found.get("$ref"), str):
                return found
            node = self.target(found["$ref"])
        return {}

    def target(self, reference: str) -> Json:
        """What a reference into this document leads to; None where there is nothing."""
        if not reference.startswith("#/"):
            return self.value if reference == "#" else None
        at: Json = self.value
        for part in segments(unquote(reference[1:])):
            if isinstance(at, dict) and part in at:
                at = at[part]
            elif isinstance(at, list) and part.isdigit() and int(part) < len(at):
                at = at[int(part)]
            else:
                return None
        return at

    def components(self, kind: str) -> dict[str, Json]:
        """Named things of one kind: schemas, securitySchemes, and so on."""
        return mapping(mapping(self.value.get("components")).get(kind))


def mapping(value: Json) -> dict[str, Json]:
    """`value` where it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def listed(value: Json) -> list[Json]:
    """`value` where it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: Json) -> str:
    """`value` where it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def _version(value: Json, source: str) -> int:
    written = mapping(value)
    if "swagger" in written:
        version = one_line(str(written["swagger"]), chars=20)
        raise RefusedError(
            "BAD_ARGUMENT",
            f"{source} is a Swagger {version} document; OpenAPI 3.0 and 3.1 are read.",
            do="convert it first, for example with `npx swagger2openapi FILE -o openapi.yaml`.",
        )
    version = written.get("openapi")
    found = VERSION.fullmatch(str(version)) if isinstance(version, str | int | float) else None
    if found is None:
        shown = (
            f"its `openapi` is {one_line(str(version), chars=20)}" if "openapi" in written else "it has no `openapi`"
        )
        raise RefusedError(
            "BAD_ARGUMENT", f"{source} is no OpenAPI 3.0 or 3.1 document: {shown}.", do="give one such document."
        )
    return int(found[1])


def _refuse_outside(value: dict[str, Json], source: str) -> None:
    """Refuse a document that refers to another one, by the names of what it refers to."""
    found: list[str] = []
    seen: set[int] = set()
    stack: list[tuple[Json, str]] = [(value, "")]
    while stack:
        node, place = stack.pop()
        if not isinstance(node, (dict, list)) or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, list):
            stack.extend((each, f"{place}/{index}") for index, each in enumerate(node))
            continue
        reference = node.get("$ref")
        if isinstance(reference, str) and not reference.startswith("#"):
            found.append(f"{one_line(reference, chars=120)} (at {place or '/'})")
        for key, each in node.items():
            if key not in DATA_KEYS and not key.startswith("x-"):
                stack.append((each, step_into(place, key)))
    if found:
        shown = "; ".join(found[:REFS_SHOWN_MAX])
        more = f" and {len(found) - REFS_SHOWN_MAX} more" if len(found) > REFS_SHOWN_MAX else ""
        raise RefusedError(
            "BAD_ARGUMENT",
            f"{source} refers to what lies outside of it, which is not fetched: {shown}{more}.",
            do="make one document of it first, for example with `npx @redocly/cli bundle FILE -o openapi.yaml`.",
        )
