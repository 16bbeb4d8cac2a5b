"""What the events so far say of calls, keys, approvals and money: the books that the rules read and keep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from process_orchestrator.core.facts.commands import InvokeAgent, StartChild

if TYPE_CHECKING:
    from process_orchestrator.core.facts.specs import Earlier, Gate
    from process_orchestrator.core.facts.values import Assurance


@dataclass(kw_only=True)
class Seen:
    """What the events so far say of calls, keys and answers."""

    prepared: set[str] = field(default_factory=set[str])
    invoked: dict[str, InvokeAgent] = field(default_factory=dict[str, InvokeAgent])
    children: dict[str, StartChild] = field(default_factory=dict[str, StartChild])
    answered: set[str] = field(default_factory=set[str])
    unsettled: dict[str, str] = field(default_factory=dict[str, str])  # unit -> key whose outcome is unknown
    unsure: set[str] = field(default_factory=set[str])  # units that may have acted, and nobody said: again
    tries: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])  # (unit, agent) -> calls
    accepted: dict[str, int] = field(default_factory=dict[str, int])
    resolved: set[str] = field(default_factory=set[str])
    gated: dict[str, tuple[Gate, str]] = field(default_factory=dict[str, "tuple[Gate, str]"])  # call -> gate, digest
    approved: dict[str, dict[str, Assurance]] = field(default_factory=dict[str, "dict[str, Assurance]"])  # by digest
    overridden: set[str] = field(default_factory=set[str])  # units whose input a human wrote
    earlier: dict[str, Earlier] = field(default_factory=dict[str, "Earlier"])  # effects of a redriven process, by unit
    digests: dict[str, str] = field(default_factory=dict[str, str])  # call -> digest
    cap: int = 0
    raised: int = 0  # of it, what humans have added
    spent: int = 0
    reserves: dict[str, int | None] = field(default_factory=dict[str, "int | None"])  # call -> what it may cost
    held: dict[str, int] = field(default_factory=dict[str, int])  # call under way -> what is held back for it
    done: list[str] = field(default_factory=list[str])  # units with an effect, in the order in which they were done
    timers: set[str] = field(default_factory=set[str])  # started, and neither fired nor stopped
    models: dict[str, int | None] = field(default_factory=dict[str, "int | None"])  # stage -> what an answer may cost
    asked: dict[str, int | None] = field(default_factory=dict[str, "int | None"])  # a model's work -> held back for it
