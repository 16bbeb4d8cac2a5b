"""Every model of these tests keeps the port. The real one is held to the same in test_litellm.py."""

import pytest

from llm.model_conformance import CHECKS, PROMPT, Check, Subject
from llm.scripted import Said, ScriptedModel
from process_orchestrator.core.errors import ModelError
from process_orchestrator.core.facts.values import Tier
from process_orchestrator.llm.port import NoModel

SCRIPTED = Subject(name="scripted", says=lambda text: ScriptedModel(lambda _: Said(text=text), tiers=[Tier.LIGHT]))


@pytest.mark.parametrize("subject", [SCRIPTED], ids=lambda subject: subject.name)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_a_model_keeps_the_port(check: Check, subject: Subject) -> None:
    await check(subject)  # type: ignore[misc]


async def test_without_a_model_nothing_is_asked() -> None:
    model = NoModel()
    assert [model.tier(tier) for tier in Tier] == [None, None, None]
    with pytest.raises(ModelError, match="intake is not asked") as failed:
        await model.complete(PROMPT, Tier.LIGHT)
    await model.aclose()
    assert (failed.value.code, failed.value.available) == ("no_model", False)
