"""From a failure to its event: class, blame and outcome by the core's table, the message masked and cut, the evidence.

Which code it is was decided where it happened; what follows from a code is the core's. This room adds what only the
data plane has: evidence, time, jitter.
"""

from __future__ import annotations

import re
from typing import Any, Final

from process_orchestrator.checking.documents.masking import cut
from process_orchestrator.checking.retry_after import bounded_ms
from process_orchestrator.checking.schemas.validate import ValueProblem, encode_body, ref_of
from process_orchestrator.core.codes import classify
from process_orchestrator.core.errors import AgentCallError, BodyError
from process_orchestrator.core.facts.events import CallFailed, StageFailed
from process_orchestrator.core.facts.specs import DeclaredError
from process_orchestrator.core.facts.values import Blame, Fact, FailureClass, Outcome, Stage
from process_orchestrator.core.ports import Body, Clock, Performed

MESSAGE_MAX: Final = 300
EVIDENCE_BYTES_MAX: Final = 65_536
"""Of a bad answer that is kept: enough to see what is wrong, not the 50 MB."""

STDERR_CHARACTERS_MAX: Final = 8_000
CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")
"""What could steer a terminal, turn text around, or has no stored form. Agent text reaches people in messages."""


class Failed(Fact, frozen=True, kw_only=True):
    """A failure before it is an event. None: as the table says."""

    code: str
    message: str = ""
    class_: FailureClass | None = None
    blame: Blame | None = None
    outcome: Outcome | None = None
    pointer: str | None = None
    rule: str | None = None
    answer: Any = None
    problems: tuple[ValueProblem, ...] = ()
    stderr: str | None = None
    retry_after_ms: int | None = None

    @classmethod
    def of(cls, error: AgentCallError) -> Failed:
        return cls(
            code=error.code,
            message=error.message,
            class_=error.class_,
            blame=error.blame,
            outcome=error.outcome,
            answer=error.answer,
            stderr=error.stderr,
            retry_after_ms=error.retry_after_ms,
        )


class RefusedCallError(Exception):
    """The call may not be made as the plan makes it. Becomes CallFailed."""

    def __init__(self, failed: Failed, *, from_caller: bool = False) -> None:
        super().__init__(failed.code)
        self.failed, self.from_caller = failed, from_caller


class Spent(Fact, frozen=True, kw_only=True):
    """What the call took."""

    usd_micros: int | None = None
    tokens: int | None = None
    ms: int = 0


def call_failed(
    call: str,
    failed: Failed,
    *,
    clock: Clock,
    declared: DeclaredError | None = None,
    from_caller: bool = False,
    spent: Spent | None = None,
) -> Performed:
    """The event of a failed call, and its evidence. `from_caller`: what was refused comes from `$.input` alone."""
    facts = classify(failed.code, declared, input_only_from_caller=from_caller)
    spent = spent or Spent()
    detail = _detail(failed)
    event = CallFailed(
        at=clock.now_ms(),
        call=call,
        code=failed.code,
        class_=failed.class_ or facts.class_,
        blame=failed.blame or facts.blame,
        outcome=failed.outcome or facts.outcome,
        pointer=failed.pointer,
        rule=failed.rule,
        message=clean(failed.message) or None,
        detail=detail.ref if detail is not None else None,
        retry_after_ms=None if failed.retry_after_ms is None else bounded_ms(failed.retry_after_ms),
        jitter=clock.jitter(),
        usd_micros=spent.usd_micros,
        tokens=spent.tokens,
        ms=spent.ms,
    )
    return Performed(event=event, bodies=(detail,) if detail is not None else ())


def stage_failed(stage: Stage, failed: Failed, *, clock: Clock, step: str | None = None) -> Performed:
    """The event of a stage that failed, and its evidence."""
    detail = _detail(failed)
    event = StageFailed(
        at=clock.now_ms(),
        stage=stage,
        code=failed.code,
        blame=failed.blame or classify(failed.code).blame,
        step=step,
        pointer=failed.pointer,
        message=clean(failed.message) or None,
        detail=detail.ref if detail is not None else None,
    )
    return Performed(event=event, bodies=(detail,) if detail is not None else ())


def body_of(data: bytes) -> Body:
    """A stored form with its name."""
    return Body(ref=ref_of(data), data=data)


def clean(text: str) -> str:
    """One line of at most 300 characters that cannot steer a terminal."""
    return CONTROLS.sub(" ", text).strip()[:MESSAGE_MAX]


def _detail(failed: Failed) -> Body | None:
    detail: dict[str, Any] = {}
    if failed.answer is not None:
        detail["answer"], detail["answer_cut"] = cut(failed.answer, limit=EVIDENCE_BYTES_MAX)
    if failed.problems:
        detail["errors"] = [
            {
                "pointer": problem.pointer,
                "schema_pointer": problem.schema_pointer,
                "rule": problem.rule,
                "message": problem.message,
                "expected": problem.expected,
                "got": problem.got,
            }
            for problem in failed.problems
        ]
    if failed.stderr:
        detail["stderr"] = failed.stderr[-STDERR_CHARACTERS_MAX:]
    if not detail:
        return None
    try:
        return body_of(encode_body(detail))
    except BodyError:  # evidence that is no JSON itself, such as a lone surrogate
        return body_of(encode_body({key: repr(value)[:MESSAGE_MAX] for key, value in detail.items()}))
