"""What a model said once can be said again, to the letter, without it; and no key stands in what is kept."""

import contextlib
import os
from pathlib import Path

import pytest

from llm.model_conformance import CHECKS, PROMPT, Check, Subject
from llm.scripted import Said, ScriptedModel, failing
from process_orchestrator.core.errors import ModelError
from process_orchestrator.core.facts.values import Tier
from process_orchestrator.llm.cassette import Recording, Replaying
from process_orchestrator.llm.configured import configured_model
from process_orchestrator.llm.port import Answer, Message, Model, Prompt
from process_orchestrator.llm.tiers import TierSetup, Way
from process_orchestrator.performing.secrets import Secrets

TAPES = Path(__file__).resolve().parents[1] / "data" / "cassettes"


def silent() -> ScriptedModel:
    """A model that fails the test when it is asked."""
    return ScriptedModel({}, tiers=[Tier.LIGHT])


class Rewound:
    """Records each answer of a model, and gives what the recording says when it is played."""

    def __init__(self, behind: Model, file: Path) -> None:
        self._recording = Recording(behind, file, secrets=Secrets())
        self._file = file

    def tier(self, tier: Tier) -> object:
        return Replaying(silent(), self._file).tier(tier)

    async def complete(self, prompt: Prompt, tier: Tier) -> Answer:
        try:
            await self._recording.complete(prompt, tier)
        except ModelError as error:
            if error.code == "no_model":
                raise
        return await Replaying(silent(), self._file).complete(prompt, tier)

    def preload(self) -> None:
        self._recording.preload()

    async def aclose(self) -> None:
        await self._recording.aclose()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_what_is_played_back_keeps_the_port(check: Check, tmp_path: Path) -> None:
    def says(text: str) -> Rewound:
        return Rewound(ScriptedModel(lambda _: Said(text=text), tiers=[Tier.LIGHT]), tmp_path / "tape.jsonl")

    await check(Subject(name="replay", says=says))  # type: ignore[misc, arg-type]


async def recorded(file: Path, model: ScriptedModel, prompt: Prompt = PROMPT) -> Recording:
    recording = Recording(model, file, secrets=Secrets())
    with contextlib.suppress(ModelError):
        await recording.complete(prompt, Tier.LIGHT)
    return recording


async def test_an_answer_comes_back_with_what_it_took_and_how_sure_it_was(tmp_path: Path) -> None:
    said = Said(data={"type": "refund"}, probability=0.75, ms=42)
    await recorded(tmp_path / "a.jsonl", model := ScriptedModel({"intake": said}, tiers=[Tier.LIGHT]))
    first = await model.complete(PROMPT, Tier.LIGHT)
    assert await Replaying(silent(), tmp_path / "a.jsonl").complete(PROMPT, Tier.LIGHT) == first


async def test_a_failure_comes_back_by_its_code(tmp_path: Path) -> None:
    model = ScriptedModel({"intake": failing("rate_limited", retry_after_ms=500)}, tiers=[Tier.LIGHT])
    await recorded(tmp_path / "a.jsonl", model)
    with pytest.raises(ModelError) as failed:
        await Replaying(silent(), tmp_path / "a.jsonl").complete(PROMPT, Tier.LIGHT)
    assert (failed.value.code, failed.value.retry_after_ms) == ("rate_limited", 500)


async def test_what_is_not_set_up_is_no_answer_of_a_model_and_is_not_kept(tmp_path: Path) -> None:
    await recorded(tmp_path / "a.jsonl", ScriptedModel({"intake": failing("not_configured")}, tiers=[Tier.LIGHT]))
    assert not (tmp_path / "a.jsonl").exists()


async def test_a_miss_is_an_error_that_shows_where_the_nearest_differs(tmp_path: Path) -> None:
    await recorded(tmp_path / "a.jsonl", ScriptedModel({"intake": {"type": "refund"}}, tiers=[Tier.LIGHT]))
    other = Prompt(
        purpose="intake",
        messages=(PROMPT.messages[0], Message(role="user", content="Send the money for order A-2 back.")),
        schema=PROMPT.schema,
    )
    with pytest.raises(ModelError) as failed:
        await Replaying(silent(), tmp_path / "a.jsonl").complete(other, Tier.LIGHT)
    assert failed.value.code == "not_configured"
    assert "-user: Send the money for order A-1 back." in failed.value.message
    assert "+user: Send the money for order A-2 back." in failed.value.message


@pytest.mark.parametrize("change", [{"temperature": 0.5}, {"max_tokens": 7}, {"schema": {}}, {"alternatives": True}])
async def test_every_part_of_a_question_is_part_of_its_key(tmp_path: Path, change: dict[str, object]) -> None:
    await recorded(tmp_path / "a.jsonl", ScriptedModel({"intake": {"type": "refund"}}, tiers=[Tier.LIGHT]))
    other = Prompt(**{"purpose": "intake", "messages": PROMPT.messages, "schema": PROMPT.schema, **change})  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="holds no answer"):
        await Replaying(silent(), tmp_path / "a.jsonl").complete(other, Tier.LIGHT)


async def test_an_empty_cassette_says_that_it_is(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"it is empty\. Do: record it"):
        await Replaying(silent(), tmp_path / "none.jsonl").complete(PROMPT, Tier.LIGHT)


@pytest.mark.parametrize("content", [b"{", b'{"key": 1}\n', b"\xff\n"])
async def test_a_file_that_is_no_cassette_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(ModelError, match="holds a line that is none") as failed:
        await Replaying(silent(), tmp_path / "a.jsonl").complete(PROMPT, Tier.LIGHT)
    assert failed.value.code == "not_configured"


async def test_a_cassette_that_cannot_be_written_fails_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    recording = Recording(
        ScriptedModel({"intake": {"type": "refund"}}, tiers=[Tier.LIGHT]),
        tmp_path / "file" / "a.jsonl",
        secrets=Secrets(),
    )
    with pytest.raises(ModelError) as failed:
        await recording.complete(PROMPT, Tier.LIGHT)
    assert failed.value.code == "not_configured"


async def test_secrets_are_masked_before_anything_is_written(tmp_path: Path) -> None:
    secrets = Secrets()
    secrets.remember('sk-"quoted"-secret')
    prompt = Prompt(
        purpose="intake", messages=(Message(role="user", content='my key is sk-"quoted"-secret'),), schema={}
    )
    model = ScriptedModel(lambda _: {"echo": 'sk-"quoted"-secret'}, tiers=[Tier.LIGHT])
    await Recording(model, tmp_path / "a.jsonl", secrets=secrets).complete(prompt, Tier.LIGHT)
    assert "quoted" not in (tmp_path / "a.jsonl").read_text()
    played = await Replaying(silent(), tmp_path / "a.jsonl").complete(prompt, Tier.LIGHT)
    assert played.data == {"echo": "[secret]"}


def test_no_cassette_of_this_project_holds_a_key_of_this_machine() -> None:
    values = [value for name, value in os.environ.items() if "KEY" in name or "TOKEN" in name or "SECRET" in name]
    for tape in sorted(TAPES.glob("*.jsonl")):
        text = tape.read_text(encoding="utf-8")
        assert not [value for value in values if len(value) >= 8 and value in text], tape.name
        assert "sk-" not in text, tape.name


async def test_the_settings_play_a_cassette_with_no_model_behind_it(tmp_path: Path) -> None:
    setup = TierSetup(tier=Tier.LIGHT, way=Way(model="scripted/light"), max_tokens=1000, timeout_s=5)
    await recorded(tmp_path / "a.jsonl", ScriptedModel({"intake": {"type": "refund"}}, tiers=[Tier.LIGHT]))
    model = configured_model([setup], cassette=tmp_path / "a.jsonl", mode="replay", secrets=Secrets())
    answer = await model.complete(PROMPT, Tier.LIGHT)
    await model.aclose()
    assert answer.data == {"type": "refund"}
