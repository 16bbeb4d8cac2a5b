"""The judgement of an agent's answer by its contract: one rule for processes and for `contracts verify`.

What came back is a value already. Nothing here calls anybody, and nothing follows from a verdict here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from process_orchestrator.checking.schemas.validate import check_value
from process_orchestrator.core.errors import BodyError
from process_orchestrator.core.ports import Body
from process_orchestrator.performing.failure import Failed, body_of

if TYPE_CHECKING:
    from process_orchestrator.checking.documents.definitions import Contract
    from process_orchestrator.checking.plans.compiled import CompiledContract
    from process_orchestrator.performing.agent_pool import Answer
    from process_orchestrator.performing.secrets import Secrets

OWN_CODES: Final = frozenset(
    {
        *("unreachable", "timeout", "lost", "not_json", "duplicate_key", "not_finite", "too_deep", "too_large"),
        *("output_mismatch", "ensures_failed", "undeclared_error", "drifted", "circuit_open", "rate_limited"),
        "input_mismatch",  # arguments that the agent's transport cannot carry
        *("no_model", "sensitive_to_model"),
    }
)
"""Codes that this judgement and the transports give; any other must be declared by the contract."""


def judge(contract: CompiledContract, given: Any, answer: Answer, *, secrets: Secrets) -> Body | Failed:
    """The answer against size, depth, output contract and `ensures`, in this order. `given` is for `ensures`."""
    definition = contract.contract
    value = answer.value
    try:
        data = check_value(value, max_bytes=definition.output_bytes, depth=definition.depth)
        if secrets.leaked_in(data):
            value = secrets.mask_value(value)
            data = check_value(value, max_bytes=definition.output_bytes, depth=definition.depth)
    except BodyError as error:
        return Failed(code=error.code, message=error.message, pointer=error.pointer or None, stderr=answer.stderr)
    problems = contract.output_problems(value)
    if problems:
        first = problems[0]
        return Failed(
            code="output_mismatch",
            message=first.message,
            pointer=first.pointer,
            rule=first.rule,
            answer=value,
            problems=problems,
            stderr=answer.stderr,
        )
    broken = contract.ensures_failed(given, value)
    if broken is not None:
        return Failed(code="ensures_failed", message=broken.message, rule=broken.id, answer=value, stderr=answer.stderr)
    return body_of(data)


def within_the_contract(failed: Failed, contract: Contract) -> Failed:
    """The failure itself where its code is one of ours or declared by the contract, else `undeclared_error`."""
    if failed.code in contract.errors or failed.code in OWN_CODES:
        return failed
    message = f"{failed.code} is no error that {contract.name} declares: {failed.message}"
    return Failed(code="undeclared_error", message=message, answer=failed.answer, stderr=failed.stderr)
