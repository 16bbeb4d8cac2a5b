"""Whether what is given fits what is wanted: four verdicts, and a value that shows why it does not.

`always` and `never` are proofs of the canonical form; `sometimes` is a value that the consumer's own validator refuses
while the producer's contract allows it; `unknown` is all the rest. So no verdict but `always` is given without a
witness, and a witness is never a guess. Knows schemas; plans and definitions are other rooms'.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from hashlib import sha256
from itertools import islice
from typing import Any, Final, NamedTuple

import orjson

from process_orchestrator.checking.containing import Containing, Pair
from process_orchestrator.checking.explain import ValueProblem
from process_orchestrator.checking.generate import Limits, invalid_values, valid_values
from process_orchestrator.checking.lifted import UnliftableError, lifted
from process_orchestrator.checking.projection import Schema, Shape
from process_orchestrator.checking.validate import Containment, Validator
from process_orchestrator.core.errors import SchemaError

Json = Any

MEMBERS_MAX: Final = 300
"""Generated members that are tried on one consumer."""

KEPT_MAX: Final = 4_096

WITNESS_BYTES_MAX: Final = 2_000

_LIMITS: Final = Limits(draws=MEMBERS_MAX, nodes=400, all_nodes=20_000, depth=16, seconds=0.5)
_SAMPLES: Final = Limits(draws=120, nodes=400, all_nodes=20_000, depth=16, seconds=0.5)
SAMPLES_MAX: Final = 40


class Verdict(StrEnum):
    """How what is given fits what is wanted."""

    ALWAYS = "always"  # proven: every value fits
    SOMETIMES = "sometimes"  # some value does not, the witness
    NEVER = "never"  # proven: no value fits
    UNKNOWN = "unknown"  # not decided: checked when it runs


WORST_FIRST: Final = (Verdict.NEVER, Verdict.SOMETIMES, Verdict.UNKNOWN, Verdict.ALWAYS)


class Fit(NamedTuple):
    """A verdict. `problem` says how the consumer refuses the witness; None where there is none."""

    verdict: Verdict
    witness: Json = None
    problem: ValueProblem | None = None


class Question(NamedTuple):
    """`producer` and `consumer` stand by themselves, made by `lifted`, which bounds their size and depth.

    `samples` are values that the producer surely can give, examples first. `exact`: so can it every other value of its
    schema; else the schema is only known to be no smaller than the truth.
    """

    producer: Schema
    consumer: Schema
    exact: bool = True
    samples: Callable[[], Iterable[Json]] = tuple
    source: str = ""  # what the samples depend on: part of the key under which the answer is kept


UNDECIDED: Final = Fit(Verdict.UNKNOWN)


class Fitting:
    """Answers questions and keeps the answers by content. Not thread-safe: one for each snapshot of definitions."""

    def __init__(self) -> None:
        self._containing = Containing()
        self._fits: OrderedDict[bytes, Fit] = OrderedDict()
        self._samples: OrderedDict[bytes, tuple[Json, ...]] = OrderedDict()

    def fits(self, questions: Sequence[Question]) -> list[Fit]:
        """The verdict on each question. Costly ones are decided together, see `containing`."""
        keys = [_key(each) for each in questions]
        new = {key: each for key, each in zip(keys, questions, strict=True) if key not in self._fits}
        asked = {key: each for key, each in new.items() if _members(each.producer) is None}
        decided = self._containing.decide([Pair(each.producer, each.consumer) for each in asked.values()])
        proofs = dict(zip(asked, decided, strict=True))
        found = {key: _judged(each, proofs.get(key, Containment.UNPROVEN)) for key, each in new.items()}
        answers = [found[key] if key in found else self._fits[key] for key in keys]
        for key, fit in found.items():
            _keep(self._fits, key, fit)
        return answers

    def fit(self, producer: Schema, consumer: Schema, *, examples: tuple[Json, ...] = ()) -> Fit:
        """The verdict on one pair of schemas as written. `examples` of the producer are tried first."""
        try:
            given, wanted = lifted(Shape.of(producer)), lifted(Shape.of(consumer))
        except UnliftableError:
            return UNDECIDED
        return self.fits([Question(given, wanted, samples=lambda: examples, source=repr(examples))])[0]

    def samples(self, schema: Schema, examples: tuple[Json, ...]) -> tuple[Json, ...]:
        """Some values of a schema, examples first; none where it does not compile or none is found."""
        key = _digest([schema, list(examples)])
        if key not in self._samples:
            try:
                made = valid_values(schema, count=SAMPLES_MAX, examples=examples, limits=_SAMPLES)
            except SchemaError:
                made = ()
            _keep(self._samples, key, made)
            return made
        return self._samples[key]


def _keep(kept: OrderedDict[bytes, Any], key: bytes, value: Any) -> None:
    kept[key] = value
    if len(kept) > KEPT_MAX:
        kept.popitem(last=False)


def _key(question: Question) -> bytes:
    return _digest([question.producer, question.consumer, question.exact, question.source])


def _digest(value: Json) -> bytes:
    try:
        return sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).digest()
    except TypeError:  # deeper than the encoder goes, or an integer beyond 64 bits
        return sha256(repr(value).encode("utf-8", "replace")).digest()


def _members(schema: Schema) -> list[Json] | None:
    """All values of a schema that lists them, and says nothing else."""
    if isinstance(schema, dict) and len(schema) == 1:
        return [schema["const"]] if "const" in schema else schema.get("enum")
    return None


def _judged(question: Question, proof: Containment) -> Fit:
    if question.consumer is True or proof is Containment.INSIDE:
        return Fit(Verdict.ALWAYS)
    try:
        consumer, producer = Validator(question.consumer), Validator(question.producer)
    except SchemaError:
        return UNDECIDED
    members = _members(question.producer)
    if members is not None:
        return _of_members(members, question, consumer)
    if proof is Containment.DISJOINT:
        return _never(question, producer, consumer)
    witness = _witness(question, producer, consumer)
    return UNDECIDED if witness is None else Fit(Verdict.SOMETIMES, witness[0], _why(consumer, witness[0]))


def _of_members(members: list[Json], question: Question, consumer: Validator) -> Fit:
    """Few enough to ask the validator about each."""
    refused = [each for each in members if not consumer.is_valid(each)]
    if not refused:
        return Fit(Verdict.ALWAYS)
    if len(refused) == len(members):
        return Fit(Verdict.NEVER, refused[0], _why(consumer, refused[0]))
    if not question.exact:
        given = [each for each in islice(question.samples(), MEMBERS_MAX) if not consumer.is_valid(each)]
        if not given:
            return UNDECIDED
        refused = given
    return Fit(Verdict.SOMETIMES, refused[0], _why(consumer, refused[0]))


def _never(question: Question, producer: Validator, consumer: Validator) -> Fit:
    """The proof holds for all; some value has to show it, and none may speak against it."""
    shown: list[Json] = [each for each in islice(question.samples(), 3) if producer.is_valid(each)]
    shown += _generated(question.producer, lambda _value: True, count=3)
    refused = [each for each in shown if not consumer.is_valid(each)]
    if not refused:
        return UNDECIDED
    verdict = Verdict.NEVER if len(refused) == len(shown) else Verdict.SOMETIMES
    return Fit(verdict, refused[0], _why(consumer, refused[0]))


def _witness(question: Question, producer: Validator, consumer: Validator) -> tuple[Json] | None:
    """A value that the producer can give and the consumer refuses."""
    for value in islice(question.samples(), MEMBERS_MAX):
        if producer.is_valid(value) and not consumer.is_valid(value) and _shown(value):
            return (value,)
    if not question.exact:
        return None

    def refused(value: Json) -> bool:
        return not consumer.is_valid(value) and _shown(value)

    for value in _generated(question.producer, refused):
        return (value,)
    for value in _broken(question.consumer, lambda value: producer.is_valid(value) and _shown(value)):
        return (value,)
    return None


def _generated(schema: Schema, accept: Callable[[Json], bool], *, count: int = 1) -> tuple[Json, ...]:
    try:
        return valid_values(schema, count=count, accept=accept, limits=_LIMITS)
    except SchemaError:
        return ()


def _broken(schema: Schema, accept: Callable[[Json], bool]) -> tuple[Json, ...]:
    """Values at the edges of what the consumer wants, where a producer that is a little wider goes wrong."""
    try:
        return tuple(each.value for each in invalid_values(schema, count=1, accept=accept, limits=_LIMITS))
    except SchemaError:
        return ()


def _shown(value: Json) -> bool:
    """Whether a value is small enough to be read in a report."""
    try:
        return len(orjson.dumps(value)) <= WITNESS_BYTES_MAX
    except TypeError:
        return False


def _why(consumer: Validator, witness: Json) -> ValueProblem | None:
    return next(iter(consumer.problems(witness)), None)
