"""The config block by which an assistant starts this server, and Claude Desktop's file that holds it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from process_orchestrator.core.errors import RefusedError

if TYPE_CHECKING:
    from process_orchestrator.home import Home

SERVER_NAME: Final = "process-orchestrator"
FILE_NAME: Final = "claude_desktop_config.json"


def program() -> str:
    """The absolute path of the `orchestrator` of this installation: assistants start servers with a bare PATH."""
    beside = Path(sys.executable).parent / ("orchestrator.exe" if os.name == "nt" else "orchestrator")
    found = str(beside) if beside.exists() else shutil.which("orchestrator")
    return found or str(beside)


def config_block(home: Home) -> dict[str, Any]:
    """The block for Claude Desktop, with this machine's paths."""
    return {"mcpServers": {SERVER_NAME: {"command": program(), "args": ["serve", "--home", str(home.path)]}}}


def config_path() -> Path:
    """Where Claude Desktop keeps its config on this system."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Claude" / FILE_NAME
    if os.name == "nt":
        return Path(os.environ.get("APPDATA", str(Path.home()))) / "Claude" / FILE_NAME
    return Path(os.environ.get("XDG_CONFIG_HOME", str(Path.home() / ".config"))) / "Claude" / FILE_NAME


@dataclass(frozen=True, kw_only=True)
class Merged:
    """The config that holds this server now, and where the file as it was lies, if there was one to change."""

    path: Path
    backup: Path | None


def merge_config(home: Home) -> Merged:
    """Add this server to Claude Desktop's config and keep all else in it. A file that holds it already stays as it is.

    Raises RefusedError (BAD_ARGUMENT) when the file is there but holds no JSON object.
    """
    path = config_path()
    document = _read(path) if path.exists() else {}
    servers: Any = document.setdefault("mcpServers", {})
    if not isinstance(servers, dict):
        raise RefusedError("BAD_ARGUMENT", f"`mcpServers` in {path} is no object.", do="mend it, then run it again.")
    block = config_block(home)["mcpServers"]
    if path.exists() and {name: servers.get(name) for name in block} == block:
        return Merged(path=path, backup=None)
    servers.update(block)
    backup = _backed_up(path) if path.exists() else None
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if backup is not None:
        shutil.copymode(backup, draft)
    draft.replace(path)
    return Merged(path=path, backup=backup)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig").strip() or "{}")
    except ValueError as error:
        raise RefusedError("BAD_ARGUMENT", f"{path} is no JSON: {error}.", do="mend it, then run it again.") from error
    if not isinstance(document, dict):
        raise RefusedError("BAD_ARGUMENT", f"{path} holds no JSON object.", do="mend it, then run it again.")
    return document


def _backed_up(path: Path) -> Path:
    """A copy beside the file, under a name that takes the place of no earlier copy."""
    numbered = (f"{path.name}.backup{'' if number == 1 else f'.{number}'}" for number in count(1))
    backup = next(name for each in numbered if not (name := path.with_name(each)).exists())
    shutil.copy2(path, backup)
    return backup
