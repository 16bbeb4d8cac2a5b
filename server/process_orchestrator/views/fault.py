"""Whose fault a failure is, in words: the party, the rule that decided it, the place, and what to do about it.

The party itself is decided when the call fails, by the table of `core.codes`, and stands in the journal. This room only
says it: what of it the journal does not hold (hashes, the bindings that made the value, the last good call) is given
here, derived by the use cases. Pure; docs/whose-fault.md holds the same rules for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from process_orchestrator.core.facts.values import Blame, FailureClass
from process_orchestrator.views.models import FaultView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from process_orchestrator.core.facts.state import Failure
    from process_orchestrator.views.models import FaultSource, LastGood


@dataclass(frozen=True, kw_only=True)
class FaultContext:
    """What a failure does not say itself. `contract` is name@version of what was called, or of the process type."""

    process_id: str
    process_type: str | None = None
    agent: str | None = None
    contract: str | None = None
    contract_sha256: str | None = None
    declared: bool = False  # the code is one of the contract's own
    child: str | None = None  # the process that the step had started, and that failed
    engine_ended: bool = False  # between the call's beginning and its end
    by_model: bool = False  # no call has failed, but the model that was to make a plan
    sources: tuple[FaultSource, ...] = ()
    last_good: LastGood | None = None


def fault_view(failure: Failure, context: FaultContext) -> FaultView:
    """One failure, told by party, rule, place and remedy."""
    return FaultView(
        party=failure.blame.value,
        because=_because(failure, context),
        where=_where(failure, context),
        do=_do(failure, context),
        pointer=failure.pointer,
        rule=failure.rule,
        contract=context.contract,
        contract_sha256=context.contract_sha256,
        sources=list(context.sources),
        last_good=context.last_good,
    )


# --- why this party ----------------------------------------------------------------------------------------------

_AGENT: Final[Mapping[str, str]] = {
    "output_mismatch": "its answer breaks the output schema of {contract}",
    "ensures_failed": "its answer breaks what {contract} ensures",
    "not_json": "its answer is no JSON",
    "duplicate_key": "its answer names one key twice",
    "not_finite": "its answer holds a number that is NaN or infinite",
    "too_deep": "its answer is nested deeper than {contract} allows",
    "too_large": "its answer is larger than {contract} and the agent's limits allow",
    "undeclared_error": "it ended in an error that {contract} does not declare",
    "unreachable": "what it says of how to reach it cannot be used",
}
_TRANSPORT: Final[Mapping[str, str]] = {
    "unreachable": "the agent was not reached; nothing was sent",
    "timeout": "no whole answer came in the time that the contract gives",
    "lost": "the connection or the program ended in the middle of the call",
    "circuit_open": "the agent did not answer several times in a row, so nobody is sent there for now",
    "not_json": "what came back is not the protocol that the agent speaks",
}
_POLICY: Final[Mapping[str, str]] = {
    "over_budget": "the process may not spend what this call may take",
    "loop": "the same was done more often than the limits allow",
    "rejected": "a person, or the deadline of a question, said no",
    "aborted": "a person ended the process",
    "cancelled": "somebody asked to stop the process",
    "rate_limited": "the agent's limits let no more calls through for now",
    "done_before": "an earlier process made this call, and a repeat is not known to be harmless",
    "no_undo": "nothing is declared that takes this effect back",
    "no_model": "this stage needs a model, and none is set up",
}


_MODEL: Final[Mapping[str, str]] = {
    "no_model": "a plan must be made, and no model is set up that makes plans",
    "not_configured": "the planning model is not set up so that it can be asked",
    "rate_limited": "the planning model let no more questions through",
    "unreachable": "the planning model was not reached",
    "timeout": "the planning model gave no answer in the time of its tier",
    "lost": "the engine ended again and again while the planning model was asked",
    "refused": "the planning model will not answer this",
    "no_way": "no plan can be written: what the output needs, nothing on the map gives for this input",
}
_MODEL_ELSE: Final = "what the planning model said cannot be used, as often as it was asked"
_MODEL_DO: Final[Mapping[str, str]] = {
    "no_model": "Set up the tier `strong` (docs/models.md), then answer the question with retry.",
    "not_configured": "See `orchestrator doctor --models`, mend the settings, then answer the question with retry.",
    "refused": "See what the model says; put the task in other words, or set up another model.",
    "no_way": "Add a contract to {type} that gives what is missing, or give the input that it is made of.",
}
_MODEL_DO_ELSE: Final = "See `orchestrator doctor --models`, then answer the question with retry."


def _because(failure: Failure, context: FaultContext) -> str:
    contract = context.contract or "its contract"
    if context.by_model:
        return _MODEL.get(failure.code, _MODEL_ELSE)
    if context.child is not None:
        return f"the process that the step started failed with {failure.code}, and was blamed so"
    if context.engine_ended and failure.code == "lost":
        return "the engine ended in the middle of the call, and what must not be repeated is not sent again"
    match failure.blame:
        case Blame.CALLER if context.declared:
            return (
                f"the agent refused the arguments as {failure.code}, and they come from the input of the process alone"
            )
        case Blame.CALLER:
            return f"{_refused(failure, contract)}, and it comes from the input of the process alone"
        case Blame.PLANNER if failure.code == "condition_error":
            return "an expression of the plan or contract cannot be evaluated over these values"
        case Blame.PLANNER if context.declared:
            return f"the agent refused the arguments as {failure.code}, and the plan made them"
        case Blame.PLANNER:
            made = ", ".join(dict.fromkeys(each.contract for each in context.sources if each.step and each.contract))
            kept = f"; {made} kept its contract" if made else ""
            return f"{_refused(failure, contract)}, and the plan made it{kept}"
        case Blame.AGENT if context.declared:
            return f"the agent answered {failure.code}, an outcome that {contract} declares"
        case Blame.AGENT:
            return _AGENT.get(failure.code, _AGENT["undeclared_error"]).format(contract=contract)
        case Blame.CONTRACT:
            return "the agent's live definition is not the one that the contract was written for; nothing was sent"
        case Blame.TRANSPORT:
            return _TRANSPORT.get(failure.code, _TRANSPORT["lost"])
        case Blame.POLICY:
            told = _POLICY.get(failure.code, "a rule or a person stopped it")
            return f"{told}: {failure.message}" if failure.code == "cancelled" and failure.message else told
        case Blame.US:
            return "the orchestrator itself failed; neither the plan nor an agent could have prevented it"


def _refused(failure: Failure, contract: str) -> str:
    if failure.step is None:
        return f"a value is not what {contract} promises as its output"
    if failure.code == "missing_binding":
        return f"a value that {contract} needs is not there"
    return f"a value is not what {contract} takes"


def _where(failure: Failure, context: FaultContext) -> str:
    """Step, place and binding: `step post, /total, made of $.steps.extract.output.total`."""
    whole = "the output of the process" if failure.blame is Blame.PLANNER else "the process"
    place = [f"step {failure.unit or failure.step}" if failure.unit or failure.step else whole]
    if context.agent and context.child is None and failure.blame in (Blame.AGENT, Blame.TRANSPORT, Blame.CONTRACT):
        place.append(f"agent {context.agent}")
    if context.child is not None:
        place.append(f"process {context.child}")
    if failure.pointer is not None:
        place.append(failure.pointer or "/")
    if failure.rule is not None:
        place.append(f"rule {failure.rule}")
    if context.sources and failure.blame in (Blame.CALLER, Blame.PLANNER):
        place.append(f"made of {', '.join(each.binding for each in context.sources)}")
    return ", ".join(place)


# --- what to do --------------------------------------------------------------------------------------------------

_MEND_ANSWER: Final = (
    "Mend {agent}, or change {contract} where the answer is right; "
    "`orchestrator contracts verify {contract} --agent {agent}` tells more."
)
_MEND_AGENT: Final[Mapping[str, str]] = {
    "undeclared_error": "Mend {agent}; or declare the error in {contract} and name it in bind.errors of {agent}.",
    "unreachable": "Mend the card of {agent}, or its address in the agent's file.",
}
_DRIFTED: Final = (
    "Look at the difference with `orchestrator agents drift {agent}`; "
    "`orchestrator agents pin {agent}` accepts it, once the contract says what the agent now does."
)
_REACH: Final[Mapping[str, str]] = {
    "unreachable": "See that {agent} runs, and that the address and secrets in its file are right; "
    "`orchestrator doctor` helps.",
    "timeout": "See why {agent} is slow (its log: state/logs/{agent}.log), or raise timeout.attempt_s of {contract}.",
    "lost": "See why {agent} broke off (its log: state/logs/{agent}.log), and whether the effect happened.",
    "circuit_open": "Wait, or see why {agent} does not answer; it is tried again by itself.",
    "not_json": "See what answers for {agent}: a proxy or a login page at its address, a print() in its program.",
}
_DECIDED: Final = "Nothing is broken: somebody decided so, as the trace tells. Start or redrive it if that has changed."
_ALLOW: Final[Mapping[str, str]] = {
    "over_budget": "Raise {rule} of {type} if the work is worth it; a question about money takes raise_budget.",
    "rejected": _DECIDED,
    "aborted": _DECIDED,
    "cancelled": _DECIDED,
    "rate_limited": "Wait; or raise limits of {agent} (per_s, concurrency).",
    "done_before": "See what the earlier process did; `orchestrator redrive ID --again STEP` allows a second time.",
    "no_undo": "Take the effect back by hand, then answer the question; or declare effects.undo in {contract}.",
    "no_model": "Name the process type, or set up a model.",
}
_LOOP: Final[Mapping[str, str]] = {
    "no_progress": "See what the check or the calls have said (`orchestrator state {process} --include report`); "
    "if more rounds of planning would help, raise limits.replans of {type}.",
    "repeat.max": "See why the condition of the repeated step does not hold; if it takes longer, raise its repeat.max.",
}
_LOOP_ELSE: Final = "See why the same is done again; if it is meant, raise limits.{rule} of {type}."
_CAP: Final = "Wait until the cap frees, or raise limits.usd_per_day of {agent}."
_MEND_US: Final = (
    "See `orchestrator doctor` and `orchestrator verify`, and report it with the engine's log; "
    "nothing has to be changed in the definitions."
)


def _do(failure: Failure, context: FaultContext) -> str:
    said = _remedy(failure, context)
    return said.format(
        agent=context.agent or "the agent",
        contract=(context.contract or "the contract").partition("@")[0],
        type=context.process_type or "the process type",
        rule=failure.rule or "budget.usd",
        process=context.process_id,
    )


def _remedy(failure: Failure, context: FaultContext) -> str:
    code = failure.code
    if context.by_model:
        return _MODEL_DO.get(code, _MODEL_DO_ELSE)
    if context.child is not None:
        return f"`orchestrator why {context.child}` tells what failed there, and what to do."
    if context.engine_ended and code == "lost":
        return "See whether the effect happened at {agent}, then answer the question."
    match failure.blame:
        case Blame.CALLER:
            paths = [_braced(each.binding) for each in context.sources if each.binding.startswith("$.input")]
            return f"Correct {' and '.join(paths) or 'the input'}, then give the whole input again with --input."
        case Blame.PLANNER:
            at = f" of {_braced(failure.pointer)}" if failure.pointer else "s"
            place = "the expression" if code == "condition_error" else f"the binding{at}"
            step = f"step {failure.step}" if failure.step else "the plan's output"
            return f"Mend {place} in {step} of {{type}}; `orchestrator check` tells whether it fits."
        case Blame.AGENT if context.declared:
            return f"Mend the cause at {{agent}}, or let the plan foresee it (on_failure, by the code {code})."
        case Blame.AGENT if failure.class_ is FailureClass.NEEDS_HUMAN:
            return "Give {agent} what it asks for, as its answer tells; or put it into the input of {contract}."
        case Blame.AGENT:
            return _MEND_AGENT.get(code, _MEND_ANSWER)
        case Blame.CONTRACT:
            return _DRIFTED
        case Blame.TRANSPORT:
            return _REACH.get(code, _REACH["lost"])
        case Blame.POLICY if failure.rule == "usd_per_day":
            return _CAP
        case Blame.POLICY if code == "loop":
            return _LOOP.get(failure.rule or "", _LOOP_ELSE)
        case Blame.POLICY:
            return _ALLOW.get(code, "Change the rule in {type} if this should have been allowed.")
        case Blame.US:
            return _MEND_US


def _braced(text: str) -> str:
    """A pointer as part of a text that is formatted: it may hold anything."""
    return text.replace("{", "{{").replace("}", "}}")
