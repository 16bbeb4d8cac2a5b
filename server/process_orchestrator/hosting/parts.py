"""What an engine's driver is built of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from process_orchestrator.core.limits import PROCESSES_RUNNING_MAX

if TYPE_CHECKING:
    from process_orchestrator.core.ports import ChangeListener, Clock, Performer
    from process_orchestrator.hosting.folding import Core
    from process_orchestrator.hosting.journal import Journal
    from process_orchestrator.hosting.stored_artifacts import StoredArtifacts


@dataclass(frozen=True, kw_only=True)
class Parts:
    """`performer` None: events are written, nothing is carried out."""

    journal: Journal
    artifacts: StoredArtifacts
    performer: Performer | None
    core: Core
    clock: Clock
    listener: ChangeListener | None = None
    processes_running_max: int = PROCESSES_RUNNING_MAX
