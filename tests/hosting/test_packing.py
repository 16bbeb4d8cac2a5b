"""How a turn stands in its row: smaller, and back again to the byte; what is damaged is said to be so."""

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_orchestrator.hosting import packing
from process_orchestrator.hosting.packing import DICTIONARY, PACKED, pack, unpack

ROW = (
    b'{"events":[{"type":"CallSucceeded","at":1795371091298,"call":"s0.1","output":{"sha256":"'
    + hashlib.sha256(b"output").hexdigest().encode()
    + b'","bytes":191,"media_type":"application/json"},"usd_micros":null,"tokens":null,"ms":0}],"decisions":[]}'
)


@given(st.binary(max_size=300).map(lambda tail: b"{" + tail))
def test_what_is_packed_comes_back_to_the_byte(turn: bytes) -> None:
    assert unpack(pack(turn)) == turn
    assert len(pack(turn)) <= len(turn)


def test_a_turn_takes_a_third_of_its_json() -> None:
    assert len(pack(ROW)) < len(ROW) / 3


def test_a_row_from_before_packing_is_read_as_it_is() -> None:
    assert unpack(ROW) == ROW


def test_the_dictionary_that_rows_were_written_with_has_not_changed() -> None:
    assert hashlib.sha256(DICTIONARY).hexdigest() == "72568bd78fd5de07fc37ce93af1fffdd6022007e4dabd4add8f8e42728e1333c"


@pytest.mark.parametrize("damaged", [pack(ROW)[:-3], pack(ROW) + b"x", PACKED + b"\xff\xff"])
def test_a_damaged_row_is_said_to_be_damaged(damaged: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        unpack(damaged)


def test_a_forged_row_cannot_unpack_to_more_than_any_turn_is(monkeypatch: pytest.MonkeyPatch) -> None:
    forged = pack(b"{" + b" " * 100_000)
    monkeypatch.setattr(packing, "TURN_BYTES_MAX", 50_000)
    with pytest.raises(msgspec.DecodeError, match="too long"):
        unpack(forged)
