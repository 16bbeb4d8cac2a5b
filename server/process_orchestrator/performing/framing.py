"""Lines of a stdio agent, cut from a byte stream in bounded memory and scanned strictly before they are used.

Pure: bytes in, frames out. An agent may print garbage, one endless line, a JSON text with duplicate keys, NaN or
100,000 levels; each becomes a frame with its code, and never more than `line_bytes_max` bytes are held. What the
messages mean is `mcp_agent`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from process_orchestrator.checking.validate import parse_body
from process_orchestrator.core.errors import BodyError
from process_orchestrator.core.facts.values import Fact

HEAD_BYTES: Final = 4096
"""How much of a bad line is searched for the id of the call that it answers, at either end."""

SAMPLE_BYTES: Final = 400
"""How much of a line that is no message is kept as evidence."""

MESSAGE_MARK: Final = b'"jsonrpc"'
ID: Final = re.compile(rb'"id"\s*:\s*(\d{1,15})\s*[,}]')


class Message(Fact, frozen=True, kw_only=True):
    """A line that is strict JSON and an object."""

    value: dict[str, Any]


class Broken(Fact, frozen=True, kw_only=True):
    """A line that was meant as a message and cannot be read. `ids` are those it may answer, the likeliest first."""

    code: str  # not_json | duplicate_key | not_finite | too_deep | too_large
    message: str
    ids: tuple[int, ...]
    sample: str


class Noise(Fact, frozen=True, kw_only=True):
    """Bytes on stdout that are no message at all."""

    count: int
    sample: str = ""


Frame = Message | Broken | Noise


class LineFramer:
    """Cuts and scans. `cut` is cheap; `scan` may take long on a big line, so the caller may run it in a thread."""

    def __init__(self, *, line_bytes_max: int, depth_max: int) -> None:
        self.line_bytes_max, self.depth_max = line_bytes_max, depth_max
        self._line = bytearray()
        self._dropping = self._noisy = False
        self.dropped = 0  # bytes of the present line that were thrown away

    def cut(self, chunk: bytes) -> Iterator[bytes | Broken | Noise]:
        """Whole lines of the stream so far, and a verdict where a line is given up before its end."""
        start = 0
        while start < len(chunk):
            end = chunk.find(b"\n", start)
            piece = chunk[start:] if end < 0 else chunk[start:end]
            start = len(chunk) if end < 0 else end + 1
            if self._dropping:
                self.dropped += len(piece)
                if self._noisy:
                    yield Noise(count=len(piece))
            else:
                yield from self._take(piece)
            if end >= 0:
                if not self._dropping and self._line:
                    yield bytes(self._line)
                self._line.clear()
                self._dropping, self._noisy, self.dropped = False, False, 0

    def _take(self, piece: bytes) -> Iterator[Broken | Noise]:
        """Add to the present line; give it up where it can be no message or is over its cap."""
        self._line += piece
        begins = bytes(self._line[:64]).lstrip()[:1]
        if begins and begins != b"{":
            self._noisy = True
            yield Noise(count=len(self._line), sample=_sample(self._line))
        elif len(self._line) > self.line_bytes_max:
            head = bytes(self._line[:HEAD_BYTES])
            message = f"the answer is over {self.line_bytes_max} bytes"
            yield Broken(code="too_large", message=message, ids=_answered(head), sample=_sample(head))
        else:
            return
        self._dropping, self.dropped = True, len(self._line)
        self._line.clear()

    def scan(self, line: bytes) -> Frame:
        """One whole line as a message, or what is wrong with it."""
        if not line.lstrip()[:1]:
            return Noise(count=0)
        try:
            value = parse_body(line, max_bytes=self.line_bytes_max, depth=self.depth_max)
        except BodyError as error:
            head, tail = line[:HEAD_BYTES], line[-HEAD_BYTES:]
            if MESSAGE_MARK not in head and MESSAGE_MARK not in tail:
                return Noise(count=len(line), sample=_sample(line))
            ids = _answered(head) + _answered(tail)
            return Broken(code=error.code, message=error.message, ids=ids, sample=_sample(line))
        if not isinstance(value, dict):
            return Noise(count=len(line), sample=_sample(line))
        return Message(value=value)


def _answered(part: bytes) -> tuple[int, ...]:
    return tuple(int(found) for found in ID.findall(part))


def _sample(line: bytes | bytearray) -> str:
    return bytes(line[:SAMPLE_BYTES]).decode(errors="replace")
