"""Lines of an agent's stdout, cut at every possible place."""

import json
from typing import Any

import pytest

from process_orchestrator.performing.framing import Broken, Frame, LineFramer, Message, Noise

GOOD = b'{"jsonrpc":"2.0","id":1,"result":{"a":1}}'


def frames(data: bytes, *, chunk: int, line_bytes_max: int = 1000) -> list[Frame]:
    framer = LineFramer(line_bytes_max=line_bytes_max, depth_max=10)
    found: list[Frame] = []
    for at in range(0, len(data), chunk):
        cuts = framer.cut(data[at : at + chunk])
        found.extend(framer.scan(cut) if isinstance(cut, bytes) else cut for cut in cuts)
    return found


def told(found: list[Frame]) -> list[Any]:
    """Frames in short: ids of messages, codes of what is broken, a word for each line of noise."""
    short: list[Any] = []
    for frame in found:
        if isinstance(frame, Message):
            short.append(frame.value["id"])
        elif isinstance(frame, Broken):
            short.append((frame.code, frame.ids))
        elif frame.count and frame.begins:
            short.append("noise")
    return short


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 100_000])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (GOOD + b"\n", [1]),
        (GOOD + b"\r\n" + GOOD + b"\n", [1, 1]),
        (b"\n\n  \n" + GOOD + b"\n", [1]),
        (b"hello\n" + GOOD + b"\n", ["noise", 1]),
        (b"no newline " + GOOD + b"\n", ["noise", 1]),
        (b'{"jsonrpc":"2.0","id":7,"result":{"a":1,"a":2}}\n', [("duplicate_key", (7, 7))]),
        (b'{"jsonrpc":"2.0","id":7,"result":' + b"[" * 20 + b"]" * 20 + b"}\n", [("too_deep", (7, 7))]),
        (b'{"jsonrpc":"2.0","id":7,"result":{"a":"' + b"x" * 2000 + b'"}}\n' + GOOD + b"\n", [("too_large", (7,)), 1]),
        (b'{"a": \n' + GOOD + b"\n", ["noise", 1]),
        (b"[1, 2]\n" + GOOD + b"\n", ["noise", 1]),
        (b"\xff\xfe\n" + GOOD + b"\n", ["noise", 1]),
    ],
)
def test_a_stream_is_cut_the_same_wherever_its_chunks_end(chunk: int, data: bytes, expected: list[Any]) -> None:
    assert told(frames(data, chunk=chunk)) == expected


def test_an_endless_line_is_not_kept() -> None:
    framer = LineFramer(line_bytes_max=10_000, depth_max=10)
    verdicts = [cut for _ in range(1000) for cut in framer.cut(b'{"jsonrpc":"2.0","id":1,' + b"x" * 10_000)]
    assert [type(verdict) for verdict in verdicts] == [Broken]
    assert framer.dropped > 9_000_000


def test_endless_noise_is_counted_and_not_kept() -> None:
    framer = LineFramer(line_bytes_max=10_000, depth_max=10)
    verdicts = [cut for _ in range(100) for cut in framer.cut(b"z" * 10_000)]
    assert all(isinstance(verdict, Noise) for verdict in verdicts)
    assert sum(verdict.count for verdict in verdicts if isinstance(verdict, Noise)) == 1_000_000
    assert json.dumps([verdict.begins for verdict in verdicts if isinstance(verdict, Noise)]).count("true") == 1
