"""What a program that we start may take of the machine: set by the kernel, inherited by its own children.

On Linux only, from outside and right after the start: a hook between fork and exec is unsafe beside threads. What the
program allocated in that first millisecond stays allowed. Memory is bounded as RLIMIT_DATA, writable private memory:
runtimes with a virtual machine reserve hundreds of megabytes of address space that they never use (Node 20 does not
start under an RLIMIT_AS of 512 MB, and starts under an RLIMIT_DATA of 256). It bounds each process, not their sum.
"""

from __future__ import annotations

import sys
from contextlib import suppress

from process_orchestrator.core.limits import ChildLimits

if sys.platform == "linux":
    import resource


def hold(pid: int, limits: ChildLimits) -> None:
    """Bound a process that was just started. Never raises: one that has ended already needs no bounds."""
    if sys.platform != "linux":
        return
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_DATA: limits.memory_mb * 1024 * 1024 or None,
        resource.RLIMIT_NOFILE: limits.open_files or None,
        resource.RLIMIT_NPROC: limits.processes or None,
    }
    for kind, most in wanted.items():
        if most is not None:
            with suppress(OSError, ValueError):
                soft, hard = resource.prlimit(pid, kind)
                resource.prlimit(pid, kind, (_lower(soft, most), _lower(hard, most)))


def _lower(present: int, most: int) -> int:
    """Never more than it may already take."""
    return most if present == -1 else min(present, most)  # -1: no limit
