"""From the settings to a model: which implementation of the port stands behind the configured tiers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from process_orchestrator.llm.cassette import Recording, Replaying
from process_orchestrator.llm.litellm_model import LitellmModel
from process_orchestrator.llm.port import KnownSecrets, Model, NoModel
from process_orchestrator.llm.tiers import TierSetup


def configured_model(
    setups: Sequence[TierSetup],
    *,
    cassette: Path | None,
    mode: Literal["replay", "record"],
    secrets: KnownSecrets,
) -> Model:
    """The way to the configured tiers. Opens nothing, asks nobody, imports no client."""
    if not setups:
        return NoModel()
    live = LitellmModel(setups, secrets=secrets)
    if cassette is None:
        return live
    return Replaying(live, cassette) if mode == "replay" else Recording(live, cassette, secrets=secrets)
