"""Which addresses of the network may be reached, and which texts are an address at all. Pure: no name is resolved here.

For everything that opens a connection to what somebody wrote: agents, token endpoints, links in answers, importers.
A text that two readers could read differently is refused, whatever it means: numbers that are addresses in disguise,
user names, backslashes, letters outside ASCII. Names are resolved by whoever connects, to the very address judged here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from process_orchestrator.core.errors import AddressError
from process_orchestrator.core.facts.values import Fact

URL_CHARACTERS_MAX: Final = 4096
HOST_CHARACTERS_MAX: Final = 253
PORTS: Final = {"http": 80, "https": 443}

SAFE: Final = "!#$%&'()*+,-./:;=?@[]_~"
_PLAIN: Final = re.compile(rf"[A-Za-z0-9{re.escape(SAFE)}]*", re.ASCII)
_NETLOC: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]@]+)(?::([0-9]{1,5}))?", re.ASCII)

_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)

_NEVER: Final = tuple(
    ipaddress.ip_network(each)
    for each in (
        "168.63.129.16/32",  # a cloud's own service inside its machines, at an address that looks public
        "192.88.99.0/24",  # relays of 6to4, given up
        "3fff::/20",  # documentation
        "2001::/23",  # Teredo, ORCHID and their like: addresses that hold others
        "2002::/16",  # 6to4: holds an IPv4 address
    )
)
_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_ISATAP: Final = 0x5EFE


class WebAddress(Fact, frozen=True, kw_only=True):
    """An http or https address that only one reading has. `host` is ASCII, lower case, without brackets or last dot."""

    scheme: str
    host: str
    port: int
    path: str  # begins with / unless empty
    query: str  # without ?

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def shown(self) -> str:
        """For messages: without the query, which may hold a secret."""
        return self.origin + self.path[:200]

    @property
    def target(self) -> str:
        """What stands in the request line."""
        return (self.path or "/") + (f"?{self.query}" if self.query else "")


def web_address(text: str) -> WebAddress:
    """Read an absolute address; a fragment is dropped. Raises AddressError, whose message does not repeat the text."""
    if len(text) > URL_CHARACTERS_MAX:
        raise AddressError(f"the address is longer than {URL_CHARACTERS_MAX} characters")
    if not _PLAIN.fullmatch(text):
        message = "the address holds a character that must be written otherwise"
        raise AddressError(f"{message} (a name as xn--…, anything else as %XX)")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise AddressError("the address has no readable host") from None
    if parts.scheme not in PORTS:
        raise AddressError("the address is neither http:// nor https://")
    if "@" in parts.netloc:
        raise AddressError("the address holds a user name")
    read = _NETLOC.fullmatch(parts.netloc)
    port = PORTS[parts.scheme] if read is None or read[2] is None else int(read[2])
    if read is None or not 0 < port < 65_536:
        raise AddressError("the address has no readable host and port")
    return WebAddress(scheme=parts.scheme, host=_host(read[1]), port=port, path=parts.path, query=parts.query)


def followed(base: WebAddress, text: str) -> WebAddress:
    """The address that an answer from `base` names, absolute or relative.

    Raises AddressError where it is of another origin: where an agent may be reached stands in its file alone.
    """
    try:
        joined = urljoin(base.origin + base.target, quote(text[: URL_CHARACTERS_MAX + 1], safe=SAFE))
    except ValueError:
        raise AddressError("the address that the agent names cannot be read") from None
    address = web_address(joined)
    if (address.scheme, address.host, address.port) != (base.scheme, base.host, base.port):
        raise AddressError(f"the agent names {address.shown}, which is not at {base.origin}: it is not asked there")
    return address


def judged(host: str, addresses: Sequence[str], *, allow_loopback: bool) -> str:
    """The address to connect to, of all to which a name resolves. Raises AddressError.

    All of them must be allowed, not only the first: a name with a public and a private address is the usual way
    around a check.
    """
    if not addresses:
        raise AddressError(f"the name {host} does not resolve")
    for address in addresses:
        if not allowed(address, allow_loopback=allow_loopback):
            raise AddressError(f"{host} resolves to {address[:60]}, which this agent may not reach")
    return addresses[0]


def allowed(address: str, *, allow_loopback: bool) -> bool:
    """Whether one IP address is public, or loopback where that is allowed. 100.64/10 is not private, nor global."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.is_loopback:
            return allow_loopback
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        elif ip in _NAT64:
            ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
            return _is_public(ip)  # a translator's loopback is not ours
        elif ip not in _GLOBAL_V6 or (int(ip) >> 32) & 0xFCFFFFFF == _ISATAP:
            return False
    if ip.is_loopback:
        return allow_loopback
    return _is_public(ip)


def is_this_machine(host: str) -> bool:
    """Whether a name or IP address, as it is written, is loopback by definition."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_public(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if any(ip.version == network.version and ip in network for network in _NEVER):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _host(written: str) -> str:
    """The host of an address in its one form. Raises AddressError."""
    if written.startswith("["):
        try:
            return str(ipaddress.IPv6Address(written[1:-1]))
        except ValueError:
            raise AddressError("the address in brackets is no IPv6 address") from None
    host = written.lower().removesuffix(".")
    labels = host.split(".")
    if len(host) > HOST_CHARACTERS_MAX or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressError("the address has no readable host")
    if _NUMBER.fullmatch(labels[-1]):  # resolvers read such a name as a number, each in its own way
        try:
            return str(ipaddress.IPv4Address(written))
        except ValueError:
            message = "the host is a number in disguise: write four decimal numbers without leading zeros, or a name"
            raise AddressError(message) from None
    return host
