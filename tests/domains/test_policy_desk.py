from collections.abc import AsyncIterator, Callable

import pytest

from domains.running import Agent, Connect, Keeper


@pytest.fixture(scope="module")
async def desk(connect: Connect) -> AsyncIterator[Agent]:
    async with connect("policy_desk/server.py") as agent:
        yield agent


LINES: list[tuple[str, float, float, float, str]] = [
    ("Copy paper A4", 4, 24.5, 98.0, "standard"),
    ("Paper at a discount", 4, 24.5, 90.0, "standard"),
    ("Loyalty discount", 1, -10, -10, "standard"),
    ("Paper, summed wrongly", 4, 24.5, 108.0, "line_arithmetic"),
    ("GIFT CARDS for the team", 2, 50, 100, "cash_equivalent"),
    ("Giftcardboard boxes", 2, 50, 100, "standard"),
    ("Red wine, 12 bottles", 12, 9, 108, "alcohol"),
    ("Windows", 12, 9, 108, "standard"),
    ("Milling machine", 1, 25_000.01, 25_000.01, "line_limit"),
    ("Milling machine", 1, 25_000.0, 25_000.0, "standard"),
]


@pytest.mark.parametrize(("description", "quantity", "unit_price", "amount", "rule"), LINES)
async def test_the_first_rule_that_speaks_against_a_line_decides(
    desk: Agent,
    keeper: Callable[[str], Keeper],
    description: str,
    quantity: float,
    unit_price: float,
    amount: float,
    rule: str,
) -> None:
    line = {"description": description, "quantity": quantity, "unit_price": unit_price, "amount": amount}
    verdict = await desk.answer("check_line", line=line, currency="EUR")
    keeper("policy.check").check_output(verdict)
    assert verdict["rule"] == rule
    assert verdict["allowed"] is (rule == "standard")


async def test_the_examples_of_the_contract_are_kept(desk: Agent, keeper: Callable[[str], Keeper]) -> None:
    for example in keeper("policy.check").definition["examples"]:
        assert await desk.answer("check_line", **example["input"]) == example["output"]


async def test_a_currency_that_is_none_is_refused(desk: Agent) -> None:
    line = {"description": "Paper", "quantity": 1, "unit_price": 1, "amount": 1}
    assert await desk.error("check_line", line=line, currency="Euro") == "currency must be a three-letter code"
