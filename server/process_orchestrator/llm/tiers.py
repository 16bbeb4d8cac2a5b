"""How a tier is set up: which model, where, with which key, at what price. Read from the settings by `assemble`."""

from __future__ import annotations

from enum import StrEnum

from process_orchestrator.core.facts.values import Fact, Tier
from process_orchestrator.llm.port import TierFacts


class Structured(StrEnum):
    """How a model is made to answer under a schema. Whatever it says is validated here as well."""

    NATIVE = "native"  # its host takes a JSON schema (`response_format`)
    TOOL = "tool"  # it is offered one tool whose arguments are the schema
    PROMPT = "prompt"  # the schema is told in words


class Price(Fact, kw_only=True):
    """Micro-dollars per million tokens: 1 USD per million tokens is 1,000,000."""

    in_usd_micros: int
    out_usd_micros: int


class Way(Fact, kw_only=True):
    """One model at one address. `model` is litellm's name: PROVIDER/MODEL.

    Without `api_key_env` the provider's usual variable is read, unless `api_base` is set: a key goes to an address of
    the user's own only where the settings name it.
    """

    model: str
    api_base: str | None = None
    api_key_env: str | None = None
    price: Price | None = None

    @property
    def provider(self) -> str:
        """The part before the slash; empty where there is none."""
        return self.model.partition("/")[0] if "/" in self.model else ""


class TierSetup(Fact, kw_only=True):
    """A tier: its first way, and those that are tried while the one before cannot be had."""

    tier: Tier
    way: Way
    fallbacks: tuple[Way, ...] = ()
    max_tokens: int
    timeout_s: float
    structured: Structured = Structured.NATIVE

    @property
    def ways(self) -> tuple[Way, ...]:
        return (self.way, *self.fallbacks)


def facts_of(setup: TierSetup, prices: tuple[Price | None, ...]) -> TierFacts:
    """What others may know of a tier. `prices` are those of its ways, in order; the dearest counts, as it may answer.

    One unknown price makes the tier's unknown. Its time is that of all its ways, one after the other.
    """
    known = [price for price in prices if price is not None]
    whole = len(known) == len(prices)
    return TierFacts(
        tier=setup.tier,
        model=setup.way.model,
        max_tokens=setup.max_tokens,
        timeout_s=setup.timeout_s * len(setup.ways),
        ways=len(setup.ways),
        in_usd_micros_per_mtok=max(price.in_usd_micros for price in known) if whole else None,
        out_usd_micros_per_mtok=max(price.out_usd_micros for price in known) if whole else None,
    )
