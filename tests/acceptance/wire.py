"""A client of lines over the pipes of a server: it can do what no well-behaved client does."""

import json
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from acceptance.driving import PROGRAM, environment
from process_orchestrator.home import Home


class Wire:
    """The two pipes."""

    def __init__(self, server: subprocess.Popen[bytes]) -> None:
        self.server = server
        self._number = 0

    def tell(self, method: str, **params: Any) -> None:
        self._send({"method": method, "params": params})

    def ask(self, method: str, **params: Any) -> int:
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        return self._number

    def call(self, tool: str, **arguments: Any) -> Any:
        number = self.ask("tools/call", name=tool, arguments=arguments)
        return self.answer(number)["structuredContent"]

    def answer(self, number: int) -> Any:
        assert self.server.stdout is not None
        for line in self.server.stdout:
            message = json.loads(line)
            if message.get("id") == number:
                return message["result"]
        raise AssertionError("the server ended")

    def _send(self, message: dict[str, Any]) -> None:
        assert self.server.stdin is not None
        self.server.stdin.write(json.dumps({"jsonrpc": "2.0"} | message).encode() + b"\n")
        self.server.stdin.flush()


@contextmanager
def wired(home: Home) -> Generator[Wire]:
    """A running server, greeted; killed at the latest when this context ends."""
    with subprocess.Popen(
        [str(PROGRAM), "serve", "--home", str(home.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    ) as server:
        try:
            wire = Wire(server)
            greeting = {"capabilities": {}, "clientInfo": {"name": "wire", "version": "1"}}
            wire.answer(wire.ask("initialize", protocolVersion="2025-06-18", **greeting))
            wire.tell("notifications/initialized")
            yield wire
        finally:
            server.kill()
