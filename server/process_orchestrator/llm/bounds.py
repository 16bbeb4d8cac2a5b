"""What asking a model may cost at most, before it is asked: prompt bounds of each stage times the tier's price."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from process_orchestrator.core.facts.values import Fact, Stage, Tier
from process_orchestrator.llm.port import Model, Prompt, estimated_tokens


class Bound(Fact, kw_only=True):
    """Which tier a stage asks, how many tokens one prompt of it may have, how often one command asks at most."""

    tier: Tier
    prompt_tokens: int
    calls: int = 1


STAGES: Final[Mapping[Stage, Bound]] = MappingProxyType(
    {
        Stage.INTAKE: Bound(tier=Tier.LIGHT, prompt_tokens=12_000, calls=3),  # two samples of the type, one input
        Stage.PLAN: Bound(tier=Tier.STRONG, prompt_tokens=24_000),
        Stage.BRIEF: Bound(tier=Tier.MID, prompt_tokens=6_000),
    }
)
"""Every stage that may ask a model. Whoever writes its prompts keeps them within: see `fits`."""


def fits(prompt: Prompt, stage: Stage) -> bool:
    """Whether a prompt is within its stage's bound, by the estimate that errs to the safe side."""
    return prompt_tokens(prompt) <= STAGES[stage].prompt_tokens


def prompt_tokens(prompt: Prompt) -> int:
    """Tokens that a prompt has at most, its schema included: hosts put that before the model too."""
    return estimated_tokens([message.content for message in prompt.messages]) + len(str(prompt.schema).encode()) // 3


def worst_cases(model: Model) -> dict[str, int | None]:
    """Most that one command of each stage may cost, in micro-dollars; None where a price is unknown.

    A stage whose tier is not set up is no key. This is what `ProcessSpec.models` wants.
    """
    worst: dict[str, int | None] = {}
    for stage, bound in STAGES.items():
        facts = model.tier(bound.tier)
        if facts is not None:
            most = facts.most(tokens_in=bound.prompt_tokens, tokens_out=facts.max_tokens)
            worst[stage.value] = None if most is None else most * bound.calls
    return worst
