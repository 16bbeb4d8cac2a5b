"""A real model on loopback, for the life of a context: `llama-server` over the weights that `fetch` brought.

    python tests/real_model/serving.py [large|small] [PORT]     serve until interrupted; default large 8091

Ends surely: with its context, with the program that started it (Linux), or by signal. Standard library only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from real_model.fetch import LARGE, WEIGHTS, Weights, present, server_program

HOST = "127.0.0.1"
CONTEXT_TOKENS = 8192
START_S = 120.0
STOP_S = 10.0
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


@dataclass(frozen=True, kw_only=True)
class Served:
    """A model that answers at `api_base`, as OpenAI's protocol speaks, under the name `alias`."""

    alias: str
    api_base: str
    pid: int
    ready_s: float


def absent(weights: Weights = LARGE) -> str | None:
    """Why the model cannot be served here, None where it can."""
    if server_program() is None or not present(weights):
        return f"the real model ({weights.name}) is not here. Do: ./dev real-model fetch {weights.name}"
    return None


@contextmanager
def serving(weights: Weights = LARGE, *, port: int | None = None) -> Generator[Served]:
    """Start the server of a model and wait until it answers; end it in any case."""
    why = absent(weights)
    program = server_program()
    if why is not None or program is None:
        raise RuntimeError(why)
    port = port or _free_port()
    command = [
        str(program), "-m", str(weights.path), "--alias", weights.name, "--host", HOST, "--port", str(port),
        "-c", str(CONTEXT_TOKENS), "-np", "1", "-t", "2", "--jinja", "--device", "none", "--no-webui",
    ]  # fmt: skip
    started = time.monotonic()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "LD_LIBRARY_PATH": str(program.parent)},
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - before any thread runs
        )
        try:
            _wait_until_ready(process, port, log=log)
            yield Served(
                alias=weights.name,
                api_base=f"http://{HOST}:{port}/v1",
                pid=process.pid,
                ready_s=time.monotonic() - started,
            )
        finally:
            _end(process)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, *, log: object) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"llama-server ended with {process.returncode} while it started: {_tail(log)}")
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"llama-server did not answer within {START_S:.0f} s: {_tail(log)}")


def _tail(log: object) -> str:
    log.seek(0)  # type: ignore[attr-defined]
    return log.read()[-2000:].decode(errors="replace")  # type: ignore[attr-defined]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGTERM)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def main(arguments: list[str]) -> None:
    name = arguments[0] if arguments else LARGE.name
    weights = next((each for each in WEIGHTS if each.name == name), None)
    if weights is None:
        raise SystemExit(f"real-model: no {name}. Do: one of {', '.join(each.name for each in WEIGHTS)}.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with serving(weights, port=int(arguments[1]) if len(arguments) > 1 else 8091) as served:
            print(
                f"{served.alias} answers at {served.api_base} after {served.ready_s:.1f} s; Ctrl-C ends it", flush=True
            )
            signal.pause()
    except KeyboardInterrupt:
        pass
    except RuntimeError as error:
        raise SystemExit(f"real-model: {error}") from error


if __name__ == "__main__":
    main(sys.argv[1:])
