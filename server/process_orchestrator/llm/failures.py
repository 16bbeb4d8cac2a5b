"""Why a call of a model failed, told by its cause: what the wire saw first, then what the client raised.

A client's own words are misleading: litellm calls a missing key and a refused connection a server error. Knows no
client: errors come in as they are, and are asked only for their type's name and their causes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from process_orchestrator.checking.retry_after import retry_after_ms
from process_orchestrator.core.errors import ModelError

if TYPE_CHECKING:
    from process_orchestrator.llm.exchange import Exchange
    from process_orchestrator.llm.tiers import Way

REASON_MAX: Final = 300
CAUSES_MAX: Final = 10

OVERLOADED: Final = 529  # as one provider says it
NEVER_BETTER: Final = ("insufficient_quota", "billing", "credit balance")
"""Words in a 429 that say that waiting does not help."""

ABSENT: Final = frozenset({"ConnectError", "ConnectTimeout", "APIConnectionError", "NetworkError", "ReadError"})
SLOW: Final = frozenset({"ReadTimeout", "WriteTimeout", "PoolTimeout", "TimeoutError", "APITimeoutError", "Timeout"})


def failure_of(error: BaseException, exchange: Exchange, way: Way) -> ModelError:
    """The failure of one call over `way`. Its message may hold what the host said: mask it."""
    place = way.api_base or way.provider or way.model
    if exchange.refused is not None:
        code, why = exchange.refused
        return ModelError(code, f"{way.model} at {place}: {why}", model=way.model)
    names = {type(each).__name__ for each in causes(error)}
    if exchange.status is not None and exchange.status >= 400:
        return _refused(exchange, way, place)
    if names & SLOW:
        return ModelError("timeout", f"{way.model} at {place} did not answer in time", model=way.model)
    if exchange.status is not None:
        return ModelError("unreachable", f"{way.model} at {place}: {_garbled(exchange)}", model=way.model)
    if exchange.sent or names & ABSENT:
        why = f"nothing answers at {place} ({_root(error)}). Do: start it, or mend api_base"
        return ModelError("unreachable", f"{way.model}: {why}", model=way.model)
    said = " ".join(str(error).split())[:REASON_MAX]
    why = f"the client refuses it before anything is sent: {said}. Do: look at the tier's settings"
    return ModelError("not_configured", f"{way.model}: {why}", model=way.model)


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from, the outermost first."""
    current: BaseException | None = error
    for _ in range(CAUSES_MAX):
        if current is None:
            return
        yield current
        current = current.__cause__ or current.__context__


def _refused(exchange: Exchange, way: Way, place: str) -> ModelError:
    """An HTTP status that says no."""
    status, reason = exchange.status or 0, _reason(bytes(exchange.body))
    told = f"status {status}" + (f", {reason}" if reason else "")
    wait = retry_after_ms(exchange.retry_after)
    if status in {429, OVERLOADED} and not any(word in reason.lower() for word in NEVER_BETTER):
        code, text = "rate_limited", f"{way.model} at {place} has no room: {told}"
    elif status == 401:
        code, text = "not_configured", f"{place} does not accept the key for {way.model}: {told}"
    elif status in {404, 405}:
        code, text = "not_configured", f"{place} does not know {way.model}, or is no address of a model: {told}"
    elif status == 408 or status >= 500:
        code, text = "unreachable", f"{way.model} at {place} fails: {told}"
    else:
        code, text, wait = "refused", f"{way.model} at {place} will not answer this: {told}", None
    return ModelError(code, text, model=way.model, retry_after_ms=wait)


def _reason(body: bytes) -> str:
    """What an error's body gives as its reason, on one line."""
    text = body.decode(errors="replace")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return " ".join(text.split())[:REASON_MAX]
    for _ in range(3):
        if not isinstance(said, dict):
            break
        said = next((said[key] for key in ("error", "message", "detail") if key in said), None)
    return " ".join(str(said or "").split())[:REASON_MAX]


def _garbled(exchange: Exchange) -> str:
    if not exchange.whole:
        return f"the answer broke off after {exchange.received} bytes"
    kind = exchange.content_type.partition(";")[0] or "no content type"
    return f"what answers does not speak a model's protocol ({kind}). Do: mend api_base"


def _root(error: BaseException) -> str:
    last = list(causes(error))[-1]
    said = " ".join(str(last).split())[:80]
    return f"{type(last).__name__}: {said}" if said else type(last).__name__
