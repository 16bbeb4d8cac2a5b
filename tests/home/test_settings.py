"""Settings: a file, a variable for each key, and nothing that is not known."""

from pathlib import Path

import pytest

from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts.values import Assurance, Tier
from process_orchestrator.llm.tiers import Price, Structured, TierSetup, Way
from process_orchestrator.settings import Settings, load_settings


def written(folder: Path, text: str) -> Path:
    (folder / "orchestrator.toml").write_text(text, encoding="utf-8")
    return folder


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert load_settings(tmp_path, environment={}) == Settings()
    assert (Settings().assurance.floor, Settings().engine.processes_running) == (Assurance.A0, 100)


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    home = written(tmp_path, '[assurance]\nfloor = "A1"\n[engine]\nprocesses_running = 7\n')
    settings = load_settings(home, environment={"ORCHESTRATOR_ASSURANCE_FLOOR": "A2"})
    assert (settings.assurance.floor, settings.engine.processes_running) == (Assurance.A2, 7)


def test_variables_that_say_where_the_home_is_are_no_settings(tmp_path: Path) -> None:
    assert load_settings(tmp_path, environment={"ORCHESTRATOR_HOME": "/x", "ORCHESTRATOR_STATE": "/y"}) == Settings()


@pytest.mark.parametrize(
    ("text", "environment", "named"),
    [
        ("[engine]\nproceses_running = 7\n", {}, "engine.proceses_running"),
        ("[engin]\nprocesses_running = 7\n", {}, "engin"),
        ("[engine]\nprocesses_running = 0\n", {}, "engine.processes_running"),
        ('[assurance]\nfloor = "A9"\n', {}, "assurance.floor"),
        ("[engine", {}, "orchestrator.toml"),
        ("", {"ORCHESTRATOR_ENGINE_SPEED": "1"}, "engine.speed"),
        ("", {"ORCHESTRATOR_MODELS_DARK_MODEL": "a/b"}, "models.dark_model"),
        ("", {"ORCHESTRATOR_MODELS_LIGHT_TIMEOUT_S": "5"}, "models.light.model"),
        ("", {"ORCHESTRATOR_MODELS_LIGHT_MODEL": "a b"}, "models.light.model"),
        ('[models.strong]\nmodel = "a/b"\napi_key_env = "sk-real-key"\n', {}, "models.strong.api_key_env"),
        ('[models.strong]\nmodel = "a/b"\napi_base = "http://me:key@host/v1"\n', {}, "models.strong.api_base"),
        ('[models.strong]\nmodel = "a/b"\napi_base = "http://:key@host/v1"\n', {}, "models.strong.api_base"),
        ('[models.strong]\nmodel = "a/b"\napi_base = "http://host/v1#key"\n', {}, "models.strong.api_base"),
        ('[models.strong]\nmodel = "a/b"\napi_base = "http://host:99999/v1"\n', {}, "models.strong.api_base"),
        ('[models.strong]\nmodel = "a/b"\nprice = {in = 1}\n', {}, "models.strong.price.out"),
        ('[models.strong]\nmodel = "a/b"\nstructured = "json"\n', {}, "models.strong.structured"),
        ('[models]\ncassette_mode = "both"\n', {}, "models.cassette_mode"),
    ],
)
def test_what_is_not_known_is_refused_by_name_with_what_is(
    tmp_path: Path, text: str, environment: dict[str, str], named: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        load_settings(written(tmp_path, text), environment=environment)
    assert refused.value.code == "BAD_ARGUMENT"
    assert named in refused.value.message
    assert refused.value.do


def test_no_value_that_was_refused_is_repeated(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as refused:
        load_settings(tmp_path, environment={"ORCHESTRATOR_MODELS_LIGHT_API_KEY_ENV": "sk-real-key"})
    assert "sk-real-key" not in str(refused.value)


MODELS = """
[models.light]
model = "openai/small"
api_base = "http://127.0.0.1:8080/v1/"
price = {in = 0.25, out = 2}
fallbacks = ["openai/other", "anthropic/claude-haiku-4-5", {model = "openai/third", api_base = "http://127.0.0.1:1/v1"}]

[models.strong]
model = "anthropic/claude-opus-4-6"
api_key_env = "MY_KEY"
structured = "tool"
"""


def test_a_tier_says_which_model_where_with_which_key_at_what_price(tmp_path: Path) -> None:
    light, strong = load_settings(written(tmp_path, MODELS), environment={}).models.setups
    local = "http://127.0.0.1:8080/v1"
    assert light == TierSetup(
        tier=Tier.LIGHT,
        way=Way(model="openai/small", api_base=local, price=Price(in_usd_micros=250_000, out_usd_micros=2_000_000)),
        fallbacks=(
            Way(model="openai/other", api_base=local),
            Way(model="anthropic/claude-haiku-4-5"),
            Way(model="openai/third", api_base="http://127.0.0.1:1/v1"),
        ),
        max_tokens=1000,
        timeout_s=30,
    )
    assert strong == TierSetup(
        tier=Tier.STRONG,
        way=Way(model="anthropic/claude-opus-4-6", api_key_env="MY_KEY"),
        max_tokens=4000,
        timeout_s=120,
        structured=Structured.TOOL,
    )


def test_each_key_of_a_tier_is_a_variable_too_and_an_empty_name_switches_it_off(tmp_path: Path) -> None:
    variables = {
        "ORCHESTRATOR_MODELS_STRONG_MODEL": "",
        "ORCHESTRATOR_MODELS_LIGHT_MODEL": "ollama_chat/llama3.2",
        "ORCHESTRATOR_MODELS_LIGHT_API_BASE": "",
        "ORCHESTRATOR_MODELS_LIGHT_PRICE_IN": "0",
        "ORCHESTRATOR_MODELS_LIGHT_PRICE_OUT": "0",
        "ORCHESTRATOR_MODELS_LIGHT_FALLBACKS": "a/b, ollama_chat/c",
        "ORCHESTRATOR_MODELS_MID_MODEL": "x/y",
        "ORCHESTRATOR_MODELS_MID_MAX_TOKENS": "77",
        "ORCHESTRATOR_MODELS_CASSETTE": "tapes/one.jsonl",
        "ORCHESTRATOR_MODELS_CASSETTE_MODE": "record",
    }
    models = load_settings(written(tmp_path, MODELS), environment=variables).models
    light, mid = models.setups
    assert light.way == Way(model="ollama_chat/llama3.2", price=Price(in_usd_micros=0, out_usd_micros=0))
    assert light.fallbacks == (Way(model="a/b"), Way(model="ollama_chat/c"))
    assert (mid.tier, mid.max_tokens, mid.timeout_s) == (Tier.MID, 77, 60)
    assert (models.strong, models.cassette, models.cassette_mode) == (None, Path("tapes/one.jsonl"), "record")


def test_a_cassette_that_the_file_names_lies_beside_it(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, '[models]\ncassette = "one.jsonl"\n'), environment={})
    assert settings.models.cassette == tmp_path / "one.jsonl"
    assert load_settings(written(tmp_path, '[models]\ncassette = "/x/a"\n'), environment={}).models.cassette == Path(
        "/x/a"
    )
