"""Lines of a stdio agent, cut from a byte stream in bounded memory and scanned strictly before they are used.

Pure: bytes in, frames out. An agent may print garbage, one endless line, a JSON text with duplicate keys, NaN or
100,000 levels; each becomes a frame with its code, and never more than `line_bytes_max` bytes are held. What the
messages mean is `mcp_agent`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from process_orchestrator.checking.schemas.validate import parse_body
from process_orchestrator.core.errors import BodyError
from process_orchestrator.core.facts.values import Fact

HEAD_BYTES: Final = 4096
"""How much of a bad line is searched for the id of the call that it answers, at either end."""

SAMPLE_BYTES: Final = 400
"""How much of a line that is no message is kept as evidence."""

ITEMS_MAX: Final = 1000
"""Content items of a result, or tools of a list: each costs the event loop more than its bytes tell."""

UNASKED_PER_S_MAX: Final = 500
"""Messages that answer nothing: progress comes at tens a second, a flood would take the time of the neighbours."""

MESSAGE_MARK: Final = b'"jsonrpc"'
MESSAGE_START: Final = b'{"jsonrpc"'
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
    """Bytes on stdout that are no message at all. A long line comes in parts; `begins` marks the first."""

    count: int
    begins: bool
    sample: str = ""


Frame = Message | Broken | Noise


class Flood:
    """Counts what an agent says unasked."""

    def __init__(self) -> None:
        self._since = self._count = 0.0

    def one_more(self, now_s: float) -> bool:
        """Whether this message is one too many of its second."""
        if now_s >= self._since + 1.0:
            self._since, self._count = now_s, 0
        self._count += 1
        return self._count > UNASKED_PER_S_MAX

    def check(self, now_s: float) -> None:
        """As `one_more`. Raises BodyError (too_large)."""
        if self.one_more(now_s):
            raise BodyError("too_large", f"over {UNASKED_PER_S_MAX} messages in a second")


def check_items(value: Any) -> None:
    """Raises BodyError (too_large) where a message holds more items than the SDK should be made to build."""
    result = value.get("result") if isinstance(value, dict) else None
    if not isinstance(result, dict):
        return
    for name in ("content", "tools"):
        items = result.get(name)
        if isinstance(items, list) and len(items) > ITEMS_MAX:
            raise BodyError("too_large", f"{len(items)} items of {name}; the limit is {ITEMS_MAX}")


class LineFramer:
    """Cuts and scans. `cut` is cheap; `scan` may take long on a big line, so the caller may run it in a thread."""

    def __init__(self, *, line_bytes_max: int, depth_max: int) -> None:
        self.line_bytes_max, self.depth_max = line_bytes_max, depth_max
        self._line = bytearray()
        self._dropping = self._noisy = False
        self._seam = b""  # the end of what was thrown away last: a message may begin in it
        self.dropped = 0  # bytes of the present line that were thrown away

    def cut(self, chunk: bytes) -> Iterator[bytes | Broken | Noise]:
        """Whole lines of the stream so far, and a verdict where a line is given up before its end."""
        start = 0
        while start < len(chunk):
            end = chunk.find(b"\n", start)
            piece = chunk[start:] if end < 0 else chunk[start:end]
            start = len(chunk) if end < 0 else end + 1
            yield from self._drop(piece) if self._dropping else self._take(piece)
            if end >= 0:
                if not self._dropping and self._line:
                    yield bytes(self._line)
                self._line.clear()
                self._dropping, self._noisy, self.dropped, self._seam = False, False, 0, b""

    def _take(self, piece: bytes) -> Iterator[Broken | Noise]:
        """Add to the present line; give it up where it can be no message or is over its cap."""
        self._line += piece
        begins = bytes(self._line[:64]).lstrip()[:1]
        if begins and begins != b"{":
            whole = bytes(self._line)
            self._line.clear()
            self._dropping = self._noisy = True
            yield from self._drop(whole)
        elif len(self._line) > self.line_bytes_max:
            head = bytes(self._line[:HEAD_BYTES])
            self._dropping, self.dropped = True, len(self._line)
            self._line.clear()
            message = f"the answer is over {self.line_bytes_max} bytes"
            yield Broken(code="too_large", message=message, ids=_answered(head), sample=_sample(head))

    def _drop(self, piece: bytes) -> Iterator[Broken | Noise]:
        """Throw bytes away. A message that begins behind noise on one line is found: `print(…, end="")` is usual."""
        if not self._noisy:
            self.dropped += len(piece)
            return
        begins = (self._seam + piece).find(MESSAGE_START)
        if begins < 0:
            self._seam = (self._seam + piece)[-len(MESSAGE_START) :]
            self.dropped += len(piece)
            first = self.dropped == len(piece)
            yield Noise(count=len(piece), begins=first, sample=_sample(piece) if first else "")
            return
        message, first, seam = (self._seam + piece)[begins:], self.dropped == 0, len(self._seam)
        self._dropping, self._noisy, self.dropped, self._seam = False, False, 0, b""
        yield Noise(count=max(0, begins - seam), begins=first, sample=_sample(piece[:begins]) if first else "")
        yield from self._take(message)

    def scan(self, line: bytes) -> Frame:
        """One whole line as a message, or what is wrong with it."""
        if not line.lstrip()[:1]:
            return Noise(count=0, begins=True)
        try:
            value = parse_body(line, max_bytes=self.line_bytes_max, depth=self.depth_max)
            check_items(value)
        except BodyError as error:
            head, tail = line[:HEAD_BYTES], line[-HEAD_BYTES:]
            if MESSAGE_MARK not in head and MESSAGE_MARK not in tail:
                return Noise(count=len(line), begins=True, sample=_sample(line))
            ids = _answered(head) + _answered(tail)
            return Broken(code=error.code, message=error.message, ids=ids, sample=_sample(line))
        if not isinstance(value, dict):
            return Noise(count=len(line), begins=True, sample=_sample(line))
        return Message(value=value)


def _answered(part: bytes) -> tuple[int, ...]:
    return tuple(int(found) for found in ID.findall(part))


def _sample(line: bytes | bytearray) -> str:
    return bytes(line[:SAMPLE_BYTES]).decode(errors="replace")
