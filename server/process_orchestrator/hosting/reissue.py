"""What a process that is taken up again has outstanding, and what of it may be carried out once more. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from process_orchestrator.core.facts.commands import (
    CancelCall,
    ClassifyTask,
    Command,
    CommandClass,
    InvokeAgent,
    ProposePlan,
    StartChild,
    StartTimer,
    WriteBrief,
)
from process_orchestrator.core.facts.values import Effect, Idempotency
from process_orchestrator.hosting.turns import short_form

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


_UNDER_WAY: Final = InvokeAgent | CancelCall | ClassifyTask | ProposePlan | WriteBrief


class Reissue(NamedTuple):
    """`orders` are carried out again, `timers` set again; of the calls in `lost` nobody will ever hear."""

    orders: tuple[Command, ...]
    timers: tuple[StartTimer, ...]
    lost: tuple[str, ...]


def under_way(outstanding: Sequence[Command], *, after_outage: bool) -> bool:
    """Whether a call or a model's work was handed over and not answered.

    `after_outage`: a child counts, it had no engine either.
    """
    kinds = _UNDER_WAY | StartChild if after_outage else _UNDER_WAY
    return any(isinstance(command, kinds) for command in outstanding)


def reissue(outstanding: Sequence[Command], *, deliveries: Mapping[str, int], deliveries_max: int) -> Reissue:
    """Sort what is outstanding. A call that was told to stop, must not be repeated, or was too often, is lost."""
    lost = {command.call for command in outstanding if isinstance(command, CancelCall) and command.child is None}
    lost |= {
        command.call
        for command in outstanding
        if isinstance(command, InvokeAgent) and _spent(command, deliveries.get(command.call, 0), deliveries_max)
    }
    return Reissue(
        orders=tuple(
            command
            for command in outstanding
            if _is_carried_out_again(command) and getattr(command, "call", None) not in lost
        ),
        timers=tuple(command for command in outstanding if isinstance(command, StartTimer)),
        lost=tuple(sorted(lost)),
    )


def not_among(commands: Iterable[Command], *, ordered: Iterable[Command]) -> tuple[Command, ...]:
    """The commands that are not ordered already. Each is compared with its namesakes alone: a wide map has many."""
    namesakes: dict[str, list[Command]] = {}
    for command in ordered:
        namesakes.setdefault(short_form(command), []).append(command)
    return tuple(command for command in commands if command not in namesakes.get(short_form(command), ()))


def _is_carried_out_again(command: Command) -> bool:
    """Timers are set again apart; of the host's other orders only those about children have an answer to wait for."""
    return command.class_of is not CommandClass.HOST or isinstance(command, StartChild | CancelCall)


def _spent(command: InvokeAgent, delivered: int, deliveries_max: int) -> bool:
    """Whether a call that may have been sent must not be sent again."""
    harmless = command.effect in (Effect.NONE, Effect.READ) or command.idempotency is not Idempotency.UNSAFE
    return delivered >= (deliveries_max if harmless else 1)
