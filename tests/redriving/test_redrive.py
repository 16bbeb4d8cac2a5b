"""Redrive, with a real engine on real files: nothing that was done is done again by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from process_orchestrator.conformance import violations
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts.values import Outcome
from process_orchestrator.home import Home
from process_orchestrator.hosting.journal import JournalReader
from process_orchestrator.hosting.verification import verify
from process_orchestrator.orchestrator import RedriveRequest
from redriving.shop import Shop, breaking, build, open_shop, rewrite

pytestmark = pytest.mark.anyio


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return build(tmp_path / "home")


async def assert_sound(home: Home, *processes: str) -> None:
    """Every journal keeps the rules, and the chain holds."""
    assert (await verify(home.state)).ok
    async with JournalReader(home.state) as reader:
        for process in processes:
            rows = await reader.read(lambda view, p=process: list(view.every_row(p)), empty=[])
            assert violations([event for row in rows for event in row.events]) == ()


@pytest.mark.behaviour("redrive")
async def test_what_was_done_is_taken_over_and_the_rest_runs(home: Home) -> None:
    shop = Shop({"shop.check": breaking()})
    async with open_shop(home, shop) as counter:
        failed = await counter.order()
        assert (failed.status, shop.called) == ("failed", ["price", "book", "mail", "check"])
        shop.doing.clear()
        again = await counter.redrive(failed.process_id)
        assert (again.status, shop.called[4:]) == ("completed", ["check"])
        assert again.redrives == failed.process_id
        assert {step.id: (step.attempts, step.author) for step in again.steps} == {
            "price": (0, f"redrive of {failed.process_id}"),
            "book": (0, f"redrive of {failed.process_id}"),
            "mail": (0, f"redrive of {failed.process_id}"),
            "check": (1, None),
        }
        told = [entry.summary for entry in (await counter.orchestrator.trace(again.process_id)).entries]
        assert f"Takes up {failed.process_id}." in told[0]
        assert f"book.1: the arguments of {failed.process_id}; what was answered there is taken over" in " ".join(told)
        assert await counter.orchestrator.step_body(again.process_id, "book", "output") == {"id": "B-pen"}
    await assert_sound(home, failed.process_id, again.process_id)


async def test_the_same_redrive_twice_is_one_process_and_another_key_makes_another(home: Home) -> None:
    shop = Shop({"shop.check": breaking()})
    async with open_shop(home, shop) as counter:
        failed = await counter.order()
        first = await counter.redrive(failed.process_id)
        second = await counter.redrive(failed.process_id, label="other")
        assert second.process_id == first.process_id
        assert "This redrive was made before and has failed" in " ".join(second.warnings)
        other = await counter.redrive(failed.process_id, key="once more")
        assert other.process_id != first.process_id
        assert shop.called.count("check") == 3


async def test_a_redrive_of_a_redrive_knows_what_the_first_did(home: Home) -> None:
    shop = Shop({"shop.check": breaking()})
    async with open_shop(home, shop) as counter:
        failed = await counter.order()
        second = await counter.redrive(failed.process_id)
        shop.doing.clear()
        third = await counter.redrive(second.process_id)
        assert (third.status, shop.called) == ("completed", ["price", "book", "mail", "check", "check", "check"])
    await assert_sound(home, second.process_id, third.process_id)


async def test_only_what_has_ended_unwell_is_redriven(home: Home) -> None:
    async with open_shop(home) as counter:
        done = await counter.order()
        with pytest.raises(RefusedError, match="is completed: there is nothing to take up"):
            await counter.redrive(done.process_id)
        with pytest.raises(RefusedError, match="UNKNOWN_PROCESS"):
            await counter.redrive("p_" + "a" * 26)


async def test_a_step_that_does_not_exist_is_named_with_those_that_do(home: Home) -> None:
    async with open_shop(home, Shop({"shop.check": breaking()})) as counter:
        failed = await counter.order()
        for wrong in ({"from_step": "prise"}, {"again": ("prise",)}):
            with pytest.raises(RefusedError, match="use one of price, book, mail, check"):
                await counter.redrive(failed.process_id, **wrong)


# --- unknown outcomes ---------------------------------------------------------------------------------------------


async def test_a_keyed_call_whose_outcome_is_unknown_goes_on_under_its_old_key(home: Home) -> None:
    shop = Shop({"shop.book": breaking("undeclared_error", outcome=Outcome.UNKNOWN)})
    async with open_shop(home, shop) as counter:
        failed = await counter.order()
        shop.doing.clear()
        again = await counter.redrive(failed.process_id)
        assert again.status == "completed"
        keys = {key for name, key, _ in shop.calls if name == "shop.book"}
        assert keys == {f"{failed.process_id}/book/g1"}
        assert {arguments["request_id"] for name, _, arguments in shop.calls if name == "shop.book"} == keys
    await assert_sound(home, failed.process_id, again.process_id)


@pytest.mark.behaviour("redrive-unsafe")
async def test_an_unsafe_call_whose_outcome_is_unknown_is_asked_about_before_anything(home: Home) -> None:
    shop = Shop({"shop.mail": breaking("timeout")})
    async with open_shop(home, shop) as counter:
        asked = await counter.order()
        assert asked.escalations[0].kind == "outcome_unknown"
        await counter.decide(asked.escalations[0].escalation_id, "abort")
        shop.doing.clear()
        again = await counter.redrive(asked.process_id)
        assert (again.status, again.escalations[0].kind, shop.called.count("mail")) == (
            "waiting_human",
            "outcome_unknown",
            1,
        )
        assert "was called before, by the process that this one takes up" in again.escalations[0].question
        assert "Asked first, because it may have happened already: mail." in again.warnings
        await counter.decide(again.escalations[0].escalation_id, "use_output", data={"sent": "pen"})
        ended = await counter.settled(again.process_id)
        assert (ended.status, shop.called.count("mail")) == ("completed", 1)
    await assert_sound(home, again.process_id)


async def test_again_lets_the_effect_happen_a_second_time(home: Home) -> None:
    shop = Shop({"shop.mail": breaking("timeout")})
    async with open_shop(home, shop) as counter:
        asked = await counter.order()
        await counter.decide(asked.escalations[0].escalation_id, "abort")
        shop.doing.clear()
        again = await counter.redrive(asked.process_id, again=("mail",))
        assert (again.status, shop.called.count("mail")) == ("completed", 2)
    await assert_sound(home, again.process_id)


# --- another start ------------------------------------------------------------------------------------------------


async def test_from_a_step_refuses_to_repeat_an_unsafe_effect_until_it_is_said(home: Home) -> None:
    shop = Shop({"shop.check": breaking()})
    async with open_shop(home, shop) as counter:
        failed = await counter.order()
        shop.doing.clear()
        calls = len(shop.calls)
        with pytest.raises(RefusedError) as raised:
            await counter.redrive(failed.process_id, from_step="book")
        assert (raised.value.code, raised.value.details) == ("REPEAT_REFUSED", {"steps": ["mail"]})
        assert "add --again mail" in raised.value.do
        assert len(shop.calls) == calls
        again = await counter.redrive(failed.process_id, from_step="book", again=("mail",))
        assert (again.status, shop.called[calls:]) == ("completed", ["book", "mail", "check"])
        assert {key for name, key, _ in shop.calls if name == "shop.book"} == {f"{failed.process_id}/book/g1"}


async def test_from_the_last_step_runs_it_alone(home: Home) -> None:
    shop = Shop({"shop.check": breaking()})
    async with open_shop(home, shop) as counter:
        failed = await counter.order()
        shop.doing.clear()
        again = await counter.redrive(failed.process_id, from_step="check")
        assert (again.status, shop.called[4:]) == ("completed", ["check"])


# --- another input ------------------------------------------------------------------------------------------------


async def test_another_input_keeps_what_does_not_depend_on_it(home: Home) -> None:
    shop = Shop({"shop.check": breaking()})
    async with open_shop(home, shop) as counter:
        failed = await counter.order()
        shop.doing.clear()
        again = await counter.redrive(failed.process_id, input={"item": "pen", "note": "urgent"})
        assert (again.status, shop.called[4:]) == ("completed", ["check"])


async def test_another_input_that_would_repeat_effects_is_refused_by_step(home: Home) -> None:
    shop = Shop({"shop.check": breaking()})
    async with open_shop(home, shop) as counter:
        failed = await counter.order()
        with pytest.raises(RefusedError) as raised:
            await counter.redrive(failed.process_id, input={"item": "ink"})
        assert raised.value.details == {"steps": ["mail"]}
        assert "mail was done, with other arguments or under another contract" in raised.value.message
        shop.doing.clear()
        again = await counter.redrive(failed.process_id, input={"item": "ink"}, again=("mail", "book"))
        assert (again.status, shop.called[4:]) == ("completed", ["price", "book", "mail", "check"])
        assert {key for name, key, _ in shop.calls[4:] if name == "shop.book"} == {f"{again.process_id}/book/g1"}


async def test_an_effect_whose_arguments_turn_out_to_differ_is_asked_about_when_they_are_known(home: Home) -> None:
    """The price is read anew because of the input; only then is it known that the booking would be another one."""
    shop = Shop({"shop.mail": breaking(outcome=Outcome.NOT_DONE)})
    async with open_shop(home, shop) as counter:
        failed = await counter.order()
        shop.doing.clear()
        again = await counter.redrive(failed.process_id, input={"item": "ink"})
        assert (again.status, [row.step for row in again.escalations]) == ("waiting_human", ["book"])
        assert shop.called.count("book") == 1
        await counter.decide(again.escalations[0].escalation_id, "retry")
        ended = await counter.settled(again.process_id)
        assert (ended.status, shop.called.count("book")) == ("completed", 2)
        assert [key for name, key, _ in shop.calls if name == "shop.book"][1] == f"{again.process_id}/book/g1"
    await assert_sound(home, again.process_id)


async def test_an_input_that_does_not_fit_is_refused(home: Home) -> None:
    async with open_shop(home, Shop({"shop.check": breaking()})) as counter:
        failed = await counter.order()
        with pytest.raises(RefusedError, match="INPUT_MISMATCH"):
            await counter.redrive(failed.process_id, input={"item": 4})


# --- newer definitions --------------------------------------------------------------------------------------------


async def test_a_mended_plan_takes_over_what_it_calls_alike(home: Home) -> None:
    shop = Shop({"shop.check": breaking()})
    async with open_shop(home, shop) as counter:
        failed = await counter.order()
    mended = [*ORDER_BEFORE_CHECK, {"id": "price2", "contract": "shop.price", "in": {"item": "nib"}, "after": ["mail"]}]
    build(home.path, order=mended, version="1.1.0")
    shop.doing.clear()
    async with open_shop(home, shop) as counter:
        again = await counter.redrive(failed.process_id)
        assert (again.status, shop.called[4:]) == ("completed", ["price"])
    await assert_sound(home, again.process_id)


async def test_pinned_keeps_the_definitions_that_the_process_had(home: Home) -> None:
    shop = Shop({"shop.check": breaking()})
    async with open_shop(home, shop) as counter:
        failed = await counter.order()
    build(home.path, order=ORDER_BEFORE_CHECK, version="1.1.0")
    shop.doing.clear()
    async with open_shop(home, shop) as counter:
        again = await counter.redrive(failed.process_id, pinned=True)
        assert (again.status, shop.called[4:]) == ("completed", ["check"])


async def test_a_contract_that_recorded_outputs_keep_takes_them_over(home: Home) -> None:
    shop = Shop({"shop.check": breaking()})
    async with open_shop(home, shop) as counter:
        failed = await counter.order()
    for name in ("shop.price", "shop.mail", "shop.book"):
        rewrite(home, f"contracts/{name}.contract.yaml", version="1.1.0", summary="Said better.")
    shop.doing.clear()
    async with open_shop(home, shop) as counter:
        again = await counter.redrive(failed.process_id)
        assert (again.status, shop.called[4:]) == ("completed", ["check"])
    await assert_sound(home, again.process_id)


@pytest.mark.parametrize(("name", "runs"), [("shop.price", ["price", "check"]), ("shop.mail", None)])
async def test_a_contract_that_recorded_outputs_break_makes_the_step_run_again_or_be_refused(
    home: Home, name: str, runs: list[str] | None
) -> None:
    shop = Shop({"shop.check": breaking()})
    async with open_shop(home, shop) as counter:
        failed = await counter.order()
    field, kind = ("total", {"type": "number"}) if name == "shop.price" else ("sent", {"type": "string"})
    answer: dict[str, Any] = {
        "type": "object",
        "properties": {field: kind, "by": {"type": "string"}},
        "required": ["by", field],
    }
    rewrite(home, f"contracts/{name}.contract.yaml", version="1.1.0", output=answer)
    shop.doing.clear()

    async def newer(arguments: dict[str, Any]) -> Any:
        return {"total": 7, "by": "now"}

    shop.doing["shop.price"] = newer
    async with open_shop(home, shop) as counter:
        if runs is None:
            with pytest.raises(RefusedError, match="REPEAT_REFUSED"):
                await counter.redrive(failed.process_id)
            return
        with pytest.raises(RefusedError, match="does not make a repeat safe") as raised:
            await counter.redrive(failed.process_id, from_step="price")
        assert raised.value.details == {"steps": ["mail"]}
        again = await counter.redrive(failed.process_id)
        assert (again.status, shop.called[4:]) == ("completed", runs)
    await assert_sound(home, again.process_id)


# --- lists --------------------------------------------------------------------------------------------------------


async def test_items_that_were_done_are_not_done_again(home: Home) -> None:
    async def third_fails(arguments: dict[str, Any]) -> Any:
        if arguments["item"] == "c":
            return await breaking(outcome=Outcome.NOT_DONE)(arguments)
        return {"sent": arguments["item"]}

    shop = Shop({"shop.mail": third_fails})
    items = list("abcdefgh")
    async with open_shop(home, shop) as counter:
        failed = await counter.order("many", items=items)
        assert failed.status == "failed"
        shop.doing.clear()
        again = await counter.redrive(failed.process_id)
        assert again.status == "completed"
        mailed = [arguments["item"] for name, _, arguments in shop.calls if name == "shop.mail"]
        assert sorted(mailed) == sorted([*items, "c"])
        with pytest.raises(RefusedError, match="REPEAT_REFUSED"):
            await counter.redrive(failed.process_id, input={"items": ["z", *items]})
    await assert_sound(home, failed.process_id, again.process_id)


# --- rounds -------------------------------------------------------------------------------------------------------


async def test_a_step_that_looked_in_vain_looks_afresh(tmp_path: Path) -> None:
    paid = {"let": {"ok": "$.output.ok"}, "expr": "ok == 'paid'"}
    look = {"id": "look", "contract": "shop.check", "in": {"total": 1}}
    home = build(tmp_path / "home", order=[{**look, "repeat": {"until": paid, "max": 2, "every_s": 0.01}}])
    shop = Shop()
    async with open_shop(home, shop) as counter:
        failed = await counter.order()
        assert (failed.status, shop.called) == ("failed", ["check", "check"])
        again = await counter.redrive(failed.process_id)
        assert (again.status, shop.called) == ("failed", ["check"] * 4)
    await assert_sound(home, failed.process_id, again.process_id)


# --- batches ------------------------------------------------------------------------------------------------------


async def test_the_ended_processes_of_a_label_are_each_taken_up_once(home: Home) -> None:
    shop = Shop({"shop.check": breaking()})
    async with open_shop(home, shop) as counter:
        first, second = await counter.order(item="a"), await counter.order(item="b")
        shop.doing.clear()
        done = await counter.order(item="c")
        assert await counter.orchestrator.unfinished("shop") == (first.process_id, second.process_id)
        await counter.redrive(first.process_id)
        assert await counter.orchestrator.unfinished("shop") == (second.process_id,)
        assert await counter.orchestrator.unfinished("nobody") == ()
        with pytest.raises(RefusedError, match="use failed or cancelled"):
            await counter.orchestrator.unfinished("shop", status=done.status)


async def test_a_process_without_a_plan_is_submitted_again(home: Home) -> None:
    async with open_shop(home) as counter:
        with pytest.raises(RefusedError, match="UNKNOWN_PROCESS"):
            await counter.orchestrator.redrive(RedriveRequest(process_id="nonsense"))


ORDER_BEFORE_CHECK = [
    {"id": "price", "contract": "shop.price", "in": {"item": "$.input.item"}},
    {"id": "book", "contract": "shop.book", "in": {"item": "$.input.item", "total": "$.steps.price.output.total"}},
    {"id": "mail", "contract": "shop.mail", "in": {"item": "$.input.item"}, "after": ["book"]},
]
