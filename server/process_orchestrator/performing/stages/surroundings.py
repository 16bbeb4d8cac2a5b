"""What every stage works with, and how a model's failure is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from process_orchestrator.core.facts.events import StageFailed
from process_orchestrator.core.facts.values import Assurance, Blame, Stage, Usage
from process_orchestrator.core.ports import Performed
from process_orchestrator.performing.failure import clean

if TYPE_CHECKING:
    from process_orchestrator.checking.loading.registry import Registry
    from process_orchestrator.checking.pinned.definitions import Pinned
    from process_orchestrator.core.errors import ModelError
    from process_orchestrator.core.ports import Clock
    from process_orchestrator.llm.port import Model, Spending
    from process_orchestrator.performing.body_cache import BodyCache
    from process_orchestrator.performing.secrets import Secrets


@dataclass(frozen=True, kw_only=True)
class StageParts:
    """`registry` is the live map: agents are chosen from it, contracts from what the process has pinned."""

    bodies: BodyCache
    pinned: Pinned
    clock: Clock
    model: Model
    registry: Callable[[], Registry]
    secrets: Secrets
    server_floor: Assurance

    def failed(self, stage: Stage, error: ModelError, *, escalation: str | None = None) -> Performed:
        """A model that could not be asked, or whose answer is none: an event with whose fault it is."""
        absent = error.code in {"no_model", "not_configured"}
        blame = Blame.POLICY if absent else Blame.PLANNER if error.available else Blame.TRANSPORT
        event = StageFailed(
            at=self.clock.now_ms(),
            stage=stage,
            code=error.code,
            blame=blame,
            escalation=escalation,
            message=clean(self.secrets.mask_cut(error.message)),  # a host's words, which need not be text
            usage=Usage(usd_micros=error.usd_micros, tokens=error.tokens, ms=error.ms),
        )
        return Performed(event=event)


def usage_of(spent: Spending) -> Usage:
    """What a model's answer took, as the journal says it."""
    return Usage(usd_micros=spent.usd_micros, tokens=spent.tokens, ms=spent.ms)
