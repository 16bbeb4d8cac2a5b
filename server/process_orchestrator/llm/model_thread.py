"""A thread with an event loop of its own, where a model's client lives: nothing that it does holds the engine up.

The client's package takes seconds to import, imports more at its first calls, leaves tasks of its own running, and may
block where it should await. All of that stays in here; the engine's loop hands in a coroutine and waits.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

import anyio

from process_orchestrator.core.errors import ModelError

Loaded = TypeVar("Loaded")
Result = TypeVar("Result")

LOAD_S_MAX: Final = 120.0
"""How long a call waits for the import: seconds on a quiet machine, half a minute on a loaded one."""

CLOSE_S: Final = 5.0


class ModelThread(Generic[Loaded]):
    """Loads once, in the background; then runs coroutines over what was loaded."""

    def __init__(
        self,
        load: Callable[[], Loaded],
        *,
        close: Callable[[Loaded], Coroutine[Any, Any, None]],
    ) -> None:
        """`load` runs in the thread and may block for long; `close` runs in its loop at the end."""
        self._load, self._close = load, close
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wanted = threading.Event()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._loaded: Loaded | None = None
        self._failed: BaseException | None = None
        self._stopped = False

    def begin(self, *, after_s: float = 0.0) -> None:
        """Load in the background, at the latest after so long. Returns at once."""
        with self._lock:
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._live, args=(after_s,), name="models", daemon=True)
                self._thread.start()
        if after_s <= 0:
            self._wanted.set()

    async def run(self, work: Callable[[Loaded], Coroutine[Any, Any, Result]], *, timeout_s: float) -> Result:
        """Do something in the thread, loading first where that is still to be done; the time counts from there on.

        Raises TimeoutError when the time is over, ModelError where nothing could be loaded, and what `work` raises.
        Cancelling cancels the work.
        """
        loop, loaded = await self._ready()
        future = asyncio.run_coroutine_threadsafe(work(loaded), loop)
        try:
            with anyio.fail_after(timeout_s):
                return await asyncio.wrap_future(future)
        finally:
            future.cancel()

    async def aclose(self) -> None:
        """End the thread's work and close what was loaded; a thread that does not end is left to the program's end."""
        with self._lock:
            self._stopped = True
            thread, loop, stop = self._thread, self._loop, self._stop
        if thread is None:
            return
        self._wanted.set()
        if loop is None or stop is None:
            return
        ended = asyncio.Event()
        with self._lock:
            self._waiting.append((asyncio.get_running_loop(), ended))
        with suppress(RuntimeError):  # its loop has ended by itself
            loop.call_soon_threadsafe(stop.set)
            with anyio.move_on_after(CLOSE_S):
                await ended.wait()

    async def _ready(self) -> tuple[asyncio.AbstractEventLoop, Loaded]:
        if self._stopped:
            raise ModelError("unreachable", "the model client is closed: nothing is asked while the engine ends")
        self.begin()
        here, done = asyncio.get_running_loop(), asyncio.Event()
        with self._lock:
            if self._loop is None and self._failed is None:
                self._waiting.append((here, done))
            else:
                done.set()
        with anyio.move_on_after(LOAD_S_MAX):
            await done.wait()
        if self._loop is None or self._loaded is None:
            why = f"{type(self._failed).__name__}: {self._failed}" if self._failed else f"not within {LOAD_S_MAX:.0f} s"
            message = f"the model client cannot be loaded ({why}). Do: install the package again, or unset the tiers"
            raise ModelError("not_configured" if self._failed else "unreachable", message)
        return self._loop, self._loaded

    def _live(self, after_s: float) -> None:
        self._wanted.wait(after_s)
        try:
            if self._stopped:
                return
            self._loaded = self._load()
            asyncio.run(self._serve(self._loaded))
        except BaseException as error:  # noqa: BLE001 - a package that is broken raises what it likes; it is told above
            self._failed = error
        finally:
            self._tell()

    async def _serve(self, loaded: Loaded) -> None:
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._tell()
        if self._stopped:
            return
        await self._stop.wait()
        own = asyncio.current_task()
        for task in asyncio.all_tasks():
            if task is not own:
                task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S / 2):
                await self._close(loaded)

    def _tell(self) -> None:
        """Wake all who wait for the loading to end."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for loop, done in waiting:
            with suppress(RuntimeError):  # its loop has ended
                loop.call_soon_threadsafe(done.set)
