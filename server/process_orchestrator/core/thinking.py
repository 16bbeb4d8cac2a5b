"""Asking a model for a stage: whether it may be asked, what is held back for it, when it is tried again.

What the answer means is `stage`'s. One model is asked at a time, and only for money that is there; what it takes at
most is held back until it has answered, so one budget holds for models and agents.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from process_orchestrator.core import bounds, escalate, failures, keys, orders
from process_orchestrator.core.facts.commands import StopTimer
from process_orchestrator.core.facts.state import Failure, Thinking
from process_orchestrator.core.facts.values import EscalationKind, Money, Stage, Usage, Why

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.events import StageFailed

UNAVAILABLE: Final = frozenset({"rate_limited", "unreachable", "timeout"})
"""Codes of a model that could not be had just then."""

NEVER: Final = frozenset({"no_model", "not_configured", "refused", "no_way"})
"""Codes after which asking again would end as before: there is no model, or it will not, or no plan can be written."""

UNASKED: Final = frozenset({"no_model", "not_configured", "rate_limited", "unreachable"})
"""Codes of failures that nobody can have billed."""

NOTHING: Final = Usage()
"""What is said of an answer that no model gave."""

MORE_TRIES: Final = 2
FIRST_WAIT_MS: Final = 2000
WAIT_MS_MAX: Final = 600_000
"""Longest that a model's host may let a process wait before a human is asked instead."""


def ask(draft: Draft, stage: Stage) -> Failure | None:
    """Order a stage's model asked, or a human for the money; where neither helps, why the stage has failed."""
    draft.stage = stage
    failure = _forbidden(draft, stage)
    if failure is not None:
        return failure
    worst = draft.spec.models[stage]
    if not bounds.fits(draft, worst or 0):
        _ask_for_money(draft, stage, worst or 0)
        return None
    draft.reserved_usd_micros += worst or 0
    draft.thinking = replace(draft.thinking, asked=draft.thinking.asked + 1, held=True, held_usd_micros=worst)
    draft.order(orders.stage_command(draft, stage))
    return None


def _forbidden(draft: Draft, stage: Stage) -> Failure | None:
    if stage not in draft.spec.models:
        return failures.of_code("no_model")
    rule = refused(draft, draft.spec.models[stage])
    return failures.of_code("over_budget", rule=rule) if rule is not None else None


def refused(draft: Draft, worst: int | None) -> str | None:
    """The rule by which no model may be asked whose answer takes so much at most, whatever comes free."""
    if worst is None and draft.spec.budget.unknown == bounds.REFUSE:
        return bounds.UNKNOWN
    return bounds.used_up(draft)


def _ask_for_money(draft: Draft, stage: Stage, worst: int) -> None:
    money = Money(
        needed_usd_micros=worst,
        spent_usd_micros=draft.usd_micros,
        reserved_usd_micros=draft.reserved_usd_micros,
        cap_usd_micros=draft.spec.budget.usd_micros,
    )
    draft.thinking = replace(draft.thinking, wants_money=stage)
    escalate.ask_about_process(draft, EscalationKind.BUDGET, money=money)


def resumed(draft: Draft) -> bool:
    """Another engine asks the model again: what the one before may have been billed is paid. Whether it still may."""
    draft.bill(usd_micros=draft.thinking.held_usd_micros, tokens=None)
    draft.thinking = replace(draft.thinking, resumed=draft.thinking.resumed + 1)
    return draft.thinking.resumed < draft.spec.limits.deliveries


def answered(draft: Draft, usage: Usage, *, code: str | None = None) -> None:
    """Pay what an answer, or a failure with this code, has cost; what was held back for it comes free."""
    held = given_back(draft)
    draft.thinking = replace(draft.thinking, resumed=0)
    pay(draft, usage, held=held, code=code)


def given_back(draft: Draft) -> int | None:
    """What was held back for a model; it is no longer. None where its price is unknown, or nothing was held."""
    held = draft.thinking.held_usd_micros if draft.thinking.held else None
    draft.reserved_usd_micros -= held or 0
    draft.thinking = replace(draft.thinking, held=False, held_usd_micros=None)
    return held


def pay(draft: Draft, usage: Usage, *, held: int | None, code: str | None) -> None:
    """Count what a model billed; where nobody says and it may have, all that was held back. Rules cost nothing."""
    if usage == NOTHING and code not in UNAVAILABLE:
        return
    usd_micros = usage.usd_micros
    if usd_micros is None:
        usd_micros = 0 if code in UNASKED else held
    draft.bill(usd_micros=usd_micros, tokens=usage.tokens)


def waits(draft: Draft, event: StageFailed) -> bool:
    """Whether a model that could not be had is tried again; its timer is then ordered."""
    tries = draft.thinking.tries
    if event.code not in UNAVAILABLE or tries >= MORE_TRIES:
        return False
    owner = keys.stage_id(draft.spec.process_id, event.stage, draft.thinking.asked)
    delay = max(_backoff_ms(owner, tries), event.retry_after_ms or 0)
    if delay > WAIT_MS_MAX or draft.ran_ms() + delay > draft.spec.limits.total_ms:
        return False
    draft.thinking = replace(
        draft.thinking,
        tries=tries + 1,
        timer=keys.timer_id(owner, keys.TimerKind.RETRY),
        wait_until=draft.now + delay,
        why=Why.RATE_LIMIT if event.code == "rate_limited" else Why.RETRY,
    )
    draft.order(orders.stage_timer(draft))
    return True


def _backoff_ms(owner: str, tries: int) -> int:
    """Twice as long each time, a half of it by chance; the chance is drawn from the id, so a fold draws it again."""
    chance = int.from_bytes(hashlib.sha256(owner.encode()).digest()[:2]) / 65_536
    return int(FIRST_WAIT_MS * 2**tries * (1 + chance) / 2)


def afresh(draft: Draft) -> None:
    """What is asked next is asked for the first time."""
    draft.thinking = Thinking(asked=draft.thinking.asked)


def stop(draft: Draft) -> None:
    """Ask nobody any more. What a model that is being asked may bill is counted: nobody will hear of it."""
    thinking = draft.thinking
    if thinking.timer is not None:
        draft.order(StopTimer(process=draft.spec.process_id, timer=thinking.timer))
    if thinking.held:
        draft.reserved_usd_micros -= thinking.held_usd_micros or 0
        draft.bill(usd_micros=thinking.held_usd_micros, tokens=None)
    draft.thinking = Thinking(asked=thinking.asked)
