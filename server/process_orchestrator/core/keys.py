"""Ids that are derived, never drawn: calls, keys, escalations, timers, units. And when a key may change.

Not the process id, which the host draws or derives. Names of steps hold no `.`, `[`, `#`, `!` or `/`, so every id can
be taken apart again.
"""

from __future__ import annotations

import base64
import hashlib
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from process_orchestrator.core.facts.values import Effect, Idempotency

if TYPE_CHECKING:
    from process_orchestrator.core.facts.specs import StepFacts
    from process_orchestrator.core.facts.state import Unit

CHILD_ID_BYTES: Final = 16

_AFTER_STEP: Final = re.compile(r"[\[#!]")


class TimerKind(StrEnum):
    """What a timer is for; the last part of its id."""

    RETRY = "retry"  # the next try of a call
    DEADLINE = "deadline"  # an escalation's end
    REMIND = "remind"  # of an escalation
    WAIT = "wait"  # a wait step, or the time between two rounds


def item_id(step: str, item: int) -> str:
    """The unit of one item of a mapped step: `lines[3]`."""
    return f"{step}[{item}]"


def round_id(step: str, number: int) -> str:
    """The unit of one round of a repeated step, counted from 1: `poll#2`."""
    return f"{step}#{number}"


def call_id(unit: str, n: int) -> str:
    """The n-th call of a unit, counted from 1 and never reused: `lines[3].2`."""
    return f"{unit}.{n}"


def unit_of_call(call: str) -> str:
    """The unit of a call: `lines[3].2` -> `lines[3]`."""
    return call.rpartition(".")[0]


def step_of_unit(unit: str) -> str:
    """The step of a unit: `lines[3]`, `lines#2`, `lines!undo` -> `lines`."""
    return _AFTER_STEP.split(unit, maxsplit=1)[0]


def is_undo(unit: str) -> bool:
    """Whether a unit undoes what a step did: `post!undo`."""
    return unit.endswith("!undo")


def undo_id(unit: str) -> str:
    """The unit that takes back what a unit did: `post!undo`."""
    return f"{unit}!undo"


def key(process: str, unit: str, generation: int) -> str:
    """The idempotency key of a unit's calls: `p_x/lines[3]/g1`."""
    return f"{process}/{unit}/g{generation}"


def child_id(parent_key: str) -> str:
    """The process that a call with this key starts: the same key, the same process. 128 bits in base32."""
    digest = hashlib.sha256(parent_key.encode()).digest()[:CHILD_ID_BYTES]
    return "p_" + base64.b32encode(digest).decode().lower().rstrip("=")


def escalation_id(process: str, n: int) -> str:
    """The n-th escalation of a process, counted from 1: `p_x.e1`."""
    return f"{process}.e{n}"


def timer_id(owner: str, kind: TimerKind) -> str:
    """A timer of a call, of an escalation or of a stage: `post.2/retry`, `p_x.plan.1/retry`."""
    return f"{owner}/{kind.value}"


def stage_id(process: str, stage: str, n: int) -> str:
    """The n-th time that a process asks a model, for a stage: `p_x.plan.2`. No unit's call has a process before it."""
    return f"{process}.{stage}.{n}"


def is_stage(owner: str) -> bool:
    """Whether a timer's owner is a stage: no name of a unit has a dot."""
    return "." in unit_of_call(owner)


def owner_of_timer(timer: str) -> str:
    """What a timer belongs to: `post.2/retry` -> `post.2`."""
    return timer.rpartition("/")[0]


def is_pause(timer: str) -> bool:
    """Whether a timer ends a pause, not the wait before a call is tried again."""
    return timer.endswith(f"/{TimerKind.WAIT.value}")


def next_generation(unit: Unit) -> int:
    """The generation of the unit's next call; its last call is over.

    It rises when every call under the present key ended `not_done`. One unknown outcome freezes it: the agent may have
    acted under that key, and only the same key tells it so.
    """
    return unit.generation if unit.outcome_unknown else unit.generation + 1


def repeatable(facts: StepFacts) -> bool:
    """Whether any agent may be called again without harm, whatever an earlier call did: no key is needed for it."""
    return facts.effect in (Effect.NONE, Effect.READ) or facts.idempotency is Idempotency.NATURAL


def bound_agent(unit: Unit, facts: StepFacts) -> str | None:
    """The only agent that the unit may call, if it is bound to one.

    While an outcome is unknown the effect may have happened at the agent that was called: another one does not know
    the key and would do it again.
    """
    if unit.outcome_unknown and unit.agent is not None and not repeatable(facts):
        return unit.agent.name
    return unit.only_agent
