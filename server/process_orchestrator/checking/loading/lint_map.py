"""Faults between definitions: names that lead nowhere, two files for one name, agents that serve what does not exist.

Runs once all files are read. What a plan makes of the map is the plan check's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TypeAlias

from process_orchestrator.checking.documents.definitions import Agent, Contract, Problem, ProcessType
from process_orchestrator.checking.documents.draft_status import draft_words
from process_orchestrator.checking.documents.lines import Document
from process_orchestrator.checking.documents.model_agents import HARMLESS, KIND
from process_orchestrator.checking.documents.versions import reference
from process_orchestrator.checking.loading.lint_http import argument_problems
from process_orchestrator.checking.loading.registry import LoadedFile, Registry
from process_orchestrator.checking.plans.undo_check import undo_problems
from process_orchestrator.checking.schemas.pointers import step_into
from process_orchestrator.core.facts.values import Tier

Definition: TypeAlias = Contract | ProcessType | Agent


def unique(
    files: tuple[LoadedFile, ...], chosen: Mapping[str, Definition | None]
) -> tuple[dict[str, Definition], tuple[Problem, ...]]:
    """One definition for each name and version, the first file's; a problem for every further one."""
    kept: dict[str, Definition] = {}
    owners: dict[tuple[str, str, str], str] = {}
    problems: list[Problem] = []
    for each in files:
        definition = chosen.get(each.file)
        if definition is None:
            continue
        kind, name, version = identity(definition)
        first = owners.setdefault((kind, name, version), each.file)
        if first == each.file:
            kept[each.file] = definition
            continue
        what = name if kind == "agent" else f"{name} {version}"
        message = f"{what} is already defined in {first}, which stays in force"
        fix = (
            "name this one otherwise, or remove one file"
            if kind == "agent"
            else "raise the version, or remove one file"
        )
        problems.append(each.document.error("DUPLICATE_DEFINITION", f"/{kind}", message, fix))
    return kept, tuple(problems)


def identity(definition: Definition) -> tuple[str, str, str]:
    """Kind, name and version; agents have no version: their name alone is unique."""
    if isinstance(definition, Agent):
        return ("agent", definition.name, "")
    return ("contract" if isinstance(definition, Contract) else "process", definition.name, definition.version)


def map_problems(registry: Registry, files: Mapping[str, LoadedFile]) -> tuple[Problem, ...]:
    """What is wrong between the definitions of a registry, placed in the files that are sound by themselves."""
    found: list[Problem] = []
    for each in files.values():
        definition = each.definition
        if isinstance(definition, Contract):
            found.extend(_contract(registry, each.document, definition))
        elif isinstance(definition, Agent):
            found.extend(_agent(registry, each.document, definition))
        elif definition is not None:
            found.extend(_process(registry, each.document, definition))
    return tuple(found)


def _contract(registry: Registry, document: Document, contract: Contract) -> Iterator[Problem]:
    if contract.undo is not None:
        place = "/effects/undo/contract"
        yield from _reference(registry, document, place, contract.undo.contract)
        undo = registry.contract(contract.undo.contract)
        if undo is not None and not registry.serving(undo):
            fix = f"add {undo.name}@^{undo.version.split('.')[0]} to the serves of an agent"
            yield document.warning("UNDO_NOT_SERVED", place, f"no agent serves {undo.name}", fix)
        if undo is not None:
            yield from undo_problems(document, contract, undo, registry.fitting)
    use = (contract.deprecated or {}).get("use")
    if use is not None:
        yield from _reference(registry, document, "/deprecated/use", use)


def _agent(registry: Registry, document: Document, agent: Agent) -> Iterator[Problem]:
    for index, serve in enumerate(agent.serves):
        place = f"/serves/{index}/contract"
        yield from _reference(registry, document, place, serve.contract)
        contract = registry.contract(serve.contract)
        if contract is None:
            continue
        if agent.transport.kind == KIND:
            yield from _kept_by_model(document, place, contract)
        if agent.transport.kind == "http":
            yield from argument_problems(document, f"/serves/{index}/bind", serve.bind, contract)
        for code in serve.bind.get("errors", {}):
            if code not in contract.errors:
                where = step_into(f"/serves/{index}/bind/errors", code)
                known = ", ".join(contract.errors) or "none"
                message = f"{contract.name} {contract.version} declares no error `{code}`"
                yield document.error("BIND_ERRORS", where, message, f"declared: {known}")


def _kept_by_model(document: Document, place: str, contract: Contract) -> Iterator[Problem]:
    """What a model cannot keep, and what nobody can price."""
    if contract.effect not in HARMLESS:
        message = f"{contract.name} has the effect {contract.effect}; a model only says something, it does nothing"
        fix = "let a program serve it, and a model a contract with effect none that makes its arguments"
        yield document.error("MODEL_EFFECT", place, message, fix)
    marked = [pointer for pointer in contract.sensitive if pointer.split("/")[1] == "input"]
    if marked:
        message = f"{', '.join(marked[:3])} of {contract.name} is sensitive, which is never sent to a model"
        fix = "take it out of the input of this contract, or let a program serve it"
        yield document.error("SENSITIVE_TO_MODEL", place, message, fix)
    if contract.model_tokens is None and contract.price_usd_micros is None:
        message = f"{contract.name} says nothing of its cost, so nothing is held back before a model is asked"
        fix = "write cost: {model_tokens: {in: 1500, out: 300}} into the contract"
        yield document.warning("PRICE_UNKNOWN", place, message, fix)


def tier_problems(registry: Registry, configured: Collection[Tier]) -> Iterator[Problem]:
    """A warning for every model agent whose tier this installation has no model for: it would be asked in vain."""
    by_path = {each.path: each.document for each in registry.files.values()}
    for agent in registry.agents:
        document, tier = by_path.get(agent.source.path), agent.transport.tier
        if agent.transport.kind == KIND and document is not None and tier not in configured:
            message = f"{agent.name} asks a model of the tier {tier}, and none is set up: its calls end with no_model"
            fix = f'write [models.{tier}] with model = "provider/name" into orchestrator.toml'
            yield document.warning("TIER_NOT_SET", "/transport/tier", message, fix)


def _process(registry: Registry, document: Document, process_type: ProcessType) -> Iterator[Problem]:
    steps = process_type.plan.steps if process_type.plan is not None else ()
    used = {reference(step.contract).name for step in steps if step.contract is not None}
    for index, written in enumerate(process_type.contracts):
        draft = "warning" if reference(written).name in used else "error"  # its step is refused already
        yield from _reference(registry, document, f"/contracts/{index}", written, draft=draft)
    plan = registry.plan(process_type)
    if plan.facts is not None and plan.facts.fit is not None and plan.facts.fit.simpler:
        reason, fix = "; ".join(plan.facts.fit.reasons), "; or ".join(plan.facts.fit.simpler)
        yield document.warning("SIMPLER", "/plan", f"this type needs no orchestration: {reason}", fix)
    seen = {f"/contracts/{index}" for index, _ in enumerate(process_type.contracts)}
    for problem in plan.problems:
        if problem.pointer not in seen:
            yield document.placed(problem)


def _reference(
    registry: Registry, document: Document, place: str, written: str, *, draft: str = "warning"
) -> Iterator[Problem]:
    """A problem where a reference takes no contract, or only drafts: an error where plans are made of it."""
    found = registry.matching(written)
    if any(contract.status == "active" for contract in found):
        return
    wanted = reference(written)
    if found:
        yield document.problem(draft, "DRAFT", place, *draft_words(found[0]))
        return
    versions = [contract.version for contract in registry.contracts if contract.name == wanted.name]
    if versions:
        message = f"no version of {wanted.name} is {wanted.range or 'released'}"
        yield document.error("UNKNOWN_CONTRACT", place, message, f"there are: {', '.join(versions)}")
        return
    likely = ", ".join(registry.nearest("contract", written)) or "none yet"
    yield document.error("UNKNOWN_CONTRACT", place, f"there is no contract {wanted.name}", f"nearest: {likely}")
