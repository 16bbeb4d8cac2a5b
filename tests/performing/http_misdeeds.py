"""What an HTTP agent may do to us beside saying something wrong: scripts for `fleet.ScriptedServer`."""

import anyio
from anyio.abc import SocketStream

from performing.fleet import Heard


async def resets(_heard: Heard, stream: SocketStream) -> None:
    await stream.aclose()


async def half(_heard: Heard, stream: SocketStream) -> None:
    await stream.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"a": ')


async def trickles(_heard: Heard, stream: SocketStream) -> None:
    await stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        await stream.send(b" ")
        await anyio.sleep(0.02)


async def silent(_heard: Heard, _stream: SocketStream) -> None:
    await anyio.sleep_forever()


async def endless(_heard: Heard, stream: SocketStream) -> None:
    await stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
    while True:
        await stream.send(b"1" * 65_536)
