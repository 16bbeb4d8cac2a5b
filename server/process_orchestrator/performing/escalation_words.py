"""The sentences of a question to a person: what is asked, why, and what each answer will do.

Words only, from facts that `escalation_package` has gathered; nothing is read or decided here. A consequence is
concrete: it names the contract, the agent and what cannot be taken back, so that nobody approves "the step".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from process_orchestrator.checking.documents.definitions import Contract
from process_orchestrator.core import loops, rounds
from process_orchestrator.core.facts.values import (
    Decision,
    Effect,
    EscalationKind,
    Fact,
    Idempotency,
    Money,
    OnFailure,
)
from process_orchestrator.core.money import usd

if TYPE_CHECKING:
    from process_orchestrator.core.facts.commands import OpenEscalation

MESSAGE_CHARACTERS_MAX: Final = 300
_LOOPS: Final = {
    loops.SAME_CALL: "the very same call was begun as often as limits.same_call allows",
    loops.NO_PROGRESS: "the rounds of planning are used up, or the same plan was proposed again (limits.replans)",
    loops.DEPTH: "more processes stand above this one than limits.depth allows, or it stands above itself",
}
_RULES: Final = {
    rounds.TOO_MANY: "all rounds that repeat.max allows are used up and `until` does not hold yet",
    "usd_per_day": "each agent that could be asked has reached its cap of today (limits.usd_per_day, UTC)",
}
"""Failures that no answer explains, by their rule."""

NO_INPUT: Final = "input_mismatch"
"""The code of an intake that found the type, and not its whole input."""

DONE_BEFORE: Final = "done_before"
"""The code of a call that an earlier process made."""


class Facts(Fact, frozen=True, kw_only=True):
    """What the sentences are made of. `items` is how many a map has that is asked about as a whole."""

    contract: Contract | None = None
    agents: tuple[str, ...] = ()
    type_name: str | None = None
    type_summary: str | None = None
    on_abort: str = "leave"
    on_failure: dict[str, OnFailure] = {}
    has_default: bool = False
    items: int | None = None
    message: str | None = None
    steps: int | None = None


def question(command: OpenEscalation, facts: Facts) -> str:
    """What is asked, in one or two sentences."""
    contract = facts.contract
    step = _place(command)
    doing = f"{contract.name} ({_deed(contract)})" if contract else "its call"
    what = _failure(command, facts)
    match command.kind:
        case EscalationKind.APPROVAL if facts.items is not None:
            return f"May {step} call {doing} for all {facts.items} items?"
        case EscalationKind.APPROVAL:
            return f"May {step} call {doing} with exactly these arguments?"
        case EscalationKind.FAILED if command.unit is None:
            return f"Planning failed: {what}. How should it go on?"
        case EscalationKind.FAILED:
            return f"{step[:1].upper()}{step[1:]} failed: {what}. How should it go on?"
        case EscalationKind.OUTCOME_UNKNOWN if command.code == DONE_BEFORE:
            return (
                f"{step[:1].upper()}{step[1:]} was called before, by the process that this one takes up: "
                f"did {doing} take effect, and may it happen again? Look there before you decide."
            )
        case EscalationKind.OUTCOME_UNKNOWN:
            return (
                f"Did {doing} take effect? {step[:1].upper()}{step[1:]} ended without a sure answer: {what}. "
                "Look there before you decide."
            )
        case EscalationKind.TASK:
            return contract.summary if contract else f"What is the answer of {step}?"
        case EscalationKind.PLAN:
            return f"May this plan of {facts.steps} steps run?" if facts.steps else "May this plan run?"
        case EscalationKind.INTAKE:
            if command.code == NO_INPUT:
                return f"What is the input of this task? {facts.message or 'It cannot be read out of its words'}."
            return "Which process type fits this task, and with which input?"
        case EscalationKind.BUDGET if command.money is not None:
            needed, short = usd(command.money.needed_usd_micros), usd(command.money.short_usd_micros)
            return f"{step[:1].upper()}{step[1:]} may cost up to {needed} USD: {short} USD too much. May more be spent?"
        case EscalationKind.BUDGET:
            return f"The budget does not cover {step}. May more be spent?"
        case EscalationKind.LOOP if command.rule == loops.DEPTH:
            return "This process was started too deep inside other processes, or inside itself. Run it, or stop?"
        case EscalationKind.LOOP:
            return f"{step[:1].upper()}{step[1:]} repeats itself without progress. Once more, or stop?"
        case EscalationKind.DRIFT if command.unit is None:
            return (
                "This version of the orchestrator decides otherwise than the journal of this process says; the trace "
                "names where. Go on as this version decides, or stop?"
            )
        case EscalationKind.DRIFT:
            told = f" ({facts.message})" if facts.message else ""
            return (
                f"What the agent of {step} offers has changed since it was pinned{told}; nothing was called. "
                "Have it put right or accept it, then go on, or stop?"
            )
        case EscalationKind.UNDO_FAILED:
            return f"The effect of {_undone(command)} was not undone: {what}. Undo it, or leave it?"


def rule(command: OpenEscalation, facts: Facts) -> str:
    """Why a person is asked: the rule that fired."""
    contract = facts.contract
    match command.kind:
        case EscalationKind.APPROVAL if contract is not None and contract.approval is not None:
            when = contract.approval.when
            condition = when.get("expr") if isinstance(when, dict) else when
            always = f"{contract.name} {contract.version} demands approval"
            return f"{always} when {condition}" if condition else f"{always} for every call"
        case EscalationKind.APPROVAL:
            return (
                "the step demands approval" if command.context is None else "the step or the submitter demands approval"
            )
        case EscalationKind.FAILED:
            return f"on_failure: escalate, after {_failure(command, facts)}"
        case EscalationKind.OUTCOME_UNKNOWN:
            return "the effect may have happened, and the contract does not make a repeat safe"
        case EscalationKind.TASK:
            return f"the step is closed by a person ({command.role})"
        case EscalationKind.PLAN:
            return "submitted with approval: plan"
        case EscalationKind.INTAKE:
            reason = facts.message or command.code
            if command.code == NO_INPUT and facts.message:
                return facts.message
            ruled = "the rules found no single process type"
            return f"{ruled}; {reason}" if reason else ruled
        case EscalationKind.BUDGET:
            worst = "a call is reserved at its worst case before it is made, and the budget has less left"
            return worst if command.money is None else f"{worst}: {_books(command.money)}"
        case EscalationKind.LOOP:
            return _LOOPS.get(command.rule or "", f"a limit against loops was reached ({command.code or 'loop'})")
        case EscalationKind.DRIFT if command.unit is None:
            return "folding the journal led to other decisions than it holds"
        case EscalationKind.DRIFT:
            return "the live definition differs from the pinned one"
        case EscalationKind.UNDO_FAILED:
            if command.code == "no_undo":
                return "effects are being undone, and nothing is declared that undoes this one"
            if Decision.RETRY not in command.decisions:
                return "effects are being undone, and it is not known whether this one happened"
            return "effects are being undone, and the undo of this one used up its tries"


def consequence(decision: Decision, command: OpenEscalation, facts: Facts) -> str:
    """What a decision will do, in words a person can be held to."""
    contract = facts.contract
    called = contract.name if contract else "the call"
    step = _place(command)
    match decision:
        case Decision.APPROVE:
            return _approve(command, facts)
        case Decision.REJECT:
            return _reject(command, facts)
        case Decision.ABORT if command.undoes is not None:
            return f"Undoes nothing more: the effect of {_undone(command)} and all older ones stay, and are named."
        case Decision.ABORT:
            undone = (
                "steps already done are undone" if facts.on_abort == "compensate" else "steps already done stay done"
            )
            return f"Ends the process as failed; nothing more is called, {undone}."
        case Decision.RETRY:
            return _retry(command, facts)
        case Decision.RETRY_WITH_INPUT:
            return f"Calls {called} with the arguments you give instead, once they keep its input contract."
        case Decision.USE_OUTPUT:
            return f"Takes your data as the answer of {called} without calling it; the process goes on with it."
        case Decision.USE_AGENT:
            return f"Calls {called} with the same arguments at the agent you name, and at no other."
        case Decision.SKIP if command.kind is EscalationKind.UNDO_FAILED:
            return f"Leaves the effect of {_undone(command)} as it is; older effects are undone all the same."
        case Decision.SKIP:
            after = "its default stands in for its output" if facts.has_default else "no later step needs its output"
            return f"Leaves out {step}: {after}."
        case Decision.ANSWER:
            return f"Your answer becomes the output of {step}, once it keeps the output contract; the process goes on."
        case Decision.CHOOSE_TYPE:
            return "Starts the process type you name with the input you give, once it keeps that type's input schema."
        case Decision.RAISE_BUDGET:
            adds = "Adds the amount you give to the budget; what waits for money goes on"
            least = usd(command.money.short_usd_micros) if command.money is not None else None
            return f"{adds}: this call from {least} USD on." if least is not None else f"{adds}."


def warnings(command: OpenEscalation, facts: Facts) -> tuple[str, ...]:
    """What a person must know before any answer."""
    if command.kind is EscalationKind.UNDO_FAILED:
        return ("Look at the system that was changed: what the process leaves, only a person can take back.",)
    if command.kind is not EscalationKind.OUTCOME_UNKNOWN:
        return ()
    contract = facts.contract
    where = f" at {', '.join(contract.resources)}" if contract and contract.resources else ""
    return (
        f"The effect may already have happened. Look{where} first: a retry can make it happen twice."
        " If it did happen, use_output with what the agent would have answered.",
    )


def _books(money: Money) -> str:
    spent, reserved, cap = (
        usd(micros) for micros in (money.spent_usd_micros, money.reserved_usd_micros, money.cap_usd_micros)
    )
    return f"{spent} USD spent and {reserved} USD reserved of {cap} USD"


def _deed(contract: Contract) -> str:
    """What the contract does: the first sentence of its summary."""
    return contract.summary.split(". ", maxsplit=1)[0].rstrip(".")


def _undone(command: OpenEscalation) -> str:
    """The unit whose effect is in question."""
    return f"step {command.undoes.unit}" if command.undoes is not None else _place(command)


def _place(command: OpenEscalation) -> str:
    if command.undoes is not None:
        return f"the undo of step {command.undoes.unit}"
    return f"step {command.unit or command.step}" if command.unit or command.step else "the process"


def _failure(command: OpenEscalation, facts: Facts) -> str:
    code = command.code or "an unnamed failure"
    blame = f" (blame: {command.blame})" if command.blame else ""
    more = facts.message or _RULES.get(command.rule or "")
    return f"{code}{blame}" + (f", {more}" if more else "")


def _where(facts: Facts) -> str:
    match facts.agents:
        case ():
            return ""
        case (only,):
            return f" at agent {only}"
        case (first, *rest):
            return f" at agent {first} (or {', '.join(rest)})"
        case _:
            return ""


def _approve(command: OpenEscalation, facts: Facts) -> str:
    contract = facts.contract
    if command.kind is EscalationKind.PLAN:
        return "Lets this plan run, exactly as shown; calls that need their own approval still ask."
    if contract is None:
        return "Lets the process go on, exactly as shown."
    many = f"for each of the {facts.items} items" if facts.items is not None else "with exactly these arguments"
    done = f"{_deed(contract)}: calls {contract.name}{_where(facts)} {many}."
    if contract.effect is Effect.IRREVERSIBLE:
        return f"{done} This cannot be taken back."
    if contract.effect is Effect.WRITE:
        undo = f"{contract.undo.contract} can undo it" if contract.undo else "nothing is declared that undoes it"
        return f"{done} It changes the world; {undo}."
    return done


def _reject(command: OpenEscalation, facts: Facts) -> str:
    if command.undoes is not None:
        return f"Calls nothing; you are asked what becomes of the effect of {_undone(command)}."
    if command.kind is EscalationKind.PLAN:
        return "Lets nothing of this plan run; another plan may be proposed, else the process fails."
    word = facts.on_failure.get("rejected") or facts.on_failure.get("permanent") or facts.on_failure.get("else")
    after = {
        OnFailure.SKIP: "the step is skipped and the process goes on",
        OnFailure.COMPENSATE: "steps already done are undone and the process fails",
    }.get(word or OnFailure.FAIL, "the process fails; steps already done stay done")
    return f"Calls nothing; {after}."


def _retry(command: OpenEscalation, facts: Facts) -> str:
    contract = facts.contract
    if contract is None or command.unit is None:
        return "Tries again from here."
    again = f"Calls {contract.name}{_where(facts)} again"
    if command.kind is EscalationKind.UNDO_FAILED:
        return f"{again} to undo the effect."
    if command.kind is EscalationKind.DRIFT:
        return (
            "Compares anew, and calls once the pin matches; else asks again. "
            "To accept the change: `orchestrator agents drift`, then `orchestrator agents pin`."
        )
    if command.rule == rounds.TOO_MANY:
        return f"{again}, in as many rounds more as repeat.max says, until `until` holds."
    if command.kind is not EscalationKind.OUTCOME_UNKNOWN:
        return f"{again} with arguments built anew from the same data."
    if contract.idempotency is Idempotency.KEYED:
        return f"{again} under the same key, by which the agent can tell a repeat; with fresh_key under a new one."
    return f"{again}. If the first call did take effect, it takes effect twice."
