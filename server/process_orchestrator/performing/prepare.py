"""PrepareCall: the arguments of one call, built and checked; the agent chosen; the approval it needs named.

Touches artifacts only. Nothing is sent from here, so every failure is `not_done`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple, Protocol

from process_orchestrator.checking.documents.definitions import Contract
from process_orchestrator.checking.documents.masking import holds
from process_orchestrator.checking.documents.model_agents import model_promise, refused_places, said_of
from process_orchestrator.checking.pinned.definitions import Pinned
from process_orchestrator.checking.pinned.marks import Marks
from process_orchestrator.checking.pinned.recent import Recent
from process_orchestrator.checking.plans.compiled import ABSENT, BindingError, CompiledContract, CompiledStep, Scope
from process_orchestrator.checking.plans.followed import brought_to_models
from process_orchestrator.checking.plans.plan_document import PinnedAgent, PlannedChild
from process_orchestrator.checking.schemas.validate import ValueProblem, check_value, encode_body
from process_orchestrator.core.assurance import highest
from process_orchestrator.core.errors import BodyError
from process_orchestrator.core.facts.commands import PrepareCall, UndoneCall
from process_orchestrator.core.facts.events import CallPrepared, StepSkipped
from process_orchestrator.core.facts.specs import Gate
from process_orchestrator.core.facts.values import AgentPin, Blame, ContractPin, Fact
from process_orchestrator.core.ports import Clock, Performed
from process_orchestrator.performing.body_cache import BodyCache
from process_orchestrator.performing.choice import Standing, choose
from process_orchestrator.performing.day_caps import DayCaps, nothing_billed
from process_orchestrator.performing.failure import Failed, RefusedCallError, body_of, call_failed
from process_orchestrator.performing.scopes import Scopes

INPUT_BYTES_MAX: Final = 32_000_000
INPUT_DEPTH_MAX: Final = 200
"""Arguments are made of bodies that were capped one by one; these bounds only keep native code safe."""

ORIGINS_MAX: Final = 4096
"""Calls that are remembered, between prepare and invoke, to come from the caller alone. One that is forgotten is blamed
on the plan."""


READ_OF_INPUT: Final = re.compile(r"\binput\.([A-Za-z_][A-Za-z0-9_]*)")
"""The arguments that a condition of a contract reads: whose fault it is where the condition does not hold."""

NOBODY: Final = AgentPin(name="", sha256="")
"""The agent of a step that only waits."""


class Arguments(Fact, frozen=True, kw_only=True):
    """The arguments of one call, checked."""

    data: bytes  # stored form, idempotency field filled in
    digest: str


class Ready(NamedTuple):
    """A call whose arguments are checked and whose agent is chosen."""

    arguments: Arguments
    agent: AgentPin
    why_agent: str
    price: int | None
    from_caller: bool


class Roster(Protocol):
    """What is asked of the agents while a call is prepared."""

    def standing(self, pinned: PinnedAgent, contract: ContractPin) -> Standing: ...

    def price_usd_micros(
        self, bind: Mapping[str, Any], contract: Contract, *, arguments_bytes: int = 0
    ) -> int | None: ...

    def place_wait_ms(self, name: str, process: str) -> int: ...


class Preparer:
    """Answers PrepareCall. `roster` tells how an agent stands now."""

    def __init__(
        self,
        *,
        bodies: BodyCache,
        pinned: Pinned,
        scopes: Scopes,
        clock: Clock,
        roster: Roster,
        caps: DayCaps | None = None,
    ) -> None:
        self._bodies, self._pinned, self._scopes, self._clock = bodies, pinned, scopes, clock
        self._roster, self._marks = roster, Marks(pinned)
        self._caps = caps or DayCaps(dict[str, float], bills=nothing_billed, clock=clock)
        self._from_caller: Recent[str] = Recent(ORIGINS_MAX)

    async def prepare(self, command: PrepareCall) -> Performed:
        step = (await self._pinned.plan(command.context.plan)).step(command.step)
        try:
            if command.undoes is not None:
                return await self._undoing(command, step, command.undoes)
            scope = await self._scopes.of(command.context)
            if command.item is not None:
                scope = self._scopes.of_item(step, command.context, scope, command.item)
            if command.default_only:
                return self.skipped(command.unit, step, scope, reason="default")
            repeated = command.round is not None and command.round > 1
            if repeated and await self._is_over(command, step, scope):
                return Performed(event=StepSkipped(at=self._clock.now_ms(), unit=command.unit, reason="until"))
            if (
                command.override is None
                and not repeated
                and not self._applies(step, scope, item=command.item is not None)
            ):
                return self.skipped(command.unit, step, scope, reason="condition")
            if step.step.wait_s is not None:
                return self._wait(command, step.step.wait_s)
            if step.child is not None:
                return await self._child(command, step, step.child, scope)
            return await self._prepared(command, step, scope)
        except BindingError as error:
            failed = Failed(code=error.code, message=error.message, blame=error.blame, pointer=error.pointer)
            return call_failed(command.call, failed, clock=self._clock)
        except RefusedCallError as refused:
            return call_failed(command.call, refused.failed, clock=self._clock, from_caller=refused.from_caller)

    def from_caller(self, process: str, call: str) -> bool:
        """Whether all arguments of a call that was prepared here come from `$.input` alone."""
        return self._from_caller.get(f"{process}/{call}") is not None

    def _applies(self, step: CompiledStep, scope: Scope, *, item: bool) -> bool:
        """A map's condition is asked once for the whole map, unless it looks at the item."""
        return (item and not step.looks_at_item) or step.applies(scope)

    async def _is_over(self, command: PrepareCall, step: CompiledStep, scope: Scope) -> bool:
        """Whether the round before this one gave what the repeated step waits for."""
        gave = ABSENT if command.last_output is None else await self._bodies.value(command.last_output)
        return step.is_over(Scope(input=scope.input, steps=scope.steps, output=gave))

    def _wait(self, command: PrepareCall, seconds: float) -> Performed:
        """A step that only waits calls nobody. What it gives is how long."""
        body = body_of(stored({"seconds": seconds}))
        self._bodies.keep(body)
        event = CallPrepared(
            at=self._clock.now_ms(),
            call=command.call,
            agent=NOBODY,
            input=body.ref,
            digest=body.ref.sha256,
            reserve_usd_micros=0,
        )
        return Performed(event=event, bodies=(body,))

    async def _child(self, command: PrepareCall, step: CompiledStep, child: PlannedChild, scope: Scope) -> Performed:
        """The input of a process that the step starts. Its agent is the type itself, its price the type's budget."""
        given, blame = await self._given(command, step, scope)
        data = stored(given)
        problems = (await self._pinned.plan(child.plan)).input_problems(given)
        if problems:
            raise RefusedCallError(_mismatch(problems), from_caller=blame(problems[0].pointer) is Blame.CALLER)
        part = await self._marks.scheme(child.plan)
        if part.asks_models:
            marks = (await self._marks.of(command.context.plan)).marks.get(("in", step.step.id), frozenset())
            _not_told([place for place in brought_to_models(part, marks) if holds(given, place)])
        body = body_of(data)
        self._bodies.keep(body)
        event = CallPrepared(
            at=self._clock.now_ms(),
            call=command.call,
            agent=AgentPin(name=child.type.name, sha256=child.type.sha256),
            why_agent="the process that the step starts",
            input=body.ref,
            digest=digest_of(child.type.sha256, data),
            reserve_usd_micros=child.usd_micros,
            gate=step.gate(scope, given, mode=command.approval),
        )
        return Performed(event=event, bodies=(body,))

    def skipped(self, unit: str, step: CompiledStep, scope: Scope, *, reason: str) -> Performed:
        value = step.default(scope)
        if value is ABSENT:
            return Performed(event=StepSkipped(at=self._clock.now_ms(), unit=unit, reason=reason))
        body = body_of(stored(value))
        self._bodies.keep(body)
        event = StepSkipped(at=self._clock.now_ms(), unit=unit, reason=reason, output=body.ref)
        return Performed(event=event, bodies=(body,))

    async def _prepared(self, command: PrepareCall, step: CompiledStep, scope: Scope) -> Performed:
        assert step.contract is not None  # a checked plan gives every called step one
        given, blame = await self._given(command, step, scope)
        ready = await self._ready(command, step.contract, step.agents, given=given, blame=blame)
        if any(agent.name == ready.agent.name and model_promise(agent.bind) for agent in step.agents):
            marked = (await self._marks.of(command.context.plan)).of(step.step.id, "input")
            contract = await self._pinned.contract(step.contract.sha256)
            _not_told(refused_places(contract.contract, given, marked))
        return self._call_prepared(command, ready, step.gate(scope, given, mode=command.approval))

    async def _undoing(self, command: PrepareCall, step: CompiledStep, undone: UndoneCall) -> Performed:
        """The call that takes another back. It has no condition, and no human writes its arguments."""
        undo = step.undo
        if undo is None or undone.input is None or undone.output is None:  # a core of another version
            raise RefusedCallError(Failed(code="no_undo", message=f"nothing is known that undoes {undone.unit}"))
        given = undo.arguments(await self._bodies.value(undone.input), await self._bodies.value(undone.output))
        ready = await self._ready(command, undo.contract, undo.agents, given=given, blame=_of_planner)
        return self._call_prepared(command, ready, undo.gate(given, mode=command.approval))

    async def _ready(
        self,
        command: PrepareCall,
        pin: ContractPin,
        agents: tuple[PinnedAgent, ...],
        *,
        given: Any,
        blame: Callable[[str], Blame],
    ) -> Ready:
        """The call with its arguments checked and its agent chosen."""
        contract = await self._pinned.contract(pin.sha256)
        arguments = checked(contract, given, sha256_of_contract=pin.sha256, key=command.key, blame=blame)
        capped = bool(self._caps.live_usd())
        if capped:
            await self._caps.learn(agent.name for agent in agents)

        def standing(agent: PinnedAgent) -> Standing:
            stands = self._roster.standing(agent, pin)
            return self._caps.standing(stands, agent.name, reserve=price_at(agent)) if capped else stands

        def price_at(agent: PinnedAgent) -> int | None:
            return self._roster.price_usd_micros(agent.bind, contract.contract, arguments_bytes=len(arguments.data))

        agent, why = choose(agents, tried=command.tried, only=command.only_agent, standing=standing)
        chosen = next(each for each in agents if each.name == agent.name)
        self._has_place(command, agent)
        return Ready(arguments, agent, why, price_at(chosen), from_caller=blame("") is Blame.CALLER)

    def _call_prepared(self, command: PrepareCall, ready: Ready, gate: Gate | None) -> Performed:
        body = body_of(ready.arguments.data)
        self._bodies.keep(body)
        if ready.from_caller:
            slot = f"{command.process}/{command.call}"
            self._from_caller.put(slot, slot)
        event = CallPrepared(
            at=self._clock.now_ms(),
            call=command.call,
            agent=ready.agent,
            why_agent=ready.why_agent,
            input=body.ref,
            digest=ready.arguments.digest,
            reserve_usd_micros=ready.price,
            gate=gate,
        )
        return Performed(event=event, bodies=(body,))

    def _has_place(self, command: PrepareCall, agent: AgentPin) -> None:
        """An agent with a long queue is waited for in the journal: nothing was handed over yet."""
        wait_ms = self._roster.place_wait_ms(agent.name, command.process)
        if wait_ms:
            message = f"{agent.name} has more calls waiting than its limits let through soon"
            raise RefusedCallError(Failed(code="rate_limited", message=message, retry_after_ms=wait_ms))

    async def _given(
        self, command: PrepareCall, step: CompiledStep, scope: Scope
    ) -> tuple[Any, Callable[[str], Blame]]:
        """The arguments before they are checked, and whose fault each part of them would be."""
        if command.override is None:
            return step.arguments(scope), step.blame
        return await self._bodies.value(command.override), _of_caller


def checked(
    contract: CompiledContract,
    given: Any,
    *,
    sha256_of_contract: str,
    key: str,
    blame: Callable[[str], Blame],
) -> Arguments:
    """Arguments in their stored form with the idempotency field filled, and their digest without it.

    Raises RefusedCallError: input_mismatch with the first pointer, or requires_failed.
    """
    field = contract.contract.key_field
    if isinstance(given, dict) and field in given:
        given = {name: value for name, value in given.items() if name != field}
    plain = stored(given)
    digest = digest_of(sha256_of_contract, plain)
    data = plain
    if field is not None and isinstance(given, dict):
        given = {**given, field: key}
        data = encode_body(given)  # a text more than what was just checked
    problems = contract.input_problems(given)
    if problems:
        raise RefusedCallError(_mismatch(problems), from_caller=blame(problems[0].pointer) is Blame.CALLER)
    broken = contract.requires_failed(given)
    if broken is not None:
        code = "requires_failed" if broken.error is None else "condition_error"
        pointers = [f"/{name}" for name in dict.fromkeys(READ_OF_INPUT.findall(broken.expr))]
        pointer = pointers[0] if len(pointers) == 1 else None
        failed = Failed(code=code, message=broken.message, pointer=pointer, rule=broken.id)
        from_caller = {blame(each) for each in pointers or [""]} == {Blame.CALLER}
        raise RefusedCallError(failed, from_caller=from_caller)
    return Arguments(data=data, digest=digest)


def _not_told(places: Sequence[str]) -> None:
    """The last look at what a model would read, whatever the check of the plan let through. Raises RefusedCallError."""
    if places:
        raise RefusedCallError(Failed(code="sensitive_to_model", message=said_of(places), pointer=places[0]))


def _mismatch(problems: tuple[ValueProblem, ...]) -> Failed:
    first = problems[0]
    return Failed(
        code="input_mismatch", message=first.message, pointer=first.pointer, rule=first.rule, problems=problems
    )


def stored(value: Any) -> bytes:
    """The stored form of a value that bindings made. Raises RefusedCallError where it has none, as NaN."""
    try:
        return check_value(value, max_bytes=INPUT_BYTES_MAX, depth=INPUT_DEPTH_MAX)
    except BodyError as error:
        raise RefusedCallError(Failed(code="input_mismatch", message=error.message, pointer=error.pointer)) from error


def digest_of(contract_sha256: str, arguments: bytes) -> str:
    """What an approval is bound to: sha256 of {arguments, contract}, stored form."""
    return sha256(b'{"arguments":' + arguments + b',"contract":"' + contract_sha256.encode() + b'"}').hexdigest()


def stricter(one: Gate | None, other: Gate | None) -> Gate | None:
    """Both approvals in one: the role of the first, the higher level."""
    if one is None or other is None:
        return one or other
    return Gate(role=one.role, min_assurance=highest(one.min_assurance, other.min_assurance))


def _of_planner(_pointer: str) -> Blame:
    return Blame.PLANNER


def _of_caller(_pointer: str) -> Blame:
    return Blame.CALLER
