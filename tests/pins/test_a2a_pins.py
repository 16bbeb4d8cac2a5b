"""Skills of A2A agents, pinned and compared as tools are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from a2a_agents.test_hostile_a2a import BOOK, CARD, DONE, a2a, card, rpc
from performing.fleet import Directory, one_call, says, scripted_server
from pins.test_watching import open_compared
from process_orchestrator.checking.documents.pins import Pins, pin
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import Effect

pytestmark = pytest.mark.anyio

SKILL: dict[str, Any] = {"id": "book", "description": "Book one.", "outputModes": ["application/json"]}


@pytest.mark.parametrize(
    ("live", "reads"),
    [
        ({**SKILL, "description": "Book one, and tell everybody."}, True),
        ({**SKILL, "outputModes": ["application/json", "text/html"]}, True),
        ({**SKILL, "outputModes": ["text/html"]}, False),
    ],
    ids=["words", "a mode more", "another mode"],
)
async def test_a_skill_that_changed_is_not_called_to_write(
    tmp_path: Path, live: dict[str, Any], *, reads: bool
) -> None:
    async with scripted_server() as server:
        server.scripts["/rpc"] = rpc(DONE)
        server.scripts[CARD] = says({**card(f"{server.url}/rpc"), "skills": [SKILL]})
        directory = Directory(a2a(server.url), pins=Pins(agents={"clerk": {"book": pin(SKILL)}}))
        async with open_compared(directory, tmp_path, every_s=0.0) as pool:
            assert (await pool.call("clerk", BOOK, {}, one_call(effect=Effect.WRITE))).value == {"n": 1}
            server.scripts[CARD] = says({**card(f"{server.url}/rpc"), "skills": [live]})
            before = len([each for each in server.heard if each.method == "POST"])
            with pytest.raises(AgentCallError) as raised:
                await pool.call("clerk", BOOK, {}, one_call(effect=Effect.WRITE))
            assert raised.value.code == "drifted"
            assert len([each for each in server.heard if each.method == "POST"]) == before
            if reads:
                assert await pool.call("clerk", BOOK, {}, one_call(effect=Effect.READ))
