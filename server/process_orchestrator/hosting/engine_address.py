"""Where the engine of a state folder listens: a socket in the folder, or what `engine.addr` says.

A socket's path may hold about 100 bytes; for a longer one the socket lies in a private temporary folder. Windows has
loopback with a token that only the owner of the folder can read.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import msgspec
from anyio.abc import SocketAttribute

from process_orchestrator.core.facts.values import Fact

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.abc import ByteStream, Listener

SOCKET_FILE: Final = "engine.sock"
ADDRESS_FILE: Final = "engine.addr"
SOCKET_PATH_BYTES_MAX: Final = 100
PRIVATE: Final = 0o600


class Address(Fact, frozen=True, kw_only=True):
    """Either a socket's path or a loopback port."""

    path: str | None = None
    port: int | None = None
    token: str = ""


def find_address(state: Path) -> Address | None:
    """Where the engine listens, if one does. A dead engine's address may still stand there."""
    try:
        return msgspec.json.decode((state / ADDRESS_FILE).read_bytes(), type=Address)
    except (FileNotFoundError, msgspec.DecodeError):
        pass
    path = state / SOCKET_FILE
    return Address(path=str(path)) if path.exists() else None


async def connect(address: Address) -> ByteStream:
    """Raises OSError where nobody listens."""
    if address.path is not None:
        return await anyio.connect_unix(address.path)
    return await anyio.connect_tcp("127.0.0.1", address.port or 0)


@asynccontextmanager
async def listen(state: Path) -> AsyncGenerator[tuple[Listener[ByteStream], str]]:
    """Listen for doors; yields the listener and the token they must show. The caller holds the engine lock."""
    _forget(state)
    if sys.platform == "win32":
        token = secrets.token_hex(32)
        tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = tcp.extra(SocketAttribute.local_port)  # noqa: S610 - an attribute of a socket
        _write_address(state, Address(port=port, token=token))
        try:
            async with tcp:
                yield tcp, token  # type: ignore[misc]
        finally:
            _forget(state)
        return
    path = state / SOCKET_FILE
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
        path = Path(tempfile.mkdtemp(prefix="orchestrator-")) / SOCKET_FILE
        _write_address(state, Address(path=str(path)))
    try:
        async with await anyio.create_unix_listener(path, mode=PRIVATE) as listener:
            yield listener, ""  # type: ignore[misc]
    finally:
        _forget(state)


def _write_address(state: Path, address: Address) -> None:
    path = state / ADDRESS_FILE
    draft = path.with_name(f"{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(address))
    draft.replace(path)


def _forget(state: Path) -> None:
    """Take away a socket of ours or of a dead engine before us."""
    address = find_address(state)
    if address is not None and address.path is not None:
        path = Path(address.path)
        path.unlink(missing_ok=True)
        if path.parent != state and path.parent.name.startswith("orchestrator-"):
            path.parent.rmdir()
    (state / ADDRESS_FILE).unlink(missing_ok=True)
