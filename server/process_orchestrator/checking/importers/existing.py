"""What an earlier import left in a home, and what people have made of it since: read only.

A contract is found again by the key that its `x-imported` names, wherever the file lies now and whatever it is called;
where a person has removed that, by the name that was imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from process_orchestrator.checking.documents.versions import order
from process_orchestrator.checking.importers import places
from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.checking.loading.registry import LoadedFile, Registry
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts.values import Fact

Json = Any


class Found(Fact, frozen=True, kw_only=True):
    """One file as it stands."""

    path: Path
    file: str
    text: str
    value: dict[str, Json]


class Existing(Fact, frozen=True, kw_only=True):
    """All of one agent."""

    home: Path
    agent: str
    record: places.Record | None
    agent_found: Found | None
    contracts: dict[str, Found]  # by key at the source
    contract_names: frozenset[str]  # all of the home

    @classmethod
    def of(cls, home: Path, agent: str) -> Existing:
        """Read what is there. Raises RefusedError where a file of the agent's cannot be read as YAML."""
        record = places.read_record(home, agent)
        registry = load_home(home)
        _refuse_unreadable(registry, agent)
        return cls(
            home=home,
            agent=agent,
            record=record,
            agent_found=_agent(registry, agent),
            contracts=_contracts(registry, agent, record),
            contract_names=frozenset(_names(registry)),
        )

    @property
    def there(self) -> bool:
        return self.record is not None or self.agent_found is not None

    @property
    def was_imported(self) -> bool:
        """Whether the agent's file says that an import made it."""
        return self.agent_found is not None and "x-imported" in self.agent_found.value

    @property
    def names(self) -> dict[str, str]:
        """The name under which each key was imported."""
        return {} if self.record is None else {key: each["contract"] for key, each in self.record.contracts.items()}


def previous_selection(home: Path, agent: str) -> tuple[str, ...]:
    """What `--only` chose when the agent was last imported; none: everything, or never imported."""
    record = places.read_record(home, agent)
    return () if record is None else record.only


def _refuse_unreadable(registry: Registry, agent: str) -> None:
    for each in registry.files.values():
        mine = each.file.startswith(f"contracts/{agent}/") or each.file == f"agents_registry/{agent}.agent.yaml"
        if mine and not isinstance(each.document.value, dict):
            problem = each.problems[0].message if each.problems else "it holds no mapping"
            raise RefusedError("BAD_ARGUMENT", f"{each.file} cannot be read: {problem}.", do="mend it, then try again.")


def _names(registry: Registry) -> list[str]:
    named = [
        each.document.value.get("contract") for each in registry.files.values() if isinstance(each.document.value, dict)
    ]
    return [each for each in named if isinstance(each, str)] + [each.name for each in registry.contracts]


def _agent(registry: Registry, agent: str) -> Found | None:
    for each in registry.files.values():
        if isinstance(each.document.value, dict) and each.document.value.get("agent") == agent:
            return _found(each)
    return None


def _contracts(registry: Registry, agent: str, record: places.Record | None) -> dict[str, Found]:
    imported = {} if record is None else {each["contract"]: key for key, each in record.contracts.items()}
    named: dict[str, Found] = {}
    found: dict[str, Found] = {}
    for each in registry.files.values():
        value = each.document.value
        if not isinstance(value, dict) or "contract" not in value:
            continue
        origin: Json = value.get("x-imported")
        if isinstance(origin, Mapping) and origin.get("agent") == agent and isinstance(origin.get("key"), str):
            one = _found(each)
            before = found.get(origin["key"])
            if before is None or order(str(one.value.get("version"))) > order(str(before.value.get("version"))):
                found[origin["key"]] = one  # of several versions that people made of it, the newest
        elif origin is None and value["contract"] in imported:
            named[imported[value["contract"]]] = _found(each)
    return {**named, **found}


def _found(each: LoadedFile) -> Found:
    path = Path(each.path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(
            "BAD_ARGUMENT", f"{each.file} cannot be read.", do="make it readable, then try again."
        ) from error
    return Found(path=path, file=each.file, text=text, value=each.document.value)
