"""What an installation says of its models, without asking any: `doctor`, `describe_agents`, the settings of `init`."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from cli.calling import call
from llm.scripted import ScriptedModel
from process_orchestrator.assemble import Mode, open_orchestrator
from process_orchestrator.core.facts.values import Tier
from process_orchestrator.doors.cli.doctor_models import model_rows
from process_orchestrator.home import EXAMPLE_SETTINGS, Home, seed_home
from process_orchestrator.settings import Settings, load_settings

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "models.md"


def settings(text: str, folder: Path) -> Settings:
    (folder / "orchestrator.toml").write_text(text)
    return load_settings(folder, environment={})


def rows(given: Settings, **environment: str) -> dict[str, dict[str, Any]]:
    return {row["what"]: row for row in model_rows(given, environment=environment)}


def test_doctor_says_rules_mode_where_no_model_is_set_up(tmp_path: Path) -> None:
    assert rows(Settings())["models"]["found"].startswith("rules mode")
    assert "rules mode" in call("doctor", "--home", tmp_path, "--models").out


def test_doctor_says_of_each_tier_whether_its_key_is_there_and_its_price_is_known(tmp_path: Path) -> None:
    given = settings(
        '[models.light]\nmodel = "openai/x"\napi_base = "http://127.0.0.1:1/v1"\n'
        '[models.strong]\nmodel = "anthropic/claude-opus-4-6"\nfallbacks = ["openai/gpt-5.2"]\n'
        '[models]\ncassette = "tape.jsonl"\n',
        tmp_path,
    )
    found = rows(given, ANTHROPIC_API_KEY="k")
    assert "not set up: mid" in found["models"]["found"]
    light, strong = found["model light"], found["model strong"]
    assert (light["ok"], "no key needed, price unknown" in light["found"]) == (True, True)
    assert "key in ANTHROPIC_API_KEY, 5 USD in, 25 out per million tokens" in strong["found"]
    assert not strong["ok"]
    assert strong["found"].endswith("Do: set OPENAI_API_KEY where the engine is started")
    assert found["cassette"]["found"] == f"{tmp_path / 'tape.jsonl'}: answers are read from it, no model is asked"


@pytest.mark.parametrize(
    ("address", "key", "ok"),
    [
        ("http://models.example.org/v1", 'api_key_env = "MINE"', False),
        ("http://10.0.0.7:8000/v1", 'api_key_env = "MINE"', False),
        ("http://10.0.0.7:8000/v1", "", True),
        ("https://models.example.org/v1", 'api_key_env = "MINE"', True),
        ("http://127.0.0.1:8000/v1", 'api_key_env = "MINE"', True),
        ("http://[::1]:8000/v1", 'api_key_env = "MINE"', True),
        ("http://localhost:8000/v1", 'api_key_env = "MINE"', True),
    ],
)
def test_doctor_says_where_a_key_could_be_read_on_its_way(address: str, key: str, tmp_path: Path, *, ok: bool) -> None:
    given = settings(f'[models.light]\nmodel = "openai/x"\napi_base = "{address}"\n{key}\n', tmp_path)
    row = rows(given, MINE="k")["model light"]
    assert row["ok"] is ok
    assert ok or row["found"].endswith("Do: write https:// in api_base: everybody on the way can read the key")


def test_doctor_asks_each_tier_a_word_and_fails_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_MODELS_LIGHT_MODEL", "anthropic/claude-haiku-4-5")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    said = call("doctor", "--home", tmp_path, "--models")
    assert said.code == 1
    assert "model light asked: not_configured: anthropic/claude-haiku-4-5 needs a key" in said.out


async def test_describe_says_which_models_are_set_up(tmp_path: Path) -> None:
    home = Home(path=tmp_path, state=tmp_path / "state")
    model = ScriptedModel({}, tiers=[Tier.LIGHT, Tier.STRONG])
    async with open_orchestrator(home, Settings(), mode=Mode.READ, model=model) as orchestrator:
        assert (await orchestrator.describe()).models == "light scripted/light, strong scripted/strong"
    async with open_orchestrator(home, Settings(), mode=Mode.READ) as orchestrator:
        assert (await orchestrator.describe()).models == "rules"
    assert model.closed


def test_init_writes_settings_that_change_nothing_until_they_are_filled_in(tmp_path: Path) -> None:
    home = Home(path=tmp_path / "home", state=tmp_path / "state")
    seed_home(home)
    assert load_settings(home.path, environment={}) == Settings()
    (home.path / "orchestrator.toml").write_text("[engine]\nprocesses_running = 7\n")
    assert seed_home(home) == ()
    assert load_settings(home.path, environment={}).engine.processes_running == 7


def test_every_key_of_the_settings_that_init_writes_is_one(tmp_path: Path) -> None:
    whole = re.sub(r"^# (?=\[|\w+ = )", "", EXAMPLE_SETTINGS.read_text(), flags=re.MULTILINE)
    given = settings(whole, tmp_path)
    assert {setup.tier for setup in given.models.setups} == set(Tier)


def test_the_settings_in_the_document_are_settings(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(), flags=re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        assert tomllib.loads(block)
        assert settings(block, tmp_path).models.setups
