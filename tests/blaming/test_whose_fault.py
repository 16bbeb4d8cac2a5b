"""Whose fault: seeded failures of all seven parties, each told right, with place, rule and what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import pytest

from blaming.seeded import CASES, Home, Seeded, write
from formats.writing import Use
from performing.fleet import scripted_server
from process_orchestrator.assemble import open_orchestrator
from process_orchestrator.home import Home as Place
from process_orchestrator.settings import Settings
from process_orchestrator.views.models import ProcessView, SubmitRequest, WhyView
from process_orchestrator.views.text import why_text

pytestmark = pytest.mark.anyio
PARTIES = ("caller", "planner", "agent", "contract", "transport", "policy", "us")
WITHOUT_A_CALL = {"no_money", "stopped", "body_lost", "contract_lost"}
LOSSES = {
    "lose_body": """DELETE FROM artifact WHERE CAST(bytes AS TEXT) = '{"text":"body_lost"}'""",
    "lose_contract": "DELETE FROM definition WHERE name = 'rule.lost'",
}


@asynccontextmanager
async def engine(place: Place) -> AsyncGenerator[Use]:
    async with open_orchestrator(place, Settings()) as orchestrator:
        yield Use(orchestrator, place)


async def begun(use: Use, case: Seeded) -> ProcessView:
    wait_s = 0.1 if case.do == "cancel" else 20
    return await use.orchestrator.submit(SubmitRequest(process_type=case.name, input=case.given, wait_s=wait_s))


async def failed(use: Use, case: Seeded) -> WhyView:
    """The case brought about, and what `why` says of it."""
    view = await begun(use, case)
    if case.do == "twice":
        view = await begun(use, case)
    if case.do in {"reject", "abort"}:
        view = await use.decided(view, case.do)
    if case.do == "cancel":
        await use.orchestrator.cancel(view.process_id, reason="not needed any more")
        view = await use.settled(view)
    return await use.orchestrator.why(view.process_id)


async def without_bodies(place: Place) -> dict[str, WhyView]:
    """Processes that wait for a person while somebody takes what they need out of the database."""
    cases = [case for case in CASES if case.do in LOSSES]
    async with engine(place) as use:
        waiting = {case.name: await begun(use, case) for case in cases}
    with closing(sqlite3.connect(place.state / "orchestrator.db")) as database:
        for case in cases:
            assert database.execute(LOSSES[case.do]).rowcount == 1, case.name
        database.commit()
    async with engine(place) as use:
        told: dict[str, WhyView] = {}
        for name, view in waiting.items():
            await use.decide(view, "approve")
            while (why := await use.orchestrator.why(view.process_id)).fault is None:
                await anyio.sleep(0.02)
            told[name] = why
    return told


@pytest.fixture
async def told(tmp_path: Path) -> dict[str, WhyView]:
    place = Place(path=tmp_path / "home", state=tmp_path / "home" / "state")
    found: dict[str, WhyView] = {}
    with anyio.fail_after(60):
        async with scripted_server() as server:
            write(Home(place.path), server)
            async with engine(place) as use:
                for case in CASES:
                    if case.do not in LOSSES:
                        found[case.name] = await failed(use, case)
            return found | await without_bodies(place)


def wrong(case: Seeded, why: WhyView) -> str | None:
    """What is not right in what is told of a case."""
    fault, text = why.fault, why_text(why)
    if fault is None:
        return f"{case.name}: no fault is told: {text}"
    said = (fault.party, case.code if case.name in WITHOUT_A_CALL else why.code)
    if said != (case.party, case.code):
        return f"{case.name}: {said}, not {case.party}, {case.code}: {text}"
    if case.where not in fault.where:
        return f"{case.name}: it is not at {case.where}: {fault.where}"
    parts = (f"Whose fault: {case.party}, since ", f"Where: {fault.where}.", f"Do: {fault.do}")
    return next((f"{case.name} does not say {part!r}: {text}" for part in parts if part not in text), None)


@pytest.mark.behaviour("blame")
async def test_each_of_the_seeded_failures_is_blamed_on_its_party(told: dict[str, WhyView]) -> None:
    assert {case.party for case in CASES} == set(PARTIES)
    assert len(CASES) >= 40
    assert [fault for case in CASES if (fault := wrong(case, told[case.name])) is not None] == []
    output = told["output_below"].fault
    assert output is not None
    assert output.last_good is not None
    assert (output.last_good.call, output.last_good.agent) == ("give.1", "rogue")
    assert [(each.step, each.contract) for each in output.sources] == [("give", "value.give@1.0.0")]
    hashes = (output.contract_sha256, output.sources[0].contract_sha256)
    assert len({*hashes}) == 2
    assert all(each is not None and len(each) == 64 for each in hashes)
