"""Whether what is given fits what is wanted: four verdicts, and a value that shows why it does not.

`always` and `never` are proofs of the canonical form; `sometimes` is a value that the consumer's own validator refuses
while the producer's contract allows it; `unknown` is all the rest. So no verdict but `always` is given without a
witness, and a witness is never a guess. Knows schemas; plans and definitions are other rooms'.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from hashlib import sha256
from itertools import islice
from typing import Any, Final, NamedTuple

import orjson

from process_orchestrator.checking.plans.lifted import UnliftableError, lifted
from process_orchestrator.checking.schemas.containing import Containing, Pair
from process_orchestrator.checking.schemas.explain import ValueProblem
from process_orchestrator.checking.schemas.projection import Schema, Shape
from process_orchestrator.checking.schemas.validate import Containment, Validator
from process_orchestrator.core.errors import SchemaError

Json = Any

SAMPLES_TRIED_MAX: Final = 300
"""Values of a producer that are tried on one consumer."""

SEARCH_S: Final = 2.0
"""Of all searches for witnesses of one plan: those that would begin later are left, and not kept as undecided."""

KEPT_MAX: Final = 4_096
SAMPLED_MAX: Final = 128
"""Schemas whose samples are kept."""

CHOSEN_OF: Final = 5
"""Generated witnesses, of which the shortest is shown."""

WITNESS_BYTES_MAX: Final = 4_000


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
        found: dict[bytes, Fit] = {}
        until = time.monotonic() + SEARCH_S
        for key, each in new.items():
            if time.monotonic() > until and proofs.get(key) is Containment.UNPROVEN:
                continue
            found[key] = _judged(each, proofs.get(key, Containment.UNPROVEN))
        answers = [found.get(key) or self._fits.get(key, UNDECIDED) for key in keys]
        for key, fit in found.items():
            _keep(self._fits, key, fit, KEPT_MAX)
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
        from process_orchestrator.checking.plans import members  # noqa: PLC0415  10 ms that only a misfit pays

        key = _digest([schema, list(examples)])
        if key not in self._samples:
            made = members.samples(schema, examples)
            _keep(self._samples, key, made, SAMPLED_MAX)
            return made
        return self._samples[key]


def _keep(kept: OrderedDict[bytes, Any], key: bytes, value: Any, most: int) -> None:
    kept[key] = value
    if len(kept) > most:
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
    listed = _members(question.producer)
    try:
        consumer = Validator(question.consumer)
        if listed is not None:
            return _of_members(listed, question, consumer)
        producer = Validator(question.producer)
    except SchemaError:
        return UNDECIDED
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
        refused = [each for each in _samples(question) if not consumer.is_valid(each)]
    return Fit(Verdict.SOMETIMES, refused[0], _why(consumer, refused[0])) if refused else UNDECIDED


def _never(question: Question, producer: Validator, consumer: Validator) -> Fit:
    """The proof holds for all; some value has to show it, and none may speak against it."""
    from process_orchestrator.checking.plans import members  # noqa: PLC0415  10 ms that only a misfit pays

    shown = [each for each in _samples(question) if producer.is_valid(each)][:3]
    shown += members.kept_by(question.producer, _shown, count=3)
    refused = [each for each in shown if not consumer.is_valid(each)]
    if not refused:
        return UNDECIDED
    verdict = Verdict.NEVER if len(refused) == len(shown) else Verdict.SOMETIMES
    return Fit(verdict, refused[0], _why(consumer, refused[0]))


def _witness(question: Question, producer: Validator, consumer: Validator) -> tuple[Json] | None:
    """A value that the producer can give and the consumer refuses."""
    from process_orchestrator.checking.plans import members  # noqa: PLC0415  10 ms that only a misfit pays

    def refused(value: Json) -> bool:
        return not consumer.is_valid(value) and _shown(value)

    for value in _samples(question):
        if producer.is_valid(value) and refused(value):
            return (value,)
    if not question.exact:
        return None
    found = members.kept_by(question.producer, refused, count=CHOSEN_OF)
    # At the edges of what the consumer wants a producer that is a little wider goes wrong.
    found += members.broken_for(question.consumer, lambda value: producer.is_valid(value) and _shown(value))
    return (min(found, key=lambda value: len(orjson.dumps(value))),) if found else None


def _samples(question: Question) -> Iterator[Json]:
    return islice(question.samples(), SAMPLES_TRIED_MAX)


def _shown(value: Json) -> bool:
    """Whether a value is small enough to be read in a report."""
    try:
        return len(orjson.dumps(value)) <= WITNESS_BYTES_MAX
    except TypeError:
        return False


def _why(consumer: Validator, witness: Json) -> ValueProblem | None:
    return next(iter(consumer.problems(witness)), None)
