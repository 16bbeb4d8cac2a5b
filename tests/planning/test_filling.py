"""What a proposal leaves open and a rule decides, on the shipped support desk."""

from pathlib import Path
from typing import Any, Final

from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.checking.planning.at_hand import at_hand
from process_orchestrator.checking.planning.judgement import Judged, judge
from process_orchestrator.checking.planning.map_schema import map_schema
from process_orchestrator.core.facts.values import Assurance

ROOT: Final = Path(__file__).resolve().parents[2]
MOVED: Final = {
    "customer_email": "dora@example.com",
    "new_address": {"street": "5 Harbour Street", "postcode": "20457", "city": "Hamburg"},
}


def judged(said: Any, given: Any) -> Judged:
    registry = load_home(ROOT)
    found = registry.process("resolve_ticket")
    assert found is not None
    process_type = at_hand(found, given)
    offered = map_schema(process_type, registry=registry)
    return judge(said, offered=offered, process_type=process_type, registry=registry, server_floor=Assurance.A0)


def test_whom_a_step_is_about_is_looked_up_by_the_step_that_gives_the_very_name() -> None:
    found = judged({"output": {}, "steps": ["address_change", "mail_draft"]}, MOVED)
    assert found.faults == ()
    assert found.plan is not None
    arguments = {step.id: step.input or {} for step in found.plan.steps}
    assert arguments["address_change"]["customer_id"] == "$.steps.customer_find.output.customer_id"
    assert list(arguments) == ["customer_find", "address_change", "mail_draft"]


def test_a_step_that_was_chosen_is_taken_before_one_that_was_not() -> None:
    found = judged({"output": {}, "steps": ["order_find", "address_change", "mail_draft"]}, MOVED)
    assert found.plan is not None
    arguments = {step.id: step.input or {} for step in found.plan.steps}
    assert arguments["address_change"]["customer_id"] == "$.steps.order_find.output.order.customer_id"


def test_a_word_that_only_the_task_can_decide_stays_open() -> None:
    given = {"ticket_id": "T-2001", "message": "find out where the parcel is"}
    found = judged({"output": {}, "steps": ["ticket_read", "mail_draft", "ticket_update"]}, given)
    assert ("MISSING_ARGUMENT", "ticket_update") in [(each.code, each.step) for each in found.faults]
