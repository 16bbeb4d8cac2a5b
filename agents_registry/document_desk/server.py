"""Document desk: an agent that reads invoices. An MCP server on stdio with one tool.

Keeps the contract `invoice.extract`. Reads UBL 2.1 and CII (the two XML syntaxes of EN 16931) and plain text. It
reports what a document says and checks no sums: that lines add up is the contract's promise, checked by the caller.
A document that is no readable invoice ends in a tool error that begins with the contract's error code.
"""

from __future__ import annotations

from typing import Final

import cii
import fields
import plain_text
import safe_xml
import ubl
from fault import Fault
from fields import Invoice
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations

DOCUMENT_CHARS_MAX: Final = 500_000
CREDIT_NOTE_CODES: Final = frozenset(
    {"81", "83", "261", "262", "296", "308", "381", "396", "420", "458", "532"}
)  # UNTDID 1001

desk = MCPServer("document-desk", version="1.0.0", log_level="WARNING")
fault: Final = Fault.of_environment()


@desk.tool(annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False))
def read_invoice(document: str) -> Invoice:
    """Read one invoice, given as text (UBL or CII XML, or plain), into fields."""
    try:
        invoice = read(document)
    except fields.DocumentError as problem:
        raise ToolError(f"{problem.code}: {problem}") from problem
    return fault.applied(invoice) if fault else invoice


def read(document: str) -> Invoice:
    """Find the document's format and read it. Raises DocumentError."""
    if len(document) > DOCUMENT_CHARS_MAX:
        raise fields.UnreadableError(f"the document is longer than {DOCUMENT_CHARS_MAX} characters")
    text = document.lstrip("\ufeff \t\r\n")
    if not text.startswith("<"):
        return plain_text.read(text)
    root = safe_xml.parse(text)
    for syntax in (ubl, cii):
        if root.tag == syntax.ROOT:
            if syntax.type_code(root) in CREDIT_NOTE_CODES:
                raise fields.UnsupportedError("the document is a credit note, not an invoice")
            return syntax.read(root)
    raise fields.UnsupportedError("the XML is neither a UBL invoice nor a CII invoice")


if __name__ == "__main__":
    desk.run("stdio")
