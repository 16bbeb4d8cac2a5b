"""Turns committed changes into the addresses of the resources that changed, gathered for 100 ms.

The engine tells of each commit from its own loop or thread and must not be held up; a burst of commits of one process
becomes one word to subscribers. Nothing is replayed: who listens late reads the resource.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from typing import Final

GATHER_S: Final = 0.1
"""How long changes are gathered before subscribers hear of them, in seconds."""


def addresses(process_id: str, escalation_ids: Sequence[str] = ()) -> tuple[str, ...]:
    """The resources that a change of this process may have changed."""
    return (
        f"process://{process_id}/state",
        f"process://{process_id}/trace",
        f"process://{process_id}/diagram",
        f"report://{process_id}",
        *(f"escalation://{escalation_id}" for escalation_id in escalation_ids),
    )


class ChangeFeed:
    """A `ChangeListener` on one side, batches of resource addresses on the other. One reader at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed: dict[str, None] = {}
        self._reader: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def changed(self, process_id: str, seq: int, escalation_ids: Sequence[str]) -> None:
        """Note a change; from any thread, never blocks. Without a reader nothing is kept."""
        del seq
        with self._lock:
            if self._reader is None:
                return
            self._changed.update(dict.fromkeys(addresses(process_id, escalation_ids)))
            loop, wake = self._reader
            loop.call_soon_threadsafe(wake.set)

    async def batches(self) -> AsyncGenerator[tuple[str, ...]]:
        """What changed, in order, each address once per batch. Never ends by itself; close it to stop."""
        wake = asyncio.Event()
        with self._lock:
            self._reader = (asyncio.get_running_loop(), wake)
        try:
            while True:
                await wake.wait()
                await asyncio.sleep(GATHER_S)
                with self._lock:
                    wake.clear()
                    batch, self._changed = tuple(self._changed), {}
                if batch:
                    yield batch
        finally:
            with self._lock:
                self._reader, self._changed = None, {}
