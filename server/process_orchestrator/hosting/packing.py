"""How a turn stands in its row: its JSON as it is, or deflated with a dictionary of what stands in every turn.

Pure. The first byte tells which: JSON begins with `{`, a packed turn with the number of its dictionary. A dictionary
that has been written with never changes; a better one is a new number. docs/journal-format.md is the written form.
"""

from __future__ import annotations

import zlib
from typing import Final

import msgspec

PACKED: Final = b"\x01"
"""First byte of what is packed with DICTIONARY."""
TURN_BYTES_MAX: Final = 256_000_000
"""What a row may unpack to, in bytes: far over any turn, and what keeps a forged row from eating all memory."""
_WINDOW_BITS: Final = -12  # raw deflate; turns are small, and what is set up for each should be as well
_MEMORY_LEVEL: Final = 5

DICTIONARY: Final = (
    b'{"type":"CallLost","at":1,"call":"","jitter":0},{"type":"CallFailed","at":17,"call":"","code":"","class_":null,'
    b'"blame":"agent","outcome":"not_done","pointer":null,"rule":null,"message":"","detail":null,"retry_after_ms":null},'
    b'{"type":"TimerFired","at":17,"timer":"/retry"},{"type":"EngineResumed","at":17,"engine":1},'
    b'{"type":"StepSkipped","at":17,"unit":"","reason":"condition","output":null},{"type":"EscalationOpened","at":17,'
    b'"escalation":"p_","package":{"sha256":"'
    b'{"type":"EscalationResolved","at":17,"escalation":".e1","decision":"approve","by":"","channel":"","assurance":"A2",'
    b'"note":null,"data":null,"request_id":"{"type":"MapOpened","at":17,"step":"","count":1,"items":{"sha256":"'
    b'{"type":"ItemsCollected","at":17,"step":"","output":{"sha256":"'
    b'{"events":[{"type":"ProcessStarted","at":17,"spec":{"process_id":"p_","principal":"","key":"","request_sha256":"",'
    b'"lineage":[],"task":null,"input":{"sha256":"","bytes":1,"media_type":"application/json"},"type":{"name":"","version"'
    b':"1.0.0","sha256":""},"classified_by":"caller","plan":null,"label":null,"budget":{"usd_micros":1000000,"calls":100,'
    b'"tokens":500000,"total_ms":3600000,"unknown":"allow"},"approval":"policy","limits":{"steps":30,"replans":2,'
    b'"same_call":3,"depth":3,"deliveries":20,"open_escalations":20,"map_items":10000,"calls":100,"total_ms":3600000,'
    b'"tried_kept":20},"core_version":1,"redrives":null,"earlier":{}}},'
    b'{"type":"OutputBuilt","at":17,"output":{"sha256":"","bytes":1,"media_type":"application/json"}}],'
    b'"decisions":["BuildOutput","Finish completed","OpenEscalation p_.e1 approval","OpenMap ","CollectItems ",'
    b'"StartTimer ","StopTimer ","CancelCall "],"digest":"","plans":{"0":""}}'
    b'{"events":[{"type":"CallSucceeded","at":17,"call":"s0.1","output":{"sha256":"","bytes":19,"media_type":'
    b'"application/json"},"usd_micros":null,"tokens":null,"ms":0},{"type":"CallPrepared","at":17,"call":"s1.1","agent":'
    b'{"name":"","sha256":""},"why_agent":"first of 2 by preference","why_agent":"the only agent that serves this'
    b' contract","input":{"sha256":"","bytes":96,"media_type":"application/json"},"digest":"",'
    b'"reserve_usd_micros":null,"gate":null}],"decisions":["PrepareCall s1.1","InvokeAgent s1.1"],"digest":"'
)


# Has read the dictionary and nothing else: to copy it is cheaper than to read the dictionary again.
_PRIMED: Final = zlib.compressobj(6, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL, zlib.Z_DEFAULT_STRATEGY, DICTIONARY)


def pack(turn: bytes) -> bytes:
    """A turn as it is stored: packed where that is smaller."""
    deflate = _PRIMED.copy()
    packed = PACKED + deflate.compress(turn) + deflate.flush()
    return packed if len(packed) < len(turn) else turn


def unpack(stored: bytes) -> bytes:
    """The JSON of a turn. Raises msgspec.DecodeError where it cannot be unpacked."""
    if stored[:1] != PACKED:
        return stored
    inflate = zlib.decompressobj(_WINDOW_BITS, DICTIONARY)
    try:
        turn = inflate.decompress(stored[1:], TURN_BYTES_MAX)
    except zlib.error as error:
        raise msgspec.DecodeError(f"the packed turn is damaged: {error}") from error
    if not inflate.eof or inflate.unused_data:
        raise msgspec.DecodeError("the packed turn is cut, too long, or followed by something else")
    return turn
