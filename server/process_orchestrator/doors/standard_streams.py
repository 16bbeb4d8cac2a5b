"""Keeps the two standard streams for the protocol alone while a server speaks on them.

The SDK points fd 1 at stderr while it serves. Three leaks remain and are closed here: text that `print` left in the
buffer of Python and that would be flushed onto the wire at exit, `sys.stdout` itself, and a reader thread blocked on
stdin that would hold up a stop by signal until the host closes its end.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from collections.abc import Callable, Generator
from typing import Final

_CHUNK: Final = 65_536


@contextlib.contextmanager
def prints_go_to_stderr() -> Generator[None]:
    """Enter while fd 1 already points at stderr: what waits in the buffer, and all that follows, goes there."""
    sys.stdout.flush()
    with contextlib.redirect_stdout(sys.stderr):
        yield


def close_the_wire() -> None:
    """The protocol has ended: nothing that is written from here on may reach the host as if it were protocol."""
    if _is_standard(sys.stdout, 1):
        os.dup2(2, 1)


@contextlib.contextmanager
def endable_stdin() -> Generator[Callable[[], None]]:
    """Put a pipe in front of stdin and give the word that ends it, as if the host had closed its side.

    A thread blocked in a read cannot be cancelled; this one is a daemon that nobody waits for. Nothing is put in front
    where `select` takes no pipes (Windows): there the word does nothing.
    """
    if os.name != "posix" or not _is_standard(sys.stdin, 0):
        yield lambda: None
        return
    wire, (outlet, inlet), (stopped, stop) = os.dup(0), os.pipe(), os.pipe()
    os.dup2(outlet, 0)
    os.close(outlet)
    threading.Thread(target=_pump, args=(wire, inlet, stopped), name="stdin", daemon=True).start()

    def end() -> None:
        os.write(stop, b"x")

    try:
        yield end
    finally:
        end()


def _pump(wire: int, inlet: int, stopped: int) -> None:
    """Carry bytes until either side ends. Owns `inlet` and alone closes it: a descriptor number is soon used again."""
    try:
        while True:
            readable, _, _ = select.select([wire, stopped], [], [])
            chunk = b"" if stopped in readable else os.read(wire, _CHUNK)
            if not chunk:
                return
            view = memoryview(chunk)
            while view:
                view = view[os.write(inlet, view) :]
    except OSError:  # the reader is gone: nothing is left to carry
        return
    finally:
        os.close(inlet)


def _is_standard(stream: object, descriptor: int) -> bool:
    try:
        return stream.fileno() == descriptor  # type: ignore[attr-defined]  # a replaced stream may have none
    except (AttributeError, OSError, ValueError):
        return False
