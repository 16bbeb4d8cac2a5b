"""Settings of one home: `<home>/orchestrator.toml`, each key also an environment variable.

`ORCHESTRATOR_<SECTION>_<KEY>` wins over the file; unknown keys are refused in both. Settings say how this installation
runs; what a process may do stands in its contracts.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeGuard, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts.values import Assurance, Tier
from process_orchestrator.core.limits import CHILD_LIMITS, PIN_CHECK_S, PROCESSES_RUNNING_MAX, ChildLimits
from process_orchestrator.llm.tiers import Price, Structured, TierSetup, Way

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_NAME: Final = "orchestrator.toml"
PREFIX: Final = "ORCHESTRATOR_"
NOT_SETTINGS: Final = frozenset({"ORCHESTRATOR_HOME", "ORCHESTRATOR_STATE", "ORCHESTRATOR_DEBUG"})
"""Variables of the same prefix that are no settings: where the home is (`home`), tracebacks (`doors.cli`)."""

VARIABLE_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,99}$"
MODEL_TIERS: Final = frozenset(tier.value for tier in Tier)


class Section(BaseModel):
    """Root of every section: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AssuranceSettings(Section):
    """`floor`: the least assurance that any approval on this installation needs. Contracts may raise it."""

    floor: Assurance = Assurance.A0


class EngineSettings(Section):
    """How the embedded engine runs."""

    processes_running: int = Field(default=PROCESSES_RUNNING_MAX, ge=1, le=10_000)


class AgentsSettings(Section):
    """What a program that the engine starts for an agent may take (Linux), 0: no limit; how often pins are compared."""

    memory_mb: int = Field(default=CHILD_LIMITS.memory_mb, ge=0, le=1_000_000)
    open_files: int = Field(default=CHILD_LIMITS.open_files, ge=0, le=1_000_000)
    processes: int = Field(default=CHILD_LIMITS.processes, ge=0, le=1_000_000)
    pin_check_s: float = Field(default=PIN_CHECK_S, ge=1, le=86_400)

    @property
    def limits(self) -> ChildLimits:
        return ChildLimits(memory_mb=self.memory_mb, open_files=self.open_files, processes=self.processes)


class PriceSettings(Section):
    """USD per million tokens."""

    in_: float = Field(alias="in", ge=0, le=100_000)
    out: float = Field(ge=0, le=100_000)

    @property
    def price(self) -> Price:
        return Price(in_usd_micros=round(self.in_ * 1_000_000), out_usd_micros=round(self.out * 1_000_000))


class WaySettings(Section):
    """One model at one address. `api_key_env` names the variable that holds the key: no key stands in a file."""

    model: str = Field(min_length=1, max_length=200, pattern=r"^\S+$")
    api_base: str | None = None
    api_key_env: str | None = Field(default=None, pattern=VARIABLE_NAME)
    price: PriceSettings | None = None

    @field_validator("api_base")
    @classmethod
    def _address(cls, text: str | None) -> str | None:
        if not text:
            return None
        parts = urlsplit(text)
        plain = parts.scheme in {"http", "https"} and parts.hostname and not (parts.query or parts.fragment)
        if not plain or "@" in parts.netloc or parts.port == 0:  # `port` raises for what is none
            raise ValueError("must be an address such as http://127.0.0.1:8080/v1, without a key or a query")
        return text.rstrip("/")

    @property
    def way(self) -> Way:
        price = self.price.price if self.price else None
        return Way(model=self.model, api_base=self.api_base, api_key_env=self.api_key_env, price=price)


class TierSettings(WaySettings):
    """A tier. A fallback that is a name alone is asked where the tier's own model is, if its provider is the same."""

    max_tokens: int = Field(default=1000, ge=1, le=100_000)
    timeout_s: float = Field(default=60, ge=0.1, le=3600)
    structured: Structured = Structured.NATIVE
    fallbacks: tuple[str | WaySettings, ...] = Field(default=(), max_length=5)

    @field_validator("fallbacks", mode="before")
    @classmethod
    def _listed(cls, given: Any) -> Any:
        """A variable holds a list with commas."""
        return [name.strip() for name in given.split(",") if name.strip()] if isinstance(given, str) else given

    def setup(self, tier: Tier) -> TierSetup:
        return TierSetup(
            tier=tier,
            way=self.way,
            fallbacks=tuple(self._fallback(each) for each in self.fallbacks),
            max_tokens=self.max_tokens,
            timeout_s=self.timeout_s,
            structured=self.structured,
        )

    def _fallback(self, given: str | WaySettings) -> Way:
        if isinstance(given, WaySettings):
            return given.way
        named = Way(model=given)
        if named.provider != self.way.provider:
            return named
        return Way(model=given, api_base=self.api_base, api_key_env=self.api_key_env)


class LightSettings(TierSettings):
    timeout_s: float = Field(default=30, ge=0.1, le=3600)


class StrongSettings(TierSettings):
    max_tokens: int = Field(default=4000, ge=1, le=100_000)
    timeout_s: float = Field(default=120, ge=0.1, le=3600)


class ModelsSettings(Section):
    """The language models: `light` reads tasks, `strong` plans, `mid` words escalations. None set: rules mode.

    `cassette` is a file: what it holds is answered from it (`replay`), or what is answered is added to it (`record`).
    """

    light: LightSettings | None = None
    mid: TierSettings | None = None
    strong: StrongSettings | None = None
    cassette: Path | None = None
    cassette_mode: Literal["replay", "record"] = "replay"

    @property
    def setups(self) -> tuple[TierSetup, ...]:
        """The tiers that are set up."""
        tiers = {Tier.LIGHT: self.light, Tier.MID: self.mid, Tier.STRONG: self.strong}
        return tuple(settings.setup(tier) for tier, settings in tiers.items() if settings is not None)


class Settings(Section):
    """All settings, with the defaults of an installation that has no file."""

    assurance: AssuranceSettings = AssuranceSettings()
    engine: EngineSettings = EngineSettings()
    agents: AgentsSettings = AgentsSettings()
    models: ModelsSettings = ModelsSettings()


def load_settings(home: Path, *, environment: Mapping[str, str]) -> Settings:
    """Read the settings of `home`.

    Raises RefusedError (BAD_ARGUMENT) naming the key and what it may be.
    """
    path = home / FILE_NAME
    document: dict[str, Any] = {}
    if path.is_file():
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RefusedError(
                "BAD_ARGUMENT", f"{path} is no TOML: {error}.", do="mend or remove the file, then try again."
            ) from error
    merged = _with_environment(_placed(document, home), environment=environment)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        known = ", ".join(_known_keys())
        raise RefusedError(
            "BAD_ARGUMENT",
            f"setting `{key}` ({path} or its environment variable): {first['msg']}.",
            do=f"use one of: {known}.",
        ) from error


def _placed(document: dict[str, Any], home: Path) -> dict[str, Any]:
    """The file of a cassette is looked for beside the settings that name it; a variable's where the program runs."""
    models = document.get("models")
    if not isinstance(models, dict) or not isinstance(models.get("cassette"), str):
        return document
    return {**document, "models": {**models, "cassette": str(home / Path(models["cassette"]).expanduser())}}


def _known_keys() -> tuple[str, ...]:
    return tuple(_keys_of(Settings, ""))


def _keys_of(section: type[BaseModel], prefix: str) -> list[str]:
    """The keys of a section, those of its own sections by their whole path."""
    keys: list[str] = []
    for name, field in section.model_fields.items():
        inner = next((kind for kind in (field.annotation, *get_args(field.annotation)) if _is_section(kind)), None)
        path = f"{prefix}{field.alias or name}"
        keys += _keys_of(inner, f"{path}.") if inner is not None else [path]
    return keys


def _is_section(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _with_environment(document: dict[str, Any], *, environment: Mapping[str, str]) -> dict[str, Any]:
    merged = {name: dict(value) if isinstance(value, dict) else value for name, value in document.items()}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        *path, key = _path_of(variable.removeprefix(PREFIX).lower())
        place: Any = merged
        for section in path:
            if isinstance(place, dict):
                inner = place.setdefault(section, {})
                place[section] = place = dict(inner) if isinstance(inner, dict) else inner
        if isinstance(place, dict):
            place[key] = text
    models = merged.get("models")
    if isinstance(models, dict):
        for tier in MODEL_TIERS & models.keys():
            if isinstance(models[tier], dict) and models[tier].get("model") == "":
                models[tier] = None  # an empty name in the environment switches a tier of the file off
    return merged


def _path_of(name: str) -> tuple[str, ...]:
    """Where a variable's value belongs: section and key; of a model also its tier, of a price its direction."""
    section, _, key = name.partition("_")
    tier, _, rest = key.partition("_")
    if section != "models" or tier not in MODEL_TIERS or not rest:
        return section, key
    if rest in {"price_in", "price_out"}:
        return section, tier, "price", rest.removeprefix("price_")
    return section, tier, rest
