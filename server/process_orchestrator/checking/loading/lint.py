"""Faults of one definition that its meta-schema cannot state. What needs other files is `lint_map`'s.

Runs only on a definition whose form is right. Every rule here names the pointer and says what to write instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from process_orchestrator.checking.documents.definitions import Agent, Contract, Problem, ProcessType
from process_orchestrator.checking.documents.lines import Document
from process_orchestrator.checking.loading.lint_http import address_problems, bind_problems
from process_orchestrator.checking.loading.lint_schema import schema_problems
from process_orchestrator.checking.plans.call_bindings import binding_problems
from process_orchestrator.checking.schemas.nearest import likely
from process_orchestrator.checking.schemas.pointers import segments, step_into, value_at
from process_orchestrator.checking.schemas.projection import Presence, Shape, items_of, project
from process_orchestrator.checking.schemas.validate import Validator, ValueProblem
from process_orchestrator.checking.values.conditions import contract_conditions
from process_orchestrator.core.facts.values import Effect, FailureClass, Idempotency

Json = Any

CORE_CODES: Final = frozenset(
    (
        *("input_mismatch", "requires_failed", "missing_binding", "condition_error", "unreachable", "timeout", "lost"),
        *("not_json", "duplicate_key", "not_finite", "too_deep", "too_large", "output_mismatch", "ensures_failed"),
        *("undeclared_error", "drifted", "circuit_open", "rate_limited", "rejected", "cancelled", "aborted"),
        *("over_budget", "loop", "no_model", "sensitive_to_model", "contract", "else"),
    )
)
"""Codes that the engine itself gives, and words that stand beside error codes: no contract may declare them."""

RETRY_WORDS: Final = tuple(failure.value for failure in FailureClass)
KEY_EXAMPLE: Final = "p_aaaaaaaaaaaaaaaaaaaaaaaaaa/post/g1"
"""What an idempotency key looks like; a field that refuses it cannot carry one."""

TRANSPORT_BINDS: Final = {
    "mcp_stdio": ("tool", "process"),
    "mcp_http": ("tool", "process"),
    "http": ("method",),
    "a2a": ("skill",),
    "model": (),
    "human": (),
}
"""The key that a `bind` must hold, by kind of transport; none where it must be empty."""

BIND_EXAMPLES: Final = {"tool": "{tool: NAME}", "method": "{method: GET, path: /x}", "skill": "{skill: ID}"}


def contract_problems(document: Document, contract: Contract) -> tuple[Problem, ...]:
    """What is wrong in a contract beyond its form; schemas first, since examples need them."""
    schemas = (*schema_problems(document, "/input"), *schema_problems(document, "/output"))
    rules = (*_effects(document, contract), *_errors(document, contract), *_times(document, contract))
    if schemas:
        return (*schemas, *rules)
    keys = tuple(_key_field(document, contract))
    examples = () if keys else tuple(_examples(document, contract))
    conditions = contract_conditions(document, contract, examples=not examples)
    return (*rules, *keys, *_sensitive(document), *conditions, *binding_problems(document, contract), *examples)


def agent_problems(document: Document, agent: Agent) -> tuple[Problem, ...]:
    """What is wrong in an agent beyond its form."""
    return (*_transport(document, agent), *address_problems(document, agent), *_binds(document, agent))


def process_problems(document: Document, process_type: ProcessType) -> tuple[Problem, ...]:
    """What is wrong in a process type beyond its form; its plan is the plan check's."""
    schemas = (*schema_problems(document, "/input"), *schema_problems(document, "/output"))
    if schemas:
        return schemas
    found: list[Problem] = []
    for index, pointer in enumerate(process_type.intake.requires):
        if not declared(process_type.input, pointer):
            place = f"/intake/requires/{index}"
            fix = _pointer_fix(process_type.input, pointer, "")
            found.append(document.error("INTAKE_POINTER", place, f"the input has no {pointer}", fix))
    return (*found, *_words(document))


def _effects(document: Document, contract: Contract) -> Iterator[Problem]:
    changes = contract.effect in (Effect.WRITE, Effect.IRREVERSIBLE)
    if changes and contract.retry.max_attempts > 1 and contract.idempotency is Idempotency.UNSAFE:
        message = f"a {contract.effect} that is tried again may happen twice"
        fix = "write idempotency: {key: FIELD} or idempotency: natural, or set retry.max_attempts: 1"
        yield document.error("RETRY_UNSAFE", "/retry/max_attempts", message, fix)
    if contract.effect is Effect.IRREVERSIBLE and contract.undo is not None:
        fix = "write effects.kind: write, or remove undo"
        yield document.error("UNDO_IRREVERSIBLE", "/effects/undo", "what is irreversible has no undo", fix)
    elif contract.undo is not None and not changes:
        fix = "remove undo, or write effects.kind: write"
        yield document.error("UNDO_WITHOUT_EFFECT", "/effects/undo", "there is no effect to undo", fix)
    if "contract" in contract.retry.on and changes and contract.idempotency is Idempotency.UNSAFE:
        place = f"/retry/on/{contract.retry.on.index('contract')}"
        message = "a broken answer leaves open what happened: trying again may double the effect"
        fix = "remove `contract`, or write idempotency: {key: FIELD} or natural"
        yield document.error("RETRY_ON", place, message, fix)


def _errors(document: Document, contract: Contract) -> Iterator[Problem]:
    for code, error in contract.errors.items():
        place = step_into("/errors", code)
        if code in CORE_CODES:
            message = f"`{code}` is a code of the engine itself"
            yield document.error("ERROR_CODE_RESERVED", place, message, f"name it otherwise, for example {code}_here")
        elif code in RETRY_WORDS and error.class_ != code:
            message = f"`{code}` is the name of a class, but this error is of class {error.class_}"
            fix = f"name it otherwise, or write class: {code}"
            yield document.error("ERROR_CODE_AMBIGUOUS", place, message, fix)
    known = (*RETRY_WORDS, *contract.errors)
    for index, word in enumerate(contract.retry.on):
        if word not in known:
            meant = likely(word, known)
            fix = f"write `{meant}`" if meant else f"write one of {', '.join(known)}"
            message = f"`{word}` is neither a class nor an error code of this contract"
            yield document.error("RETRY_ON", f"/retry/on/{index}", message, fix)


def _times(document: Document, contract: Contract) -> Iterator[Problem]:
    if contract.total_ms < contract.attempt_ms:
        place = "/timeout/total_s" if "/timeout/total_s" in document.lines else "/timeout"
        message = f"total_s ({contract.total_ms / 1000:g}) is less than attempt_s ({contract.attempt_ms / 1000:g})"
        yield document.error("TIMEOUT_ORDER", place, message, f"write total_s: {contract.attempt_ms / 1000:g} or more")
    if contract.retry.max_ms < contract.retry.initial_ms:
        message = "max_s is less than initial_s"
        fix = f"write max_s: {contract.retry.initial_ms / 1000:g} or more"
        yield document.error("RETRY_ORDER", "/retry", message, fix)


def _key_field(document: Document, contract: Contract) -> Iterator[Problem]:
    """The field that carries the key must be there and take the engine's key."""
    field = contract.key_field
    if field is None:
        return
    properties = contract.input.get("properties", {})
    if field not in properties:
        meant = likely(field, properties)
        fix = f"write `{meant}`" if meant else f"add {field}: {{type: string}} to the properties of input"
        yield document.error("KEY_FIELD", "/idempotency/key", f"the input has no property `{field}`", fix)
        return
    only_key = {"$defs": contract.input.get("$defs", {}), "properties": {field: properties[field]}}
    if not Validator(only_key).is_valid({field: KEY_EXAMPLE}) or Validator(only_key).is_valid({field: 1}):
        message = f"`{field}` must be a string that takes a key such as {KEY_EXAMPLE}"
        place = step_into("/input/properties", field)
        yield document.error("KEY_FIELD", place, message, "write {type: string, maxLength: 200}")


def _sensitive(document: Document) -> Iterator[Problem]:
    pointers: list[str] = (value_at(document.value, "/data/sensitive")) or []
    for index, pointer in enumerate(pointers):
        side = segments(pointer)[0]
        rest = pointer.removeprefix(f"/{side}")
        schema = document.value[side]
        if rest and not declared(schema, rest):
            fix = _pointer_fix(schema, rest, f"/{side}")
            message = f"{pointer} is no part of the {side}: nothing would be masked"
            yield document.error("SENSITIVE_POINTER", f"/data/sensitive/{index}", message, fix)


def _examples(document: Document, contract: Contract) -> Iterator[Problem]:
    for index, example in enumerate(contract.examples):
        place = f"/examples/{index}"
        key = {} if contract.key_field is None else {contract.key_field: KEY_EXAMPLE}
        given = {**key, **example["input"]}
        yield from _invalid(document, f"{place}/input", Validator(contract.input).problems(given))
        if "output" in example:
            yield from _invalid(document, f"{place}/output", Validator(contract.output).problems(example["output"]))
        error = example.get("error")
        if error is not None and error not in contract.errors:
            meant = likely(error, contract.errors)
            fix = f"write `{meant}`" if meant else f"declare `{error}` under errors, or name a declared one"
            yield document.error("EXAMPLE_ERROR", f"{place}/error", f"the contract declares no error `{error}`", fix)


def _invalid(document: Document, place: str, faults: tuple[ValueProblem, ...]) -> Iterator[Problem]:
    for fault in faults[:5]:
        message = f"the example breaks its schema at {fault.schema_pointer}: {fault.message}"
        fix = f"write {fault.expected}" if fault.expected else "change the example, or the schema"
        yield document.error("EXAMPLE_INVALID", place + fault.pointer, message[:300], fix[:300])


def _transport(document: Document, agent: Agent) -> Iterator[Problem]:
    transport = agent.transport
    if transport.start_command and not transport.allow_loopback:
        fix = "remove allow_loopback: a started agent is reached over loopback"
        message = "`start` runs the agent here, but allow_loopback is false"
        yield document.error("LOOPBACK", "/transport/allow_loopback", message, fix)
    if transport.env and transport.kind == "http" and not transport.start_command:
        fix = "remove env, or add start: {command, ready}"
        yield document.error("ENV_UNUSED", "/transport/env", "env without a program that would get it", fix)
    for place, text in (("/transport/base_url", transport.url or ""), ("/transport/url", transport.url or "")):
        if "{port}" in text and not transport.start_command and place in document.lines:
            fix = "write the port, or add start: {command, ready}"
            yield document.error("PORT_UNKNOWN", place, "{port} is chosen at start, and nothing is started", fix)


def _binds(document: Document, agent: Agent) -> Iterator[Problem]:
    kind = agent.transport.kind
    wanted = TRANSPORT_BINDS.get(kind)
    if wanted is None:  # in process: the function decides
        return
    for index, serve in enumerate(agent.serves):
        place = f"/serves/{index}/bind"
        if not wanted:
            if any(not key.startswith("x-") for key in value_at(document.value, place) or ()):
                yield document.error("BIND_KIND", place, f"an agent of kind {kind} needs no bind", "remove bind")
            continue
        if not any(key in serve.bind for key in wanted):
            where = place if place in document.lines else f"/serves/{index}"
            message = f"an agent of kind {kind} is bound by {' or '.join(wanted)}"
            yield document.error("BIND_KIND", where, message, f"write bind: {BIND_EXAMPLES[wanted[0]]}")
        if kind == "http":
            yield from bind_problems(document, place, serve.bind)
        for code, match in serve.bind.get("errors", {}).items():
            if "http_status" in match and kind not in ("http", "a2a"):
                where = step_into(f"{place}/errors", code)
                message = f"an agent of kind {kind} answers no http_status"
                yield document.error("BIND_ERRORS", where, message, "write {text: ...}")


def _words(document: Document) -> Iterator[Problem]:
    for index, keyword in enumerate(value_at(document.value, "/intake/keywords") or []):
        if "*" in keyword[:-1]:
            message = "`*` stands for the rest of a word and only at its end"
            place = f"/intake/keywords/{index}"
            yield document.error("BAD_INTAKE", place, message, f"write `{keyword.replace('*', '')}*`")


def declared(schema: Json, pointer: str) -> bool:
    """Whether a schema says anything of the value at `pointer`. `*` is every item; a list may be passed over."""
    shape = Shape.of(schema)
    for part in segments(pointer):
        inner = items_of(shape)
        tries = [inner] if part == "*" and inner.alternatives else []
        steps = [project(shape, (int(part) if part.isdecimal() else part,)), project(inner, (part,))]
        tries += [step.shape for step in steps if step.declared and step.presence is not Presence.NEVER]
        if not tries:
            return False
        shape = tries[0]
    return True


def _pointer_fix(schema: Json, pointer: str, prefix: str) -> str:
    known = [f"{prefix}/{name}" for name in schema.get("properties", {})]
    meant = likely(prefix + pointer, known)
    if meant and meant != prefix + pointer:
        return f"write `{meant}`"
    return f"known here: {', '.join(known) or 'none'}"
