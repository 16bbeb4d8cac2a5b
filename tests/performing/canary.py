"""A listener on loopback that nobody may ever reach, and certificates for names that lead to it."""

import datetime as dt
import ssl
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.tls import TLSListener, TLSStream
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Canary:
    """Counts who connects. `names` are those that were asked for in a TLS handshake."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connections = 0
        self.names: list[str | None] = []

    async def note(self, stream: SocketStream) -> None:
        self.connections += 1
        await stream.aclose()


@asynccontextmanager
async def canary() -> AsyncGenerator[Canary]:
    """One on 127.0.0.1 and, where there is such a thing, on ::1, at one port."""
    async with AsyncExitStack() as open_now:
        listeners = [await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)]
        bird = Canary(listeners[0].extra(SocketAttribute.local_port))
        with suppress(OSError):  # a machine without IPv6
            listeners.append(await anyio.create_tcp_listener(local_host="::1", local_port=bird.port))
        for listener in listeners:
            await open_now.enter_async_context(listener)
        async with anyio.create_task_group() as tasks:
            for listener in listeners:
                tasks.start_soon(listener.serve, bird.note)
            yield bird
            tasks.cancel_scope.cancel()


def certificate(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server that is `name`, and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".pem", delete=False) as file:
        file.write(made.public_bytes(serialization.Encoding.PEM))
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file.name)
    return server, ssl.create_default_context(cafile=file.name)


@asynccontextmanager
async def tls_canary(context: ssl.SSLContext) -> AsyncGenerator[Canary]:
    """One that speaks TLS and answers each request with `{}`; it counts handshakes that succeeded."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    bird = Canary(listener.extra(SocketAttribute.local_port))

    def named(_connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _context: ssl.SSLContext) -> None:
        bird.names.append(name)

    async def answer(stream: TLSStream) -> None:
        bird.connections += 1
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")

    context.sni_callback = named
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(TLSListener(listener, ssl_context=context, standard_compatible=False).serve, answer)
        yield bird
        tasks.cancel_scope.cancel()
