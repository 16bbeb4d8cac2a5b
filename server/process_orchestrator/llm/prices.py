"""What models cost, as litellm's own map says. The map is a file of that package: reading it imports nothing."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Final

import orjson

from process_orchestrator.llm.keys import provider_of
from process_orchestrator.llm.tiers import Price, Way

PACKAGE: Final = "litellm"
MAP_FILE: Final = "model_prices_and_context_window_backup.json"
USD_MICROS_PER_MTOK: Final = 1e12
"""Of one USD a token."""


def price_map() -> dict[str, Any]:
    """The map; empty where the package or the file is not there. About 20 ms: read it once."""
    try:
        found = importlib.util.find_spec(PACKAGE)
    except (ImportError, ValueError):
        return {}
    for folder in (found.submodule_search_locations or ()) if found else ():
        try:
            read = orjson.loads((Path(folder) / MAP_FILE).read_bytes())
        except (OSError, orjson.JSONDecodeError):
            continue
        return read if isinstance(read, dict) else {}
    return {}


def price_of(way: Way, known: dict[str, Any]) -> Price | None:
    """What a way costs: as the settings say, else as the map says of its provider's model; None where nobody knows.

    The map is not asked about an address of the user's own: who serves a known name there sets the price.
    """
    if way.price is not None or way.api_base is not None:
        return way.price
    provider = provider_of(way)
    bare = way.model.removeprefix(f"{provider}/")
    for name in (way.model, bare):
        entry = known.get(name)
        if isinstance(entry, dict) and entry.get("litellm_provider") == provider:
            return _price(entry)
    return None


def _price(entry: dict[str, Any]) -> Price | None:
    per_token_in, per_token_out = (_number(entry.get(f"{way}_cost_per_token")) for way in ("input", "output"))
    if per_token_in is None or per_token_out is None:
        return None
    return Price(
        in_usd_micros=round(per_token_in * USD_MICROS_PER_MTOK),
        out_usd_micros=round(per_token_out * USD_MICROS_PER_MTOK),
    )


def _number(given: Any) -> float | None:
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    return float(given) if given >= 0 else None
