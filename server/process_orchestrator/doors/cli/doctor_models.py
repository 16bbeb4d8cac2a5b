"""What `doctor` finds of the models: tiers, whether key and price are there, and whether they answer."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Any, Final

import anyio

from process_orchestrator.assemble import model_of
from process_orchestrator.core.errors import ModelError
from process_orchestrator.core.facts.values import Tier
from process_orchestrator.llm.keys import is_in_the_clear, key_of
from process_orchestrator.llm.port import Message, Prompt
from process_orchestrator.llm.prices import PACKAGE, price_map, price_of
from process_orchestrator.views.formats import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from process_orchestrator.llm.port import Answer, Model
    from process_orchestrator.llm.tiers import TierSetup, Way
    from process_orchestrator.settings import Settings

RULES_MODE: Final = "rules mode: no model is configured, and none is needed for fixed plans"
USD: Final = 1_000_000
SHOWN_MAX: Final = 300

QUESTION: Final = Prompt(
    purpose="doctor",
    messages=(Message(role="user", content='Answer with the JSON object {"word": "ready"} and nothing else.'),),
    schema={
        "type": "object",
        "properties": {"word": {"enum": ["ready"]}},
        "required": ["word"],
        "additionalProperties": False,
    },
)


def finding(what: str, found: str, *, ok: bool = True, do: str = "") -> dict[str, Any]:
    return {"what": what, "found": found if ok or not do else f"{found}. Do: {do}", "ok": ok}


def model_rows(settings: Settings, *, environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each tier as it is set up; asks nobody and imports no client."""
    setups = settings.models.setups
    if not setups:
        return [finding("models", RULES_MODE)]
    known = price_map()
    missing = [tier.value for tier in Tier if tier not in {setup.tier for setup in setups}]
    rows = [_client(missing)]
    for setup in setups:
        ways = [_way(way, environment, known) for way in setup.ways]
        lacks = [name for way in setup.ways for name in _lacking(way, environment)]
        bare = any(way.api_key_env is not None and is_in_the_clear(way) for way in setup.ways)
        todo = [f"set {' and '.join(lacks)} where the engine is started"] if lacks else []
        todo += ["write https:// in api_base: everybody on the way can read the key"] if bare else []
        told = "; else ".join(ways)
        limits = f"at most {setup.max_tokens} tokens and {setup.timeout_s:g} s, schema by {setup.structured.value}"
        rows.append(
            finding(
                f"model {setup.tier.value}",
                f"{told}; {limits}",
                ok=not todo,
                do="; ".join(todo),
            )
        )
    if settings.models.cassette is not None:
        replayed = settings.models.cassette_mode == "replay"
        mode = "answers are read from it, no model is asked" if replayed else "answers are kept in it"
        rows.append(finding("cassette", f"{settings.models.cassette}: {mode}"))
    return rows


async def asked_rows(settings: Settings) -> list[dict[str, Any]]:
    """What each tier answers to a question of one word, and what that took."""
    model = model_of(settings)
    try:
        return [await _asked(model, setup) for setup in settings.models.setups]
    finally:
        with anyio.CancelScope(shield=True):
            await model.aclose()


async def _asked(model: Model, setup: TierSetup) -> dict[str, Any]:
    what = f"model {setup.tier.value} asked"
    try:
        answer = await model.complete(QUESTION, setup.tier)
    except ModelError as error:
        return finding(what, f"{error.code}: {one_line(error.message)[:SHOWN_MAX]}", ok=False)
    return finding(what, _took(answer))


def _took(answer: Answer) -> str:
    spent = answer.spent
    tokens = "tokens unknown" if spent.tokens is None else f"{spent.tokens} tokens"
    cost = "cost unknown" if spent.usd_micros is None else f"{spent.usd_micros / USD:.6f} USD"
    return f"{spent.model} answers: {spent.ms / 1000:.1f} s, {tokens}, {cost}"


def _client(missing: list[str]) -> dict[str, Any]:
    rest = f"; not set up: {', '.join(missing)}" if missing else ""
    try:
        version = importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return finding("models", f"{PACKAGE} is not installed", ok=False, do="install process-orchestrator again")
    return finding("models", f"asked through {PACKAGE} {version}{rest}")


def _way(way: Way, environment: Mapping[str, str], known: dict[str, Any]) -> str:
    price = price_of(way, known)
    cost = "price unknown"
    if price is not None:
        cost = f"{price.in_usd_micros / USD:g} USD in, {price.out_usd_micros / USD:g} out per million tokens"
    place = f" at {way.api_base}" if way.api_base else ""
    return f"{way.model}{place}, {_key(way, environment)}, {cost}"


def _key(way: Way, environment: Mapping[str, str]) -> str:
    key = key_of(way, environment)
    if key.found is not None:
        return f"key in {key.found}"
    if key.missing:
        return f"no key: {' or '.join(key.variables)} is not set"
    return "no key needed" if way.api_base is not None else "key left to its provider"


def _lacking(way: Way, environment: Mapping[str, str]) -> list[str]:
    key = key_of(way, environment)
    return [" or ".join(key.variables)] if key.missing else []
