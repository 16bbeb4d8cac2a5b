"""Money as users see it: a process that waits for it, the question, the answer, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.home import ASSERTED, PASSPHRASE, REVIEWER, Desk
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts.values import Status
from process_orchestrator.views.models import Caller, ResolveRequest

if TYPE_CHECKING:
    from process_orchestrator.core.ports import Proof
    from process_orchestrator.views.models import ProcessView, Resolution

pytestmark = pytest.mark.anyio


async def short(desk: Desk) -> ProcessView:
    """A booking that has 0.0025 USD: 0.002 for reading, and half of what posting costs."""
    desk.reviewers.add("ana", PASSPHRASE)
    return await desk.settled(budget_usd="0.0025")


async def answer(desk: Desk, view: ProcessView, decision: str, data: Any = None, proof: Proof = REVIEWER) -> Resolution:
    request = ResolveRequest(escalation_id=view.escalations[0].escalation_id, decision=decision, data=data)
    return await desk.orchestrator.resolve(request, proof=proof, caller=Caller())


async def test_a_process_that_lacks_money_waits_and_says_so(desk: Desk) -> None:
    view = await short(desk)

    assert (view.status, view.why, view.steps[-1].why) == ("waiting_human", "budget", "budget")
    assert (view.cost.spent_usd, view.cost.reserved_usd, view.cost.budget_usd) == ("0.002", "0.00", "0.0025")
    assert "ledger" not in [name for name, _, _ in desk.fleet.calls]


async def test_the_question_says_what_is_needed_spent_reserved_and_missing(desk: Desk) -> None:
    row = (await short(desk)).escalations[0]

    asked = await desk.orchestrator.escalation(row.escalation_id)

    assert asked.question == "Step post may cost up to 0.001 USD: 0.0005 USD too much. May more be spent?"
    assert asked.why.rule.endswith("less left: 0.002 USD spent and 0.00 USD reserved of 0.0025 USD")
    assert [(option.decision, option.consequence) for option in asked.options] == [
        (
            "raise_budget",
            "Adds the amount you give to the budget; what waits for money goes on: this call from 0.0005 USD on.",
        ),
        ("abort", "Ends the process as failed; nothing more is called, steps already done stay done."),
    ]
    [books] = [entry for entry in asked.evidence or () if entry.label == "how the budget stands"]
    assert books.value == {
        "needed_usd": "0.001",
        "spent_usd": "0.002",
        "reserved_usd": "0.00",
        "budget_usd": "0.0025",
        "short_usd": "0.0005",
    }


async def test_raising_the_budget_lets_it_go_on(desk: Desk) -> None:
    view = await short(desk)

    await answer(desk, view, "raise_budget", {"usd": "0.0005"})

    await desk.host.until(view.process_id, Status.COMPLETED)
    ended = await desk.orchestrator.state(view.process_id)
    assert (ended.status, ended.cost.spent_usd, ended.cost.budget_usd) == ("completed", "0.003", "0.003")


@pytest.mark.parametrize("data", [None, {"usd": 0}, {"usd": "-1"}, {"usd": "much"}, {"usd": "0.0000001"}])
async def test_what_is_no_amount_is_refused_and_the_question_stays(desk: Desk, data: Any) -> None:
    view = await short(desk)

    with pytest.raises(RefusedError) as raised:
        await answer(desk, view, "raise_budget", data)

    assert (raised.value.code, raised.value.pointer) == ("BUDGET_INVALID", "/usd")
    assert (await desk.orchestrator.state(view.process_id)).why == "budget"


async def test_an_amount_beyond_all_measure_is_refused(desk: Desk) -> None:
    view = await short(desk)

    with pytest.raises(RefusedError) as raised:
        await answer(desk, view, "raise_budget", {"usd": "9999999999"})

    assert raised.value.code == "BUDGET_INVALID"


async def test_spending_more_needs_a_person_and_stopping_needs_nobody(desk: Desk) -> None:
    view = await short(desk)

    assert (await answer(desk, view, "raise_budget", {"usd": "1"}, proof=ASSERTED)).status == "needs_human"
    assert (await answer(desk, view, "abort", proof=ASSERTED)).status == "resolved"
    ended = await desk.orchestrator.state(view.process_id)
    assert (ended.status, ended.error.code if ended.error else None) == ("failed", "aborted")
