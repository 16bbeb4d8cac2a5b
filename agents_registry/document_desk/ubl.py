"""Reads a UBL 2.1 invoice, the first of the two syntaxes of EN 16931. BT numbers are the standard's business terms."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

import fields

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

ROOT: Final = "{urn:oasis:names:specification:ubl:schema:xsd:Invoice-2}Invoice"
NAMES: Final = {
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
    "cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
}


def read(root: Element) -> fields.Invoice:
    """Read the fields that we book; the rest of the invoice is not looked at."""
    currency = fields.currency_code(_text(root, "cbc:DocumentCurrencyCode"))  # BT-5
    totals = "cac:LegalMonetaryTotal/"
    invoice: fields.Invoice = {
        "invoice_number": fields.required(_text(root, "cbc:ID", limit=64), "invoice number"),  # BT-1
        "issue_date": fields.iso_date(_text(root, "cbc:IssueDate"), "the issue date"),  # BT-2
        "currency": currency,
        "vendor": _vendor(root),
        "lines": fields.lines_within_limit([*_lines(root), *_allowances_and_charges(root)]),
        "net": float(fields.amount(_text(root, totals + "cbc:TaxExclusiveAmount"), "the net total")),  # BT-109
        "tax": float(_tax(root, currency)),
        "total": float(fields.amount(_text(root, totals + "cbc:TaxInclusiveAmount"), "the total")),  # BT-112
    }
    due = _text(root, "cbc:DueDate") or _text(root, "cac:PaymentMeans/cbc:PaymentDueDate")  # BT-9
    if due:
        invoice["due_date"] = fields.iso_date(due, "the due date")
    return invoice


def type_code(root: Element) -> str:
    """Kind of invoice by UNTDID 1001 (BT-3)."""
    return _text(root, "cbc:InvoiceTypeCode") or "380"


def _vendor(root: Element) -> fields.Vendor:
    party = root.find("cac:AccountingSupplierParty/cac:Party", NAMES)
    if party is None:
        raise fields.IncompleteError("the invoice names no vendor")
    tax_id = ""
    for scheme in party.findall("cac:PartyTaxScheme", NAMES):  # BT-31 (VAT) before BT-32
        if not tax_id or _text(scheme, "cac:TaxScheme/cbc:ID") == "VAT":
            tax_id = _text(scheme, "cbc:CompanyID")
    legal = "cac:PartyLegalEntity/"
    name = _text(party, legal + "cbc:RegistrationName") or _text(party, "cac:PartyName/cbc:Name")  # BT-27, BT-28
    account = _text(root, "cac:PaymentMeans/cac:PayeeFinancialAccount/cbc:ID")  # BT-84
    return fields.vendor(name=name, tax_id=tax_id or _text(party, legal + "cbc:CompanyID"), iban=account)


def _lines(root: Element) -> list[fields.Line]:
    lines: list[fields.Line] = []
    for node in root.findall("cac:InvoiceLine", NAMES):
        price = fields.amount(_text(node, "cac:Price/cbc:PriceAmount"), "a unit price")  # BT-146
        per = _text(node, "cac:Price/cbc:BaseQuantity")  # BT-149: the price is for this many
        base = fields.amount(per, "a base quantity") if per else Decimal(1)
        lines.append(
            fields.line(
                description=_text(node, "cac:Item/cbc:Name", limit=fields.DESCRIPTION_CHARS_MAX),  # BT-153
                quantity=fields.amount(_text(node, "cbc:InvoicedQuantity"), "a quantity"),  # BT-129
                unit_price=price / base if base else price,
                line_amount=fields.amount(_text(node, "cbc:LineExtensionAmount"), "a line amount"),  # BT-131
            )
        )
    return lines


def _allowances_and_charges(root: Element) -> list[fields.Line]:
    """Document-level allowances (BG-20) and charges (BG-21) as lines, so that lines always add up to net."""
    lines: list[fields.Line] = []
    for node in root.findall("cac:AllowanceCharge", NAMES):
        charge = _text(node, "cbc:ChargeIndicator") == "true"
        value = fields.amount(_text(node, "cbc:Amount"), "an allowance or charge")
        signed = value if charge else -value
        reason = _text(node, "cbc:AllowanceChargeReason", limit=fields.DESCRIPTION_CHARS_MAX)
        description = reason or ("Charge" if charge else "Allowance")
        lines.append(fields.line(description=description, quantity=Decimal(1), unit_price=signed, line_amount=signed))
    return lines


def _tax(root: Element, currency: str) -> Decimal:
    """Total tax in the invoice's currency (BT-110); a second total may stand there in the tax authority's."""
    for node in root.findall("cac:TaxTotal/cbc:TaxAmount", NAMES):
        if node.get("currencyID", currency) == currency:
            return fields.amount(node.text, "the tax total")
    raise fields.IncompleteError("the invoice has no tax total")


def _text(node: Element, path: str, *, limit: int = fields.NAME_CHARS_MAX) -> str:
    return fields.clean(node.findtext(path, default="", namespaces=NAMES), limit=limit)
