"""People of a simulation or soak: one decision on an open escalation, with all that it needs, drawn at random."""

import ast
import random
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from faults.catalogue import SERVED
from faults.network import Deed
from faults.thinking import GIVEN, made_type
from process_orchestrator.checking.schemas.validate import encode_body, ref_of
from process_orchestrator.core.facts.events import EscalationResolved
from process_orchestrator.core.facts.state import Escalation, Process
from process_orchestrator.core.facts.values import Decision
from process_orchestrator.core.ports import Bodies, Body, Proof, ProofKind

WITH_DATA = frozenset({Decision.USE_OUTPUT, Decision.ANSWER, Decision.RETRY_WITH_INPUT})


class Decided(NamedTuple):
    event: EscalationResolved
    bodies: Bodies
    proof: Proof


def decide(draw: random.Random, state: Process, escalation: Escalation, *, abort: bool = False) -> Decided:
    """Any decision that is offered, abort seldom; `abort`: that and nothing else."""
    offered = list(escalation.decisions)
    decision = Decision.ABORT if abort else draw.choice(offered)
    if decision is Decision.ABORT and not abort and draw.random() < 0.8:
        decision = offered[0]
    return decided(draw, state, escalation, decision)


def decided(draw: random.Random, state: Process, escalation: Escalation, decision: Decision) -> Decided:
    """One decision with all that it needs, by a person at a terminal."""
    bodies, data, checked = Bodies(), None, None
    if decision in WITH_DATA:
        stored = encode_body({"n": draw.randint(0, 5), "known": draw.random() < 0.5})
        data, checked = ref_of(stored), escalation.contract_sha256
        bodies = Bodies(artifacts=(Body(ref=data, data=stored),))
    pin = None
    if decision is Decision.CHOOSE_TYPE:
        (pin, _), stored = made_type(), encode_body(GIVEN)
        data, checked = ref_of(stored), pin.sha256
        bodies = Bodies(artifacts=(Body(ref=data, data=stored),))
    unit = state.units.get(escalation.unit or "")
    count = unit.count if unit is not None else None
    whole_map = decision is Decision.APPROVE and count
    event = EscalationResolved(
        at=0,
        escalation=escalation.id,
        version=draw.choice([None, escalation.version]),
        decision=decision,
        data=data,
        checked=checked,
        process_type=pin,
        agent=draw.choice(list(SERVED)) if decision is Decision.USE_AGENT else None,
        usd_micros=draw.choice([50_000, 1_000_000]) if decision is Decision.RAISE_BUDGET else None,
        reject_items=tuple(range(0, count or 0, 2)) if whole_map and draw.random() < 0.5 else (),
        fresh_key=decision is Decision.RETRY and draw.random() < 0.2,
        request_id=f"{state.spec.process_id} {escalation.id} {draw.random()}",
    )
    return Decided(event, bodies, Proof(kind=ProofKind.TERMINAL))


def steady(state: Process, escalation: Escalation, deeds: Sequence[Deed]) -> Decided:
    """What a careful person decides: approve, answer, and look whether it was done before asking for it again."""
    process, unit = state.spec.process_id, escalation.unit or ""
    done = [deed for deed in deeds if (deed.process, deed.unit) == (process, unit)]
    wanted = [
        Decision.APPROVE,
        Decision.ANSWER,
        Decision.RAISE_BUDGET,
        *([Decision.USE_OUTPUT] if done else []),
        Decision.RETRY,
    ]
    decision = next(each for each in (*wanted, *escalation.decisions) if each in escalation.decisions)
    found = decided(random.Random(escalation.id), state, escalation, decision)
    if decision not in WITH_DATA:
        event = msgspec.structs.replace(found.event, fresh_key=False, reject_items=(), request_id=escalation.id)
        return found._replace(event=event)
    given = dict(ast.literal_eval(done[0].given)) if done else {"n": 3}
    stored = encode_body({"n": given["n"], "known": True, "list": [1, 2]})
    event = msgspec.structs.replace(found.event, data=ref_of(stored), request_id=escalation.id)
    return Decided(event, Bodies(artifacts=(Body(ref=ref_of(stored), data=stored),)), found.proof)
