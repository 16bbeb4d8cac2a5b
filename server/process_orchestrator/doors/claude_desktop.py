"""The config block by which an assistant starts this server, and Claude Desktop's file that holds it."""

from __future__ import annotations

import json
import os
import shutil
import sys
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


def merge_config(home: Home) -> Path:
    """Add this server to Claude Desktop's config and keep all else in it; the former file stays as `.backup`.

    Raises RefusedError (BAD_ARGUMENT) when the file is there but holds no JSON object.
    """
    path = config_path()
    document: dict[str, Any] = {}
    if path.exists():
        try:
            document = json.loads(path.read_text(encoding="utf-8") or "{}")
        except ValueError as error:
            raise RefusedError(
                "BAD_ARGUMENT", f"{path} is no JSON: {error}.", do="mend it, then run it again."
            ) from error
        shutil.copyfile(path, path.with_suffix(".json.backup"))
    servers = document.setdefault("mcpServers", {})
    if not isinstance(servers, dict):
        raise RefusedError("BAD_ARGUMENT", f"`mcpServers` in {path} is no object.", do="mend it, then run it again.")
    servers.update(config_block(home)["mcpServers"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path
