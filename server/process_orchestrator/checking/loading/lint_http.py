"""Faults of HTTP agents that their meta-schema cannot state: addresses, headers, and words that do not go together.

Also what a `bind` makes of a contract's arguments: each name in it must be one, and none should get lost on the way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from process_orchestrator.checking.addresses import web_address
from process_orchestrator.checking.documents.definitions import Agent, Contract, Problem
from process_orchestrator.checking.documents.lines import Document
from process_orchestrator.checking.schemas.pointers import step_into
from process_orchestrator.checking.schemas.projection import Shape, names_of, project, required_names
from process_orchestrator.core.errors import AddressError
from process_orchestrator.core.facts.values import Effect

Json = Any

PLACEHOLDER: Final = re.compile(r"\{([^{}/]+)\}")
"""An argument in a path."""

OURS: Final = frozenset(
    {
        *("host", "content-length", "content-type", "transfer-encoding", "connection", "keep-alive", "te", "trailer"),
        *("upgrade", "expect", "accept-encoding", "idempotency-key", "range"),
    }
)
"""Headers that say how a message is carried; an argument in one could split or redirect it."""

SECRET: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
"""Headers that carry a right: never an argument, which is written into the journal."""

BODILESS: Final = frozenset({"GET", "HEAD", "DELETE"})
TOKEN_FIELDS: Final = frozenset({"grant_type", "client_id", "client_secret", "scope"})


def address_problems(document: Document, agent: Agent) -> Iterator[Problem]:
    """Addresses that cannot be read in one way only, or over which a secret would travel in the clear."""
    transport = agent.transport
    if transport.kind not in ("http", "mcp_http"):
        return
    place = "/transport/base_url" if transport.kind == "http" else "/transport/url"
    base = transport.url or ""
    yield from _address(document, place, base)
    if transport.kind == "http" and ("?" in base or "#" in base):
        fix = "write what belongs to each call under bind.path and bind.query"
        yield document.error("BAD_URL", place, "a base address has no query and no fragment", fix)
    plain = base.startswith("http://") and not transport.allow_loopback
    if plain and transport.auth is not None:
        message = "the secret would travel in the clear: everybody on the way can read it"
        yield document.warning("PLAIN_HTTP", place, message, "write https://")
    client = (transport.auth or {}).get("oauth2_client")
    if client is None:
        return
    place = "/transport/auth/oauth2_client"
    yield from _address(document, f"{place}/token_url", client["token_url"])
    if client["token_url"].startswith("http://") and not transport.allow_loopback:
        message = "a token endpoint is asked over TLS only (RFC 6749, section 3.2)"
        yield document.error("PLAIN_HTTP", f"{place}/token_url", message, "write https://")
    for name in client.get("params", {}):
        if name in TOKEN_FIELDS:
            where = step_into(f"{place}/params", name)
            yield document.error("BAD_VALUE", where, f"`{name}` is filled by the engine", f"remove {name}")


def bind_problems(document: Document, place: str, bind: dict[str, Json]) -> Iterator[Problem]:
    """What does not go together in the `bind` of an HTTP agent."""
    for name in bind.get("headers", {}):
        lowered = name.lower()
        if lowered in SECRET or lowered.startswith(("proxy-", "sec-")):
            fix = "secrets stand under transport.auth; cookies are not supported"
            yield document.error("BIND_HEADER", step_into(f"{place}/headers", name), f"{name} carries no argument", fix)
        elif lowered in OURS:
            where = step_into(f"{place}/headers", name)
            yield document.error("BIND_HEADER", where, f"the engine itself writes {name}", f"remove {name}")
    if re.search(r"[{}]", PLACEHOLDER.sub("", bind.get("path", "/"))) or "?" in bind.get("path", "/"):
        message = "a path is filled by {name}, and ends before a `?`"
        yield document.error("BIND_PATH", f"{place}/path", message, "write {name}; arguments of a query under query")
    if "files" in bind and bind.get("body") != "multipart":
        yield document.error(
            "BIND_FILES", f"{place}/files", "only a multipart body holds files", "write body: multipart"
        )
    poll, pages = bind.get("poll"), bind.get("pages")
    if poll is not None and pages is not None:
        message = "an answer that comes later and in pages is two calls"
        yield document.error("BIND_PAGES", f"{place}/pages", message, "remove poll or pages")
    if poll is not None and "url" in poll and "path" in poll:
        yield document.error("BIND_POLL", f"{place}/poll/path", "`url` and `path` both say where to ask", "keep one")
    if pages is not None and bind.get("method") != "GET":
        message = f"pages are asked for one after another: not with {bind.get('method')}"
        yield document.error("BIND_PAGES", f"{place}/pages", message, "write method: GET, or remove pages")
    if pages is not None and pages["next"] == "link" and "cursor" in pages:
        message = "the header Link holds an address, not a cursor"
        yield document.error("BIND_PAGES", f"{place}/pages/cursor", message, "remove cursor, or write next: /POINTER")


def argument_problems(document: Document, place: str, bind: dict[str, Json], contract: Contract) -> Iterator[Problem]:
    """Where a `bind` names arguments that its contract does not have, or loses some that it has."""
    if "pages" in bind and contract.effect not in (Effect.NONE, Effect.READ):
        message = f"{contract.name} has an effect ({contract.effect}): only what reads is asked for page by page"
        yield document.error("BIND_PAGES", f"{place}/pages", message, "remove pages")
    every_s = bind.get("poll", {}).get("every_s", 0)
    if every_s * 1000 >= contract.attempt_ms:
        message = f"the first question comes after {every_s:g} s, but a call of {contract.name} may take no longer"
        fix = f"raise timeout.attempt_s of {contract.name} (and total_s), or lower every_s"
        yield document.warning("BIND_POLL", f"{place}/poll/every_s", message, fix)
    shape, renamed = Shape.of(contract.input), bind.get("input") or {}
    moved = {source[2:].partition(".")[0].partition("[")[0] for source in renamed.values() if _is_path(source)}
    known = {*names_of(shape), *renamed} - (moved - set(renamed))
    in_path = PLACEHOLDER.findall(bind.get("path", "/"))
    body = bind.get("body")
    whole = [body[2:]] if isinstance(body, str) and body.startswith("$.") else []
    listed = body if isinstance(body, list) else []
    named = {
        **dict.fromkeys(in_path, "path"),
        **dict.fromkeys(bind.get("query", ()), "query"),
        **dict.fromkeys(bind.get("headers", {}).values(), "headers"),
        **dict.fromkeys(bind.get("files", ()), "files"),
        **dict.fromkeys([*whole, *listed], "body"),
    }
    for name, where in named.items():
        if name not in known and name not in renamed and not project(shape, (name,)).declared:
            message = f"{contract.name} {contract.version} has no argument `{name}`"
            fix = f"arguments: {', '.join(sorted(known)) or 'none'}"
            yield document.error("BIND_ARGUMENT", f"{place}/{where}", message, fix)
    optional = [
        name for name in in_path if name in names_of(shape) and name not in (*required_names(contract.input), *renamed)
    ]
    for name in optional:
        message = f"`{name}` may be absent, but a path has no gaps"
        fix = f"require {name} in {contract.name}, or take it out of the path"
        yield document.warning("BIND_ARGUMENT", f"{place}/path", message, fix)
    closed = (body is None and bind.get("method") in BODILESS and "query" in bind) or bool(whole or listed)
    lost = sorted(known - set(named) - {contract.key_field}) if closed else []
    if lost:
        message = f"of the arguments of {contract.name}, {', '.join(lost)} would not be sent"
        yield document.warning("BIND_ARGUMENT", place, message, "name them under path, query, headers or body")


def _address(document: Document, place: str, text: str) -> Iterator[Problem]:
    for name, value in (("port", "1"), ("home", "/x"), ("state", "/x"), ("python", "x")):
        text = text.replace(f"{{{name}}}", value)
    try:
        web_address(text)
    except AddressError as error:
        fix = "write scheme, host and path in plain ASCII, as https://api.example.com/v1"
        yield document.error("BAD_URL", place, error.message, fix)


def _is_path(source: Json) -> bool:
    return isinstance(source, str) and source.startswith("$.")
