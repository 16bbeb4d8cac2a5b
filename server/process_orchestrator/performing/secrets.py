"""Secrets of agents: references in definition files, values in memory only, masked by value wherever they might leak.

A reference is `env:NAME` or `file:PATH`; anything else is a literal and no secret. The values that were resolved are
remembered for masking: an agent that echoes its token must not carry it into an artifact, a log or a message. This is
no vault: nothing is stored, and masking by schema (`data.sensitive`) belongs to the views.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

import anyio.to_thread

from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import FailureClass

MASK: Final = "[secret]"
SECRET_LENGTH_MIN: Final = 4
"""Shorter values are not masked: replacing every `a` would destroy answers and still hide nothing."""
CUT_LENGTH_MIN: Final = 8
"""Of the beginning of a secret at the end of a text that was cut there."""
SECRETS_KNOWN_MAX: Final = 1000
SECRET_FILE_BYTES_MAX: Final = 65_536


class Secret:
    """A value that shows itself only when asked by `reveal`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


def is_reference(text: str) -> bool:
    """Whether a value in a definition file names a secret rather than being one."""
    return text.startswith(("env:", "file:"))


class Secrets:
    """Resolves references and knows which values to mask."""

    def __init__(self) -> None:
        self._plain: dict[str, int] = {}  # by value: how many will say when it is a secret no more
        self._forms: tuple[str, ...] = ()  # of all values, the longest first: one may stand within another
        self._encoded: tuple[bytes, ...] = ()

    async def resolve(self, text: str, *, folder: Path) -> Secret:
        """The value behind a reference, read now, so that a rotated secret is used at the next connection.

        A literal is wrapped unmasked: the author wrote it into a file that anyone may read. `folder` is where a
        relative `file:` path starts. Raises AgentCallError (unreachable, nothing was sent) for a missing one.
        """
        kind, _, name = text.partition(":")
        if kind == "env" and is_reference(text):
            value = os.environ.get(name)
            if value is None:
                message = f"the environment has no {name}, which this agent's file names"
                raise AgentCallError("unreachable", message, class_=FailureClass.PERMANENT)  # nor will it, in this life
        elif kind == "file" and is_reference(text):
            value = await anyio.to_thread.run_sync(_read_secret_file, folder, name)
        else:
            return Secret(text)
        self.remember(value)
        return Secret(value)

    def remember(self, value: str) -> None:
        """Mask this value from now on, wherever it turns up. Of too many, the one not seen for longest is forgotten."""
        if len(value) < SECRET_LENGTH_MIN:
            return
        if value in self._plain:
            self._plain[value] = self._plain.pop(value)
            return
        if len(self._plain) >= SECRETS_KNOWN_MAX:
            self._plain.pop(next(iter(self._plain)))
        self._plain[value] = 0
        self._encode()

    def hold(self, value: str) -> None:
        """As `remember`, until it is forgotten as often as it was held: two agents may be given the same token."""
        self.remember(value)
        if value in self._plain:
            self._plain[value] += 1

    def forget(self, value: str) -> None:
        """A value that is a secret no more for one of those who held it, such as a token that ended."""
        if value not in self._plain:
            return
        self._plain[value] -= 1
        if self._plain[value] <= 0:
            del self._plain[value]
            self._encode()

    def _encode(self) -> None:
        forms = {form for known in self._plain for form in _forms(known)}
        self._forms = tuple(sorted(forms, key=len, reverse=True))
        self._encoded = tuple(_in_json(form) for form in self._forms)

    def leaked_in(self, encoded: bytes) -> bool:
        """Whether a JSON text of ours (as orjson writes it) holds a known secret. Cheap where there is none."""
        return bool(self._encoded) and any(known in encoded for known in self._encoded)

    def mask_text(self, text: str) -> str:
        for known in self._forms:
            if known in text:
                text = text.replace(known, MASK)
        return text

    def mask_cut(self, text: str) -> str:
        """As `mask_text`, for a text that was cut off, maybe in the middle of a secret. No answer is masked so."""
        text = self.mask_text(text)
        for known in self._forms:
            start = known[:CUT_LENGTH_MIN]
            at = text.find(start, max(0, len(text) - len(known)))
            while at >= 0:
                if len(text) - at >= CUT_LENGTH_MIN and known.startswith(text[at:]):
                    return text[:at] + MASK
                at = text.find(start, at + 1)
        return text

    def mask_value(self, value: Any) -> Any:
        """A copy of a JSON value without known secrets, in keys as well as in strings."""
        if not self._plain:
            return value
        if isinstance(value, str):
            return self.mask_text(value)
        if isinstance(value, list):
            return [self.mask_value(item) for item in value]
        if isinstance(value, dict):
            return {self.mask_text(key): self.mask_value(item) for key, item in value.items()}
        return value


def _forms(value: str) -> set[str]:
    """A value as agents write it where they tell what they were sent: plain, in an address, in JSON."""
    data = value.encode(errors="surrogatepass")
    in_addresses = {quote(data, safe=""), quote(data), quote_plus(data)}
    return {value, *in_addresses, _in_json(value).decode(errors="surrogatepass"), json.dumps(value)[1:-1]}


def _in_json(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode(errors="surrogatepass")[1:-1]


def _read_secret_file(folder: Path, name: str) -> str:
    path = folder / Path(name).expanduser()
    try:
        with path.open("rb") as file:
            data = file.read(SECRET_FILE_BYTES_MAX)
        return data.decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        message = f"the secret file {path.name} cannot be read ({type(error).__name__})"
        raise AgentCallError("unreachable", message) from error
