"""Which MCP server is meant: from a command line or an address to the transport of an agent file, and a name for it.

Reads no network and starts nothing. Looks at the folder in which the command was typed only to see which of its
parts are paths there: the agent is run in another folder, where they would lead nowhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from process_orchestrator.checking.addresses import is_this_machine
from process_orchestrator.checking.importers.naming import one_line, valid_name
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts.values import Fact

ARGUMENTS_MAX: Final = 200
SOURCE_CHARS_MAX: Final = 200

LAUNCHERS: Final = frozenset(
    (
        *("uvx", "uv", "pipx", "npx", "npm", "pnpm", "pnpx", "yarn", "bunx", "bun", "deno", "node", "py", "python"),
        *("python3", "tool", "run", "exec", "x", "dlx", "env", "sh", "bash"),
    )
)
"""Words before the name of what is started."""

TAKES_A_VALUE: Final = frozenset(("--from", "--with", "--python", "-p", "--package", "--directory", "--project"))
"""Options of launchers whose next word is theirs."""

AFFIXES: Final = re.compile(
    r"^(mcp[-_]server[-_]|server[-_]mcp[-_]|mcp[-_]|server[-_])|([-_]mcp[-_]server|[-_]mcp|[-_]server)$"
)
AFFIX_WORDS: Final = frozenset(("mcp", "server", "mcp_server"))
SUFFIXES: Final = (".py", ".js", ".mjs", ".cjs", ".ts", ".exe")
HOST_WORDS: Final = frozenset(("mcp", "api", "www", "app", "server", "gateway"))
SECRET_WORDS: Final = re.compile(
    r"(^|[-_.])(api[-_]?key|access[-_]?key|key|token|secret|passw(or)?d|pat|credentials?)([-_.]|$)", re.IGNORECASE
)
"""What names of secrets hold."""

ENVIRONMENT_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SECRET: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+")


class McpSource(Fact, frozen=True, kw_only=True):
    """Where the server is, as an agent file says it."""

    name: str  # for the agent, where the user gives none
    transport: dict[str, Any]
    source: str  # to be shown and kept: without folders of this machine, and without what looks like a secret
    moved: tuple[str, ...] = ()  # parts of the command that were made absolute
    exposed: tuple[str, ...] = ()  # options of the command whose values look like secrets


def stdio_source(argv: Sequence[str], *, env: Sequence[str] = (), folder: Path, home: Path) -> McpSource:
    """A server that is started by a command. `env` is NAME (read from the environment) or NAME=VALUE.

    Raises RefusedError BAD_ARGUMENT.
    """
    if not argv or not argv[0].strip() or not all(argv):
        raise RefusedError(
            "BAD_ARGUMENT",
            "the command of the server is empty.",
            do="write it behind --, for example `-- uvx mcp-server-time`.",
        )
    if len(argv) > ARGUMENTS_MAX:
        message = f"the command has {len(argv)} parts; at most {ARGUMENTS_MAX} are taken."
        raise RefusedError("BAD_ARGUMENT", message, do="put its options into a file that the server reads.")
    command: list[str] = []
    moved: list[str] = []
    for part in argv:
        place = _place(part, folder)
        if place is None:
            command.append(part)
            continue
        command.append("{home}/" + place.relative_to(home).as_posix() if place.is_relative_to(home) else str(place))
        moved.append(part)
    shown, exposed = _shown(command)
    transport: dict[str, Any] = {"kind": "mcp_stdio", "command": command}
    if env:
        transport["env"] = dict(_variable(each) for each in env)
    return McpSource(
        name=name_of_command(argv),
        transport=transport,
        source=one_line(" ".join(shown), chars=SOURCE_CHARS_MAX),
        moved=tuple(moved),
        exposed=tuple(exposed),
    )


def http_source(
    url: str, *, bearer: str | None = None, header: Sequence[str] = (), query: Sequence[str] = ()
) -> McpSource:
    """A server at an address, over streamable HTTP. `header` and `query` are NAME=SECRET.

    Raises RefusedError BAD_ARGUMENT.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in {"http", "https"} or not host or any(each.isspace() for each in url):
        raise RefusedError("BAD_ARGUMENT", "this is no http or https address.", do="give one such as https://HOST/mcp.")
    if "@" in parts.netloc:
        message = "the address holds a user name or password, which would stand in a file."
        raise RefusedError(
            "BAD_ARGUMENT", message, do="take it out, and name where the secret lies: --bearer env:NAME."
        )
    transport: dict[str, Any] = {"kind": "mcp_http", "url": url}
    for name, _ in parse_qsl(parts.query):
        if SECRET_WORDS.search(name):
            message = (
                f"the address holds a secret in its query ({one_line(name, chars=40)}), which would stand in a file."
            )
            raise RefusedError(
                "BAD_ARGUMENT", message, do=f"write --query {one_line(name, chars=40)}=env:NAME instead."
            )
    ways = [("header", each) for each in header] + [("query", each) for each in query]
    if len(ways) + (bearer is not None) > 1:
        message = "--bearer, --header and --query exclude each other: an agent shows one secret."
        raise RefusedError("BAD_ARGUMENT", message, do="give one of them, once.")
    if bearer is not None:
        transport["auth"] = {"bearer": _secret(bearer)}
    for way, each in ways:
        name, _, secret = each.partition("=")
        transport["auth"] = {way: {name.strip(): _secret(secret.strip())}}
    if is_this_machine(host):
        transport["allow_loopback"] = True  # the person has named this machine
    shown = f"{parts.scheme}://{parts.netloc}{parts.path}"
    return McpSource(name=name_of_host(host), transport=transport, source=one_line(shown, chars=SOURCE_CHARS_MAX))


def name_of_command(argv: Sequence[str]) -> str:
    """What a command starts: `uvx mcp-server-time` is time, `npx -y @scope/server-memory@1.2` is memory."""
    words = iter(argv)
    for word in words:
        if word in TAKES_A_VALUE:
            next(words, None)
            continue
        plain = Path(word).name.removesuffix(".exe").removesuffix(".cmd") if not word.startswith("@") else word
        if word.startswith("-") or plain.lower() in LAUNCHERS or plain.startswith(("python3.", "{python}")):
            continue
        return _plain_name(plain)
    return "server"


def name_of_host(host: str) -> str:
    """What a host is called: `mcp.linear.app` is linear."""
    if is_this_machine(host):
        return "local"
    try:
        ip_address(host)
    except ValueError:
        labels = host.lower().split(".")[:-1] or [host]
        telling = [each for each in labels if each not in HOST_WORDS]
        return valid_name((telling or labels)[-1], otherwise="server")
    return "server"


def _plain_name(word: str) -> str:
    scope, _, name = word[1:].partition("/") if word.startswith("@") else ("", "", word)
    name = re.split(r"[@=<>\[]", name, maxsplit=1)[0]
    if scope and valid_name(name) in AFFIX_WORDS:  # @playwright/mcp
        name = scope
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    name = name.rpartition(".")[2]
    return valid_name(AFFIXES.sub("", AFFIXES.sub("", name)), otherwise=valid_name(name, otherwise="server"))


def _place(part: str, folder: Path) -> Path | None:
    """The absolute path that a part of a command is, where it is one in the folder in which it was typed."""
    looks = part in {".", ".."} or "/" in part or part.endswith(SUFFIXES)
    if not looks or part.startswith(("-", "@", "~")) or "://" in part or len(part) > 1000:
        return None
    try:
        place = Path(os.path.normpath(folder / part))  # links stay: through one, an interpreter knows its packages
        return place if place.exists() and not Path(part).is_absolute() else None
    except (OSError, ValueError):
        return None


def _variable(given: str) -> tuple[str, str]:
    name, separator, value = given.partition("=")
    if not ENVIRONMENT_NAME.fullmatch(name):
        message = f"`{one_line(name, chars=60)}` is no name of an environment variable."
        raise RefusedError("BAD_ARGUMENT", message, do="write --env NAME, or --env NAME=VALUE for what is no secret.")
    if separator and SECRET_WORDS.search(name) and not SECRET.fullmatch(value):
        message = f"{name} looks like a secret, which is named, never given: it would stand in a file."
        raise RefusedError("BAD_ARGUMENT", message, do=f"write --env {name}, or --env {name}=file:PATH.")
    return name, value if separator else f"env:{name}"


def _shown(command: Sequence[str]) -> tuple[list[str], list[str]]:
    """The command without folders of this machine and without secrets; and the options that give one away."""
    shown: list[str] = []
    exposed: list[str] = []
    hidden = False
    for part in command:
        option, separator, value = part.partition("=")
        secret = option.startswith("-") and SECRET_WORDS.search(option.lstrip("-")) is not None
        if hidden and not part.startswith("-"):
            exposed.append(shown[-1])
            shown.append("…")
        elif secret and separator and value:
            exposed.append(option)
            shown.append(f"{option}=…")
        else:
            shown.append(Path(part).name if Path(part).is_absolute() else part)
        hidden = secret and not separator
    return shown, exposed


def _secret(given: str) -> str:
    if not SECRET.fullmatch(given):
        message = "a secret is named, never given: it would stand in a file."
        raise RefusedError("BAD_ARGUMENT", message, do="write env:NAME or file:PATH.")
    return given
