"""kill -9 in the middle of a refund that a model planned: planned once, paid once, drafted once."""

import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import psutil
import pytest

from acceptance.engines import Watch, events, no_agents
from domains.refunding import approved, request, scripted
from domains.test_processes import CALLER, Desk, seeded
from process_orchestrator.assemble import Mode, open_orchestrator
from process_orchestrator.home import Home
from process_orchestrator.settings import Settings

pytestmark = pytest.mark.slow

PROGRAM: Final = Path(__file__).with_name("refunding.py")


def refunds(home: Home) -> list[str]:
    """The keys under which money was paid back."""
    if not (home.state / "cash.db").exists():
        return []
    with closing(sqlite3.connect(f"{(home.state / 'cash.db').as_uri()}?mode=ro", uri=True, timeout=5)) as books:
        try:
            return [key for (key,) in books.execute("SELECT request_id FROM refund")]
        except sqlite3.OperationalError:  # the tables are not there yet
            return []


MOMENTS: Final[dict[str, Callable[[Home, str], bool]]] = {
    "planned": lambda home, process_id: "PlanChecked" in events(home, process_id),
    "about to pay": lambda home, process_id: "CallPrepared refund_issue.1" in events(home, process_id),
    "paid": lambda home, _: bool(refunds(home)),
    "about to draft": lambda home, process_id: "CallPrepared mail_draft.1" in events(home, process_id),
}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_refund_killed_in_the_middle_is_planned_paid_and_drafted_once(tmp_path: Path, moment: str) -> None:
    home = seeded(tmp_path / "home")
    with subprocess.Popen([sys.executable, PROGRAM, home.path, "once"], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        process_id = program.stdout.readline().strip()
        reached = MOMENTS[moment]
        await Watch(server=psutil.Process(program.pid), seen=lambda: reached(home, process_id)).kill()
    await no_agents(home)
    model = scripted()
    async with open_orchestrator(home, Settings(), mode=Mode.DRIVE, model=model) as orchestrator:
        again = await orchestrator.submit(request("once"), caller=CALLER)
        assert again.process_id == process_id
        view = await Desk(home, orchestrator).rest(await approved(orchestrator, again))
    assert view.status == "completed"
    assert refunds(home) == [f"{process_id}/refund_issue/g1"]
    assert [file.name for file in (home.state / "drafts").glob("*.eml")] == ["D-000001.eml"]
    assert model.asked == []
    counted = Counter(events(home, process_id))
    assert counted["PlanProposed"] == 1
    assert {count for event, count in counted.items() if event.startswith("CallSucceeded ")} == {1}
