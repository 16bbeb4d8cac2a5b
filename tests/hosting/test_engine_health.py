"""What an engine tells its doors of its agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from hosting.scripted import CLOCK, Script, trust
from process_orchestrator.assemble import Fleet, agents_health
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.core.ports import AgentHealth
from process_orchestrator.doors.cli.doctor import agents_row
from process_orchestrator.hosting.open_host import HostParts, open_host
from process_orchestrator.hosting.remote_host import engine_health

if TYPE_CHECKING:
    from pathlib import Path

SHUT = AgentHealth(agent="ledger", health="down", circuit="open", last_error="timeout: no answer", calls=5, failures=5)
WELL = AgentHealth(agent="reader", health="up", waiting=3)


async def test_every_door_sees_the_circuits_of_the_engine(tmp_path: Path) -> None:
    elsewhere = Fleet(Registry.of, home=tmp_path)
    assert await agents_health(elsewhere, tmp_path) == {}
    parts = HostParts(
        state=tmp_path,
        build_performer=Script().build,
        clock=CLOCK,
        verify_proof=trust,
        agents_health=lambda: (SHUT, WELL),
    )
    async with open_host(parts):
        assert await agents_health(elsewhere, tmp_path) == {"ledger": SHUT, "reader": WELL}
        health = await engine_health(tmp_path)
        assert health is not None
        assert health.agents == (SHUT, WELL)
        await anyio.wait_all_tasks_blocked()  # the door's leaving is noticed before the engine ends


def test_doctor_names_the_agents_that_are_not_called() -> None:
    assert agents_row((WELL,)) == {"what": "agents", "found": "1 agents, 3 calls wait for a place", "ok": True}
    row = agents_row((SHUT, WELL))
    assert not row["ok"]
    assert row["found"].startswith("ledger: circuit open, timeout: no answer. Do: read their logs")
