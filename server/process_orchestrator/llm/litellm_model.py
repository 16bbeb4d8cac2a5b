"""The models of the settings, through litellm: the one room that knows it.

It is imported late (it takes seconds), in a thread of its own, quietly, and with its habits switched off: it fetches
no price map, reads no `.env`, retries nothing, follows no redirect, prints nothing. What it raises is not believed;
`failures` tells the cause by what the wire saw.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace

from process_orchestrator.core.errors import ModelError
from process_orchestrator.core.facts.values import Tier
from process_orchestrator.llm.asking import asked
from process_orchestrator.llm.bounds import prompt_tokens
from process_orchestrator.llm.failures import REASON_MAX, failure_of
from process_orchestrator.llm.keys import key_of
from process_orchestrator.llm.model_thread import ModelThread
from process_orchestrator.llm.port import Answer, KnownSecrets, Prompt, Spending, TierFacts
from process_orchestrator.llm.prices import price_map, price_of
from process_orchestrator.llm.probability import choice_probability
from process_orchestrator.llm.reading import bad_answer, read_answer
from process_orchestrator.llm.tiers import Price, TierSetup, Way, facts_of

PRELOAD_AFTER_S: Final = 3.0
"""After an engine has begun: who asked for it (an assistant that waits for `initialize`) is answered first."""

GRACE_S: Final = 1.0
"""Of the thread, to tell that a call's time is over; then nobody waits for it any longer."""

ELSEWHERE: Final = frozenset({"rate_limited", "unreachable", "timeout"})
"""Failures after which a fallback is asked: the model was not there. A bad answer is never asked for elsewhere."""

TOKENS_MAX: Final = 100_000_000
"""Tokens of one answer, in either direction, that are believed."""

FAILED_FROM: Final = 400
"""HTTP statuses from here on say no."""

ENVIRONMENT: Final = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "CRITICAL"}


@dataclass(frozen=True)
class Client:
    """The package, imported, as far as it is used."""

    package: Any

    async def complete(self, **request: Any) -> Any:
        return await self.package.acompletion(**request)


class LitellmModel:
    """The configured tiers. Opens nothing before the first question, or `preload`."""

    def __init__(
        self,
        setups: Sequence[TierSetup],
        *,
        secrets: KnownSecrets,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._setups = {setup.tier: setup for setup in setups}
        self._secrets, self._environment = secrets, environment
        ways = [way for setup in setups for way in setup.ways]
        in_the_map = any(way.price is None and way.api_base is None for way in ways)
        known = price_map() if in_the_map else {}
        self._prices: dict[Way, Price | None] = {way: price_of(way, known) for way in ways}
        self._facts = {setup.tier: facts_of(setup, tuple(self._prices[way] for way in setup.ways)) for setup in setups}
        self._thread = ModelThread(_load, close=_close)

    def tier(self, tier: Tier) -> TierFacts | None:
        return self._facts.get(tier)

    def preload(self) -> None:
        self._thread.begin(after_s=PRELOAD_AFTER_S)

    async def complete(self, prompt: Prompt, tier: Tier) -> Answer:
        setup = self._setups.get(tier)
        if setup is None:
            raise ModelError("no_model", f"no model is set up for the tier {tier.value}: {prompt.purpose} is not asked")
        before: list[ModelError] = []
        for way in setup.ways:
            try:
                answer = await self._ask(prompt, setup, way)
            except ModelError as error:
                if error.code not in ELSEWHERE or way is setup.ways[-1]:
                    raise self._told(error, before) from None
                before.append(error)
            else:
                return _answer_after(answer, before)
        raise AssertionError("a tier has at least one way")

    async def aclose(self) -> None:
        await self._thread.aclose()

    def _told(self, error: ModelError, before: Sequence[ModelError]) -> ModelError:
        """A failure that names those before it, and what all of them took as far as is known. Holds no key."""
        gave_up = any(each.code == "timeout" for each in before)
        # Of a model that was given up on nobody knows the bill, though the last one was not even reached.
        code = "timeout" if gave_up and error.code in ELSEWHERE else error.code
        earlier = "; ".join(f"{each.model}: {each.code}" for each in before)
        message = f"{error.message}; before that {earlier}" if earlier else error.message
        return ModelError(
            code,
            _storable(self._secrets.mask_cut(message)),
            model=error.model,
            retry_after_ms=error.retry_after_ms,
            answer=_storable(self._secrets.mask_cut(error.answer)) if error.answer is not None else None,
            tokens=error.tokens,
            usd_micros=None if gave_up else _sum(error.usd_micros, before, nothing=code in ELSEWHERE - {"timeout"}),
            ms=error.ms + sum(each.ms for each in before),
        )

    async def _ask(self, prompt: Prompt, setup: TierSetup, way: Way) -> Answer:
        """One question to one model. Every failure is a ModelError; nothing is asked without its key."""
        key = key_of(way, self._environment)
        if key.missing:
            names = " or ".join(key.variables)
            message = f"{way.model} needs a key, and {names} is not set. Do: set it where the engine is started"
            raise ModelError("not_configured", message, model=way.model)
        if key.found is not None and key.value is not None:
            self._secrets.remember(key.value)
        max_tokens = min(prompt.max_tokens or setup.max_tokens, setup.max_tokens)
        request: dict[str, Any] = {
            "model": way.model,
            **asked(prompt, setup.structured),
            "temperature": prompt.temperature,
            "max_tokens": max_tokens,
            "timeout": setup.timeout_s,
            **({"api_key": key.value} if key.value is not None else {}),
            **({"api_base": way.api_base} if way.api_base is not None else {}),
            **({"logprobs": True} if prompt.alternatives else {}),
        }
        price, tokens_in = self._prices[way], prompt_tokens(prompt)
        most = None if price is None else _usd_micros(price, tokens_in, max_tokens)
        started = time.monotonic()
        try:
            response = await self._thread.run(
                lambda client: _complete(client, request, way, most=most), timeout_s=setup.timeout_s + GRACE_S
            )
        except TimeoutError:
            message = f"{way.model} did not answer within {setup.timeout_s:g} s"
            raise ModelError("timeout", message, model=way.model, ms=_ms_since(started)) from None
        except ModelError as error:
            error.ms = _ms_since(started)
            raise
        spent = self._spent(response, way, ms=_ms_since(started))
        return self._read(response, prompt, spent, most=max_tokens)

    def _read(self, response: Any, prompt: Prompt, spent: Spending, *, most: int) -> Answer:
        """The answer in a response, as data under the schema; a failure where it is cut or refused. Holds no key."""
        choices = getattr(response, "choices", None)
        if not choices:
            raise bad_answer("not_json", f"the answer to {prompt.purpose} holds no choice", spent)
        choice = choices[0]
        message = choice.message
        calls = getattr(message, "tool_calls", None)
        text = calls[0].function.arguments if calls else message.content
        finished = choice.finish_reason
        beside = getattr(message, "provider_specific_fields", None) or {}
        refusal = getattr(message, "refusal", None) or beside.get("refusal")
        if finished == "content_filter" or refusal:
            why = " ".join(str(refusal or "its filter stopped the answer").split())[:REASON_MAX]
            raise bad_answer("refused", f"{spent.model} will not answer {prompt.purpose}: {why}", spent)
        if finished == "length":
            why = f"the answer to {prompt.purpose} was cut after {most} tokens. Do: raise max_tokens of the tier"
            raise bad_answer("truncated", why, spent, text=str(text or ""))
        if not isinstance(text, str) or not text.strip():
            raise bad_answer("not_json", f"the answer to {prompt.purpose} is empty", spent)
        text = self._secrets.mask_text(text)  # a host that echoes what it was sent
        data = read_answer(text, prompt, spent)
        probability = choice_probability(text, data, prompt.schema, _tokens(choice)) if prompt.alternatives else None
        return Answer(data=data, text=text, spent=spent, probability=probability)

    def _spent(self, response: Any, way: Way, *, ms: int) -> Spending:
        """What the host says that it took. A host that counts nothing says 0, which is unknown here."""
        usage = getattr(response, "usage", None)
        tokens_in, tokens_out = (_counted(getattr(usage, f"{each}_tokens", None)) for each in ("prompt", "completion"))
        price, usd_micros = self._prices[way], None
        if price is not None and not (price.in_usd_micros or price.out_usd_micros):
            usd_micros = 0  # free, however many there were
        elif price is not None and tokens_in is not None and tokens_out is not None:
            usd_micros = _usd_micros(price, tokens_in, tokens_out)
        return Spending(model=way.model, tokens_in=tokens_in, tokens_out=tokens_out, usd_micros=usd_micros, ms=ms)


def _load() -> Client:
    """Import the package with its habits switched off, and let it import what its first call would need."""
    os.environ.update(ENVIRONMENT)
    import litellm  # noqa: PLC0415 - seconds and 190 MB: in the thread, at first need
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler  # noqa: PLC0415 - as above

    from process_orchestrator.llm.exchange import BoundedTransport  # noqa: PLC0415 - as above

    package: Any = litellm
    handler: Any = AsyncHTTPHandler
    if not hasattr(handler, "create_async_transport"):
        raise ImportError("this version of litellm has no transport that can be bounded")

    def bounded(*, ssl_context: Any = None, ssl_verify: Any = None, **_: Any) -> BoundedTransport:
        verify = ssl_context if ssl_context is not None else ssl_verify is not False
        return BoundedTransport(verify=verify)

    handler.create_async_transport = handler._create_async_transport = staticmethod(bounded)  # noqa: SLF001
    package.suppress_debug_info = True
    package.set_verbose = False
    package.telemetry = False
    package.drop_params = True
    package.turn_off_message_logging = True
    warm = [{"role": "user", "content": "warm"}]
    package.completion(model="openai/warm", messages=warm, mock_response="{}", api_key="none", num_retries=0)
    return Client(package)


async def _close(client: Client) -> None:
    await client.package.close_litellm_async_clients()
    client.package.in_memory_llm_clients_cache.flush_cache()


async def _complete(client: Client, request: dict[str, Any], way: Way, *, most: int | None) -> Any:
    """One request, in the thread. Whatever is raised becomes a ModelError by its cause.

    `most`: what it can cost. An answer that came and cannot be read was made all the same, and is billed.
    """
    import anyio  # noqa: PLC0415 - of the thread

    from process_orchestrator.llm.exchange import CURRENT, Exchange  # noqa: PLC0415 - after the client

    exchange = Exchange()
    token = CURRENT.set(exchange)
    try:
        with anyio.fail_after(request["timeout"]):
            return await client.complete(
                **request,
                max_retries=0,
                num_retries=0,
                drop_params=True,
            )
    except Exception as error:  # noqa: BLE001 - the boundary of a call: the client raises what it likes
        failure = failure_of(error, exchange, way)
        if exchange.received and exchange.status is not None and exchange.status < FAILED_FROM:
            failure.usd_micros = most
        raise failure from None
    finally:
        CURRENT.reset(token)


def _tokens(choice: Any) -> list[tuple[bytes, float]]:
    """The tokens of an answer, where its host tells them."""
    said = getattr(getattr(choice, "logprobs", None), "content", None) or ()
    tokens: list[tuple[bytes, float]] = []
    for each in said:
        written, logarithm = getattr(each, "bytes", None), getattr(each, "logprob", None)
        if not isinstance(logarithm, int | float):
            return []
        data = bytes(written) if written else str(getattr(each, "token", "")).encode(errors="surrogatepass")
        tokens.append((data, float(logarithm)))
    return tokens


def _usd_micros(price: Price, tokens_in: int, tokens_out: int) -> int:
    return -(-(tokens_in * price.in_usd_micros + tokens_out * price.out_usd_micros) // 1_000_000)


def _sum(last: int | None, before: Sequence[ModelError], *, nothing: bool = False) -> int | None:
    """A bill with those before it. `nothing`: where the last says none, there is none."""
    earlier = sum(each.usd_micros or 0 for each in before)
    if last is None:
        return earlier if nothing and earlier else None
    return last + earlier


def _counted(said: Any) -> int | None:
    """A number of tokens that may be one; None for every other: less than none would give money back."""
    return said if isinstance(said, int) and 0 < said <= TOKENS_MAX else None


def _answer_after(answer: Answer, before: Sequence[ModelError]) -> Answer:
    """An answer of a fallback says so. A model that was given up on may bill what nobody will ever know."""
    if not before:
        return answer
    spent = answer.spent
    unknown = any(each.code == "timeout" for each in before)
    told = replace(
        spent,
        model=f"{spent.model}, after " + ", ".join(f"{each.model} ({each.code})" for each in before),
        usd_micros=None if unknown else _sum(spent.usd_micros, before),
        ms=spent.ms + sum(each.ms for each in before),
    )
    return replace(answer, spent=told)


def _storable(text: str) -> str:
    """What a host says may hold half a character, which no file and no database takes."""
    return text.encode("utf-8", "replace").decode()


def _ms_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
