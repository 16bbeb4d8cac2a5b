"""To which network address a request goes: resolve once, judge every address, connect to that very one.

What is allowed is `checking.addresses`'s; here names are resolved, and refusals become failures of a call. A name that
answers otherwise a moment later changes nothing: nobody asks it again. No request is made here.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import anyio

from process_orchestrator.checking.addresses import WebAddress, judged, web_address
from process_orchestrator.core.errors import AddressError, AgentCallError
from process_orchestrator.core.facts.values import Fact, FailureClass

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""All IP addresses of a host, for a port. Raises OSError where there are none."""


class Destination(Fact, frozen=True, kw_only=True):
    """Where to connect, and the name that stays in the Host header and in the check of the certificate."""

    web: WebAddress
    ip: str


async def resolved(host: str, port: int) -> Sequence[str]:
    """The addresses that this machine's resolver gives; an address is its own."""
    with contextlib.suppress(ValueError):
        return (str(ipaddress.ip_address(host)),)  # without the thread that a resolver needs
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]).partition("%")[0] for entry in found]


def readable(url: str) -> WebAddress:
    """An agent's address. Raises AgentCallError (unreachable for good: nothing was sent)."""
    try:
        return web_address(url)
    except AddressError as error:
        raise AgentCallError("unreachable", error.message, class_=FailureClass.PERMANENT) from error


async def destination(web: WebAddress, *, allow_loopback: bool, resolve: Resolver = resolved) -> Destination:
    """Resolve and judge. Raises AgentCallError (unreachable: nothing was sent)."""
    ip = await pinned_address(web.host, web.port, allow_loopback=allow_loopback, resolve=resolve)
    return Destination(web=web, ip=ip)


async def pinned_address(host: str, port: int, *, allow_loopback: bool, resolve: Resolver = resolved) -> str:
    """The IP address to connect to. Raises AgentCallError (unreachable: nothing was sent)."""
    name = host.strip("[]")
    try:
        found = await resolve(name, port)
    except (OSError, UnicodeError) as error:
        raise AgentCallError("unreachable", f"the name {name} does not resolve") from error
    try:
        return judged(name, found, allow_loopback=allow_loopback)
    except AddressError as error:
        raise AgentCallError("unreachable", error.message) from error
