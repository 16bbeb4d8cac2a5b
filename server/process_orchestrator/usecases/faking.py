"""Agents that answer from contracts: for `contracts fake`. The same input and seed give the same answer, for ever.

An input is checked as the contract says. What an example shows is answered as shown; anything else is drawn from the
output schema so that `ensures` holds: what an `ensures` sets equal to something of the input is set so, and an output
property with the name and schema of one of the input repeats it where that is allowed. Knows no protocol.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING, Any, Final

from process_orchestrator.checking.plans.compiled import CompiledContract, condition_variables
from process_orchestrator.checking.schemas.generate import Limits, valid_values
from process_orchestrator.checking.schemas.validate import check_value, encode_body
from process_orchestrator.checking.values.expressions import Expression
from process_orchestrator.core.errors import BodyError, ExpressionError, RefusedError, SchemaError
from process_orchestrator.core.facts.values import Fact, FailureClass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from process_orchestrator.checking.documents.definitions import Contract

Json = Any

LIMITS: Final = Limits(draws=200, all_nodes=60_000, seconds=2.0)
CANDIDATES: Final = 4
"""Answers that are drawn for one input, one of which is given: without more, all would be like the first example."""

KEPT_MAX: Final = 5_000
"""Answers and keys that are remembered."""

EQUAL: Final = re.compile(r"\s*output((?:\.[A-Za-z_]\w*)+)\s*==\s*(.+?)\s*")
GUARDED: Final = re.compile(r"\s*!(has\(input(?:\.[A-Za-z_]\w*)+\))\s*\|\|(.+)", re.DOTALL)  # `!has(input.x) || …`
EQUAL_TURNED: Final = re.compile(r"\s*(.+?)\s*==\s*output((?:\.[A-Za-z_]\w*)+)\s*")


class FakeAnswer(Fact, kw_only=True):
    """What one call gets: a value, or an error by code."""

    value: Json = None
    error: str | None = None
    message: str = ""


class Fault(Fact, kw_only=True):
    """A declared error that a share of all calls gets; of one contract, or of every one that declares it."""

    code: str
    share: float
    contract: str | None = None


def read_fault(text: str) -> Fault:
    """`busy=0.1` or `ledger.post:busy=0.1`. Raises RefusedError BAD_ARGUMENT."""
    found = re.fullmatch(r"(?:([a-z0-9_.]+):)?([a-z][a-z0-9_]*)=([0-9]*\.?[0-9]+)", text.strip())
    if found is None or not 0 <= float(found[3]) <= 1:
        message = f"`{text[:60]}` is no fault."
        raise RefusedError("BAD_ARGUMENT", message, do="write CODE=SHARE, such as busy=0.1, or CONTRACT:CODE=SHARE.")
    return Fault(code=found[2], share=float(found[3]), contract=found[1])


class FakeAgent:
    """Keeps contracts without doing anything. Not for real processes: nothing it says is true."""

    def __init__(self, contracts: Iterable[Contract], *, seed: int = 0, faults: Iterable[Fault] = ()) -> None:
        """Raises RefusedError for a fault that no contract declares."""
        self.contracts: dict[str, Contract] = {each.name: each for each in contracts}
        self._desks = {each.name: _Desk(each, seed) for each in self.contracts.values()}
        self._faults = tuple(faults)
        for fault in self._faults:
            if not any(fault.code in each.errors for each in self.contracts.values() if _meant(fault, each)):
                declared = sorted({code for each in self.contracts.values() for code in each.errors})
                message = f"no contract faked here declares the error {fault.code}."
                raise RefusedError("BAD_ARGUMENT", message, do=f"use one of {', '.join(declared) or 'none'}.")
        # Of chance alone, not of the input: a call that is tried again may succeed.
        self._chance = Random(f"faults {seed}")  # noqa: S311  repeatable on purpose

    def answer(self, name: str, arguments: Mapping[str, Json]) -> FakeAnswer:
        """The answer of one call. Raises KeyError for a contract that is not faked here."""
        desk, contract = self._desks[name], self.contracts[name]
        try:
            check_value(dict(arguments))  # native code reads it next: no depth, no size, no NaN that it cannot bear
        except BodyError as error:
            return FakeAnswer(error="input_mismatch", message=error.message)
        refused = desk.refusal(dict(arguments))
        if refused is not None:
            return refused
        for fault in self._faults:
            if _meant(fault, contract) and fault.code in contract.errors and self._chance.random() < fault.share:
                return FakeAnswer(error=fault.code, message="asked for by --fail")
        return desk.answer(dict(arguments))


def _meant(fault: Fault, contract: Contract) -> bool:
    return fault.contract in {None, contract.name}


class _Desk:
    """One contract, answered."""

    def __init__(self, contract: Contract, seed: int) -> None:
        self._compiled, self._contract, self._seed = CompiledContract(contract), contract, seed
        self._fixed = tuple(_equalities(contract))
        self._echoed = _shared_names(contract)
        self._answers: OrderedDict[bytes, FakeAnswer] = OrderedDict()
        self._keys: OrderedDict[str, bytes] = OrderedDict()
        self._examples = {self._named(each["input"]): each for each in reversed(contract.examples)}

    def refusal(self, given: dict[str, Json]) -> FakeAnswer | None:
        """What a caller is told that breaks the contract."""
        problems = self._compiled.input_problems(given)
        if problems:
            return FakeAnswer(error="input_mismatch", message=problems[0].message)
        broken = self._compiled.requires_failed(given)
        return None if broken is None else FakeAnswer(error="requires_failed", message=broken.message)

    def answer(self, given: dict[str, Json]) -> FakeAnswer:
        named = self._named(given)
        if self._key_is_another_s(given, named):
            conflict = FailureClass.CONFLICT
            code = next((code for code, each in self._contract.errors.items() if each.class_ == conflict), None)
            if code is not None:
                return FakeAnswer(error=code, message="this key came with another input before")
        if named not in self._answers:
            self._answers[named] = self._made(given, named)
            if len(self._answers) > KEPT_MAX:
                self._answers.popitem(last=False)
        return self._answers[named]

    def _named(self, given: dict[str, Json]) -> bytes:
        """An input without its key, by which answers are found again."""
        return encode_body({name: value for name, value in given.items() if name != self._contract.key_field})

    def _key_is_another_s(self, given: dict[str, Json], named: bytes) -> bool:
        key = given.get(self._contract.key_field) if self._contract.key_field is not None else None
        if not isinstance(key, str):
            return False
        if len(self._keys) >= KEPT_MAX:
            self._keys.popitem(last=False)
        return self._keys.setdefault(key, named) != named

    def _made(self, given: dict[str, Json], named: bytes) -> FakeAnswer:
        shown = self._examples.get(named)
        if shown is not None:
            if "error" in shown:
                return FakeAnswer(error=shown["error"], message="as an example of the contract shows")
            return FakeAnswer(value=shown["output"])
        seed = f"{self._seed} {self._contract.name} {sha256(named).hexdigest()}"
        fixed = self._fixed_values(given)
        echoed = {name: given[name] for name in self._echoed if name in given}
        for known in ({**echoed, **fixed}, fixed):
            values = self._values(given, known, seed)
            if values:
                return FakeAnswer(value=Random(seed).choice(values))  # noqa: S311  repeatable on purpose
        names = ", ".join(each.id for each in self._contract.ensures) or "the output schema"
        message = f"no output was found that keeps {names}: add an example whose output does"
        return FakeAnswer(error="fake_has_no_answer", message=message)

    def _values(self, given: dict[str, Json], known: dict[str, Json], seed: str) -> tuple[Json, ...]:
        outputs = [each["output"] for each in self._contract.examples if "error" not in each]
        try:
            return valid_values(
                _with_known(self._contract.output, known),
                count=CANDIDATES,
                seed=seed,
                examples=[_overlaid(output, known) for output in outputs],
                accept=lambda value: (
                    not self._compiled.output_problems(value) and self._compiled.ensures_failed(given, value) is None
                ),
                limits=LIMITS,
            )
        except SchemaError:
            return ()

    def _fixed_values(self, given: dict[str, Json]) -> dict[str, Json]:
        """What `ensures` says that parts of the output are, for this input; nested by name."""
        values: dict[str, Json] = {}
        for path, guard, expression in self._fixed:
            try:
                if guard is not None and guard.evaluate({"input": given}) is not True:
                    continue
                value = expression.evaluate({"input": given})
            except ExpressionError:  # an optional part of the input that is not there
                continue
            place = values
            for name in path[:-1]:
                place = place.setdefault(name, {})
            place[path[-1]] = value
        return values


def _equalities(contract: Contract) -> Iterator[tuple[tuple[str, ...], Expression | None, Expression]]:
    """Every `output.a.b == …` of an `ensures` whose other side speaks of the input alone: place, condition, value."""
    variables, _ = condition_variables(contract)
    for condition in contract.ensures:
        for written in condition.expr.split("&&"):
            guarded = GUARDED.fullmatch(written)  # said only where an optional part of the input is there
            guard = Expression(guarded[1], variables) if guarded else None
            part = guarded[2] if guarded else written
            found, turned = EQUAL.fullmatch(part), EQUAL_TURNED.fullmatch(part)
            sides = [(found[1], found[2])] if found else []
            sides += [(turned[2], turned[1])] if turned else []
            for path, other in sides:
                if re.search(r"\boutput\b", other) is None:
                    try:
                        yield tuple(path.split(".")[1:]), guard, Expression(other, variables)
                    except ExpressionError:  # half of an expression that only looked like one
                        continue
                    break


def _shared_names(contract: Contract) -> tuple[str, ...]:
    """Properties that input and output both have, with one meaning as far as their schemas tell."""
    given, made = (part.get("properties", {}) for part in (contract.input, contract.output))
    return tuple(name for name in made if name in given and _said(made[name]) == _said(given[name]))


def _said(schema: Json) -> Json:
    return (
        {key: schema.get(key) for key in ("type", "format", "enum", "pattern")} if isinstance(schema, dict) else schema
    )


def _with_known(schema: dict[str, Json], known: dict[str, Json]) -> dict[str, Json]:
    """The schema with parts of its value known; its definitions stay where references find them."""
    if not known:
        return schema
    plain = {key: value for key, value in schema.items() if key != "$defs"}
    held = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    return {**held, "allOf": [plain, _known(known)]}


def _known(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict) or not value:
        return {"const": value}
    return {"properties": {name: _known(each) for name, each in value.items()}, "required": list(value)}


def _overlaid(output: Json, known: dict[str, Json]) -> Json:
    if not isinstance(output, dict):
        return output
    below = {name: _overlaid(output[name], each) for name, each in known.items() if _both(output.get(name), each)}
    return {**output, **known, **below}


def _both(one: Json, other: Json) -> bool:
    return isinstance(one, dict) and isinstance(other, dict)
