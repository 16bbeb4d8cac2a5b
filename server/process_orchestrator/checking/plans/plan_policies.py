"""What a step says of failures, tries and time: words that mean nothing, and bounds looser than its contract's."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from process_orchestrator.checking.documents.definitions import Contract, Step
from process_orchestrator.checking.plans.checked_plan import CheckedStep
from process_orchestrator.checking.plans.plan_flow import StepFault
from process_orchestrator.checking.plans.plan_map import Definitions
from process_orchestrator.checking.schemas.nearest import likely
from process_orchestrator.core.codes import CODES
from process_orchestrator.core.facts.values import FailureClass


def policy_faults(each: CheckedStep, registry: Definitions) -> Iterator[StepFault]:
    """What has no meaning in `on_failure` and `retry` of a step, and what in it loosens its contract."""
    if each.child is not None:
        plan = registry.plan(each.child).facts
        codes = {code for step in plan.steps for code in step.errors} if plan is not None else set[str]()
        yield from _unknown_failures(each.step, codes, f"any step of {each.child.name}")
    if each.contract is not None:
        yield from _unknown_failures(each.step, each.contract.errors, each.contract.name)
        yield from _loosened(each.step, each.contract)


def _unknown_failures(step: Step, codes: Collection[str], whose: str) -> Iterator[StepFault]:
    """A process fails with the code of its step that failed; a call with one of its contract or of ours."""
    known = {*codes, *(failure.value for failure in FailureClass), *CODES, "else"}
    for word in step.on_failure:
        if word not in known:
            message = f"`{word}` is no error code of {whose}, no class and not `else`"
            yield StepFault("UNKNOWN_ERROR", f"/on_failure/{word}", message, f"write `{likely(word, known) or 'else'}`")


def _loosened(step: Step, contract: Contract) -> Iterator[StepFault]:
    allowed_s = contract.total_ms / 1000
    if step.timeout_s is not None and step.timeout_s > allowed_s:
        message = f"{contract.name} allows {allowed_s:g} seconds in all; a step may only tighten that"
        yield StepFault("TIMEOUT_LOOSENED", "/timeout_s", message, f"write at most {allowed_s:g}")
    retry = step.retry or {}
    most = contract.retry.max_attempts
    if retry.get("max_attempts", most) > most:
        message = f"{contract.name} allows {most} attempts; a step may only tighten that"
        yield StepFault("RETRY_LOOSENED", "/retry/max_attempts", message, f"write at most {most}")
    for index, word in enumerate(retry.get("on", ())):
        if word not in contract.retry.on:
            message = f"{contract.name} does not retry on `{word}`; a step may only tighten that"
            yield StepFault("RETRY_LOOSENED", f"/retry/on/{index}", message, f"remove `{word}`")
