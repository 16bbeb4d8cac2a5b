"""A deliberate fault, for demonstrations of what the orchestrator does about one. Off unless the environment asks.

`DOCUMENT_DESK_FAULT=once:break_contract` makes the first answer name its currency "Euro" where the contract wants a
three-letter code; `once:break_contract@NUMBER` does so for one invoice only. The file `DOCUMENT_DESK_FAULT_MARKER`
remembers that it happened, across restarts: from then on the desk answers as it should.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fields import Invoice

KIND: Final = "once:break_contract"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What to break, and where it is remembered that it was broken."""

    invoice_number: str | None
    marker: Path

    @classmethod
    def of_environment(cls) -> Fault | None:
        """Return the fault that the environment asks for; None, the usual case, without one."""
        kind, _, number = os.environ.get("DOCUMENT_DESK_FAULT", "").partition("@")
        if not kind:
            return None
        if kind != KIND:
            raise SystemExit(f"DOCUMENT_DESK_FAULT: {kind!r} is unknown; the one fault there is: {KIND}")
        marker = os.environ.get("DOCUMENT_DESK_FAULT_MARKER", "document_desk.fault")
        return cls(invoice_number=number or None, marker=Path(marker))

    def applied(self, invoice: Invoice) -> Invoice:
        """Break the invoice the first time, return it untouched ever after."""
        if self.invoice_number not in {None, invoice["invoice_number"]}:
            return invoice
        try:
            self.marker.touch(exist_ok=False)
        except FileExistsError:
            return invoice
        return {**invoice, "currency": "Euro"}
