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


async def fifty_megabytes(_heard: Heard, stream: SocketStream) -> None:
    """One whole, well-formed answer; in parts, so that who tells the server's time in this process is not held up."""
    head, tail = b'{"total": "', b'"}'
    length = len(head) + 50_000_000 + len(tail)
    await stream.send(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode())
    await stream.send(head)
    for _ in range(500):
        await stream.send(b"x" * 100_000)
    await stream.send(tail)
