"""What asking may cost is known before it is asked, and unknown is not zero."""

from llm.model_conformance import PROMPT
from llm.scripted import ScriptedModel
from process_orchestrator.core.facts.values import Stage, Tier
from process_orchestrator.llm.bounds import STAGES, fits, worst_cases
from process_orchestrator.llm.litellm_model import LitellmModel
from process_orchestrator.llm.port import Message, NoModel, Prompt
from process_orchestrator.llm.tiers import Price, TierSetup, Way
from process_orchestrator.performing.secrets import Secrets


def test_the_worst_case_of_a_stage_is_its_bound_at_the_price_of_its_tier() -> None:
    model = ScriptedModel({}, price=(1_000_000, 2_000_000), max_tokens=500)
    assert worst_cases(model) == {
        "intake": 3 * (12_000 + 2 * 500),
        "plan": 24_000 + 2 * 500,
        "brief": 6_000 + 2 * 500,
    }


def test_each_model_of_a_tier_may_bill_the_same_question() -> None:
    """One that was given up on in time may have answered for all we know."""
    price = Price(in_usd_micros=1_000_000, out_usd_micros=2_000_000)
    way = Way(model="openai/first", api_base="http://127.0.0.1:1/v1", price=price)
    setup = TierSetup(tier=Tier.MID, way=way, fallbacks=(way, way), max_tokens=500, timeout_s=5)
    assert worst_cases(LitellmModel([setup], secrets=Secrets())) == {"brief": 3 * (6_000 + 2 * 500)}


def test_an_unknown_price_makes_the_worst_case_unknown_and_no_tier_no_stage() -> None:
    assert worst_cases(ScriptedModel({}, price=None, tiers=[Tier.STRONG])) == {"plan": None}
    assert worst_cases(NoModel()) == {}


def test_a_prompt_is_measured_with_its_schema() -> None:
    assert all(fits(PROMPT, stage) for stage in STAGES)
    long = Prompt(purpose="brief", messages=(Message(role="user", content="x" * 18_000),), schema={})
    assert not fits(long, Stage.BRIEF)
    listed = Prompt(purpose="brief", messages=(), schema={"enum": ["x" * 18_100]})
    assert not fits(listed, Stage.BRIEF)
