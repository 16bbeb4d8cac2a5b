"""The parts of the way to a model, each by itself: none of these loads a client."""

import asyncio
import threading
import time
from pathlib import Path

import anyio
import httpx
import pytest

from process_orchestrator.core.errors import ModelError
from process_orchestrator.core.facts.values import Tier
from process_orchestrator.llm.asking import asked, keeps_strict
from process_orchestrator.llm.exchange import Exchange, proxy_for
from process_orchestrator.llm.failures import failure_of
from process_orchestrator.llm.keys import key_of
from process_orchestrator.llm.litellm_model import LitellmModel
from process_orchestrator.llm.model_thread import ModelThread
from process_orchestrator.llm.port import Prompt, TierFacts, told
from process_orchestrator.llm.prices import price_map, price_of
from process_orchestrator.llm.probability import choice_probability
from process_orchestrator.llm.tiers import Price, Structured, TierSetup, Way, facts_of
from process_orchestrator.performing.secrets import Secrets

WAY = Way(model="openai/m", api_base="http://127.0.0.1:1/v1")
CHEAP, DEAR = Price(in_usd_micros=1, out_usd_micros=9), Price(in_usd_micros=5, out_usd_micros=2)


# Supply chain


def site_packages() -> Path:
    return Path(httpx.__file__).parents[1]


def test_no_package_brings_code_that_runs_at_every_start_of_python() -> None:
    """Two releases of litellm carried a stealer in a `.pth` file. Ours and those of the test tools are known."""
    known = {
        "_editable_impl_process_orchestrator.pth",
        "a1_coverage.pth",
        "_virtualenv.pth",
        "distutils-precedence.pth",
    }
    assert {file.name for file in site_packages().glob("*.pth")} - known == set()


def test_the_stolen_releases_are_not_those_that_are_installed() -> None:
    installed = {folder.name for folder in site_packages().glob("litellm-*.dist-info")}
    assert len(installed) == 1
    assert installed.isdisjoint({"litellm-1.82.7.dist-info", "litellm-1.82.8.dist-info"})


# Keys


@pytest.mark.parametrize(
    ("way", "environment", "found", "missing"),
    [
        (Way(model="openai/m"), {"OPENAI_API_KEY": "k"}, "OPENAI_API_KEY", False),
        (Way(model="gpt-5-mini"), {"OPENAI_API_KEY": "k"}, "OPENAI_API_KEY", False),
        (Way(model="claude-haiku-4-5"), {}, None, True),
        (Way(model="gemini/m"), {"GOOGLE_API_KEY": "k"}, "GOOGLE_API_KEY", False),
        (Way(model="openai/m"), {"OPENAI_API_KEY": ""}, None, True),
        (Way(model="openai/m", api_key_env="MINE"), {"OPENAI_API_KEY": "k"}, None, True),
        (Way(model="openai/m", api_base="http://h/v1"), {"OPENAI_API_KEY": "k"}, None, False),
        (Way(model="ollama_chat/m"), {}, None, False),
        (Way(model="bedrock/m"), {}, None, False),
    ],
)
def test_which_variable_holds_the_key(
    way: Way, environment: dict[str, str], found: str | None, *, missing: bool
) -> None:
    key = key_of(way, environment)
    assert (key.found, key.missing) == (found, missing)


# Prices


def test_a_price_is_that_of_the_settings_else_that_of_the_map_else_unknown() -> None:
    known = {
        "m": {"litellm_provider": "openai", "input_cost_per_token": 2.5e-07, "output_cost_per_token": 2e-06},
        "free": {"litellm_provider": "ollama", "input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
        "half": {"litellm_provider": "openai", "input_cost_per_token": 1e-06},
    }
    assert price_of(Way(model="openai/m"), known) == Price(in_usd_micros=250_000, out_usd_micros=2_000_000)
    assert price_of(Way(model="ollama/free"), known) == Price(in_usd_micros=0, out_usd_micros=0)
    assert price_of(Way(model="openai/m", price=CHEAP), known) == CHEAP
    unknown = [Way(model="other/m"), Way(model="openai/half"), Way(model="openai/none"), Way(model="free"), WAY]
    assert [price_of(way, known) for way in unknown] == [None] * 5


def test_the_map_is_there_and_known_models_have_a_price() -> None:
    known = price_map()
    for name in ("anthropic/claude-haiku-4-5", "openai/gpt-5-mini", "gemini/gemini-2.5-flash"):
        assert price_of(Way(model=name), known) is not None


def test_a_tier_costs_what_its_dearest_way_does_and_one_unknown_makes_it_unknown() -> None:
    setup = TierSetup(tier=Tier.LIGHT, way=WAY, fallbacks=(WAY,), max_tokens=10, timeout_s=5)
    facts = facts_of(setup, (CHEAP, DEAR))
    assert (facts.in_usd_micros_per_mtok, facts.out_usd_micros_per_mtok) == (5, 9)
    assert facts_of(setup, (CHEAP, None)).price(tokens_in=1, tokens_out=1) is None


def test_the_models_are_told_in_words() -> None:
    model = LitellmModel([TierSetup(tier=Tier.MID, way=WAY, max_tokens=10, timeout_s=5)], secrets=Secrets())
    assert told(model) == "mid openai/m"
    assert isinstance(model.tier(Tier.MID), TierFacts)


# What is asked


def test_strict_is_asked_for_where_every_object_is_closed_and_whole() -> None:
    closed = {"type": "object", "properties": {"a": {"enum": ["x"]}}, "required": ["a"], "additionalProperties": False}
    assert keeps_strict(closed)
    assert keeps_strict({**closed, "properties": {"a": {"type": "array", "items": closed}}})
    assert not keeps_strict({**closed, "required": []})
    assert not keeps_strict({**closed, "additionalProperties": True})
    assert not keeps_strict({**closed, "properties": {"a": {"type": "object"}}})
    assert not keeps_strict({**closed, "$defs": {"b": {"type": "object", "properties": {"c": {}}}}})
    assert not keeps_strict({"anyOf": [closed]})


@pytest.mark.parametrize("structured", [Structured.NATIVE, Structured.TOOL])
def test_a_client_that_rewrites_the_schema_does_not_rewrite_what_the_answer_is_judged_by(
    structured: Structured,
) -> None:
    prompt = Prompt(purpose="plan", messages=(), schema={"type": "object", "properties": {"a": {"enum": ["x"]}}})
    request = asked(prompt, structured)
    for each in (
        request.get("response_format", {}).get("json_schema", {}),
        *(t["function"] for t in request.get("tools", ())),
    ):
        each.get("schema", each.get("parameters", {})).get("properties", {}).clear()
    assert prompt.schema == {"type": "object", "properties": {"a": {"enum": ["x"]}}}


def test_a_schema_that_is_no_object_is_told_in_words_where_tools_are_used() -> None:
    request = asked(Prompt(purpose="plan", messages=(), schema={"enum": ["a", "b"]}), Structured.TOOL)
    assert set(request) == {"messages"}


# Why it failed


class LibraryError(Exception):
    """What a client raises, whatever happened."""


def raised_from(cause: Exception) -> LibraryError:
    try:
        try:
            raise cause
        except Exception as error:
            raise LibraryError("InternalServerError 500: retry") from error
    except LibraryError as error:
        return error


@pytest.mark.parametrize(
    ("exchange", "error", "code"),
    [
        (Exchange(sent=[("POST", "x")]), raised_from(httpx.ConnectError("refused")), "unreachable"),
        (Exchange(sent=[("POST", "x")]), raised_from(httpx.ReadTimeout("slow")), "timeout"),
        (Exchange(), raised_from(httpx.ConnectError("refused")), "unreachable"),
        (Exchange(), LibraryError("LLM Provider NOT provided"), "not_configured"),
        (Exchange(sent=[("POST", "x")], status=200, whole=True), LibraryError("500"), "unreachable"),
        (Exchange(sent=[("POST", "x")], status=200, refused=("too_large", "big")), LibraryError("500"), "too_large"),
        (Exchange(sent=[("POST", "x")], status=422), LibraryError("500"), "refused"),
        (Exchange(sent=[("POST", "x")], status=429), LibraryError("500"), "rate_limited"),
        (Exchange(sent=[("POST", "x")], status=408), raised_from(httpx.ReadTimeout("slow")), "unreachable"),
    ],
)
def test_a_failure_is_told_by_what_the_wire_saw(exchange: Exchange, error: Exception, code: str) -> None:
    failed = failure_of(error, exchange, WAY)
    assert (failed.code, failed.model) == (code, "openai/m")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"error": {"message": "too  long"}}', "too long"),
        (b'{"error": "short"}', "short"),
        (b'{"detail": [1]}', "[1]"),
        (b"plain\ntext", "plain text"),
        (b"[" * 4096, "[" * 300),
        (b"\xff\xfe", "��"),
        (b"", ""),
    ],
)
def test_the_reason_is_the_host_s_own_on_one_line(body: bytes, reason: str) -> None:
    failed = failure_of(LibraryError(), Exchange(status=400, body=bytearray(body)), WAY)
    assert failed.message.endswith(f"status 400, {reason}" if reason else "status 400")


def test_a_model_on_this_machine_is_never_looked_for_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert proxy_for(httpx.URL("https://api.example/v1")) == "http://proxy.example:3128"
    assert [proxy_for(httpx.URL(f"http://{host}/v1")) for host in ("127.0.0.1:1", "localhost", "inside.example")] == [
        None,
        None,
        None,
    ]


# How sure it was

SCHEMA = {"type": "object", "properties": {"why": {"type": "string"}, "pick": {"enum": ["a", "none"]}}}


def tokens_of(*said: tuple[str, float]) -> list[tuple[bytes, float]]:
    return [(text.encode(), odds) for text, odds in said]


def test_only_the_tokens_of_the_choice_count_and_a_fence_before_it_does_not() -> None:
    text = '{"why": "none", "pick": "none"}'
    tokens = tokens_of(
        ("```json\n", -9), ('{"why": "', -8), ("none", -7), ('", "pick": "', -6), ("no", -0.1), ("ne", -0.5), ('"}', -5)
    )
    assert choice_probability(text, {"why": "none", "pick": "none"}, SCHEMA, tokens) == pytest.approx(0.6065, abs=1e-3)


@pytest.mark.parametrize(
    ("data", "schema"),
    [
        ({"why": "x"}, SCHEMA),
        ({"pick": "a"}, {"properties": {"pick": {"enum": ["a"]}}}),
        ({"pick": "a"}, {"properties": {"pick": {"const": "a"}}}),
        ("a", {"type": "string"}),
    ],
)
def test_where_nothing_was_left_to_choose_there_is_no_probability(data: object, schema: dict[str, object]) -> None:
    assert choice_probability('{"pick": "a"}', data, schema, tokens_of(('{"pick": "a"}', -1))) is None


def test_a_choice_is_found_behind_branches_references_and_lists() -> None:
    choice = {"$ref": "#/$defs/pick"}
    branch = {"properties": {"k": {"const": "two"}, "list": {"items": choice}}, "required": ["k", "list"]}
    schema = {"anyOf": [{"properties": {"other": {}}}, branch], "$defs": {"pick": {"enum": ["a", "b"]}}}
    tokens = tokens_of(('{"k": "two", "list": ["', -3), ("b", -0.5), ('"]}', -4))
    found = choice_probability('{"k": "two", "list": ["b"]}', {"k": "two", "list": ["b"]}, schema, tokens)
    assert found == pytest.approx(0.6065, abs=1e-3)


def test_tokens_that_do_not_make_up_the_text_tell_nothing() -> None:
    assert choice_probability('{"pick": "a"}', {"pick": "a"}, SCHEMA, tokens_of(("other", -1))) is None
    assert choice_probability('{"pick": "a"}', {"pick": "a"}, SCHEMA, []) is None


# The thread


async def nothing(_: object) -> None:
    """There is nothing to close."""


async def test_a_thread_loads_once_at_first_need_and_lets_the_loop_go_on() -> None:
    loads: list[str] = []
    gate = threading.Event()

    def load() -> str:
        gate.wait(5)
        loads.append(threading.current_thread().name)
        return "loaded"

    async def work(loaded: str) -> str:
        return f"{loaded} {threading.current_thread().name}"

    thread = ModelThread(load, close=nothing)
    results: list[str] = []

    async def ask() -> None:
        results.append(await thread.run(work, timeout_s=5))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        tasks.start_soon(ask)
        await anyio.sleep(0)
        gate.set()
    await thread.aclose()
    assert (results, loads) == (["loaded models"] * 2, ["models"])


async def test_preloading_waits_and_is_given_up_at_the_end() -> None:
    loads: list[int] = []
    thread = ModelThread(lambda: loads.append(1), close=nothing)
    thread.begin(after_s=60)
    await thread.aclose()
    with pytest.raises(ModelError, match="is closed"):
        await thread.run(nothing, timeout_s=1)
    assert loads == []


async def test_what_cannot_be_loaded_is_told_each_time() -> None:
    def load() -> str:
        raise ImportError("No module named litellm")

    thread = ModelThread(load, close=nothing)
    for _ in range(2):
        with pytest.raises(ModelError, match="ImportError: No module named litellm") as failed:
            await thread.run(nothing, timeout_s=1)
        assert failed.value.code == "not_configured"
    await thread.aclose()


async def test_a_client_that_blocks_its_loop_holds_nobody_up_for_longer_than_its_time() -> None:
    free = threading.Event()

    async def block(_: object) -> None:
        free.wait(5)

    thread = ModelThread(lambda: "loaded", close=nothing)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        await thread.run(block, timeout_s=0.1)
    assert time.monotonic() - started < 1
    free.set()
    await thread.aclose()


async def test_cancelling_reaches_the_work_in_the_thread() -> None:
    began, cancelled = threading.Event(), threading.Event()

    async def wait(_: object) -> None:
        began.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.set()

    thread = ModelThread(lambda: "loaded", close=nothing)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: thread.run(wait, timeout_s=5))
        await anyio.to_thread.run_sync(began.wait, 5)
        tasks.cancel_scope.cancel()
    assert await anyio.to_thread.run_sync(cancelled.wait, 5)
    await thread.aclose()
