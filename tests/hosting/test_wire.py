"""What goes through the engine's socket comes out the same."""

import msgspec
import pytest

from process_orchestrator.core.errors import EngineError, OrchestratorError, RefusedError, StorageFullError
from process_orchestrator.hosting import wire


@pytest.mark.parametrize(
    "error",
    [
        RefusedError("NEEDS_HUMAN", "not enough.", do="ask.", pointer="/a", details={"required": "A1"}),
        RefusedError("UNKNOWN_PROCESS", "none.", do="list_processes."),
        StorageFullError("no room"),
        EngineError("ENGINE_UNAVAILABLE", "mute"),
    ],
    ids=lambda error: error.code,
)
def test_a_refusal_reaches_the_door_as_it_was_raised(error: OrchestratorError) -> None:
    framed = wire.refuse(7, error)
    answered = msgspec.msgpack.decode(framed[4:], type=wire.Answered)
    assert answered.number == 7
    with pytest.raises(type(error)) as raised:
        wire.result_of(wire.GetState(process_id="p_x"), answered)
    assert (raised.value.code, str(raised.value)) == (error.code, str(error))
    if isinstance(error, RefusedError):
        assert isinstance(raised.value, RefusedError)
        assert (raised.value.do, raised.value.pointer, raised.value.details) == (error.do, error.pointer, error.details)
