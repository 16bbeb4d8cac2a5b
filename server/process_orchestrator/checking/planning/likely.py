"""What names say of a reference: which of those that fit is likely meant, and which surely is not.

Schemas say little: most arguments are texts, and every text fits them. Names are no proof either, so they only order
what is offered, but for three rules: what identifies one thing never identifies another; a step that is done for each
item of a list takes from the item what the item has under the very name; and where very many fit, and one bears the
very name, those that share no word with it are left out.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from process_orchestrator.checking.planning.places import Place
    from process_orchestrator.checking.planning.slots import Slot

IDENTIFYING: Final = frozenset(("id", "ids", "uuid", "key", "number", "no", "code", "sku", "iban", "email", "ref"))
"""Last words of names that identify something."""

MANY: Final = 12
"""Of so many references and more, only those that share a word are offered, where one bears the very name."""

_SAME, _SHARED, _OTHER = 0, 1, 2


def unlike(word: str, name: str) -> int:
    """0 for the same name, 1 for one that shares a word, 2 for any other."""
    if word == name:
        return _SAME
    return _SHARED if set(word.split("_")) & set(name.split("_")) else _OTHER


def of_item(place: Place) -> bool:
    """Whether a place is in the item of a list."""
    return place.text == "$.item" or place.text.startswith(("$.item.", "$.item["))


def ranked(slot: Slot, *, echoed: AbstractSet[tuple[str, str]] = frozenset()) -> list[Place]:
    """The places of a slot, the likeliest first, without those that are surely not meant.

    `echoed`: steps with the names of what they take; what one gives back under such a name is nothing new.
    """
    found = sorted(slot.found, key=lambda each: (not of_item(each), unlike(each.word, slot.name), each.depth))
    own = [each for each in found if of_item(each) and each.word == slot.name]
    if own:
        return own
    if slot.name.rpartition("_")[2] in IDENTIFYING:
        same = [each for each in found if _identifies(each, slot.name)]
        return [each for each in same if (each.step or "", each.word) not in echoed] or same or found
    if len(found) > MANY and unlike(found[0].word, slot.name) is _SAME:
        return [each for each in found if unlike(each.word, slot.name) is not _OTHER]
    return found


def serves_items(slots: list[Slot]) -> bool:
    """Whether a step could mean to be done for each item: some argument takes the item, or what it has by that name."""
    for slot in slots:
        for each in slot.found:
            if of_item(each) and (each.depth == 0 or unlike(each.word, slot.name) is not _OTHER):
                return True
    return False


def _identifies(place: Place, name: str) -> bool:
    """Whether a place identifies what the argument does: under its name, or as the `id` of a step that is about it."""
    if place.word == name or place.word.endswith(f"_{name}"):
        return True
    thing, _, last = name.rpartition("_")
    return place.word == last and bool(thing) and thing in (place.step or "").split("_")
