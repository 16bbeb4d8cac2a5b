"""The real litellm against a real endpoint on loopback that does everything a host of models may do, well and badly.

Importing it takes seconds, so all that needs it stands in this file, and none of it runs every day.
"""

import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from llm.endpoint import (
    Act,
    Endpoint,
    bomb,
    breaks_off,
    drips,
    fails,
    hangs,
    hangs_in_the_body,
    megabytes,
    resets,
    says,
    sends,
    serving,
    tool_call,
)
from llm.model_conformance import CHECKS, PROMPT, SCHEMA, Check, Subject
from process_orchestrator.assemble import Mode, open_orchestrator
from process_orchestrator.core.errors import ModelError
from process_orchestrator.core.facts.values import Tier
from process_orchestrator.home import Home, seed_home
from process_orchestrator.llm.litellm_model import LitellmModel
from process_orchestrator.llm.port import Message, Prompt
from process_orchestrator.llm.tiers import Price, Structured, TierSetup, Way
from process_orchestrator.performing.secrets import Secrets
from process_orchestrator.settings import Settings
from process_orchestrator.views.models import SubmitRequest

pytestmark = pytest.mark.slow

KEY = "sk-this-is-a-secret-key"
GOOD = '{"type": "refund"}'
PRICE = Price(in_usd_micros=1_000_000, out_usd_micros=2_000_000)
LAG_S_MAX = 0.5
"""A loop that is held up for longer answers nobody. Two busy cores alone take a tenth."""


def setup_of(endpoint: Endpoint, **more: Any) -> TierSetup:
    way = more.pop("way", None) or Way(
        model="openai/local", api_base=endpoint.base, api_key_env="MY_KEY", price=more.pop("price", PRICE)
    )
    return TierSetup(tier=Tier.LIGHT, way=way, max_tokens=100, timeout_s=more.pop("timeout_s", 20), **more)


def model_of(*setups: TierSetup, **environment: str) -> LitellmModel:
    return LitellmModel(setups, secrets=Secrets(), environment={"MY_KEY": KEY, **environment})


@asynccontextmanager
async def opened(*setups: TierSetup, **environment: str) -> AsyncGenerator[LitellmModel]:
    model = model_of(*setups, **environment)
    try:
        yield model
    finally:
        await model.aclose()


async def failure(model: LitellmModel, prompt: Prompt = PROMPT) -> ModelError:
    with pytest.raises(ModelError) as failed:
        await model.complete(prompt, Tier.LIGHT)
    assert KEY not in str(failed.value)
    return failed.value


# It keeps the port


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_real_client_keeps_the_port(check: Check) -> None:
    with serving(says("")) as endpoint:

        def subject(text: str) -> LitellmModel:
            endpoint.acts = [says(text)]
            return model_of(setup_of(endpoint))

        await check(Subject(name="litellm", says=subject))  # type: ignore[misc]


# Every way to fail has a name, is asked for once, and says nothing on stdout


FAILURES: dict[str, tuple[Act, str]] = {
    "rate limit": (fails(429, "slow down", Retry_After="7"), "rate_limited"),
    "overloaded": (fails(529, "overloaded"), "rate_limited"),
    "no money left": (fails(429, "You exceeded your current quota: insufficient_quota"), "refused"),
    "bad key": (fails(401, "bad key " + KEY), "not_configured"),
    "forbidden": (fails(403), "refused"),
    "no such model": (fails(404, "model `local` not found"), "not_configured"),
    "bad request": (fails(400, "content management policy"), "refused"),
    "broken": (fails(500, "oops"), "unreachable"),
    "away": (fails(503, "loading", Retry_After="2"), "unreachable"),
    "an error that is no JSON": (sends(b"<html>" + b"x" * 100_000, status=502, kind="text/html"), "unreachable"),
    "a page": (sends(b"<html>Log in</html>", kind="text/html"), "unreachable"),
    "no JSON": (sends(b"{]"), "unreachable"),
    "nested without end": (sends(b"[" * 100_000), "unreachable"),
    "another protocol": (sends({"hello": "world"}), "unreachable"),
    "no choices": (sends({"id": "c", "object": "chat.completion", "choices": []}), "not_json"),
    "empty": (says(""), "not_json"),
    "nothing": (says(None), "not_json"),
    "garbage": (says("hm \x00 \ud83d\ude00 {{{"), "not_json"),
    "truncated": (says('{"type": "ref', finish="length"), "truncated"),
    "truncated, yet valid": (says(GOOD, finish="length"), "truncated"),
    "filtered": (says("", finish="content_filter"), "refused"),
    "refused": (says(None, message={"refusal": "I will not."}), "refused"),
    "ten megabytes": (megabytes(10, told=True), "too_large"),
    "ten megabytes that are not announced": (megabytes(10, told=False), "too_large"),
    "two megabytes": (megabytes(2, told=True), "too_large"),
    "a compressed bomb": (bomb, "unreachable"),
    "reset": (resets, "unreachable"),
    "broken off": (breaks_off, "unreachable"),
    "redirected": (sends(b"", status=302, Location="/v1/elsewhere"), "not_configured"),
    "redirected with its body": (sends(b"", status=307, Location="http://127.0.0.1:9/v1"), "not_configured"),
    "hung": (hangs, "timeout"),
    "hung in the body": (hangs_in_the_body, "timeout"),
    "dripping": (drips, "timeout"),
}


@pytest.mark.behaviour("models-fail-by-name")
@pytest.mark.parametrize("name", FAILURES)
async def test_a_failure_has_a_name_is_asked_once_and_leaves_stdout_alone(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    act, code = FAILURES[name]
    timeout_s = 0.7 if code == "timeout" else 20
    with serving(act) as endpoint:
        async with opened(setup_of(endpoint, timeout_s=timeout_s), setup_elsewhere(endpoint)) as model:
            await warmed(model, endpoint)
            started = time.monotonic()
            async with watched() as worst:
                error = await failure(model)
            took = time.monotonic() - started
    assert (error.code, len(endpoint.heard)) == (code, 1)
    assert error.message
    assert len(error.message) < 1000
    assert capfd.readouterr().out == ""
    assert worst.most_s < LAG_S_MAX
    if code == "timeout":
        assert took < timeout_s + 1.5


async def test_a_rate_limit_says_how_long_and_what_was_cut_what_it_took() -> None:
    with serving(fails(429, Retry_After="7"), says("{", finish="length")) as endpoint:
        async with opened(setup_of(endpoint)) as model:
            assert (await failure(model)).retry_after_ms == 7000
            cut = await failure(model)
    assert (cut.tokens, cut.usd_micros, cut.available) == (110, 120, True)


async def test_a_missing_key_asks_nobody_and_loads_nothing() -> None:
    with serving(says(GOOD)) as endpoint:
        async with opened(setup_of(endpoint), MY_KEY="") as model:
            error = await failure(model)
            assert model._thread._thread is None  # pyright: ignore[reportPrivateUsage] - the import takes seconds
    assert (error.code, endpoint.heard) == ("not_configured", [])
    assert "MY_KEY is not set" in error.message


async def test_a_dead_endpoint_is_unreachable_and_says_where() -> None:
    with serving(says(GOOD)) as endpoint:
        base = endpoint.base
    dead = TierSetup(tier=Tier.LIGHT, way=Way(model="openai/x", api_base=base), max_tokens=10, timeout_s=20)
    async with opened(dead) as model:
        error = await failure(model)
    assert error.code == "unreachable"
    assert base in error.message


async def test_a_provider_that_nobody_knows_is_not_configured() -> None:
    odd = TierSetup(tier=Tier.LIGHT, way=Way(model="nobody/knows"), max_tokens=10, timeout_s=20)
    async with opened(odd) as model:
        assert (await failure(model)).code == "not_configured"


# What is sent, and to whom


async def test_a_key_goes_only_where_the_settings_send_it() -> None:
    with serving(says(GOOD)) as endpoint:
        bare = setup_of(endpoint, way=Way(model="openai/local", api_base=endpoint.base))
        async with opened(bare, OPENAI_API_KEY="sk-of-openai-alone") as model:
            await model.complete(PROMPT, Tier.LIGHT)
        async with opened(setup_of(endpoint)) as model:
            await model.complete(PROMPT, Tier.LIGHT)
    sent = [heard.headers["Authorization"] for heard in endpoint.heard]
    assert sent == ["Bearer none", f"Bearer {KEY}"]


async def test_the_schema_is_asked_for_as_the_tier_says() -> None:
    with serving(says(GOOD), tool_call(GOOD), says(GOOD)) as endpoint:
        for structured in Structured:
            async with opened(setup_of(endpoint, structured=structured)) as model:
                assert (await model.complete(PROMPT, Tier.LIGHT)).data == {"type": "refund"}
    native, tool, told = (heard.body for heard in endpoint.heard)
    assert native["response_format"]["json_schema"] == {"name": "answer", "schema": SCHEMA, "strict": False}
    assert tool["tools"][0]["function"]["parameters"] == SCHEMA
    assert tool["tool_choice"]["function"] == {"name": "answer"}
    assert json.dumps(SCHEMA, sort_keys=True) in told["messages"][-1]["content"]
    assert {"response_format", "tools"}.isdisjoint(told)
    assert [body["max_tokens"] for body in (native, tool, told)] == [100, 100, 100]


async def test_the_least_likely_token_of_the_first_choice_is_its_probability() -> None:
    tokens = [("{", -0.1), ('"type', -0.2), ('": "', -0.3), ("ref", -0.5), ("und", -0.01), ('"}', -0.7)]
    content = [
        {"token": text, "bytes": list(text.encode()), "logprob": odds, "top_logprobs": []} for text, odds in tokens
    ]
    prompt = Prompt(purpose="intake", messages=PROMPT.messages, schema=SCHEMA, alternatives=True)
    with serving(says(GOOD, logprobs={"content": content}), says(GOOD)) as endpoint:
        async with opened(setup_of(endpoint)) as model:
            told = await model.complete(prompt, Tier.LIGHT)
            silent = await model.complete(prompt, Tier.LIGHT)
    assert told.probability == pytest.approx(0.6065, abs=1e-3)
    assert silent.probability is None
    assert endpoint.heard[0].body["logprobs"] is True


@pytest.mark.parametrize(
    ("price", "usage", "cost"),
    [
        (PRICE, {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}, 120),
        (PRICE, None, None),
        (PRICE, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, None),
        (None, {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}, None),
        (Price(in_usd_micros=0, out_usd_micros=0), None, 0),
        (PRICE, {"prompt_tokens": -1_000_000_000, "completion_tokens": 10, "total_tokens": 110}, None),
        (PRICE, {"prompt_tokens": 100, "completion_tokens": 10**30, "total_tokens": 110}, None),
    ],
)
async def test_what_nobody_knows_costs_unknown_and_never_zero(
    price: Price | None, usage: dict[str, int] | None, cost: int | None
) -> None:
    with serving(says(GOOD, usage=usage)) as endpoint:
        async with opened(setup_of(endpoint, price=price)) as model:
            spent = (await model.complete(PROMPT, Tier.LIGHT)).spent
    assert spent.usd_micros == cost


@pytest.mark.parametrize("structured", list(Structured))
@pytest.mark.parametrize(
    "model", ["gemini/gemini-2.5-flash", "mistral/m", "anthropic/claude-haiku-4-5", "ollama_chat/m"]
)
async def test_no_client_rewrites_the_schema_that_an_answer_is_judged_by(model: str, structured: Structured) -> None:
    prompt = Prompt(purpose="intake", messages=PROMPT.messages, schema=copy.deepcopy(SCHEMA), alternatives=True)
    with serving(says('{"type": "transfer_everything"}')) as endpoint:
        way = Way(model=model, api_base=endpoint.base, api_key_env="MY_KEY")
        async with opened(setup_of(endpoint, way=way, structured=structured)) as subject:
            await failure(subject, prompt)
    assert prompt.schema == SCHEMA
    assert "response_format" not in endpoint.heard[0].body or model.startswith("mistral/")


async def test_a_host_that_echoes_the_key_does_not_get_it_into_an_answer() -> None:
    open_schema: dict[str, Any] = {"type": "object"}
    prompt = Prompt(purpose="intake", messages=PROMPT.messages, schema=open_schema)
    with serving(says(json.dumps({"type": f"Bearer {KEY}"}))) as endpoint:
        async with opened(setup_of(endpoint)) as model:
            answer = await model.complete(prompt, Tier.LIGHT)
    assert KEY not in answer.text + str(answer.data)


# Fallbacks, cancelling, two at once


async def test_a_fallback_is_asked_when_the_model_is_not_there_and_named() -> None:
    with serving(fails(503)) as first, serving(says(GOOD)) as second:
        fallback = Way(model="openai/second", api_base=second.base, price=PRICE)
        async with opened(setup_of(first, fallbacks=(fallback,))) as model:
            answer = await model.complete(PROMPT, Tier.LIGHT)
    assert answer.spent.model == "openai/second, after openai/local (unreachable)"
    assert (len(first.heard), len(second.heard), answer.spent.usd_micros) == (1, 1, 120)


async def test_a_fallback_after_a_timeout_costs_unknown_since_the_first_may_bill() -> None:
    with serving(hangs) as first, serving(says(GOOD)) as second:
        fallback = Way(model="openai/second", api_base=second.base, price=PRICE)
        async with opened(setup_of(first, fallbacks=(fallback,), timeout_s=2)) as model:
            answer = await model.complete(PROMPT, Tier.LIGHT)
    assert answer.spent.model == "openai/second, after openai/local (timeout)"
    assert (answer.spent.usd_micros, answer.spent.tokens) == (None, 110)


@pytest.mark.parametrize("act", [says('{"type": "other"}'), says("{", finish="length"), fails(400), fails(401)])
async def test_a_bad_answer_is_not_asked_for_elsewhere(act: Act) -> None:
    with serving(act) as first, serving(says(GOOD)) as second:
        async with opened(setup_of(first, fallbacks=(Way(model="openai/b", api_base=second.base),))) as model:
            await failure(model)
    assert (len(first.heard), len(second.heard)) == (1, 0)


async def test_when_no_fallback_is_there_either_each_is_named() -> None:
    with serving(fails(503)) as first, serving(fails(429)) as second:
        async with opened(setup_of(first, fallbacks=(Way(model="openai/b", api_base=second.base),))) as model:
            error = await failure(model)
    assert error.code == "rate_limited"
    assert "before that openai/local: unreachable" in error.message


async def test_an_answer_that_cannot_be_read_is_billed_at_the_most_that_it_can_cost() -> None:
    with (
        serving(sends({"hello": "world"}), fails(503), sends({"hello": "world"})) as first,
        serving(says(GOOD)) as second,
    ):
        fallback = Way(model="openai/second", api_base=second.base, price=PRICE)
        async with opened(setup_of(first)) as model:
            garbled, away = await failure(model), await failure(model)
        async with opened(setup_of(first, fallbacks=(fallback,))) as model:
            answer = await model.complete(PROMPT, Tier.LIGHT)
    assert (garbled.code, away.code, away.usd_micros) == ("unreachable", "unreachable", None)
    assert garbled.usd_micros is not None
    assert garbled.usd_micros > 120
    assert answer.spent.usd_micros == garbled.usd_micros + 120


async def test_where_one_was_given_up_on_the_bill_is_unknown_though_the_last_was_not_reached() -> None:
    with serving(hangs) as first, serving(fails(503)) as second:
        fallback = Way(model="openai/second", api_base=second.base, price=PRICE)
        async with opened(setup_of(first, fallbacks=(fallback,), timeout_s=1)) as model:
            error = await failure(model)
    assert (error.code, error.usd_micros) == ("timeout", None)


async def test_cancelling_closes_the_connection() -> None:
    with serving(says(GOOD), hangs) as endpoint:
        async with opened(setup_of(endpoint)) as model:
            await model.complete(PROMPT, Tier.LIGHT)
            with anyio.move_on_after(0.5) as scope:
                await model.complete(PROMPT, Tier.LIGHT)
            assert scope.cancelled_caught
            assert await anyio.to_thread.run_sync(endpoint.let_go.wait, 5)


async def test_one_that_hangs_holds_no_other_up() -> None:
    with serving(says(GOOD), hangs, says(GOOD)) as endpoint:
        async with opened(setup_of(endpoint, timeout_s=3)) as model:
            await model.complete(PROMPT, Tier.LIGHT)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(failure, model)
                while len(endpoint.heard) < 2:
                    await anyio.sleep(0.01)
                started = time.monotonic()
                assert (await model.complete(PROMPT, Tier.LIGHT)).data == {"type": "refund"}
                assert time.monotonic() - started < 2


async def test_another_provider_is_bounded_and_asked_once_too(capfd: pytest.CaptureFixture[str]) -> None:
    message: dict[str, Any] = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "c",
        "stop_reason": "end_turn",
    }
    message |= {"content": [{"type": "text", "text": GOOD}], "usage": {"input_tokens": 100, "output_tokens": 10}}
    with serving(sends(message), megabytes(10, told=False), fails(529), hangs) as endpoint:
        base = f"http://127.0.0.1:{endpoint.port}"
        way = Way(model="anthropic/claude-haiku-4-5", api_base=base, api_key_env="MY_KEY", price=PRICE)
        async with opened(setup_of(endpoint, way=way, structured=Structured.PROMPT, timeout_s=3)) as model:
            answer = await model.complete(PROMPT, Tier.LIGHT)
            codes = [(await failure(model)).code for _ in range(3)]
    assert (answer.data, answer.spent.usd_micros) == ({"type": "refund"}, 120)
    assert (codes, len(endpoint.heard)) == (["too_large", "rate_limited", "timeout"], 4)
    assert capfd.readouterr().out == ""


async def test_an_engine_answers_while_its_model_hangs_and_while_the_client_is_loaded(tmp_path: Path) -> None:
    home = Home(path=tmp_path / "home", state=tmp_path / "state")
    seed_home(home)
    with serving(hangs) as endpoint:
        light = {"model": "openai/local", "api_base": endpoint.base, "timeout_s": 10}
        settings = Settings.model_validate({"models": {"light": light}})
        async with open_orchestrator(home, settings, mode=Mode.DRIVE) as orchestrator:
            view = await orchestrator.submit(SubmitRequest(task="Somebody is asking where something is."))
            slowest, asked_s = 0.0, 0.0
            async with watched() as lag:
                while view.status in {"queued", "running"} and asked_s < 1:
                    asked_s += 0.02 if endpoint.heard else 0  # so long after the question has arrived
                    asked = time.monotonic()
                    view = await orchestrator.state(view.process_id)
                    slowest = max(slowest, time.monotonic() - asked)
                    await anyio.sleep(0.02)
            assert (view.status in {"queued", "running"}, len(endpoint.heard)) == (True, 1)
    assert slowest < 2 * LAG_S_MAX
    assert lag.most_s < LAG_S_MAX


# In a program of its own: what loading does


PROGRAM = """
import json, os, sys
heard = []
sys.addaudithook(lambda event, args: heard.append([event, str(args[0] if event == "socket.getaddrinfo" else args[1])])
                 if event in ("socket.getaddrinfo", "socket.connect") else None)
import anyio
from process_orchestrator.core.facts.values import Tier
from process_orchestrator.llm.litellm_model import LitellmModel
from process_orchestrator.llm.tiers import TierSetup, Way
from process_orchestrator.performing.secrets import Secrets
from llm.model_conformance import PROMPT
before = "litellm" in sys.modules
async def main():
    way = Way(model="openai/local", api_base=sys.argv[1])
    model = LitellmModel([TierSetup(tier=Tier.LIGHT, way=way, max_tokens=10, timeout_s=60)], secrets=Secrets())
    data = (await model.complete(PROMPT, Tier.LIGHT)).data
    await model.aclose()
    return data
data = anyio.run(main)
print(json.dumps({"before": before, "data": data, "leaked": os.environ.get("FROM_DOTENV"), "heard": heard,
                  "failed": None}), file=sys.stderr)
"""


def in_a_program(program: str, *arguments: str, folder: Path) -> tuple[str, str]:
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'server'}:{root / 'tests'}"}
    environment.pop("LITELLM_MODE", None)
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        check=True, capture_output=True, text=True, cwd=folder, env=environment, timeout=180,
    )  # fmt: skip
    return done.stdout, done.stderr.strip().splitlines()[-1]


def test_loading_asks_no_network_reads_no_dotenv_and_prints_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FROM_DOTENV=leaked\n")
    with serving(says(GOOD)) as endpoint:
        out, last = in_a_program(PROGRAM, endpoint.base, folder=tmp_path)
    told = json.loads(last)
    assert (out, told["before"], told["data"], told["leaked"]) == ("", False, {"type": "refund"}, None)
    assert all("127.0.0.1" in where for _, where in told["heard"]), told["heard"]


WITHOUT = """
import sys
sys.modules["litellm"] = None
import anyio
from process_orchestrator.core.errors import ModelError
from process_orchestrator.core.facts.values import Tier
from process_orchestrator.llm.litellm_model import LitellmModel
from process_orchestrator.llm.tiers import TierSetup, Way
from process_orchestrator.performing.secrets import Secrets
from llm.model_conformance import PROMPT
async def main():
    way = Way(model="openai/local", api_base="http://127.0.0.1:9/v1")
    model = LitellmModel([TierSetup(tier=Tier.LIGHT, way=way, max_tokens=10, timeout_s=60)], secrets=Secrets())
    model.preload()
    try:
        await model.complete(PROMPT, Tier.LIGHT)
    except ModelError as error:
        print(error.code, error.message, file=sys.stderr)
    await model.aclose()
anyio.run(main)
"""


def test_a_package_that_is_broken_or_absent_is_told_with_what_to_do(tmp_path: Path) -> None:
    out, last = in_a_program(WITHOUT, folder=tmp_path)
    assert out == ""
    assert last.startswith("not_configured the model client cannot be loaded")
    assert "Do: install the package again, or unset the tiers" in last


class Lag:
    """How long the loop of this test was held up at most."""

    most_s = 0.0

    async def watch(self) -> None:
        while True:
            started = time.monotonic()
            await anyio.sleep(0.01)
            self.most_s = max(self.most_s, time.monotonic() - started - 0.01)


@asynccontextmanager
async def watched() -> AsyncGenerator[Lag]:
    lag = Lag()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lag.watch)
        yield lag
        tasks.cancel_scope.cancel()


def setup_elsewhere(endpoint: Endpoint) -> TierSetup:
    """A tier that is asked only to warm the client up."""
    way = Way(model="openai/warm", api_base=f"http://127.0.0.1:{endpoint.port}/warm")
    return TierSetup(tier=Tier.MID, way=way, max_tokens=10, timeout_s=60)


async def warmed(model: LitellmModel, endpoint: Endpoint) -> None:
    """Let the client import what its first call imports, so that what is measured is the failure."""
    acts, endpoint.acts = endpoint.acts, [says(GOOD)]
    await model.complete(Prompt(purpose="intake", messages=(Message(role="user", content="x"),), schema={}), Tier.MID)
    endpoint.acts = acts
    endpoint.heard.clear()
