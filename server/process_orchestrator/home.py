"""The home: a folder with contracts, agents, settings and the state of its processes.

Finds it, seeds it with the shipped definitions, and keeps its definitions read. What stands in a definition is
`checking`'s business; what stands in the state folder is `hosting`'s.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from platformdirs import user_data_path

from process_orchestrator.checking.loading.loader import load_home

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from process_orchestrator.checking.loading.registry import Registry

DEFINITION_FOLDERS: Final = ("contracts", "agents_registry")
SETTINGS_FILE: Final = "orchestrator.toml"
EXAMPLE_SETTINGS: Final = Path(__file__).resolve().parent / "orchestrator.example.toml"
RECHECK_S: Final = 1.0
"""Files are looked at again at most this often, in seconds."""
PRIVATE_FOLDER_MODE: Final = 0o700


@dataclass(frozen=True, kw_only=True)
class Home:
    """Where definitions are read (`path`) and where processes live (`state`)."""

    path: Path
    state: Path

    @property
    def has_definitions(self) -> bool:
        return any(folder.is_dir() and any(folder.rglob("*.yaml")) for folder in self.folders)

    @property
    def folders(self) -> tuple[Path, ...]:
        return tuple(self.path / name for name in DEFINITION_FOLDERS)

    def make_state(self) -> Path:
        """Create the state folder, readable by its owner alone."""
        self.state.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER_MODE)
        if os.name == "posix":
            self.state.chmod(PRIVATE_FOLDER_MODE)
        return self.state


def find_home(
    home: Path | None = None, state: Path | None = None, *, environment: Mapping[str, str], folder: Path
) -> Home:
    """Say where the home is.

    `home` wins, then ORCHESTRATOR_HOME, then `folder` (the current one) when it holds both definition folders, then
    the per-user data folder.
    """
    named = home or _path_of(environment.get("ORCHESTRATOR_HOME"))
    if named is None:
        here = all((folder / name).is_dir() for name in DEFINITION_FOLDERS)
        named = folder if here else user_data_path("process-orchestrator", appauthor=False)
    root = named.expanduser().absolute()
    kept = state or _path_of(environment.get("ORCHESTRATOR_STATE")) or root / "state"
    return Home(path=root, state=kept.expanduser().absolute())


def _path_of(text: str | None) -> Path | None:
    return Path(text) if text else None


def shipped_definitions() -> Path:
    """The folder that holds the shipped `contracts` and `agents_registry`: in the wheel, else the repository."""
    package = Path(__file__).resolve().parent
    seeded = package / "seed"
    return seeded if seeded.is_dir() else package.parents[1]


def seed_home(home: Home) -> tuple[Path, ...]:
    """Copy the shipped definitions, their agents and settings with every key commented out into `home`.

    Never overwrites. Returns the files written.
    """
    written: list[Path] = []
    source = shipped_definitions()
    for name in DEFINITION_FOLDERS:
        for file in sorted((source / name).rglob("*")):
            target = home.path / name / file.relative_to(source / name)
            if not file.is_file() or "__pycache__" in file.parts or file.name == ".gitkeep" or target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
            written.append(target)
    settings = home.path / SETTINGS_FILE
    if not settings.exists():
        home.path.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(EXAMPLE_SETTINGS, settings)
        written.append(settings)
    return tuple(written)


class LiveHome:
    """The definitions of a home as its files stand now. A file that does not load leaves the last good one in force.

    Nothing is read before the first question: many commands never ask.
    """

    def __init__(self, home: Home, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._home = home
        self._monotonic = monotonic
        self._fingerprint: tuple[tuple[str, int, int], ...] = ()
        self._checked_at = 0.0
        self._registry: Registry | None = None

    @property
    def home(self) -> Home:
        return self._home

    def registry(self) -> Registry:
        """The definitions, read again when a file changed; files are looked at no more than once a second."""
        now = self._monotonic()
        if self._registry is None:
            self._checked_at, self._fingerprint = now, self._files()
            self._registry = load_home(self._home.path)
        if now - self._checked_at >= RECHECK_S:
            self._checked_at = now
            files = self._files()
            if files != self._fingerprint:
                self._fingerprint = files
                self._registry = load_home(self._home.path, previous=self._registry)
        return self._registry

    def _files(self) -> tuple[tuple[str, int, int], ...]:
        found: list[tuple[str, int, int]] = []
        for folder in self._home.folders:
            for file in (*folder.rglob("*.yaml"), *folder.glob("*.lock")):
                try:
                    stat = file.stat()
                except OSError:  # removed between listing and looking: the next look will not list it
                    continue
                found.append((str(file), stat.st_mtime_ns, stat.st_size))
        return tuple(sorted(found))
