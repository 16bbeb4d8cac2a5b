"""What is said of a contract that is a draft: that no plan may use it, and which decisions are open. Words only."""

from __future__ import annotations

from typing import Final, NamedTuple

from process_orchestrator.checking.documents.definitions import Contract

SHOWN_MAX: Final = 5
CHARS_MAX: Final = 160
"""Of one open decision; the file holds all of it."""


class DraftWords(NamedTuple):
    """Why a reference to a draft is refused, and what to do."""

    message: str
    fix: str


def draft_words(contract: Contract) -> DraftWords:
    """The refusal of a draft, with its open decisions named."""
    shown = [each if len(each) <= CHARS_MAX else f"{each[: CHARS_MAX - 1]}…" for each in contract.todo[:SHOWN_MAX]]
    more = len(contract.todo) - len(shown)
    if more > 0:
        shown.append(f"and {more} more")
    todo = "; ".join(shown) or "nothing is listed"
    return DraftWords(
        message=f"{contract.name} {contract.version} is a draft and cannot be planned",
        fix=f"answer what its todo says ({todo}) with `orchestrator contracts activate {contract.name}`",
    )
