"""The helper that decides costly pairs of schemas, run as its own small program: it may be stopped, its parent not.

Reads `[[producer, consumer], …]` as JSON, writes one word a line for each. It limits its own memory and time as far as
the system lets it: a pair that takes more ends the program, and its parent goes on with the next one.
"""

from __future__ import annotations

import os
import sys

import orjson

from process_orchestrator.checking.schemas.validate import containment

MEMORY_BYTES_MAX = 512_000_000


def main() -> None:
    pairs = orjson.loads(sys.stdin.buffer.read())
    if os.name == "posix":
        import resource  # noqa: PLC0415  there is none on Windows
        import signal  # noqa: PLC0415  beside it

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the program, in the middle of native code too
    for producer, consumer in pairs:
        if os.name == "posix":
            signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]))
        sys.stdout.write(f"{containment(producer, consumer)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
