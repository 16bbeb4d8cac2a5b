"""The calls that `contracts verify` makes of an agent: examples, generated valid and broken inputs, repeated ones.

Made from the contract alone, by seed. What keys are new in each run, since an agent remembers keys: examples that share
one go on sharing one. Calls nobody and judges nothing.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from process_orchestrator.checking.schemas.generate import Limits, invalid_values, valid_values
from process_orchestrator.checking.schemas.validate import Validator, encode_body
from process_orchestrator.core.facts.values import Fact, Idempotency

if TYPE_CHECKING:
    from collections.abc import Iterator

    from process_orchestrator.checking.plans.compiled import CompiledContract

Json = Any

REPEATED_MAX: Final = 3
"""Inputs that are sent twice."""


class Check(StrEnum):
    """What a case asks."""

    EXAMPLE = "example"  # is it answered as the contract's example says?
    VALID = "valid"  # does a generated input get an answer by contract, or a declared error?
    INVALID = "invalid"  # is a broken input refused?
    REPEATED = "repeated"  # does the same key, or the same input, give the same answer?


class Case(Fact, kw_only=True):
    """One call, or two where it is repeated."""

    id: str
    check: Check
    input: dict[str, Json]
    what: str = ""  # which example, or what is broken
    error: str | None = None  # an example's declared error
    rule: str | None = None  # the keyword that a broken input breaks
    pointer: str | None = None  # and where


class CaseMaker:
    """Makes the cases of one contract. `run` makes the keys of this run unlike those of any other."""

    def __init__(self, contract: CompiledContract, *, count: int, seed: int, run: str) -> None:
        self._compiled, self._contract = contract, contract.contract
        self._count, self._seed, self._run = count, seed, run
        self._input = Validator(contract.contract.input)
        self._answered = [each["input"] for each in self._contract.examples if "error" not in each]

    def cases(self) -> Iterator[Case]:
        """Every case, examples first: what follows may need what they made."""
        yield from self._examples()
        values = self._generated()
        yield from self._valid(values)
        yield from self._invalid(values)

    def key(self, name: str) -> str:
        """A key of this run, in the form that the engine's keys have."""
        return f"p_{sha256(f'{self._run} {name}'.encode()).hexdigest()[:26]}/verify/g1"

    def with_key(self, value: dict[str, Json], name: str) -> dict[str, Json]:
        """The same input with a key of this run, where the contract has a key that such a text can be."""
        field = self._contract.key_field
        if field is None or (field in value and not isinstance(value[field], str)):
            return value
        keyed = {**value, field: self.key(name)}
        return keyed if self._input.is_valid(keyed) == self._input.is_valid(value) else value

    def repeated(self, answered: list[Case]) -> Iterator[Case]:
        """Cases that were answered, to be sent twice under a new key; none where a contract promises nothing of it."""
        if self._contract.idempotency is Idempotency.UNSAFE:
            return
        for number, case in enumerate(answered[:REPEATED_MAX], 1):
            name = f"repeated-{number}"
            value = self.with_key(case.input, name)
            yield Case(id=name, check=Check.REPEATED, input=value, what=f"the input of {case.id}")

    def _examples(self) -> Iterator[Case]:
        field = self._contract.key_field
        for number, example in enumerate(self._contract.examples, 1):
            value = example["input"]
            if field is not None and field in value:
                value = self.with_key(value, f"example {value[field]}")
            name, error = str(example.get("name", number)), example.get("error")
            yield Case(id=f"example-{number}", check=Check.EXAMPLE, input=value, what=name, error=error)

    def _limits(self) -> Limits:
        """What making the inputs may cost: more for more of them."""
        many = max(1, self._count // 20)
        return Limits(draws=400 * many, all_nodes=150_000 * many, seconds=min(60.0, 5.0 * many))

    def _generated(self) -> tuple[Json, ...]:
        """Inputs that keep schema and `requires`, the answered examples first."""
        return valid_values(
            self._contract.input,
            limits=self._limits(),
            count=self._count + len(self._answered),
            seed=self._seed,
            examples=self._answered,
            accept=lambda value: isinstance(value, dict) and self._compiled.requires_failed(value) is None,
        )

    def _valid(self, values: tuple[Json, ...]) -> Iterator[Case]:
        known = {encode_body(value) for value in self._answered}
        fresh = [value for value in values if encode_body(value) not in known]
        for number, value in enumerate(fresh[: self._count], 1):
            name = f"valid-{number}"
            yield Case(id=name, check=Check.VALID, input=self.with_key(value, name))

    def _invalid(self, sound: tuple[Json, ...]) -> Iterator[Case]:
        """Broken in one place alone: what is broken keeps `requires` too, of which an agent may speak first."""
        rows = invalid_values(
            self._contract.input,
            limits=self._limits(),
            count=2 * self._count,  # there are more ways to break an input than to make one
            seed=self._seed,
            examples=sound,
            accept=lambda value: isinstance(value, dict),
        )
        field = self._contract.key_field
        for number, row in enumerate(rows, 1):
            name = f"invalid-{number}"
            value = row.value if field is None or field not in row.value else self.with_key(row.value, name)
            yield Case(id=name, check=Check.INVALID, input=value, what=row.what, rule=row.rule, pointer=row.pointer)
