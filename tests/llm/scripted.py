"""A model that follows a script, on the same port and under the same conformance tests as the real ones.

    ScriptedModel({"intake": {"type": "refund"}, "plan": [first, second]})   # by purpose; a list: one after the other
    ScriptedModel({"plan": failing("rate_limited", retry_after_ms=500)})     # a failure, by code
    ScriptedModel(lambda prompt: {"text": prompt.messages[-1].content})      # by function of the prompt

An answer is the JSON value that the model says; `Said` adds what a host would tell beside it. Whatever is said is read
as a real answer is: text that is no JSON, or data that breaks the prompt's schema, fails as it would in earnest.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from process_orchestrator.core.errors import ModelError
from process_orchestrator.core.facts.values import Tier
from process_orchestrator.llm.port import Answer, Prompt, Spending, TierFacts, estimated_tokens
from process_orchestrator.llm.reading import read_answer

Json = Any
ALL_TIERS = (Tier.LIGHT, Tier.MID, Tier.STRONG)
PRICES = (250_000, 2_000_000)
"""Micro-dollars per million tokens in and out."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """An answer with what a host tells beside it. `text` instead of `data` is said as it stands, JSON or not."""

    data: Json = None
    text: str | None = None
    probability: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    ms: int = 1

    @property
    def written(self) -> str:
        return self.text if self.text is not None else json.dumps(self.data)


class Hang:
    """Says nothing until the call is cancelled or its time is over."""


Reply = Said | ModelError | Hang | Json
Script = Mapping[str, Reply] | Callable[[Prompt], Reply | Awaitable[Reply]]


def failing(code: str, message: str | None = None, **facts: Any) -> ModelError:
    """A failure of the model, by its code."""
    return ModelError(code, message or f"the scripted model fails: {code}", **facts)


class ScriptedModel:
    """Answers by purpose or by function of the prompt; remembers what it was asked.

    A purpose that the script does not know is looked up without what follows its colon (`agent`), then fails the test.
    """

    def __init__(
        self,
        script: Script,
        *,
        tiers: Iterable[Tier] = ALL_TIERS,
        price: tuple[int, int] | None = PRICES,
        max_tokens: int = 1000,
        timeout_s: float = 5.0,
    ) -> None:
        self.asked: list[Prompt] = []
        self.asked_tiers: list[Tier] = []
        self.closed = self.preloaded = False
        self._script = script
        self._used: dict[str, int] = {}
        price_in, price_out = price or (None, None)
        self._tiers = {
            tier: TierFacts(
                tier=tier,
                model=f"scripted/{tier.value}",
                max_tokens=max_tokens,
                timeout_s=timeout_s,
                in_usd_micros_per_mtok=price_in,
                out_usd_micros_per_mtok=price_out,
            )
            for tier in tiers
        }

    def purposes(self) -> list[str]:
        """What it was asked for, in order."""
        return [prompt.purpose for prompt in self.asked]

    def text_asked(self) -> str:
        """All that it was ever told, to look for what must not be there."""
        return "\n".join(message.content for prompt in self.asked for message in prompt.messages)

    def tier(self, tier: Tier) -> TierFacts | None:
        return self._tiers.get(tier)

    async def complete(self, prompt: Prompt, tier: Tier) -> Answer:
        facts = self._tiers.get(tier)
        if facts is None:
            raise ModelError("no_model", f"no model is set up for the tier {tier.value}: {prompt.purpose} is not asked")
        self.asked.append(prompt)
        self.asked_tiers.append(tier)
        reply = await self._reply(prompt)
        if isinstance(reply, ModelError):
            raise reply
        if isinstance(reply, Hang):
            try:
                async with asyncio.timeout(facts.timeout_s):
                    await asyncio.get_running_loop().create_future()
            except TimeoutError:
                raise ModelError("timeout", f"no answer within {facts.timeout_s} s", model=facts.model) from None
        said = reply if isinstance(reply, Said) else Said(data=reply)
        spent = _spent(said, prompt, facts)
        data = read_answer(said.written, prompt, spent)
        return Answer(data=data, text=said.written, spent=spent, probability=said.probability)

    def preload(self) -> None:
        self.preloaded = True

    async def aclose(self) -> None:
        self.closed = True

    async def _reply(self, prompt: Prompt) -> Reply:
        if callable(self._script):
            reply = self._script(prompt)
            return await reply if isinstance(reply, Awaitable) else reply
        for purpose in (prompt.purpose, prompt.purpose.partition(":")[0]):
            if purpose in self._script:
                return self._next(purpose, self._script[purpose])
        raise AssertionError(f"the script has no answer for {prompt.purpose}: it knows {', '.join(self._script)}")

    def _next(self, purpose: str, reply: Reply) -> Reply:
        if not isinstance(reply, list):
            return reply
        at = self._used.get(purpose, 0)
        self._used[purpose] = at + 1
        if at >= len(reply):
            raise AssertionError(f"{purpose} was asked {at + 1} times, the script has {len(reply)} answers")
        return reply[at]


def _spent(said: Said, prompt: Prompt, facts: TierFacts) -> Spending:
    told = [message.content for message in prompt.messages]
    tokens_in = said.tokens_in if said.tokens_in is not None else estimated_tokens(told)
    tokens_out = said.tokens_out if said.tokens_out is not None else estimated_tokens([said.written])
    return Spending(
        model=facts.model,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        usd_micros=facts.price(tokens_in=tokens_in, tokens_out=tokens_out),
        ms=said.ms,
    )
