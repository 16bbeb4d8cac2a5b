"""A paragraph of a model says what the facts say, or it is not shown: labelled paragraphs, one by one."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process_orchestrator.checking.documents.invented import CHARACTERS_MAX, invented

NAMES: Final = ("ledger", "ledger.post", "reader", "courier", "refund_desk", "post", "order.refund", "hold")
"""Agents, contracts and steps of the installation; the facts below name some of them."""

FACTS: Final[dict[str, Any]] = {
    "question": "Step post failed: closed (blame: agent), the period is closed. How should it go on?",
    "why": {"rule": "on_failure: escalate, after closed (blame: agent)"},
    "goal": "booking: Check an incoming invoice and book it.",
    "options": [
        {"decision": "retry", "consequence": "Calls ledger.post at agent ledger again.", "cost_usd": "0.001"},
        {"decision": "abort", "consequence": "Ends the process as failed; steps already done stay done."},
    ],
    "evidence": [
        {
            "label": "arguments of the call",
            "value": {
                "number": "LB-1042",
                "total": 1200.5,
                "due": "2026-11-30",
                "vendor": {"name": "Holm & Falk", "mail": "books@holm-falk.example", "iban": "[sensitive]"},
                "lines": [{"name": "paper", "amount": 40}, {"name": "ink", "amount": 60}],
            },
        },
        {"label": "what is wrong with it", "value": [{"message": "closed since 2026-10-31T23:59:00Z", "attempts": 3}]},
        {"label": "unit", "value": "lines[3]"},
    ],
}

SOUND: Final = (
    "The ledger refused to book invoice LB-1042 because the period is closed.",
    "Booking the invoice of Holm & Falk failed at step post: the ledger says that the period is closed.",
    "The period has been closed since 31 October 2026, and the invoice is due on November 30, 2026.",
    "The call to ledger.post was tried 3 times and ended with closed each time.",
    "Three attempts were made, and each was refused by the agent.",
    "The total is 1,200.50 USD, made of 40 for paper and 60 for ink.",
    "The total is 1200.5; a retry would cost 0.001 USD.",
    "Nothing was booked, so the effect did not happen; the vendor's account number is not shown here.",
    "The agent kept its contract: it answered with the declared error closed.",
    "A person can have the ledger called again, or end the process as failed.",
    "If the period stays closed, another call would most likely end in the same way.",
    "The vendor can be reached at books@holm-falk.example.",
    "Item lines[3] is the one in question; the others are settled.",
    "The invoice LB-1042 is due 2026-11-30, a month after the period was closed at 23:59.",
    "Step post failed, while the steps before it are done and stay done.",
    "The ledger's answer names a closed period; whether that is right only its keeper knows.",
    "It is not known why the period was closed.",
    "The message reads: closed since 2026-10-31T23:59:00Z.",
    "The invoice, which Holm & Falk sent, is not booked yet.",
    "The blame lies with the agent; the arguments of the call kept the contract.",
    "The due date, 30.11.2026, has not been changed by the process.",
    "The line for ink is larger than the line for paper (60 against 40).",
)

BAD: Final = (
    # numbers
    ("The ledger refused invoice LB-1042 over 4,711.00 USD.", "number"),
    ("It was tried 17 times.", "number"),
    ("Four attempts were made.", "number"),
    ("About two thousand dollars are at stake.", "number"),
    ("The chance of success is 95%.", "number"),
    ("It took 250ms to answer.", "number"),
    ("A dozen invoices wait behind it.", "number"),
    ("The total is 1.200,51 EUR.", "number"),
    ("The total doubled to \uff14\uff12 USD.", "number"),
    ("It failed \u0664 times.", "number"),
    ("The total is 12005 USD.", "number"),
    ("Only \u00bd of it was booked.", "number"),
    # ids and names
    ("Invoice LB-1043 was refused.", "id"),
    ("Posting L-77 stands in its way.", "id"),
    ("The invoice 1042-LB was refused.", "id"),
    ("The account DE89370400440532013000 was charged.", "id"),
    ("The unit lines[4] failed as well.", "id"),
    ("The contract order.refund would help.", "name"),
    ("The agent courier could deliver it instead.", "name"),
    ("The courier agent is free.", "name"),
    ("The refund_desk can take it back.", "name"),
    ("Step hold keeps the money back.", "name"),
    ("The agent auditor has looked at it.", "name"),
    ("It was told to Dana Kim from Accounting.", "name"),
    ("The vendor of the invoice, Acme, was informed.", "name"),
    # dates
    ("The period was closed on 30 October 2026.", "date"),
    ("The invoice is due on 2026-12-01.", "date"),
    ("It is due on November 29.", "date"),
    ("The period was closed in March 2025.", "date"),
    ("The period opens again on 01/12/2026.", "date"),
    ("It will be open again in January.", "date"),
    ("The period opens again on Monday.", "date"),
    ("The agent was down yesterday.", "date"),
    ("It was closed at 22:15.", "number"),
    # addresses
    ("Ask help@holm-falk.example about it.", "mail"),
    ("Details stand at https://holm-falk.example/closed.", "address"),
    ("Details stand at www.holm-falk.example.", "address"),
    ("Details stand at holm-falk.example.org now.", "address"),
    ("Details stand at //holm-falk.example/x.", "address"),
    ("Write to mailto:books@holm-falk.example.", "address"),
    # telling what to decide
    ("Approve this at once.", "decides"),
    ("The period is closed. Please approve the retry.", "decides"),
    ("You should retry the call.", "decides"),
    ("It is safe to retry.", "decides"),
    ("The call can be approved without further checks.", "decides"),
    ("I recommend the retry.", "decides"),
    ("Retrying is the recommended option.", "decides"),
    ("There is no need to look at the ledger.", "decides"),
    ("The period is open again; retry the call.", "decides"),
    ("A reviewer must confirm this.", "decides"),
    ("Just skip the step.", "decides"),
    ("Ignore the warnings above.", "decides"),
    ("Feel free to go on.", "decides"),
    ("Go right ahead.", "decides"),
    ("Hit approve.", "decides"),
    ("Say yes.", "decides"),
    ("An approval now would help.", "decides"),
    ("Approving it is the only sensible way.", "decides"),
    ("It would be wrong to wait.", "decides"),
    ("Send the money elsewhere.", "decides"),
    # what somebody is said to have looked at
    ("The customer was verified.", "name"),
    ("It was already approved by a manager.", "name"),
    # markup and what cannot be seen
    ("\u0410pprove this at once.", "alphabets"),
    ("The **ledger** refused it.", "markup"),
    ("The ledger <b>refused</b> it.", "markup"),
    ("The `ledger` refused it.", "markup"),
    ("See [the ledger](ledger.post).", "markup"),
    ("# The ledger refused it.", "markup"),
    ("- The ledger refused it.", "markup"),
    ("The ledger &lt;refused&gt; it.", "markup"),
    ("The ledger refused it.\nApproved.", "control"),
    ("The ledger \x1b[31mrefused\x1b[0m it.", "control"),
    ("The ledger refused \u202eit.", "control"),
    ("The led\u200bger refused it.", "control"),
    ("", "empty"),
    ("   ", "empty"),
    ("The ledger refused it. " * 30, "long"),
)

SAID: Final = {
    "number": "no fact",
    "id": "no fact",
    "name": "no fact",
    "alphabets": "mixes alphabets",
    "date": "no fact says the date",
    "mail": "no fact holds",
    "address": "",
    "decides": "it tells the reader what to decide",
    "markup": "it holds markup",
    "control": "it holds the control character",
    "empty": "it is empty",
    "long": f"{CHARACTERS_MAX} are allowed",
}


@pytest.mark.parametrize("paragraph", SOUND)
def test_what_the_facts_say_may_be_said(paragraph: str) -> None:
    assert invented(paragraph, FACTS, names=NAMES) is None


@pytest.mark.parametrize(("paragraph", "label"), BAD)
def test_what_they_do_not_say_may_not(paragraph: str, label: str) -> None:
    reason = invented(paragraph, FACTS, names=NAMES)
    assert reason is not None
    if label in {"decides", "markup", "control", "empty", "long", "date"}:
        assert SAID[label] in reason


def test_the_labelled_set_is_large_enough() -> None:
    assert len(SOUND) >= 20
    assert len(BAD) >= 40


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=700),
    st.recursive(
        st.text() | st.integers() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ),
)
def test_it_never_raises(paragraph: str, facts: Any) -> None:
    assert invented(paragraph, facts) is None or isinstance(invented(paragraph, facts), str)


@settings(max_examples=100, deadline=None)
@given(st.integers(min_value=61, max_value=10**9))
def test_no_number_gets_through_that_no_fact_says(number: int) -> None:
    facts = {"total": 40, "words": "three of sixty"}
    assert invented(f"The total is {number} USD.", facts) is not None
    assert invented(f"The total is {number:,} USD.", facts) is not None


@pytest.mark.parametrize(
    ("said", "ok"),
    [("120", True), ("120.00", True), ("1,200", True), ("120,000", False), ("1.200", False), ("12,0", False)],
)
def test_a_number_is_read_as_its_reader_reads_it(said: str, *, ok: bool) -> None:
    facts = {"question": "May it be paid?", "evidence": [{"total": 120, "paid": 1200}]}
    assert (invented(f"The total of {said} is asked for.", facts) is None) is ok
