"""Figures that tests hold against bounds: memory of a process while something happens, percentiles of times."""

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import psutil


class Peak:
    """Resident bytes over the given start, at their highest so far."""

    bytes = 0


@contextmanager
def peak_memory(process: psutil.Process | None = None, *, before: int | None = None) -> Generator[Peak]:
    """Measure how far resident memory rises while the block runs, from a thread of its own.

    Of this process, or of another one; over `before`, or over what it is at the start.
    """
    watched, peak, over = process or psutil.Process(), Peak(), threading.Event()
    start = watched.memory_info().rss if before is None else before

    def watch() -> None:
        while not over.wait(0.002):
            peak.bytes = max(peak.bytes, watched.memory_info().rss - start)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of all values lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
