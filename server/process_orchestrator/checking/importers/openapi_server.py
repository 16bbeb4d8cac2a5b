"""Where an API is and how it lets callers in: servers and security schemes as the transport of an agent file.

Secrets are never asked for or kept: the file names the environment variables in which they will be, after the agent.
An agent has one way in; where a document has several, the one that opens most of its operations is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, NamedTuple
from urllib.parse import urljoin, urlsplit, urlunsplit

from process_orchestrator.checking.addresses import web_address
from process_orchestrator.checking.importers.draft import Todo
from process_orchestrator.checking.importers.naming import one_line
from process_orchestrator.checking.importers.openapi_document import OpenApi, Operation, listed, mapping, text
from process_orchestrator.core.errors import AddressError, RefusedError

Json = Any

UNKNOWN: Final = "https://unknown.invalid"
"""A host that no resolver knows (RFC 6761): the address is for a person to write."""

LOOPBACK: Final = frozenset(("localhost", "127.0.0.1", "::1"))


class Reach(NamedTuple):
    """Where a document came from, None for a file; whether the API may be on this machine; which way in to take."""

    address: str | None = None
    allow_loopback: bool = False
    auth: str | None = None  # the name of a security scheme; None: the one that opens most operations


class Server(NamedTuple):
    """The transport of the agent."""

    transport: dict[str, Json]
    secret: frozenset[tuple[str, str]]  # parameters (in, name in lower case) that the auth fills
    todo: tuple[Todo, ...]


class _Way(NamedTuple):
    """One way in: the `auth` of the transport, what it fills, and what is open about it."""

    auth: dict[str, Json] | None
    secret: frozenset[tuple[str, str]]
    todo: tuple[str, ...]


def server(document: OpenApi, operations: Iterable[Operation], *, agent: str, reach: Reach) -> Server:
    """The transport for these operations."""
    chosen = tuple(operations)
    base, host, todo = _base_url(document, reach.address)
    if host in LOOPBACK and not reach.allow_loopback:
        todo.append("the API is on this machine: write allow_loopback: true, or its real address")
    if any("servers" in each.body or "servers" in each.shared for each in chosen):
        todo.append("some operations name servers of their own: an agent has one, make another agent of those")
    way = _way(document, chosen, agent, wanted=reach.auth)
    transport: dict[str, Json] = {"kind": "http", "base_url": base}
    if host in LOOPBACK and reach.allow_loopback:
        transport["allow_loopback"] = True
    if way.auth is not None:
        transport["auth"] = way.auth
    todos = [Todo(pointer="/transport/base_url", text=each) for each in todo]
    todos += [Todo(pointer="/transport/auth", text=each) for each in way.todo]
    if way.auth is not None and base != UNKNOWN:
        client = mapping(way.auth.get("oauth2_client"))
        goes = " and ".join(dict.fromkeys([base, *([client["token_url"]] if client else [])]))
        todos.append(Todo(pointer="/transport/auth", text=f"what is set there is sent to {goes}: is that its owner?"))
    return Server(transport=transport, secret=way.secret, todo=tuple(todos))


def _base_url(document: OpenApi, address: str | None) -> tuple[str, str, list[str]]:
    servers = [mapping(each) for each in listed(document.value.get("servers"))]
    first = servers[0] if servers else {"url": "/"}
    url, todo = text(first.get("url")) or "/", []
    for name, each in mapping(first.get("variables")).items():
        value = str(mapping(each).get("default", ""))
        if f"{{{name}}}" in url:
            url = url.replace(f"{{{name}}}", value)
            todo.append(f"{one_line(name, chars=60)} is taken as `{one_line(value, chars=60)}`, its default")
    if not urlsplit_or_none(url) and address is not None:
        url = urljoin(address, url)
    parts = urlsplit_or_none(url)
    if parts is None:
        said = f"the document does not say on which host the API is (only `{one_line(url, chars=100)}`): write it"
        return UNKNOWN, "", [*todo, said]
    plain = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
    try:
        host = web_address(plain).host
    except AddressError as error:
        return UNKNOWN, "", [*todo, f"the address in the document cannot be used ({error.message}): write it"]
    if len(servers) > 1:
        others = ", ".join(one_line(text(each.get("url")), chars=60) for each in servers[1:4])
        todo.append(f"the first server is taken; there are also {others}")
    if parts.scheme == "http" and host not in LOOPBACK:
        todo.append("http:// sends everything in the clear: write https:// where the API has it")
    return plain, host, todo


def urlsplit_or_none(url: str) -> Any:
    """The parts of an absolute http or https address; None for anything else."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.netloc else None


def _way(document: OpenApi, operations: tuple[Operation, ...], agent: str, *, wanted: str | None) -> _Way:
    """The way in that is wanted, else the one that opens most operations."""
    counted: Counter[tuple[str, ...]] = Counter()
    free = 0
    for each in operations:
        ways = [list(mapping(way)) for way in listed(each.body.get("security", document.value.get("security")))]
        free += not ways or not all(ways)
        counted.update({tuple(way) for way in ways if way})
    if wanted is not None:
        counted = Counter({way: number for way, number in counted.items() if wanted in way})
        _refuse_unknown(document, wanted, known=bool(counted))
    if not counted:
        return _Way(None, frozenset(), ())
    schemes = {name: document.followed(each) for name, each in document.components("securitySchemes").items()}
    names = max(counted, key=lambda each: (counted[each], -len(each), _rank(schemes, each)))
    first = names[0]
    scheme = mapping(schemes.get(first))
    scopes = _scopes(operations, document, first)
    way = _one(scheme, agent.upper(), scopes)
    todo = [*way.todo]
    if len(names) > 1:
        todo.append(f"callers must show {', '.join(names)} together, and an agent shows one: only {first} is set")
    others = sorted({name for each in counted for name in each} - set(names))
    if others:
        known = one_line(", ".join(others), chars=120)
        todo.append(f"{first} is set, which opens most operations; there are also {known} (import with --auth NAME)")
    if free and free < len(operations):
        todo.append(f"{free} of {len(operations)} operations need no credentials, but get them too")
    return _Way(way.auth, way.secret, tuple(todo))


def _refuse_unknown(document: OpenApi, wanted: str, *, known: bool) -> None:
    if not known:
        names = ", ".join(one_line(each, chars=60) for each in document.components("securitySchemes")) or "none"
        reason = f"no operation that is imported lets callers in by {one_line(wanted, chars=60)}."
        raise RefusedError("BAD_ARGUMENT", reason, do=f"the document knows: {names}.")


def _rank(schemes: dict[str, dict[str, Json]], names: tuple[str, ...]) -> int:
    """Of ways that open equally much, one that needs no person at a browser is better."""
    scheme = mapping(schemes.get(names[0]))
    if scheme.get("type") == "oauth2":
        return 3 if "clientCredentials" in mapping(scheme.get("flows")) else 0
    return {"http": 2, "apiKey": 2}.get(text(scheme.get("type")), 0)


def _scopes(operations: tuple[Operation, ...], document: OpenApi, name: str) -> list[str]:
    found: dict[str, None] = {}
    for each in operations:
        for way in listed(each.body.get("security", document.value.get("security"))):
            found |= dict.fromkeys(str(scope) for scope in listed(mapping(way).get(name)))
    return list(found)


def _one(scheme: dict[str, Json], prefix: str, scopes: list[str]) -> _Way:
    kind = text(scheme.get("type"))
    if kind == "http" and text(scheme.get("scheme")).lower() == "basic":
        said = f"set {prefix}_USER and {prefix}_PASSWORD in the environment of the server"
        auth = {"basic": {"user": f"env:{prefix}_USER", "password": f"env:{prefix}_PASSWORD"}}
        return _Way(auth, frozenset(), (said,))
    if kind == "apiKey":
        return _api_key(scheme, prefix)
    if kind == "oauth2":
        return _oauth2(mapping(scheme.get("flows")), prefix, scopes)
    token = f"env:{prefix}_TOKEN"
    if kind == "http" and text(scheme.get("scheme")).lower() == "bearer":
        return _Way({"bearer": token}, frozenset(), (f"set {prefix}_TOKEN in the environment of the server",))
    if kind == "openIdConnect":
        said = f"set {prefix}_TOKEN to a token that you get from the API's sign-in; nobody renews it"
        return _Way({"bearer": token}, frozenset(), (said,))
    said = (
        f"the API's way in ({one_line(kind, chars=30) or 'unknown'}) is not known here: write transport.auth yourself"
    )
    return _Way(None, frozenset(), (said,))


def _api_key(scheme: dict[str, Json], prefix: str) -> _Way:
    name, place = text(scheme.get("name")), text(scheme.get("in"))
    key = f"{prefix}_KEY"
    said = f"set {key} in the environment of the server"
    if place == "cookie":
        said = f"set {key} in the environment of the server to the whole cookie, `{one_line(name, chars=60)}=VALUE`"
        return _Way({"header": {"Cookie": f"env:{key}"}}, frozenset(), (said,))
    if place not in ("header", "query") or not name:
        return _Way(None, frozenset(), ("the document does not say where its key belongs: write transport.auth",))
    return _Way({place: {name: f"env:{key}"}}, frozenset(((place, name.lower()),)), (said,))


def _oauth2(flows: dict[str, Json], prefix: str, scopes: list[str]) -> _Way:
    flow = mapping(flows.get("clientCredentials"))
    token_url = text(flow.get("tokenUrl"))
    if urlsplit_or_none(token_url):
        client: dict[str, Json] = {
            "token_url": token_url,
            "client_id": f"env:{prefix}_CLIENT_ID",
            "client_secret": f"env:{prefix}_CLIENT_SECRET",
        }
        if scopes:
            client["scope"] = " ".join(scopes)
        said = f"set {prefix}_CLIENT_ID and {prefix}_CLIENT_SECRET in the environment of the server"
        asked = (
            [f"it asks for the scopes {one_line(' '.join(scopes), chars=150)}: leave only those you need"]
            if scopes
            else []
        )
        return _Way({"oauth2_client": client}, frozenset(), (said, *asked))
    known = ", ".join(one_line(each, chars=30) for each in flows) or "none"
    said = (
        f"the API's OAuth flow ({known}) needs a person at a browser: get a token by it, set {prefix}_TOKEN to it "
        "in the environment of the server; nobody renews it"
    )
    return _Way({"bearer": f"env:{prefix}_TOKEN"}, frozenset(), (said,))
