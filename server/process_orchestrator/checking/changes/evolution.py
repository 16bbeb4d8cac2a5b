"""How two versions of a contract or process type differ, and the least bump of the version that says so.

A promise may take more than before and give less than before, never the other way round: `input` may only widen,
`output` only narrow. Each change is judged by what it does to those who rely on the earlier version. What cannot be
proven harmless counts as breaking. `contracts diff`, `check` and the comparison of live definitions use it; where the
definitions come from is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec
import orjson

from process_orchestrator.checking.changes.schema_change import Judgement, judge_schema, same
from process_orchestrator.checking.documents.definitions import Approval, Contract, ProcessType, Undo
from process_orchestrator.checking.documents.versions import VERSION, order
from process_orchestrator.core.facts.specs import DeclaredError, RetryFacts
from process_orchestrator.core.facts.values import Effect, Fact, Idempotency, Outcome

Json = Any


class Bump(StrEnum):
    """What part of a version a change must raise."""

    NONE = "none"
    PATCH = "patch"
    MINOR = "minor"
    MAJOR = "major"


class Change(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """One difference. `pointer` leads into the definition; `witness` is a value that fits one side only."""

    judgement: Judgement
    pointer: str
    message: str
    witness: Json = msgspec.UNSET


class Difference(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """Two versions beside each other. `enough`: the newer one's version is raised as far as its changes ask for."""

    name: str
    old: str
    new: str
    judgement: Judgement
    changes: tuple[Change, ...]
    bump: Bump
    least: str
    enough: bool


_BUMPS: Final = {Judgement.BREAKING: Bump.MAJOR, Judgement.WIDENING: Bump.MINOR, Judgement.TEXT: Bump.PATCH}
_BY_WEIGHT: Final = (Judgement.SAME, Judgement.TEXT, Judgement.WIDENING, Judgement.BREAKING)


def difference(old: Contract | ProcessType, new: Contract | ProcessType) -> Difference:
    """Judge every change from one version of a definition to another. Both are of one kind."""
    changes = tuple(_changes(old, new))
    judgement = worst(change.judgement for change in changes)
    least = least_version(old.version, judgement)
    return Difference(
        name=new.name,
        old=old.version,
        new=new.version,
        judgement=judgement,
        changes=changes,
        bump=bump_of(old.version, judgement),
        least=least,
        enough=order(new.version) >= order(least if judgement is Judgement.SAME else _lowest_release(least)),
    )


def worst(judgements: Iterator[Judgement] | tuple[Judgement, ...]) -> Judgement:
    """The heaviest of several judgements; of none: the same."""
    return max(judgements, key=_BY_WEIGHT.index, default=Judgement.SAME)


def bump_of(version: str, judgement: Judgement) -> Bump:
    """What a change must raise: as semantic versions have it; below 1.0.0, as `^` reads them, one place further right.

    `^0.2` takes 0.2.9 but not 0.3.0, so a breaking change of 0.2.0 must make it 0.3.0; `^0.0.3` takes itself alone.
    """
    bump = _BUMPS.get(judgement, Bump.NONE)
    major, minor, *_ = order(version)
    if bump is Bump.NONE or major:
        return bump
    return Bump.MINOR if minor and bump is Bump.MAJOR else Bump.PATCH


def least_version(version: str, judgement: Judgement) -> str:
    """The lowest version that a changed definition may have."""
    bump, pre = bump_of(version, judgement), VERSION.fullmatch(version)
    major, minor, patch, *_ = order(version)
    if pre is not None and pre[4] is not None and bump is not Bump.NONE:
        return f"{version}.1"  # who names a pre-release names it exactly: any later one will do
    return {
        Bump.NONE: version,
        Bump.PATCH: f"{major}.{minor}.{patch + 1}",
        Bump.MINOR: f"{major}.{minor + 1}.0",
        Bump.MAJOR: f"{major + 1}.0.0",
    }[bump]


def _lowest_release(version: str) -> str:
    """A pre-release of the version that is asked for will do as well."""
    return version if "-" in version else f"{version}-0"


def _changes(old: Contract | ProcessType, new: Contract | ProcessType) -> Iterator[Change]:
    if old.name != new.name:
        yield _change(Judgement.BREAKING, "", f"the name was {old.name} and is {new.name}")
    for part, may in (("input", "widen"), ("output", "narrow")):
        yield from _schema(part, getattr(old, part), getattr(new, part), may=may)
    if isinstance(old, Contract) and isinstance(new, Contract):
        for judge in _CONTRACT:
            yield from judge(old, new)
    elif isinstance(old, ProcessType) and isinstance(new, ProcessType):
        for field, judgement in _PROCESS.items():
            if _differ(getattr(old, field), getattr(new, field)):
                yield _change(judgement, f"/{field}", f"`{field}` changed")
    if old.summary != new.summary:
        yield _change(Judgement.TEXT, "/summary", "`summary` changed")
    yield from _unread(old.source.canonical, new.source.canonical)


def _differ(old: object, new: object) -> bool:
    """Whether parts that hold values as written differ: Python alone takes `true` and `1` for equal."""
    return old != new or not same(msgspec.to_builtins(old), msgspec.to_builtins(new))


def _schema(part: str, old: Json, new: Json, *, may: str) -> Iterator[Change]:
    judged = judge_schema(old, new, may_widen=may == "widen")
    for each in judged:
        yield Change(
            judgement=each.judgement, pointer=f"/{part}{each.pointer}", message=each.message, witness=each.witness
        )


def _change(judgement: Judgement, pointer: str, message: str) -> Change:
    return Change(judgement=judgement, pointer=pointer, message=message)


# --- what a contract promises beside its schemas --------------------------------------------------------------------

_EFFECTS: Final = (Effect.NONE, Effect.READ, Effect.WRITE, Effect.IRREVERSIBLE)
_SENSITIVITIES: Final = (None, "public", "internal", "confidential", "restricted")


def _effects(old: Contract, new: Contract) -> Iterator[Change]:
    was, now = _EFFECTS.index(old.effect), _EFFECTS.index(new.effect)
    if was != now:
        judgement = Judgement.BREAKING if now > was else Judgement.WIDENING
        yield _change(judgement, "/effects/kind", f"the effect was {old.effect} and is {new.effect}")
    more = [name for name in new.resources if name not in old.resources]
    if more:
        yield _change(Judgement.BREAKING, "/effects/resources", f"it touches more: {', '.join(more)}")
    elif set(old.resources) != set(new.resources):
        yield _change(Judgement.WIDENING, "/effects/resources", "it touches less")
    yield from _undo(old.undo, new.undo)


def _undo(old: Undo | None, new: Undo | None) -> Iterator[Change]:
    if not _differ(old, new):
        return
    if new is None:
        yield _change(Judgement.BREAKING, "/effects/undo", "it can no longer be undone")
    elif old is None:
        yield _change(Judgement.WIDENING, "/effects/undo", "it can be undone now")
    elif old.contract != new.contract:
        message = f"it was undone by {old.contract} and is by {new.contract}"
        yield _change(Judgement.BREAKING, "/effects/undo/contract", message)
    else:
        yield _change(Judgement.WIDENING, "/effects/undo/in", "how it is undone changed")


def _idempotency(old: Contract, new: Contract) -> Iterator[Change]:
    if (old.idempotency, old.key_field) == (new.idempotency, new.key_field):
        return
    was, now = _key(old), _key(new)
    safer = old.idempotency is Idempotency.UNSAFE
    judgement = Judgement.WIDENING if safer else Judgement.BREAKING
    yield _change(judgement, "/idempotency", f"idempotency was {was} and is {now}")


def _key(contract: Contract) -> str:
    return f"the key {contract.key_field}" if contract.key_field else str(contract.idempotency)


def _errors(old: Contract, new: Contract) -> Iterator[Change]:
    for code in sorted({*old.errors, *new.errors}):
        was, now = old.errors.get(code), new.errors.get(code)
        if now is None:
            yield _change(Judgement.BREAKING, f"/errors/{code}", f"the error {code} is no longer declared")
        elif was is None:
            yield _change(Judgement.WIDENING, f"/errors/{code}", f"the error {code} is declared now")
        else:
            yield from _error(code, was, now)
        if was is not None and now is not None and (code in old.retry_after) != (code in new.retry_after):
            message = f"whether {code} says when to try again changed"
            yield _change(Judgement.WIDENING, f"/errors/{code}/retry_after", message)


def _error(code: str, was: DeclaredError, now: DeclaredError) -> Iterator[Change]:
    if was.class_ is not now.class_:
        message = f"the class of {code} was {was.class_} and is {now.class_}"
        yield _change(Judgement.BREAKING, f"/errors/{code}/class", message)
    if was.outcome is not now.outcome:
        judgement = Judgement.BREAKING if now.outcome is Outcome.UNKNOWN else Judgement.WIDENING
        yield _change(judgement, f"/errors/{code}/outcome", f"after {code} the outcome is {now.outcome} now")


def _data(old: Contract, new: Contract) -> Iterator[Change]:
    was, now = _SENSITIVITIES.index(old.sensitivity), _SENSITIVITIES.index(new.sensitivity)
    if was != now:
        more = "raised" if now > was else "lowered"
        yield _change(Judgement.BREAKING, "/data/sensitivity", f"the sensitivity was {more} to {new.sensitivity}")
    for pointer in sorted(set(old.sensitive) - set(new.sensitive)):
        yield _change(Judgement.BREAKING, "/data/sensitive", f"{pointer} is no longer masked")
    for pointer in sorted(set(new.sensitive) - set(old.sensitive)):
        yield _change(Judgement.BREAKING, "/data/sensitive", f"{pointer} is masked now, and no model may see it")


def _more_is_breaking(pointer: str, what: str, field: str) -> Callable[[Contract, Contract], Iterator[Change]]:
    def judge(old: Contract, new: Contract) -> Iterator[Change]:
        was, now = getattr(old, field), getattr(new, field)
        if was != now:
            judgement = Judgement.BREAKING if now > was else Judgement.WIDENING
            yield _change(judgement, pointer, f"{what} was {was} and is {now}")

    return judge


def _cost(old: Contract, new: Contract) -> Iterator[Change]:
    for pointer, was, now in (
        ("/cost/per_call_usd", old.price_usd_micros, new.price_usd_micros),
        ("/cost/model_tokens", old.model_tokens, new.model_tokens),
    ):
        if was == now:
            continue
        dearer = now is None or (was is not None and _dearer(was, now))
        shown = "unknown" if now is None else _price(now)
        message = f"the cost was {'unknown' if was is None else _price(was)} and is {shown}"
        yield _change(Judgement.BREAKING if dearer else Judgement.WIDENING, pointer, message)


def _dearer(was: int | tuple[int, int], now: int | tuple[int, int]) -> bool:
    if isinstance(was, tuple) and isinstance(now, tuple):
        return any(more > before for before, more in zip(was, now, strict=True))
    return isinstance(was, int) and isinstance(now, int) and now > was


def _price(price: int | tuple[int, int]) -> str:
    return f"{price / 1_000_000:g} USD a call" if isinstance(price, int) else f"{price[0]} tokens in, {price[1]} out"


def _conditions(old: Contract, new: Contract) -> Iterator[Change]:
    """A demand on the input may go, a promise about the output may come. What an expression means is not compared."""
    for part, fewer, more in (
        ("requires", Judgement.WIDENING, Judgement.BREAKING),
        ("ensures", Judgement.BREAKING, Judgement.WIDENING),
    ):
        was = {each.id: each.expr for each in getattr(old, part)}
        now = {each.id: each.expr for each in getattr(new, part)}
        for id_ in sorted({*was, *now}):
            if id_ not in now:
                yield _change(fewer, f"/{part}", f"`{part}` lost {id_}: {was[id_]}")
            elif id_ not in was:
                yield _change(more, f"/{part}", f"`{part}` gained {id_}: {now[id_]}")
            elif was[id_] != now[id_]:
                message = f"{id_} was `{was[id_]}` and is `{now[id_]}`"
                yield _change(Judgement.BREAKING, f"/{part}", message)


def _approval(old: Contract, new: Contract) -> Iterator[Change]:
    """Who relied on going through is stopped; who relied on being asked is not. Only what is shown may change."""
    if old.approval == new.approval:
        return
    if old.approval is None or new.approval is None:
        yield _change(Judgement.BREAKING, "/approval", f"approval is {'' if new.approval else 'not '}needed now")
    elif _demand(old.approval) != _demand(new.approval):
        yield _change(Judgement.BREAKING, "/approval", "when, by whom or how surely it is approved changed")
    else:
        yield _change(Judgement.TEXT, "/approval/show", "what an approver is shown changed")


def _demand(approval: Approval) -> tuple[Json, ...]:
    return approval.when, approval.role, approval.min_assurance


def _retry(old: Contract, new: Contract) -> Iterator[Change]:
    if old.retry == new.retry:
        return
    gone = sorted(set(old.retry.on) - set(new.retry.on))
    told = f"; no longer after {', '.join(gone)}" if gone else ""
    yield _change(Judgement.WIDENING, "/retry", f"{_tries(old.retry)} became {_tries(new.retry)}{told}")


def _tries(retry: RetryFacts) -> str:
    return f"{retry.max_attempts} attempts" if retry.max_attempts != 1 else "one attempt"


def _status(old: Contract, new: Contract) -> Iterator[Change]:
    if old.status != new.status:
        judgement = Judgement.BREAKING if new.status == "draft" else Judgement.WIDENING
        yield _change(judgement, "/status", f"the status was {old.status} and is {new.status}")
    if old.deprecated != new.deprecated:
        yield _change(Judgement.WIDENING, "/deprecated", "it is deprecated now" if new.deprecated else "it is kept on")


_CONTRACT: Final[tuple[Callable[[Contract, Contract], Iterator[Change]], ...]] = (
    _effects,
    _idempotency,
    _errors,
    _data,
    _more_is_breaking("/timeout/attempt_s", "milliseconds of one attempt", "attempt_ms"),
    _more_is_breaking("/timeout/total_s", "milliseconds of all attempts", "total_ms"),
    _more_is_breaking("/limits/output_bytes", "the most bytes of an output", "output_bytes"),
    _more_is_breaking("/limits/depth", "the most levels of an output", "depth"),
    _cost,
    _conditions,
    _approval,
    _retry,
    _status,
)

_PROCESS: Final[Mapping[str, Judgement]] = {
    "contracts": Judgement.WIDENING,
    "plan": Judgement.WIDENING,
    "budget": Judgement.WIDENING,
    "limits": Judgement.WIDENING,
    "escalation": Judgement.WIDENING,
    "on_failure": Judgement.WIDENING,
    "on_cancel": Judgement.WIDENING,
    "on_abort": Judgement.WIDENING,
    "intake": Judgement.TEXT,
}
"""How a process type closes its tasks may change as long as what it takes and gives does not."""

_TEXTS: Final = frozenset({"examples", "todo"})


def _unread(old: bytes, new: bytes) -> Iterator[Change]:
    """What is for people alone: examples, open decisions, keys of their own."""
    was, now = (msgspec.json.decode(data, type=dict[str, Json]) for data in (old, new))
    for key in sorted({*was, *now}):
        if (key in _TEXTS or key.startswith("x-")) and _stored(was.get(key)) != _stored(now.get(key)):
            yield _change(Judgement.TEXT, f"/{key}", f"`{key}` changed")


def _stored(value: Json) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
