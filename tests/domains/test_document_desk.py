import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from domains.running import Agent, Connect, Keeper

PROGRAM = "document_desk/server.py"


@pytest.fixture(scope="module")
async def desk(connect: Connect) -> AsyncIterator[Agent]:
    async with connect(PROGRAM) as agent:
        yield agent


async def test_a_ubl_invoice_is_read_into_the_fields_of_the_contract(
    desk: Agent, invoices: dict[str, str], keeper: Callable[[str], Keeper]
) -> None:
    invoice = await desk.answer("read_invoice", document=invoices["straight.xml"])
    keeper("invoice.extract").check_output(invoice)
    assert invoice == {
        "invoice_number": "HF-2026-0117",
        "issue_date": "2026-11-03",
        "due_date": "2026-12-03",
        "currency": "EUR",
        "vendor": {
            "name": "Holm & Falk Office Supply GmbH",
            "tax_id": "DE811122334",
            "iban": "DE89370400440532013000",
        },
        "lines": [
            {
                "description": "Copy paper A4, 80 g, box of 2500",
                "quantity": 6.0,
                "unit_price": 24.5,
                "amount": 147.0,
            },
            {"description": "Ballpoint pen, blue, pack of 50", "quantity": 2.0, "unit_price": 18.9, "amount": 37.8},
            {"description": "Toner cartridge HF-30, black", "quantity": 2.0, "unit_price": 64.0, "amount": 128.0},
            {"description": "Delivery", "quantity": 1.0, "unit_price": 9.95, "amount": 9.95},
        ],
        "net": 322.75,
        "tax": 61.32,
        "total": 384.07,
    }


async def test_a_cii_invoice_is_read_with_its_discount_as_a_line(
    desk: Agent, invoices: dict[str, str], keeper: Callable[[str], Keeper]
) -> None:
    invoice = await desk.answer("read_invoice", document=invoices["cii.xml"])
    keeper("invoice.extract").check_output(invoice)
    assert invoice["invoice_number"] == "DI-77"
    assert (invoice["issue_date"], invoice["due_date"]) == ("2026-11-09", "2026-12-09")
    assert invoice["vendor"]["tax_id"] == "FR11223344556"
    assert invoice["lines"] == [
        {"description": "Leaflets, 4 pages", "quantity": 2000.0, "unit_price": 0.125, "amount": 250.0},
        {"description": "Loyalty discount", "quantity": 1.0, "unit_price": -10.0, "amount": -10.0},
    ]
    assert (invoice["net"], invoice["tax"], invoice["total"]) == (240.0, 48.0, 288.0)


async def test_a_plain_text_invoice_is_read(
    desk: Agent, invoices: dict[str, str], keeper: Callable[[str], Keeper]
) -> None:
    invoice = await desk.answer("read_invoice", document=invoices["second.txt"])
    keeper("invoice.extract").check_output(invoice)
    assert invoice["vendor"] == {
        "name": "Lindqvist Bookbinding AB",
        "tax_id": "SE556012345601",
        "iban": "SE4550000000058398257466",
    }
    assert (invoice["invoice_number"], invoice["issue_date"], invoice["due_date"]) == (
        "LB-1042",
        "2026-11-05",
        "2026-12-05",
    )
    assert [line["amount"] for line in invoice["lines"]] == [312.0, 160.0, 45.0]
    assert (invoice["net"], invoice["tax"], invoice["total"]) == (517.0, 129.25, 646.25)


async def test_a_german_invoice_is_read_with_decimal_commas(desk: Agent, invoices: dict[str, str]) -> None:
    invoice = await desk.answer("read_invoice", document=invoices["german.txt"])
    assert (invoice["invoice_number"], invoice["currency"]) == ("2026/311", "EUR")
    assert (invoice["issue_date"], invoice["due_date"]) == ("2026-11-07", "2026-11-21")
    assert invoice["vendor"]["name"] == "Alpenblick Catering GmbH"
    assert invoice["vendor"]["tax_id"] == "ATU67891234"
    assert [(line["quantity"], line["unit_price"], line["amount"]) for line in invoice["lines"]] == [
        (30.0, 18.5, 555.0),
        (1.0, 1234.5, 1234.5),
    ]
    assert (invoice["net"], invoice["tax"], invoice["total"]) == (1789.5, 178.95, 1968.45)


@pytest.mark.parametrize("name", ["large.xml", "bad_totals.xml", "unknown_vendor.xml"])
async def test_every_sample_is_read_as_it_stands(
    desk: Agent, invoices: dict[str, str], keeper: Callable[[str], Keeper], name: str
) -> None:
    keeper("invoice.extract").check_output(await desk.answer("read_invoice", document=invoices[name]))


async def test_the_examples_of_the_contract_are_kept(desk: Agent, keeper: Callable[[str], Keeper]) -> None:
    for example in keeper("invoice.extract").definition["examples"]:
        if "output" in example:
            assert await desk.answer("read_invoice", **example["input"]) == example["output"]
        else:
            assert (await desk.error("read_invoice", **example["input"])).startswith(example["error"])


def laughs() -> str:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">{entities}]><x>&l9;</x>'


ATTACKS = {
    "billion laughs": laughs(),
    "external file": '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>',
    "external document type": '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><x/>',
    "parameter entity": '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p"> %p;]><x/>',
    "undeclared entity": "<x>&nbsp;</x>",
    "deep nesting": "<a>" * 20_000,
    "many elements": "<a>" + "<b/>" * 60_000 + "</a>",
    "cut off": "<Invoice><cbc:ID",
    "two roots": "<a/><b/>",
    "only white space": "   \n",
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_hostile_xml_is_refused_as_unreadable(desk: Agent, attack: str) -> None:
    began = time.monotonic()
    message = await desk.error("read_invoice", document=ATTACKS[attack])
    assert message.startswith("unreadable_document: ")
    assert "root:" not in message
    assert len(message) < 200
    assert time.monotonic() - began < 5


async def test_a_document_of_five_megabytes_is_refused_unread(desk: Agent, invoices: dict[str, str]) -> None:
    padded = invoices["straight.xml"].replace("</Invoice>", f"<!--{'x' * 5_000_000}--></Invoice>")
    message = await desk.error("read_invoice", document=padded)
    assert message == "unreadable_document: the document is longer than 500000 characters"


async def test_text_made_to_slow_a_pattern_down_is_answered_in_time(desk: Agent) -> None:
    slow = ["1  " * 80, "1 " * 120, "a  " * 50 + "1 " * 40, "Total" + " " * 150 + "1" * 90, "Vat" + " " * 240 + "x"]
    rows = ["Invoice No: 7", "Total: 1.00", *slow * 1_000]
    began = time.monotonic()
    assert (await desk.error("read_invoice", document="\n".join(rows)[:500_000])).startswith("incomplete_document: ")
    assert time.monotonic() - began < 10


CHANGES: dict[str, tuple[str, str, str]] = {
    "no tax id": ("<cbc:CompanyID>DE811122334</cbc:CompanyID>", "", "incomplete_document"),
    "no number": ("<cbc:ID>HF-2026-0117</cbc:ID>", "", "incomplete_document"),
    "an impossible date": ("2026-11-03", "2026-11-31", "incomplete_document"),
    "words for an amount": (">322.75<", ">a lot<", "incomplete_document"),
    "infinite amount": (">384.07<", ">INF<", "incomplete_document"),
    "a credit note's code": (">380<", ">381<", "unsupported_document"),
    "another root": ("xsd:Invoice-2", "xsd:Order-2", "unsupported_document"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_document_that_is_no_whole_invoice_ends_in_a_declared_error(
    desk: Agent, invoices: dict[str, str], change: str
) -> None:
    old, new, code = CHANGES[change]
    changed = invoices["straight.xml"].replace(old, new)
    assert changed != invoices["straight.xml"]
    assert (await desk.error("read_invoice", document=changed)).startswith(f"{code}: ")


async def test_an_account_that_is_no_iban_is_left_out(desk: Agent, invoices: dict[str, str]) -> None:
    changed = invoices["straight.xml"].replace("DE89 3704 0044 0532 0130 00", "account 12 at the corner bank")
    invoice = await desk.answer("read_invoice", document=changed)
    assert invoice["vendor"] == {"name": "Holm & Falk Office Supply GmbH", "tax_id": "DE811122334"}


async def test_the_fault_breaks_one_answer_for_the_named_invoice_and_none_after_a_restart(
    connect: Connect, invoices: dict[str, str], story: dict[str, Any], tmp_path: Path
) -> None:
    environment = {**story["fault"]["env"], "DOCUMENT_DESK_FAULT_MARKER": str(tmp_path / "marker")}
    currencies: list[str] = []
    for names in (["straight.xml", "second.txt", "second.txt"], ["second.txt"]):
        async with connect(PROGRAM, **environment) as agent:
            answers = [await agent.answer("read_invoice", document=invoices[name]) for name in names]
        currencies.extend(answer["currency"] for answer in answers)
    assert currencies == ["EUR", "Euro", "EUR", "EUR"]
