"""Read a source from a file or over HTTPS: bounded in bytes and time, and to addresses of the open network only.

The one room of the importers that opens connections of its own. A name is resolved once, every address it has is
judged, and the connection goes to that very one; redirects are followed a few times and judged like the first address.
Credentials go to the origin they were given for and to no other.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

import anyio
import anyio.to_thread

from process_orchestrator.checking.addresses import WebAddress, judged, web_address
from process_orchestrator.checking.importers.foreign_document import BYTES_MAX
from process_orchestrator.checking.importers.naming import one_line
from process_orchestrator.core.errors import AddressError, RefusedError
from process_orchestrator.core.facts.values import Fact

if TYPE_CHECKING:
    import httpx

TIME_S: Final = 60.0
CONNECT_S: Final = 10.0
ADDRESSES_TRIED: Final = 4
REDIRECTS_MAX: Final = 3
REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
SECRET_BYTES_MAX: Final = 65_536
ACCEPTED: Final = "application/json, application/yaml, text/*;q=0.9, */*;q=0.1"


class Source(Fact, frozen=True, kw_only=True):
    """What was read. `shown` names it without folders, credentials and query; `address` is None for a file."""

    data: bytes
    shown: str
    address: str | None = None


async def read_source(source: str, *, bearer: str | None = None, allow_loopback: bool = False) -> Source:
    """Read a file or an https address. `bearer` is env:NAME or file:PATH; plain http will do on loopback alone.

    Raises RefusedError BAD_ARGUMENT.
    """
    if "://" not in source:
        if bearer is not None:
            raise RefusedError("BAD_ARGUMENT", "a file needs no --bearer.", do="leave it out.")
        return await anyio.to_thread.run_sync(_file, source)
    token = None if bearer is None else await anyio.to_thread.run_sync(secret, bearer)
    try:
        with anyio.fail_after(TIME_S):
            return await _fetched(source, token, allow_loopback=allow_loopback)
    except TimeoutError:
        message = f"{_shown(source)} did not answer whole within {TIME_S:g} s."
        raise RefusedError("BAD_ARGUMENT", message, do="try again, or download it and give the file.") from None
    except AddressError as error:
        loopback = "; --allow-loopback allows this machine itself" if not allow_loopback else ""
        do = f"give an https address on the open network, or download it and give the file{loopback}."
        raise RefusedError("BAD_ARGUMENT", f"{_shown(source)} is not fetched: {error.message}.", do=do) from error


def secret(reference: str) -> str:
    """The value behind env:NAME or file:PATH. Raises RefusedError, which never repeats the value."""
    kind, _, name = reference.partition(":")
    value: str | None = None
    if kind == "env":
        value = os.environ.get(name)
    elif kind == "file":
        try:
            with Path(name).expanduser().open(encoding="utf-8") as opened:
                value = opened.read(SECRET_BYTES_MAX).strip()
        except (OSError, UnicodeDecodeError):
            value = None
    else:
        raise RefusedError("BAD_ARGUMENT", "--bearer holds no reference.", do="write env:NAME or file:PATH.")
    if not value or not value.isascii() or not value.isprintable():
        reason = f"{reference} holds no token."
        raise RefusedError("BAD_ARGUMENT", reason, do="set it, and run the command again.")
    return value


def _file(source: str) -> Source:
    path = Path(source)
    try:
        path = path.expanduser()
        with path.open("rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise RefusedError("BAD_ARGUMENT", f"{path} is no file.", do="give a file or an https address.")
            data = opened.read(BYTES_MAX + 1)
    except (OSError, RuntimeError, ValueError) as error:  # no such home folder; a NUL in the name
        reason = f"{path} cannot be read: {getattr(error, 'strerror', error)}."
        raise RefusedError("BAD_ARGUMENT", reason, do="give a file that can be read, or an https address.") from error
    return Source(data=data, shown=path.name)


async def _fetched(source: str, token: str | None, *, allow_loopback: bool) -> Source:
    import httpx  # noqa: PLC0415 - heavy, and only an import over the network needs it

    address = first = web_address(source)
    limits = httpx.Timeout(TIME_S, connect=CONNECT_S)
    async with httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=limits) as client:
        for _ in range(REDIRECTS_MAX + 1):
            hosts = await _judged(address, allow_loopback=allow_loopback)
            headers = {"Host": address.authority, "Accept": ACCEPTED, "Accept-Encoding": "identity"}
            if token is not None and address.origin == first.origin:
                headers["Authorization"] = f"Bearer {token}"
            try:
                response = await _answer(client, address, hosts, headers)
                try:
                    if response.status_code not in REDIRECTS:
                        return Source(
                            data=await _body(response, address),
                            shown=address.shown,
                            address=address.origin + address.target,
                        )
                    address = _redirected(address, response.headers.get("location", ""))
                finally:
                    with anyio.CancelScope(shield=True):  # closing a broken answer's connection takes no network round
                        await response.aclose()
            except httpx.HTTPError as error:
                reason = f"{address.shown} cannot be fetched: {type(error).__name__}."
                raise RefusedError("BAD_ARGUMENT", reason, do="look at the address, then try again.") from error
    raise AddressError(f"it redirects more than {REDIRECTS_MAX} times")


async def _answer(
    client: httpx.AsyncClient, address: WebAddress, hosts: tuple[str, ...], headers: dict[str, str]
) -> httpx.Response:
    """The answer of the first of the judged IP addresses where anybody is."""
    import httpx  # noqa: PLC0415 - as above

    for host in hosts:
        request = client.build_request(
            "GET",
            httpx.URL(address.origin + address.target).copy_with(host=host),
            headers=headers,
            extensions={"sni_hostname": address.host},
        )
        try:
            return await client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if host == hosts[-1]:
                raise
    raise AssertionError("a name has addresses")


async def _judged(address: WebAddress, *, allow_loopback: bool) -> tuple[str, ...]:
    """The IP addresses to connect to, one after the other where nobody is."""
    try:
        found = await anyio.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AddressError(f"the name {address.host} does not resolve") from None
    hosts = tuple(dict.fromkeys(str(each[4][0]).partition("%")[0] for each in found))
    judged(address.host, hosts, allow_loopback=allow_loopback)
    if address.scheme != "https" and not all(ipaddress.ip_address(host).is_loopback for host in hosts):
        raise AddressError("only https is fetched")
    return hosts[:ADDRESSES_TRIED]


def _redirected(address: WebAddress, location: str) -> WebAddress:
    if not location:
        raise AddressError("it redirects to nowhere")
    try:
        return web_address(urljoin(address.origin + address.target, location))
    except ValueError:
        raise AddressError("it redirects to what is no address") from None


async def _body(response: httpx.Response, address: WebAddress) -> bytes:
    if response.status_code != 200:
        reason = f"{address.shown} answered {response.status_code}."
        do = (
            "give --bearer env:NAME with a token for it."
            if response.status_code in (401, 403)
            else "look at the address."
        )
        raise RefusedError("BAD_ARGUMENT", reason, do=do)
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise AddressError("it is compressed although it was asked for plain")
    data = bytearray()
    async for chunk in response.aiter_raw():
        data += chunk
        if len(data) > BYTES_MAX:
            raise AddressError(f"it has more than {BYTES_MAX} bytes")
    return bytes(data)


def _shown(source: str) -> str:
    """An address without what may be secret in it."""
    scheme, _, rest = source.partition("://")
    return one_line(f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}", chars=200)
