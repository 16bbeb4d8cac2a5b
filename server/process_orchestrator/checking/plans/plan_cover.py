"""Whether a plan says what happens where a value does not fit: guarded by a condition, or by what the step does then.

A guard is believed to mean what it looks at: whether its expression really keeps out each bad value is not decided.
Knows one step as written, and no schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from process_orchestrator.checking.documents.definitions import Step
from process_orchestrator.checking.values.bindings import Bound, Value, references
from process_orchestrator.core.codes import CODES
from process_orchestrator.core.facts.values import OnFailure

REFUSED: Final = "input_mismatch"
ABSENT: Final = "missing_binding"
"""The codes with which a step fails whose argument is refused, or is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """What stands around the arguments of a step; nothing, for the output of a process."""

    step: Step | None = None
    when: Value | None = None

    def covers(self, bounds: tuple[Bound, ...], code: str) -> bool:
        """Whether a failure with this code, of a value that these bindings make, is provided for."""
        if self.step is None:
            return False
        return self._handled(self.step, code) or bool(bounds and all(self._guarded(bound, code) for bound in bounds))

    def _handled(self, step: Step, code: str) -> bool:
        """`escalate` for everything is what happens anyway, so it says nothing; named for this failure it does."""
        words = step.on_failure
        if code in words or CODES[code].class_.value in words:
            return True
        by_item = step.for_each is not None and step.item_failure == "skip"
        return by_item or words.get("else", OnFailure.ESCALATE) is not OnFailure.ESCALATE

    def _guarded(self, bound: Bound, code: str) -> bool:
        """Whether the condition looks at the same place.

        A condition over what may be absent itself fails with it: there it has to look at what holds the place, at
        alternatives (`first`), or at how the step ended.
        """
        if self.when is None:
            return False
        for reference in references(self.when):
            other = reference.bound
            if (other.root, other.step) != (bound.root, bound.step):
                continue
            if other.part in {"status", "code"}:
                if code == ABSENT:
                    return True
                continue
            shorter, longer = sorted((other.segments, bound.segments), key=len)
            if longer[: len(shorter)] != shorter:
                continue
            if code != ABSENT or reference.optional or len(other.segments) < len(bound.segments):
                return True
        return False


NOTHING: Final = Cover()
