"""Repeated steps: their rounds follow one another until a condition holds over what the last one gave.

A round is a unit like any other, with its own calls, key and questions; the step's own unit stands for all of them.
The performer tells whether the condition holds, when the next round is prepared. How long to wait between two rounds,
and how many there may be, is asked in `pauses`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from process_orchestrator.core import calling, keys
from process_orchestrator.core.facts.values import Phase

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.state import Unit

UNTIL: Final = "until"
"""Why a round is skipped whose step is done: StepSkipped(reason="until")."""

TOO_MANY: Final = "repeat.max"
"""The rule that ends a step whose condition never held."""


def begin(draft: Draft, whole: Unit) -> None:
    """Let the first round of a step in. `whole` is the step's own unit."""
    repeat = draft.facts(whole).repeat
    assert repeat is not None  # only a repeated step begins here
    whole = draft.put(replace(whole, phase=Phase.CALLING, started_at=draft.now, rounds=1, rounds_max=repeat.max))
    calling.prepare(draft, draft.new_unit(draft.facts(whole), place=whole.place, number=1))


def closed(draft: Draft, unit: Unit) -> Unit | None:
    """What a closed round makes of its step: None while another round follows.

    The next round goes on with what a human said of this one: an approval of the same arguments, an input of his own.
    """
    whole, number = draft.units[unit.step], unit.round or 1
    if unit.phase is Phase.DONE:
        draft.put(replace(whole, rounds=number + 1))
        following = draft.new_unit(draft.facts(unit), place=unit.place, number=number + 1)
        calling.prepare(draft, replace(following, approved_digest=unit.approved_digest, override=unit.override))
        return None
    if unit.until_met:
        last = draft.units[keys.round_id(unit.step, number - 1)]
        return replace(
            whole, phase=Phase.DONE, output=last.output, author=last.author, author_assurance=last.author_assurance
        )
    return replace(whole, phase=Phase.SKIPPED, output=unit.output, failure=unit.failure)


def allow_more(draft: Draft, unit: Unit) -> None:
    """A human has said to go on with a step that had used its rounds up: it gets as many again."""
    failure, repeat = unit.failure, draft.facts(unit).repeat
    if repeat is not None and failure is not None and failure.rule == TOO_MANY:
        whole = draft.units[unit.step]
        draft.put(replace(whole, rounds_max=whole.rounds_max + repeat.max))
