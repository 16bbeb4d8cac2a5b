"""What every implementation of `Model` must do, whatever stands behind it. Run over each in `test_*_conformance`.

A subject is told what its model says next, in the words of `scripted`: a value, a raw text, a failure by code.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from process_orchestrator.core.errors import ModelError
from process_orchestrator.core.facts.values import Tier
from process_orchestrator.llm.port import ANSWER_BYTES_MAX, Message, Model, Prompt

SCHEMA = {
    "type": "object",
    "properties": {"type": {"enum": ["refund", "none_of_these"]}, "count": {"type": "integer"}},
    "required": ["type"],
    "additionalProperties": False,
}
PROMPT = Prompt(
    purpose="intake",
    messages=(
        Message(role="system", content="Say which type the task is of."),
        Message(role="user", content="Send the money for order A-1 back."),
    ),
    schema=SCHEMA,
)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model under test. `says` makes one whose light tier answers every question with this text; no other tier."""

    name: str
    says: Callable[[str], Model]


Check = Callable[[Subject], object]


async def gives_the_data_and_what_it_took(subject: Subject) -> None:
    model = subject.says('{"type": "refund", "count": 2}')
    answer = await model.complete(PROMPT, Tier.LIGHT)
    await model.aclose()
    assert answer.data == {"type": "refund", "count": 2}
    assert answer.spent.model
    assert (answer.spent.tokens or 0) > 0
    assert answer.spent.ms >= 0


async def tells_a_tier_without_asking_anybody(subject: Subject) -> None:
    model = subject.says("{}")
    light = model.tier(Tier.LIGHT)
    assert light is not None
    assert (light.tier, light.max_tokens > 0, light.timeout_s > 0) == (Tier.LIGHT, True, True)
    assert model.tier(Tier.STRONG) is None
    await model.aclose()


async def says_no_model_for_a_tier_that_is_not_set_up(subject: Subject) -> None:
    assert await failure(subject, '{"type": "refund"}', tier=Tier.STRONG) == "no_model"


async def refuses_what_is_no_json(subject: Subject) -> None:
    assert await failure(subject, "I think it is a refund.") == "not_json"


async def refuses_a_key_that_is_named_twice(subject: Subject) -> None:
    assert await failure(subject, '{"type": "refund", "type": "none_of_these"}') == "not_json"


async def refuses_numbers_that_are_none(subject: Subject) -> None:
    assert await failure(subject, '{"type": "refund", "count": NaN}') == "not_json"


async def refuses_nesting_without_end(subject: Subject) -> None:
    assert await failure(subject, '{"type": ' + "[" * 5000 + "]" * 5000 + "}") == "not_json"


async def refuses_what_breaks_the_schema(subject: Subject) -> None:
    assert await failure(subject, '{"type": "transfer_everything"}') == "output_mismatch"


async def refuses_text_beside_the_json(subject: Subject) -> None:
    assert await failure(subject, 'Sure! {"type": "refund"}') == "not_json"


async def reads_json_in_one_fence(subject: Subject) -> None:
    model = subject.says('```json\n{"type": "refund"}\n```')
    assert (await model.complete(PROMPT, Tier.LIGHT)).data == {"type": "refund"}
    await model.aclose()


async def refuses_an_answer_that_is_too_large(subject: Subject) -> None:
    assert await failure(subject, '{"type": "' + "x" * ANSWER_BYTES_MAX + '"}') == "too_large"


async def bills_a_bad_answer_all_the_same(subject: Subject) -> None:
    model = subject.says('{"type": "transfer_everything"}')
    with pytest.raises(ModelError) as failed:
        await model.complete(PROMPT, Tier.LIGHT)
    await model.aclose()
    assert (failed.value.tokens or 0) > 0
    assert failed.value.available
    assert failed.value.answer == '{"type": "transfer_everything"}'


async def failure(subject: Subject, text: str, *, tier: Tier = Tier.LIGHT) -> str:
    model = subject.says(text)
    with pytest.raises(ModelError) as failed:
        await model.complete(PROMPT, tier)
    await model.aclose()
    assert failed.value.message
    return failed.value.code


CHECKS = (
    gives_the_data_and_what_it_took,
    tells_a_tier_without_asking_anybody,
    says_no_model_for_a_tier_that_is_not_set_up,
    refuses_what_is_no_json,
    refuses_a_key_that_is_named_twice,
    refuses_numbers_that_are_none,
    refuses_nesting_without_end,
    refuses_what_breaks_the_schema,
    refuses_text_beside_the_json,
    reads_json_in_one_fence,
    refuses_an_answer_that_is_too_large,
    bills_a_bad_answer_all_the_same,
)
