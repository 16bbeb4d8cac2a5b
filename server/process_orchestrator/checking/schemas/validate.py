"""The gate for bodies and schemas: strict JSON within caps, JSON Schema 2020-12, masked problems.

The only room that knows jsonschema-rs. Bodies from outside come in through `parse_body` (bytes) or `check_value`
(Python values of in-process agents and MCP clients); only then may a validator, which is native code and crashes at
about 20,000 levels, see them. It knows no contract, no plan and no blame.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any, Final

import jsonschema_rs
import orjson

from process_orchestrator.checking.schemas.explain import MESSAGE_MAX, ValueProblem, problem_of
from process_orchestrator.checking.schemas.json_values import below
from process_orchestrator.checking.schemas.pointers import pointer_of
from process_orchestrator.checking.schemas.schema_size import Telling
from process_orchestrator.core.errors import BodyError, SchemaError
from process_orchestrator.core.facts.values import Ref
from process_orchestrator.core.limits import BODY_BYTES_MAX, BODY_DEPTH_MAX

__all__ = [
    "Containment",
    "Validator",
    "ValueProblem",
    "canonical_schema",
    "check_depth",
    "check_value",
    "containment",
    "encode_body",
    "parse_body",
    "pattern_matches",
    "pointer_of",
    "read_stored",
    "ref_of",
]

Json = Any

PROBLEMS_MAX: Final = 20
"""Problems reported per value."""

_NODES_FOR_ALL_PROBLEMS: Final = 5_000
"""Listing every problem is eager in the validator (100,000 of them cost 5 s): larger values get their first one."""

_NODES_MAX: Final = 10_000_000
"""Values on one level of nesting."""

_INT64_DIGITS: Final = 18  # any integer of so many digits fits; longer ones are compared
_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**64 - 1

_STRICT: Final = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)


# Reading and writing bodies


class _DuplicateKeyError(Exception):
    """Raised by the parser's hook; the place is found afterwards."""


class _NotFiniteError(Exception):
    """Raised by the parser's hook; the place is found afterwards."""


class _HugeIntegerError(Exception):
    """Raised by the parser's hook."""


class _Pairs(list[Any]):
    """An object as its pairs: what the second, slow reading makes to find the place of an error."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) != len(pairs):
        raise _DuplicateKeyError
    return built


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0.0:  # infinity minus itself is NaN
        raise _NotFiniteError
    return number


def _integer(text: str) -> int:
    if len(text) > _INT64_DIGITS:
        number = int(text) if len(text) <= 2 * _INT64_DIGITS else _INT_MAX + 1
        if not _INT_MIN <= number <= _INT_MAX:
            raise _HugeIntegerError
        return number
    return int(text)


def _no_constant(_name: str) -> float:
    raise _NotFiniteError


# Decoders hold no state between calls.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_int=_integer, parse_constant=_no_constant
)
_LOCATOR: Final = json.JSONDecoder(object_pairs_hook=_Pairs)


def parse_body(data: bytes, *, max_bytes: int = BODY_BYTES_MAX, depth: int = BODY_DEPTH_MAX) -> Json:
    """Read a body from outside as strict JSON.

    Raises BodyError: too_large, not_json (also a lone surrogate or an integer beyond 64 bits), duplicate_key,
    not_finite, too_deep. The parser guards its own recursion; native code sees only what this has passed.
    """
    if len(data) > max_bytes:
        raise BodyError("too_large", f"{len(data)} bytes; the limit is {max_bytes}.")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise BodyError("not_json", f"Not UTF-8 at byte {error.start}.") from None
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise _too_deep(depth) from None
    except _DuplicateKeyError:
        raise BodyError("duplicate_key", "An object names one key twice.", pointer=_place(text, _duplicate)) from None
    except _NotFiniteError:
        raise BodyError("not_finite", "A number is NaN or infinite.", pointer=_place(text, _not_finite)) from None
    except _HugeIntegerError:
        raise BodyError("not_json", "An integer does not fit in 64 bits.") from None
    except json.JSONDecodeError as error:
        raise BodyError("not_json", f"Not JSON at character {error.pos}: {error.msg}."[:MESSAGE_MAX]) from None
    if data.count(b"{") + data.count(b"[") > depth:
        check_depth(value, depth)
    if b"\\u" in data:
        _check_surrogates(value)
    return value


def read_stored(data: bytes) -> Json:
    """Read back a body that `encode_body` or `check_value` wrote. Not for bytes from outside."""
    return orjson.loads(data)


def encode_body(value: Json) -> bytes:
    """The stored form of a value: compact JSON with sorted keys. Its sha256 names it.

    Raises BodyError (not_json, too_deep) for what is no JSON value. NaN must not come here: see `check_value`.
    """
    try:
        return _alone(orjson.dumps(value, option=_STRICT))
    except TypeError as error:  # orjson's encode error is a TypeError
        if "ecursion" in str(error):
            raise _too_deep(BODY_DEPTH_MAX) from None
        raise BodyError("not_json", _unencodable(str(error))) from None


def check_value(value: Json, *, max_bytes: int = BODY_BYTES_MAX, depth: int = BODY_DEPTH_MAX) -> bytes:
    """Check a Python value that came without bytes; return its stored form.

    Tuples are read as lists. Raises BodyError with the codes of `parse_body`.
    """
    try:
        data = orjson.dumps(value, option=_STRICT)
    except TypeError as error:
        check_depth(value, depth)  # too deep for the encoder is too_deep, not an unknown type
        raise BodyError("not_json", _unencodable(str(error))) from None
    if len(data) > max_bytes:
        raise BodyError("too_large", f"{len(data)} bytes; the limit is {max_bytes}.")
    if data.count(b"{") + data.count(b"[") > depth:
        check_depth(value, depth)
    if b"null" in data:  # where the encoder has put a NaN or an infinity
        pointer = _not_finite(value)
        if pointer is not None:
            raise BodyError("not_finite", "A number is NaN or infinite.", pointer=pointer)
    return _alone(data)


def check_depth(value: Json, depth: int = BODY_DEPTH_MAX) -> None:
    """Refuse a value nested deeper than `depth` containers. Never recurses; a cycle ends as too_deep."""
    level: list[Any] = [value]
    for _ in range(depth):
        level = below(level)
        if not level:
            return
        if len(level) > _NODES_MAX:  # a value that holds itself several times
            raise BodyError("too_large", f"More than {_NODES_MAX} values.")
    if any(isinstance(one, (dict, list, tuple)) for one in level):
        raise _too_deep(depth)


def ref_of(data: bytes, media_type: str = "application/json") -> Ref:
    """The name of a body: sha256 of its bytes."""
    return Ref(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data), media_type=media_type)


def _alone(data: bytes) -> bytes:
    """A copy as large as its bytes: what the encoder returns holds its whole buffer, 4 KB, for as long as it lives."""
    return bytes(memoryview(data))


def _too_deep(depth: int) -> BodyError:
    return BodyError("too_deep", f"Nested deeper than {depth} levels.")


def _unencodable(reason: str) -> str:
    if "surrogate" in reason:
        return "A text holds a lone surrogate."
    if "64-bit" in reason:
        return "An integer does not fit in 64 bits."
    if "key" in reason:
        return "An object has a key that is no text."
    return "The value holds something that JSON has no form for."


def _children(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, _Pairs):
        yield from value
    elif isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, (list, tuple)):
        yield from enumerate(value)


def _walk(value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every node with its path; iterative, so that no nesting can exhaust the stack."""
    stack: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while stack:
        path, node = stack.pop()
        yield path, node
        stack.extend(((*path, token), child) for token, child in _children(node))


def _place(text: str, find: Callable[[Any], str | None]) -> str:
    """Read a refused body again, loosely, to find the place; none where something else is wrong with it too."""
    try:
        return find(_LOCATOR.decode(text)) or ""
    except (ValueError, RecursionError):
        return ""


def _duplicate(value: Any) -> str | None:
    for path, node in _walk(value):
        if isinstance(node, _Pairs):
            seen: set[str] = set()
            for key, _ in node:
                if key in seen:
                    return pointer_of((*path, key))[:MESSAGE_MAX]
                seen.add(key)
    return None


def _not_finite(value: Any) -> str | None:
    for path, node in _walk(value):
        if isinstance(node, float) and node - node != 0.0:
            return pointer_of(path)[:MESSAGE_MAX]
    return None


def _check_surrogates(value: Json) -> None:
    try:
        orjson.dumps(value)
    except TypeError as error:
        raise BodyError("not_json", _unencodable(str(error))) from None


# Schemas


_UNTOLD: Final = ValueProblem(
    pointer="",
    schema_pointer="",
    rule="schema",
    message="The value does not keep the schema, whose alternatives are too many to tell where.",
    expected="a value that keeps the schema",
    got="another",
)


class Validator:
    """A compiled JSON Schema 2020-12: formats asserted, no network, patterns in a linear-time engine."""

    __slots__ = ("_native", "_schema", "_telling")

    def __init__(self, schema: dict[str, Any] | bool) -> None:  # noqa: FBT001  a schema may be a boolean
        """Compile `schema`. Raises SchemaError."""
        if not isinstance(schema, bool):
            _check_schema_depth(schema)
        self._schema = schema
        self._telling: Telling | None = None
        try:
            self._native = jsonschema_rs.Draft202012Validator(
                schema,
                offline=True,
                validate_formats=True,
                ignore_unknown_formats=False,
                pattern_options=jsonschema_rs.RegexOptions(),
                mask="…",
            )
        except jsonschema_rs.ValidationError as error:
            raise _schema_error(error) from None
        except (jsonschema_rs.ReferencingError, ValueError) as error:
            raise SchemaError("malformed", str(error)[:MESSAGE_MAX]) from None

    def is_valid(self, value: Json) -> bool:
        """Whether the value keeps the schema. The value must have passed `parse_body` or `check_value`."""
        try:
            return self._native.is_valid(value)
        except ValueError:  # a key that is no text, a lone surrogate (UnicodeEncodeError is one), a foreign type
            return False

    def problems(self, value: Json) -> tuple[ValueProblem, ...]:
        """How the value breaks the schema, at most 20 problems; empty where it keeps it."""
        try:
            if self._native.is_valid(value):
                return ()
            if not self._affordable(value):
                return (_UNTOLD,)
            return tuple(problem_of(error) for error in self._errors(value))
        except ValueError:
            text = "The value is no JSON value."
            return (
                ValueProblem(pointer="", schema_pointer="", rule="json", message=text, expected="JSON", got="else"),
            )

    def _affordable(self, value: Json) -> bool:
        """Whether the errors can be listed: every alternative lists its own, level by level, without any bound."""
        if self._telling is None:
            self._telling = Telling(self._schema)
        return self._telling.affordable(_depth(value))

    def _errors(self, value: Json) -> list[jsonschema_rs.ValidationError]:
        if _small(value):
            errors: list[jsonschema_rs.ValidationError] = []
            for error in self._native.iter_errors(value):
                errors.append(error)
                if len(errors) == PROBLEMS_MAX:
                    break
            return errors
        try:
            self._native.validate(value)
        except jsonschema_rs.ValidationError as error:
            return [error]
        return []


def canonical_schema(schema: dict[str, Any] | bool, *, negated: bool = False) -> dict[str, Any] | bool | None:  # noqa: FBT001
    """The same values (`negated`: all others) as a schema in normal form; None where the library has no form for them.

    Exponential on hostile schemas and not to be interrupted: bound the schema, or run it in a process of its own.
    """
    try:
        form = _canonical(schema)
        written: Any = (form.negate() if negated else form).to_json_schema()
    except ValueError:  # every error of the library's is one
        return None
    return written if isinstance(written, dict | bool) else None


class Containment(StrEnum):
    """How the values of one schema lie to those of another."""

    INSIDE = "inside"  # proven: every value of the one keeps the other
    DISJOINT = "disjoint"  # proven: none does
    UNPROVEN = "unproven"  # neither: some may, or the library cannot say


def containment(producer: dict[str, Any] | bool, consumer: dict[str, Any] | bool) -> Containment:  # noqa: FBT001
    """Whether values of `producer` keep `consumer`, by the canonical forms of both.

    Exponential on hostile schemas, and native code that cannot be interrupted: `checking.containing` bounds it.
    """
    try:
        given, wanted = _canonical(producer), _canonical(consumer)
        if wanted.covers(given) is jsonschema_rs.canonical.Containment.YES:
            return Containment.INSIDE
        if given.intersect(wanted).satisfiability() is jsonschema_rs.canonical.Satisfiability.NO:
            return Containment.DISJOINT
    except ValueError:  # every error of the library's is one: an operand or a result that it has no form for
        return Containment.UNPROVEN
    return Containment.UNPROVEN


def _canonical(schema: dict[str, Any] | bool) -> jsonschema_rs.CanonicalSchema:  # noqa: FBT001
    return jsonschema_rs.canonicalize(
        schema,
        draft=jsonschema_rs.Draft202012,
        validate_formats=True,
        pattern_options=jsonschema_rs.RegexOptions(),
        offline=True,
    )


def pattern_matches(pattern: str, text: str) -> bool:
    """Whether a JSON Schema `pattern` finds something in `text`. Raises SchemaError for a bad pattern."""
    return Validator({"pattern": pattern}).is_valid(text)


def _check_schema_depth(schema: dict[str, Any]) -> None:
    try:
        check_depth(schema, 200)
    except BodyError as error:
        raise SchemaError("too_deep", error.message) from None


def _small(value: Json) -> bool:
    level, nodes = [value], 0
    while level:
        nodes += len(level)
        if nodes > _NODES_FOR_ALL_PROBLEMS:
            return False
        level = below(level)
    return True


def _depth(value: Json) -> int:
    level, depth = [value], 0
    while level := below(level):
        depth += 1
    return depth


def _schema_error(error: jsonschema_rs.ValidationError) -> SchemaError:
    """Which kind of mistake a schema holds."""
    message, path = error.message, pointer_of(error.instance_path)
    rule, last = error.kind.name, error.instance_path[-1] if error.instance_path else ""
    if rule == "$ref" and "retrieving it failed" in message:
        text = "A `$ref` leads out of this schema; only `#` references are followed."
        return SchemaError("remote_ref", text, pointer=path)
    if rule == "$ref":
        return SchemaError("dangling_ref", f"A `$ref` leads nowhere: {message}."[:MESSAGE_MAX], pointer=path)
    if rule == "format":
        text = "The pattern does not compile: look-around, back-references and huge repetitions are not allowed."
        return SchemaError("bad_pattern", text, pointer=path)
    if message.startswith("Unknown format"):
        return SchemaError("unknown_format", message.split(".")[0][:MESSAGE_MAX] + ".", pointer=path)
    problem = problem_of(error)
    text = f"The value of `{last}` must be {problem.expected}; it is {problem.got}."
    return SchemaError("malformed", text[:MESSAGE_MAX], pointer=path)
