"""What the stages ask of a language model, whatever stands behind it: messages and a schema in, checked data out.

One call, no retry of its own: trying again is the core's, where it stands in the trace and on the bill. Every way in
which a call can fail is one ModelError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, Protocol

from process_orchestrator.core.errors import ModelError
from process_orchestrator.core.facts.values import Fact, Tier

Json = Any

ANSWER_BYTES_MAX = 1_000_000
"""Most bytes of one answer; a longer one is a failure (`too_large`), never cut."""


class Message(Fact, frozen=True, kw_only=True):
    """One part of a prompt. `system` holds our instructions, `user` the data that they speak of."""

    role: Literal["system", "user", "assistant"]
    content: str


class Prompt(Fact, frozen=True, kw_only=True):
    """One question to a model: the answer must be a JSON value that keeps `schema`.

    `alternatives` asks, where the model's host can tell, how likely each first choice was (see `Answer.probability`).
    """

    purpose: str  # intake | plan | brief | agent:NAME: for the trace, cassettes and fakes
    messages: tuple[Message, ...]
    schema: dict[str, Json]
    max_tokens: int | None = None  # of the answer; None: the tier's
    temperature: float = 0.0
    alternatives: bool = False


class Spending(Fact, frozen=True, kw_only=True):
    """What a call took, as far as is known. None is unknown, which is not zero."""

    model: str = ""  # who answered, in the words of the settings
    tokens_in: int | None = None
    tokens_out: int | None = None
    usd_micros: int | None = None
    ms: int = 0

    @property
    def tokens(self) -> int | None:
        """Both directions; None where neither is known."""
        if self.tokens_in is None and self.tokens_out is None:
            return None
        return (self.tokens_in or 0) + (self.tokens_out or 0)


class Answer(Fact, frozen=True, kw_only=True):
    """What a model said. `data` keeps the prompt's schema; `text` is how it was written.

    `probability` is that of the least likely token among those of the first string value of the answer that its schema
    leaves to a choice (`enum`); None where the host does not tell.
    """

    data: Json
    text: str
    spent: Spending
    probability: float | None = None


class TierFacts(Fact, frozen=True, kw_only=True):
    """A configured tier, as far as others need to know it. Prices are micro-dollars per million tokens."""

    tier: Tier
    model: str
    max_tokens: int
    timeout_s: float
    in_usd_micros_per_mtok: int | None = None
    out_usd_micros_per_mtok: int | None = None
    ways: int = 1  # models that one call may ask, one after the other: each may bill it

    def price(self, *, tokens_in: int, tokens_out: int) -> int | None:
        """What so many tokens cost, in micro-dollars, rounded up; None where the price is unknown."""
        if self.in_usd_micros_per_mtok is None or self.out_usd_micros_per_mtok is None:
            return None
        total = tokens_in * self.in_usd_micros_per_mtok + tokens_out * self.out_usd_micros_per_mtok
        return -(-total // 1_000_000)

    def most(self, *, tokens_in: int, tokens_out: int) -> int | None:
        """What one question may cost: who was given up on may bill as well as the fallback that answers."""
        price = self.price(tokens_in=tokens_in, tokens_out=tokens_out)
        return None if price is None else price * self.ways


class Model(Protocol):
    """A way to the configured models. Shared by concurrent calls; opened by its first call."""

    def tier(self, tier: Tier) -> TierFacts | None:
        """The tier as it is configured, None where it is not. Imports nothing and asks nobody."""
        ...

    async def complete(self, prompt: Prompt, tier: Tier) -> Answer:
        """Ask once, within the tier's time. Raises ModelError and nothing else."""
        ...

    def preload(self) -> None:
        """Begin in the background what the first question would wait for. Returns at once."""
        ...

    async def aclose(self) -> None: ...


class KnownSecrets(Protocol):
    """Values that must stand in no error, log or cassette."""

    def remember(self, value: str) -> None: ...

    def mask_text(self, text: str) -> str: ...

    def mask_cut(self, text: str) -> str: ...


class NoModel:
    """Rules mode: no tier is configured."""

    def tier(self, tier: Tier) -> TierFacts | None:  # noqa: ARG002 - the port's signature
        return None

    async def complete(self, prompt: Prompt, tier: Tier) -> Answer:
        raise ModelError("no_model", f"no model is set up for the tier {tier}: {prompt.purpose} is not asked")

    def preload(self) -> None:
        """There is nothing to load."""

    async def aclose(self) -> None:
        """Nothing was opened."""


RULES_MODE: Final = "rules"

BYTES_OF_TOKEN: Final = 3


def told(model: Model) -> str:
    """Which models are set up, in words; `rules` where none is."""
    facts = [facts for facts in (model.tier(tier) for tier in Tier) if facts is not None]
    return ", ".join(f"{each.tier.value} {each.model}" for each in facts) or RULES_MODE


def estimated_tokens(texts: Sequence[str]) -> int:
    """Tokens of a prompt before anybody has counted them: a third of its UTF-8 bytes, more than tokenizers need."""
    return sum(len(text.encode()) for text in texts) // BYTES_OF_TOKEN + 16 * len(texts)
