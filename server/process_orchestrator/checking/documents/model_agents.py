"""What a model agent promises: its tier and its instructions, which stand in the `bind` of all that it serves.

So they are pinned with each process, like the bind of any other agent: new instructions are for new processes. Which
model stands behind a tier is a setting of the installation, read live.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from process_orchestrator.checking.documents.masking import holds, sensitive
from process_orchestrator.core.facts.values import Effect, Fact, Tier

if TYPE_CHECKING:
    from process_orchestrator.checking.documents.definitions import Contract

Json = Any

KIND: Final = "model"
"""The kind of transport, and the key of a `bind` under which the promise stands. No file writes it there."""

HARMLESS: Final = frozenset({Effect.NONE, Effect.READ})
"""Effects of the contracts that a model may keep: it only says something, it does nothing."""


class ModelPromise(Fact, frozen=True, kw_only=True):
    """Whom to ask, and what it is told of its work."""

    tier: Tier
    instructions: str


def promised_bind(transport: Mapping[str, Json], bind: dict[str, Json]) -> dict[str, Json]:
    """The bind that an agent's file means, with the promise in it where the agent is a model."""
    if transport.get("kind") != KIND:
        return bind
    return {**bind, KIND: {"tier": transport["tier"], "instructions": transport["instructions"]}}


def model_promise(bind: Mapping[str, Json]) -> ModelPromise | None:
    """What a bind promises of a model; None for an agent of another kind."""
    written = bind.get(KIND)
    if not isinstance(written, dict):
        return None
    return ModelPromise(tier=Tier(written["tier"]), instructions=written["instructions"])


def may_keep(kind: str, effect: Effect) -> bool:
    """Whether an agent of a kind may keep a contract of an effect at all."""
    return kind != KIND or effect in HARMLESS


def refused_places(contract: Contract, arguments: Any, marked: Sequence[str] = ()) -> tuple[str, ...]:
    """The sensitive places that these arguments really hold: by the contract itself, or as a plan was followed."""
    places = dict.fromkeys((*sensitive(contract, "input"), *marked))
    return tuple(place for place in places if holds(arguments, place))


def said_of(places: Sequence[str]) -> str:
    """Why a call was not made, in words that hold no value."""
    named = " and ".join(f"`{place or '/'}`" for place in places[:3])
    return f"{named} of its input is sensitive, and a model closes this step: nothing was sent"
