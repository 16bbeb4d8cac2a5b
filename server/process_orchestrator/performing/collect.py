"""Lists and results: OpenMap, CollectItems, BuildOutput. Artifacts only; nothing is sent."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

import anyio.lowlevel

from process_orchestrator.checking.pinned.definitions import Pinned
from process_orchestrator.checking.plans.compiled import BindingError, CompiledStep, Scope
from process_orchestrator.checking.schemas.validate import check_value
from process_orchestrator.core.errors import BodyError
from process_orchestrator.core.facts.commands import BuildOutput, CollectItems, OpenMap
from process_orchestrator.core.facts.events import ItemsCollected, MapOpened, OutputBuilt
from process_orchestrator.core.facts.specs import Gate
from process_orchestrator.core.facts.values import Blame, Stage
from process_orchestrator.core.ports import Clock, Performed
from process_orchestrator.performing.body_cache import BodyCache
from process_orchestrator.performing.failure import Failed, RefusedCallError, body_of, stage_failed
from process_orchestrator.performing.prepare import (
    INPUT_BYTES_MAX,
    INPUT_DEPTH_MAX,
    Preparer,
    digest_of,
    stored,
    stricter,
)
from process_orchestrator.performing.scopes import Scopes

ITEMS_AT_ONCE: Final = 200
"""Items of a map that are looked at before others get their turn."""


class Collector:
    """Answers OpenMap, CollectItems and BuildOutput."""

    def __init__(self, *, bodies: BodyCache, pinned: Pinned, scopes: Scopes, preparer: Preparer, clock: Clock) -> None:
        self._bodies, self._pinned, self._scopes = bodies, pinned, scopes
        self._preparer, self._clock = preparer, clock

    async def open_map(self, command: OpenMap) -> Performed:
        step = (await self._pinned.plan(command.context.plan)).step(command.step)
        scope = await self._scopes.of(command.context)
        try:
            if not step.looks_at_item and not step.applies(scope):
                return self._preparer.skipped(command.step, step, scope, reason="condition")
            items = self._scopes.items(step, command.context, scope)
            body = body_of(stored(items))
            digest, gate = await self._look(command, step, scope, items)
        except BindingError as error:
            failed = Failed(code=error.code, message=error.message, blame=error.blame, pointer=error.pointer)
            return stage_failed(Stage.MAP, failed, clock=self._clock, step=command.step)
        except RefusedCallError as refused:
            return stage_failed(Stage.MAP, refused.failed, clock=self._clock, step=command.step)
        self._bodies.keep(body)
        event = MapOpened(
            at=self._clock.now_ms(), step=command.step, count=len(items), digest=digest, items=body.ref, gate=gate
        )
        return Performed(event=event, bodies=(body,))

    async def collect(self, command: CollectItems) -> Performed:
        """The items' outputs as one list, byte for byte; a skipped item is null."""
        parts = [b"null" if ref is None else await self._bodies.data(ref) for ref in command.outputs]
        if sum(map(len, parts)) + len(parts) > INPUT_BYTES_MAX:
            message = f"the outputs of all items are over {INPUT_BYTES_MAX} bytes together"
            failed = Failed(code="too_large", message=message, blame=Blame.PLANNER)
            return stage_failed(Stage.COLLECT, failed, clock=self._clock, step=command.step)
        body = body_of(b"[" + b",".join(parts) + b"]")
        self._bodies.keep(body)
        event = ItemsCollected(at=self._clock.now_ms(), step=command.step, output=body.ref)
        return Performed(event=event, bodies=(body,))

    async def build_output(self, command: BuildOutput) -> Performed:
        """The process's output, checked against its type."""
        plan = await self._pinned.plan(command.context.plan)
        scope = await self._scopes.of(command.context)
        try:
            value = plan.output(scope)
            data = check_value(value, max_bytes=INPUT_BYTES_MAX, depth=INPUT_DEPTH_MAX)
        except BindingError as error:
            failed = Failed(code=error.code, message=error.message, blame=Blame.PLANNER, pointer=error.pointer)
            return stage_failed(Stage.OUTPUT, failed, clock=self._clock)
        except BodyError as error:
            failed = Failed(code=error.code, message=error.message, blame=Blame.PLANNER, pointer=error.pointer)
            return stage_failed(Stage.OUTPUT, failed, clock=self._clock)
        problems = plan.output_problems(value)
        if problems:
            failed = Failed(
                code="output_mismatch",
                message=problems[0].message,
                blame=Blame.PLANNER,
                pointer=problems[0].pointer,
                rule=problems[0].rule,
                answer=value,
                problems=problems,
            )
            return stage_failed(Stage.OUTPUT, failed, clock=self._clock)
        body = body_of(data)
        self._bodies.keep(body)
        return Performed(event=OutputBuilt(at=self._clock.now_ms(), output=body.ref), bodies=(body,))

    async def _look(
        self, command: OpenMap, step: CompiledStep, scope: Scope, items: list[Any]
    ) -> tuple[str, Gate | None]:
        """The digest over all items' digests, and the strictest approval that any of them needs.

        An item whose arguments cannot be built fails alone, when it is prepared; here its error stands in its place.
        """
        whole, gate = sha256(), None
        for index, item in enumerate(items):
            if index % ITEMS_AT_ONCE == ITEMS_AT_ONCE - 1:
                await anyio.lowlevel.checkpoint()
            at = Scope(input=scope.input, steps=scope.steps, item=item, index=index)
            try:
                if step.looks_at_item and not step.applies(at):
                    whole.update(b"skipped")
                    continue
                given = step.arguments(at)
                whole.update(digest_of(step.closes_sha256, stored(given)).encode())
                needed = step.gate(at, given, mode=command.approval)
            except BindingError as error:
                whole.update(error.code.encode())
                continue
            except RefusedCallError as refused:
                whole.update(refused.failed.code.encode())
                continue
            gate = stricter(gate, needed)
        return whole.hexdigest(), gate
