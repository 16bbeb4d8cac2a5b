"""Replay of real journals: nothing differs under the same core and files, and each change is named. Nobody is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from cli.calling import call
from process_orchestrator.assemble import Mode, open_orchestrator
from process_orchestrator.core.facts.commands import InvokeAgent
from process_orchestrator.core.facts.events import Event
from process_orchestrator.core.facts.state import Process, Transition
from process_orchestrator.core.facts.values import Outcome
from process_orchestrator.core.process import apply
from process_orchestrator.home import Home
from process_orchestrator.hosting.folding import CORE, Core
from process_orchestrator.settings import Settings
from process_orchestrator.usecases import replaying
from process_orchestrator.views.replay_view import ReplayView
from redriving.shop import ORDER, Shop, breaking, build, open_shop, rewrite

pytestmark = pytest.mark.anyio


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return build(tmp_path / "home")


async def lived(home: Home) -> dict[str, str]:
    """A shop in which much has happened: done, failed, redriven, aborted after a question, a list, one that asks."""
    shop = Shop()
    made: dict[str, str] = {}
    async with open_shop(home, shop) as counter:
        made["done"] = (await counter.order()).process_id
        made["list"] = (await counter.order("many", items=list("abcdefg"))).process_id
        shop.doing["shop.check"] = breaking()
        made["failed"] = (await counter.order(item="ink")).process_id
        shop.doing.clear()
        made["redriven"] = (await counter.redrive(made["failed"])).process_id
        shop.doing["shop.mail"] = breaking("timeout")
        asked = await counter.order(item="nib")
        made["aborted"] = asked.process_id
        await counter.decide(asked.escalations[0].escalation_id, "abort")
        retried = await counter.order(item="pad")
        shop.doing.clear()
        await counter.decide(retried.escalations[0].escalation_id, "retry")
        made["retried"] = (await counter.settled(retried.process_id)).process_id
        shop.doing["shop.mail"] = breaking("timeout", outcome=Outcome.UNKNOWN)
        made["asking"] = (await counter.order(item="cap")).process_id
        await counter.settled(made["aborted"])
    return made


async def replayed(home: Home, *ids: str) -> ReplayView:
    async with open_orchestrator(home, Settings(), mode=Mode.READ) as orchestrator:
        return await orchestrator.replay(ids)


@pytest.mark.behaviour("replay")
async def test_by_the_same_core_and_files_nothing_would_go_otherwise(home: Home) -> None:
    made = await lived(home)
    before = (home.state / "orchestrator.db").read_bytes()
    view = await replayed(home)
    assert [each.payload() for each in view.processes if each.differs or each.undecided] == []
    assert (view.differing, len(view.processes)) == (0, len(made))
    assert (home.state / "orchestrator.db").read_bytes() == before


async def test_it_works_beside_an_engine_and_for_some_alone(home: Home) -> None:
    async with open_shop(home) as counter:
        process = (await counter.order()).process_id
        view = await replayed(home, process)
        assert ([each.process_id for each in view.processes], view.differing) == ([process], 0)


async def test_another_plan_is_told_step_by_step(home: Home) -> None:
    made = await lived(home)
    changed: list[dict[str, Any]] = [dict(each) for each in ORDER]
    changed[1]["in"] = {"item": "other", "total": "$.steps.price.output.total"}
    build(home.path, order=changed, version="1.1.0")
    view = await replayed(home, made["done"])
    (one,) = view.processes
    assert view.differing == 1
    assert one.undecided  # what the mail would have been nobody knows
    assert [difference.step for difference in one.differences] == ["book"]
    assert one.differences[0].was.startswith("call book at shop with ")
    assert one.differences[0].would_be.startswith("call book at shop with ")
    assert one.differences[0].was != one.differences[0].would_be


async def test_another_failure_policy_is_told(home: Home) -> None:
    made = await lived(home)
    text = (home.path / "contracts" / "order.process.yaml").read_text(encoding="utf-8")
    (home.path / "contracts" / "order.process.yaml").write_text(text.replace('"fail"', '"escalate"'), encoding="utf-8")
    (one,) = (await replayed(home, made["failed"])).processes
    assert {difference.step: (difference.was, difference.would_be) for difference in one.differences} == {
        "check": ("nothing", "ask failed about check")
    }


async def test_a_type_that_is_gone_or_broken_is_said_so(home: Home) -> None:
    made = await lived(home)
    (home.path / "contracts" / "order.process.yaml").unlink()
    (one,) = (await replayed(home, made["done"])).processes
    assert one.message is not None
    assert one.message.startswith("there is no process type 'order'")


async def test_another_core_is_told_by_the_first_row_that_it_decides_otherwise(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def doctored(state: Process | None, event: Event) -> Transition:
        told = apply(state, event)
        longer: Any = (replace(o, timeout_ms=1) if isinstance(o, InvokeAgent) else o for o in told.commands)
        return replace(told, commands=tuple(longer))

    async with open_shop(home) as counter:
        process = (await counter.order()).process_id
    other = Core(apply=doctored, admit=CORE.admit, outstanding=CORE.outstanding)
    monkeypatch.setattr(replaying.Replayer.__init__, "__kwdefaults__", {"core": other})
    (one,) = (await replayed(home, process)).processes
    assert one.first_row is not None
    assert one.first_row.was == one.first_row.would_be == ["PrepareCall price.1", "InvokeAgent price.1"]


def test_the_command_says_what_would_differ_by_its_exit_code(home: Home, tmp_path: Path) -> None:
    made = anyio.run(lived, home)
    same = call("replay", "--home", home.path)
    assert (same.code, same.out) == (0, f"{len(made)} replayed without a call, 0 would go otherwise.\n")
    other = build(tmp_path / "other", version="2.0.0")
    rewrite(other, "contracts/shop.price.contract.yaml", version="1.5.0")
    differs = call("replay", made["done"], "--definitions", other.path, "--home", home.path)
    assert differs.code == 1
    assert "price: was call price at shop with" in differs.out
    as_json = call("replay", made["done"], "--definitions", other.path, "--home", home.path, "--json")
    assert (as_json.code, as_json.json["differing"]) == (1, 1)
    assert call("replay", "p_" + "a" * 26, "--home", home.path).code == 2
