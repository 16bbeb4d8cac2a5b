"""To which network address a request goes: resolve once, judge every address, connect to that very one.

What is allowed is `checking.addresses`'s; here names are resolved, and refusals become failures of a call. A name that
answers otherwise a moment later changes nothing: nobody asks it again. No request is made here.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

import anyio

from process_orchestrator.checking.addresses import WebAddress, judged, web_address
from process_orchestrator.core.errors import AddressError, AgentCallError
from process_orchestrator.core.facts.values import Fact, FailureClass

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""All IP addresses of a host, for a port. Raises OSError where there are none."""


ADDRESSES_TRIED: Final = 4


class Destination(Fact, frozen=True, kw_only=True):
    """Where to connect, and the name that stays in the Host header and in the check of the certificate.

    `ips` are all judged; the next one is for where nothing answers at the one before.
    """

    web: WebAddress
    ips: tuple[str, ...]


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
    try:
        found = await resolve(web.host, web.port)
    except (OSError, UnicodeError) as error:
        raise AgentCallError("unreachable", f"the name {web.host} does not resolve") from error
    try:
        judged(web.host, found, allow_loopback=allow_loopback)
    except AddressError as error:
        raise AgentCallError("unreachable", error.message) from error
    return Destination(web=web, ips=tuple(dict.fromkeys(found))[:ADDRESSES_TRIED])
