"""Reads a UN/CEFACT cross-industry invoice (CII), the second syntax of EN 16931, which Factur-X and ZUGFeRD embed."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

import fields

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

ROOT: Final = "{urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100}CrossIndustryInvoice"
NAMES: Final = {
    "rsm": "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
}
DEAL: Final = "rsm:SupplyChainTradeTransaction/"
SETTLEMENT: Final = DEAL + "ram:ApplicableHeaderTradeSettlement/"
SUMS: Final = SETTLEMENT + "ram:SpecifiedTradeSettlementHeaderMonetarySummation/"


def read(root: Element) -> fields.Invoice:
    """Read the fields that we book; the rest of the invoice is not looked at."""
    document = "rsm:ExchangedDocument/"
    currency = fields.currency_code(_text(root, SETTLEMENT + "ram:InvoiceCurrencyCode"))
    issued = _text(root, document + "ram:IssueDateTime/udt:DateTimeString")
    invoice: fields.Invoice = {
        "invoice_number": fields.required(_text(root, document + "ram:ID", limit=64), "invoice number"),
        "issue_date": _date(issued, "the issue date"),
        "currency": currency,
        "vendor": _vendor(root),
        "lines": fields.lines_within_limit([*_lines(root), *_allowances_and_charges(root)]),
        "net": float(fields.amount(_text(root, SUMS + "ram:TaxBasisTotalAmount"), "the net total")),
        "tax": float(_tax(root, currency)),
        "total": float(fields.amount(_text(root, SUMS + "ram:GrandTotalAmount"), "the total")),
    }
    due = _text(root, SETTLEMENT + "ram:SpecifiedTradePaymentTerms/ram:DueDateDateTime/udt:DateTimeString")
    if due:
        invoice["due_date"] = _date(due, "the due date")
    return invoice


def type_code(root: Element) -> str:
    """Kind of invoice by UNTDID 1001."""
    return _text(root, "rsm:ExchangedDocument/ram:TypeCode") or "380"


def _vendor(root: Element) -> fields.Vendor:
    seller = root.find(DEAL + "ram:ApplicableHeaderTradeAgreement/ram:SellerTradeParty", NAMES)
    if seller is None:
        raise fields.IncompleteError("the invoice names no vendor")
    tax_id = ""
    for registration in seller.findall("ram:SpecifiedTaxRegistration/ram:ID", NAMES):
        if not tax_id or registration.get("schemeID") == "VA":  # the VAT number before the local one
            tax_id = fields.clean(registration.text, limit=fields.NAME_CHARS_MAX)
    account = SETTLEMENT + "ram:SpecifiedTradeSettlementPaymentMeans/ram:PayeePartyCreditorFinancialAccount/ram:IBANID"
    return fields.vendor(name=_text(seller, "ram:Name"), tax_id=tax_id, iban=_text(root, account))


def _lines(root: Element) -> list[fields.Line]:
    lines: list[fields.Line] = []
    for node in root.findall(DEAL + "ram:IncludedSupplyChainTradeLineItem", NAMES):
        price_path = "ram:SpecifiedLineTradeAgreement/ram:NetPriceProductTradePrice/"
        price = fields.amount(_text(node, price_path + "ram:ChargeAmount"), "a unit price")
        per = _text(node, price_path + "ram:BasisQuantity")
        base = fields.amount(per, "a base quantity") if per else Decimal(1)
        total_path = "ram:SpecifiedLineTradeSettlement/ram:SpecifiedTradeSettlementLineMonetarySummation/"
        name = _text(node, "ram:SpecifiedTradeProduct/ram:Name", limit=fields.DESCRIPTION_CHARS_MAX)
        lines.append(
            fields.line(
                description=name,
                quantity=fields.amount(_text(node, "ram:SpecifiedLineTradeDelivery/ram:BilledQuantity"), "a quantity"),
                unit_price=price / base if base else price,
                line_amount=fields.amount(_text(node, total_path + "ram:LineTotalAmount"), "a line amount"),
            )
        )
    return lines


def _allowances_and_charges(root: Element) -> list[fields.Line]:
    """Document-level allowances and charges as lines, so that lines always add up to net."""
    lines: list[fields.Line] = []
    for node in root.findall(SETTLEMENT + "ram:SpecifiedTradeAllowanceCharge", NAMES):
        charge = _text(node, "ram:ChargeIndicator/udt:Indicator") == "true"
        value = fields.amount(_text(node, "ram:ActualAmount"), "an allowance or charge")
        signed = value if charge else -value
        reason = _text(node, "ram:Reason", limit=fields.DESCRIPTION_CHARS_MAX)
        description = reason or ("Charge" if charge else "Allowance")
        lines.append(fields.line(description=description, quantity=Decimal(1), unit_price=signed, line_amount=signed))
    return lines


def _tax(root: Element, currency: str) -> Decimal:
    for node in root.findall(SUMS + "ram:TaxTotalAmount", NAMES):
        if node.get("currencyID", currency) == currency:
            return fields.amount(node.text, "the tax total")
    raise fields.IncompleteError("the invoice has no tax total")


def _date(text: str, field: str) -> str:
    """Format 102 of the standard, YYYYMMDD, or a date with hyphens."""
    compact = len(text) == 8 and text.isdigit()
    return fields.iso_date(f"{text[:4]}-{text[4:6]}-{text[6:]}" if compact else text, field)


def _text(node: Element, path: str, *, limit: int = fields.NAME_CHARS_MAX) -> str:
    return fields.clean(node.findtext(path, default="", namespaces=NAMES), limit=limit)
