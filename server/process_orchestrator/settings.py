"""Settings of one home: `<home>/orchestrator.toml`, each key also an environment variable.

`ORCHESTRATOR_<SECTION>_<KEY>` wins over the file; unknown keys are refused in both. Settings say how this installation
runs; what a process may do stands in its contracts.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts.values import Assurance
from process_orchestrator.core.limits import CHILD_LIMITS, PIN_CHECK_S, PROCESSES_RUNNING_MAX, ChildLimits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE_NAME: Final = "orchestrator.toml"
PREFIX: Final = "ORCHESTRATOR_"
NOT_SETTINGS: Final = frozenset({"ORCHESTRATOR_HOME", "ORCHESTRATOR_STATE", "ORCHESTRATOR_DEBUG"})
"""Variables of the same prefix that are no settings: where the home is (`home`), tracebacks (`doors.cli`)."""


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


class Settings(Section):
    """All settings, with the defaults of an installation that has no file."""

    assurance: AssuranceSettings = AssuranceSettings()
    engine: EngineSettings = EngineSettings()
    agents: AgentsSettings = AgentsSettings()


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
    merged = _with_environment(document, environment=environment)
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


def _known_keys() -> tuple[str, ...]:
    return tuple(
        f"{section}.{key}"
        for section, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        for key in field.annotation.model_fields
    )


def _with_environment(document: dict[str, Any], *, environment: Mapping[str, str]) -> dict[str, Any]:
    merged = {name: dict(value) if isinstance(value, dict) else value for name, value in document.items()}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        section, _, key = variable.removeprefix(PREFIX).lower().partition("_")
        merged.setdefault(section, {})
        if isinstance(merged[section], dict):
            merged[section][key] = text
    return merged
