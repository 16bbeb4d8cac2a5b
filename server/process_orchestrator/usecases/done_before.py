"""What an ended process did for each of its units, as far as a plan that takes it up has the same steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from process_orchestrator.checking.schemas.validate import read_stored
from process_orchestrator.core import keys, orders
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.specs import Earlier
from process_orchestrator.core.facts.values import Effect, Phase
from process_orchestrator.core.process import apply
from process_orchestrator.performing.prepare import digest_of, stored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from process_orchestrator.checking.plans.compiled import CompiledContract, Compiler
    from process_orchestrator.core.facts.specs import PlanFacts, StepFacts
    from process_orchestrator.core.facts.state import Process, Unit
    from process_orchestrator.core.facts.values import ContractPin, Ref
    from process_orchestrator.usecases.bodies import BodyReader
    from process_orchestrator.usecases.rehearsal import Overlay


NO_DIGEST: Final = ""
"""Stands for arguments that nothing is equal to."""


@dataclass(frozen=True, kw_only=True)
class Past:
    """An ended process, and what its end does not tell any more.

    `planned` are digest and arguments of each unit as the plan made them, where no human gave others; `left_out` the
    units that were skipped by their failure, before the process began to end.
    """

    state: Process
    planned: Mapping[str, tuple[str, Ref]]
    left_out: frozenset[str]


async def past_of(ended: Process, bodies: BodyReader) -> Past:
    """Read the whole journal of an ended process."""
    planned: dict[str, tuple[str, Ref]] = {}
    left_out: frozenset[str] = frozenset()
    state: Process | None = None
    async for each in bodies.events(ended.spec.process_id):
        event, before = each.event, state
        if isinstance(event, e.CallPrepared) and before is not None:
            unit = before.units.get(keys.unit_of_call(event.call))
            if unit is not None and unit.override is None:
                planned[unit.id] = event.digest, event.input
        state = apply(before, event).state
        if before is not None and _ending(state) and not _ending(before):
            units = before.units.values()
            left_out = frozenset(unit.id for unit in units if unit.phase is Phase.SKIPPED and unit.failure is not None)
    return Past(state=ended, planned=planned, left_out=left_out)


def _ending(state: Process) -> bool:
    return state.cancelling or state.failing is not None


class DoneBefore:
    """Tells what was done by an ended process in the terms of a new plan, whose definitions `artifacts` has too."""

    def __init__(self, past: Past, artifacts: Overlay, compiler: Compiler) -> None:
        self._past, self._artifacts, self._compiler = past, artifacts, compiler

    async def earlier(self, plan: PlanFacts, *, from_here: frozenset[str], again: frozenset[str]) -> dict[str, Earlier]:
        """By unit, what may not be done a second time.

        `from_here` are steps that run in any case, `again` those that may repeat their effect.
        """
        steps = {step.id: step for step in plan.steps}
        old = self._past.state
        found: dict[str, Earlier] = {}
        for unit in old.units.values():
            now = steps.get(unit.step)
            before = old.facts(unit)
            if now is None or unit.step in again or keys.is_undo(unit.id) or before.is_map is not now.is_map:
                continue
            if _looked_in_vain(unit, before, old):
                continue
            done = self._done(unit)
            if done is not None and unit.step in from_here:
                done = _effect_alone(done)
            if done is not None:
                done = await self._under(done, before, now, unit)
            if done is not None:
                found[unit.id] = done
        return found

    def _done(self, unit: Unit) -> Earlier | None:
        """What became of a unit; None where nothing did, or all is taken back."""
        old = self._past.state
        inherited = old.spec.earlier.get(unit.id)
        if inherited is not None and not unit.calls_total and not unit.earlier_settled and unit.phase is not Phase.DONE:
            return inherited
        if unit.digest is None or unit.agent is None:
            return None
        done = unit.phase is Phase.DONE
        acted = done or unit.outcome_unknown or unit.id in old.left
        left_out = unit.id in self._past.left_out
        if not acted and not left_out:
            return None
        return Earlier(
            call=keys.call_id(unit.id, unit.call),
            agent=unit.agent,
            key=orders.key_of(old, unit),
            digest=unit.digest,
            planned=self._past.planned[unit.id][0] if unit.id in self._past.planned else unit.digest,
            output=unit.output if done else None,
            skipped=left_out,
            acted=acted,
        )

    async def _under(self, done: Earlier, before: StepFacts, now: StepFacts, unit: Unit) -> Earlier | None:
        """What was done as the new contract sees it: with its digests, and the output only where it keeps it.

        A call that was made without a key, or could not be repeated then, is no harmless one to repeat now.
        """
        if before.idempotency is not now.idempotency:
            done = msgspec.structs.replace(done, digest=NO_DIGEST)
        if before.contract is None or now.contract is None or before.contract.sha256 == now.contract.sha256:
            return done
        old, new = await self._contract(before.contract), await self._contract(now.contract)
        filled = {old.contract.key_field, new.contract.key_field}
        _, arguments = self._past.planned.get(unit.id, ("", unit.input))
        sent = done.digest and await self._digest(now.contract, unit.input, filled)
        planned = await self._digest(now.contract, arguments, filled)
        done = msgspec.structs.replace(done, digest=sent or done.digest, planned=planned or done.planned)
        if done.output is None or not new.output_problems(read_stored(await self._artifacts.body(done.output))):
            return done
        return _effect_alone(done)

    async def _contract(self, pin: ContractPin) -> CompiledContract:
        return self._compiler.contract(await self._artifacts.definition(pin.sha256))

    async def _digest(self, contract: ContractPin, arguments: Ref | None, filled: set[str | None]) -> str | None:
        """The digest of recorded arguments under a contract: without the field that the engine fills."""
        if arguments is None:
            return None
        value = read_stored(await self._artifacts.body(arguments))
        if isinstance(value, dict):
            value = {name: part for name, part in value.items() if name not in filled}
        return digest_of(contract.sha256, stored(value))


def _looked_in_vain(unit: Unit, step: StepFacts, old: Process) -> bool:
    """Whether a unit is a round that only read, of a step whose condition never held: it must look afresh."""
    reads = step.effect in (Effect.NONE, Effect.READ)
    return reads and unit.round is not None and old.units[unit.step].phase is not Phase.DONE


def _effect_alone(done: Earlier) -> Earlier | None:
    """What was done without its answer: only that it may have taken effect."""
    return msgspec.structs.replace(done, output=None, skipped=False) if done.acted else None
