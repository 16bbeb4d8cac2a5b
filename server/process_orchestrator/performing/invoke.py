"""InvokeAgent: one call of one agent, its answer judged against the pinned contract.

Every way in which a call can end is one event here: a value that keeps the contract, or a code with blame and outcome.
How the agent is reached is the pool's; what follows from a failure is the core's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from process_orchestrator.checking.pinned.definitions import Pinned
from process_orchestrator.checking.plans.compiled import CompiledContract
from process_orchestrator.checking.schemas.validate import read_stored
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.commands import InvokeAgent
from process_orchestrator.core.facts.events import CallSucceeded
from process_orchestrator.core.facts.specs import DeclaredError
from process_orchestrator.core.facts.values import Effect, Idempotency, Outcome, Usage
from process_orchestrator.core.ports import Clock, Performed
from process_orchestrator.performing.agent_pool import AgentPool
from process_orchestrator.performing.body_cache import BodyCache
from process_orchestrator.performing.failure import Failed, Spent, call_failed
from process_orchestrator.performing.judging import judge, within_the_contract
from process_orchestrator.performing.links import AgentCall

UNSENT: Final = frozenset(
    {
        *("unreachable", "circuit_open", "rate_limited", "input_mismatch", "drifted"),
        *("no_model", "sensitive_to_model"),
    }
)
"""Codes of calls that never reached the agent, which nobody bills."""


class Invoker:
    """Answers InvokeAgent. `from_caller` tells whether a call's arguments come from `$.input` alone."""

    def __init__(
        self,
        *,
        bodies: BodyCache,
        pinned: Pinned,
        agents: AgentPool,
        clock: Clock,
        from_caller: Callable[[str, str], bool],
    ) -> None:
        self._bodies, self._pinned, self._agents, self._clock = bodies, pinned, agents, clock
        self._from_caller = from_caller

    async def invoke(self, command: InvokeAgent, *, delivery: int, heartbeat: Callable[[], None]) -> Performed:
        if delivery > 1 and not repeatable(command):
            message = "an engine ended in the middle of this call; what must not be repeated is not repeated"
            return call_failed(command.call, Failed(code="lost", message=message), clock=self._clock)
        contract = await self._pinned.contract(command.contract.sha256)
        data = await self._bodies.data(command.input)
        heartbeat()
        started = time.perf_counter()
        price: int | None = None
        try:
            bind = await self._pinned.bind(command.agent, command.contract)
            price = self._agents.price_usd_micros(bind, contract.contract)
            # Parsed anew: an agent in this process may keep and change its arguments.
            call = call_of(command, contract, delivery=delivery)
            answer = await self._agents.call(command.agent.name, bind, read_stored(data), call)
        except AgentCallError as error:
            spent = _spent(error, price, ms=int((time.perf_counter() - started) * 1000))
            return self._failed(command, contract, Failed.of(error), spent, delivery=delivery)
        cost = answer.usd_micros if answer.metered or answer.usd_micros is not None else price
        given = await self._bodies.value(command.input) if contract.contract.ensures else None
        judged = judge(contract, given, answer, secrets=self._agents.secrets)
        if isinstance(judged, Failed):
            spent = Spent(usd_micros=cost, tokens=answer.tokens, ms=answer.ms)
            if answer.metered:  # a model has no effect
                judged = replace(judged, outcome=Outcome.NOT_DONE)
            return self._failed(command, contract, judged, spent, delivery=delivery)
        self._bodies.keep(judged)
        event = CallSucceeded(
            at=self._clock.now_ms(),
            call=command.call,
            output=judged.ref,
            usd_micros=cost,
            tokens=answer.tokens,
            ms=answer.ms,
        )
        return Performed(event=event, bodies=(judged,))

    async def worst_usd_micros(self, command: InvokeAgent) -> int | None:
        """The most that a call should cost; None where that is not known."""
        contract = (await self._pinned.contract(command.contract.sha256)).contract
        with suppress(AgentCallError):
            return self._agents.price_usd_micros(await self._pinned.bind(command.agent, command.contract), contract)
        return contract.price_usd_micros

    def _failed(
        self, command: InvokeAgent, contract: CompiledContract, failed: Failed, spent: Spent, *, delivery: int
    ) -> Performed:
        """The event of a failed call. A refusal of a later delivery does not say what became of an earlier one."""
        definition = contract.contract
        declared: DeclaredError | None = definition.errors.get(failed.code)
        masked = self._agents.secrets
        retry_after = failed.retry_after_ms
        if declared is not None and failed.code not in definition.retry_after:
            retry_after = None
        failed = within_the_contract(failed, definition)
        shown = Failed(
            code=failed.code,
            message=masked.mask_cut(failed.message),
            class_=failed.class_,
            blame=failed.blame,
            outcome=failed.outcome if delivery == 1 else Outcome.UNKNOWN,
            pointer=failed.pointer,
            rule=failed.rule,
            answer=masked.mask_cut(failed.answer)
            if isinstance(failed.answer, str)
            else masked.mask_value(failed.answer),
            problems=failed.problems,
            stderr=None if failed.stderr is None else masked.mask_text(failed.stderr),
            retry_after_ms=retry_after,
        )
        return call_failed(
            command.call,
            shown,
            clock=self._clock,
            declared=declared,
            from_caller=self._from_caller(command.process, command.call),
            spent=spent,
        )


def repeatable(command: InvokeAgent) -> bool:
    """Whether a call may be sent again although an earlier delivery of it may have been carried out."""
    return command.effect in {Effect.NONE, Effect.READ} or command.idempotency is not Idempotency.UNSAFE


def call_of(command: InvokeAgent, contract: CompiledContract, *, delivery: int = 1) -> AgentCall:
    """What the transports learn of a call."""
    return AgentCall(
        process=command.process,
        call=command.call,
        contract=f"{command.contract.name}@{command.contract.version}",
        key=command.key,
        timeout_ms=command.timeout_ms,
        output_bytes=contract.contract.output_bytes,
        depth=contract.contract.depth,
        delivery=delivery,
        keyed=contract.contract.key_field is not None,
        lineage=(*command.lineage, command.process),
        effect=command.effect,
        keeps=contract.contract,
    )


def _spent(error: AgentCallError, price: int | None, *, ms: int) -> Spent:
    """What a failed call took. Where nobody knows and it may have been billed: all that it should cost at most."""
    billed = error.billed or Usage()
    cost = 0 if error.code in UNSENT else price
    return Spent(usd_micros=cost if billed.usd_micros is None else billed.usd_micros, tokens=billed.tokens, ms=ms)
