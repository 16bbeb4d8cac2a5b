"""Which network addresses an HTTP agent may be reached at: resolve once, judge every address, connect to that one.

A name that resolves to a private, link-local or metadata address is refused, however it is written. Loopback only
where the agent's file says so. No request is made here.
"""

from __future__ import annotations

import ipaddress
import socket

import anyio

from process_orchestrator.core.errors import AgentCallError


async def pinned_address(host: str, port: int, *, allow_loopback: bool) -> str:
    """The address to connect to. Raises AgentCallError (unreachable: nothing was sent).

    All addresses of the name must be allowed, not only the first: a name with a public and a private address is the
    usual way around a check.
    """
    try:
        found = await anyio.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AgentCallError("unreachable", f"the name {host} does not resolve") from error
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    for address in addresses:
        if not allowed(address, allow_loopback=allow_loopback):
            raise AgentCallError("unreachable", f"{host} resolves to {address}, which this agent may not reach")
    if not addresses:
        raise AgentCallError("unreachable", f"the name {host} does not resolve")
    return addresses[0]


def allowed(address: str, *, allow_loopback: bool) -> bool:
    """Whether one IP address is public, or loopback where that is allowed. 100.64/10 is not private, nor global."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ip.ipv4_mapped or ip.sixtofour
        if embedded is not None:
            ip = embedded
    if ip.is_loopback:
        return allow_loopback
    return ip.is_global and not ip.is_multicast
