"""The tasks in plain words that the support desk is tested with."""

from domains.planned import TASKS
from domains.running import ROOT
from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.checking.tasks.intake import Classified, classify

BY_ID = {each["id"]: each for each in TASKS}


def test_rules_find_the_type_of_most_tasks_and_of_nothing_else() -> None:
    registry = load_home(ROOT)
    found = {each["id"]: classify(registry, each["task"]) for each in TASKS if each["type"] != "track_parcel"}
    named = {name: each.process_type.name for name, each in found.items() if isinstance(each, Classified)}
    wrong = {name: type_ for name, type_ in named.items() if type_ != BY_ID[name]["type"]}
    assert wrong == {}
    assert len(named) >= 20


def test_every_task_says_what_does_it() -> None:
    registry = load_home(ROOT)
    process = registry.process("resolve_ticket")
    assert process is not None
    listed = {each.partition("@")[0] for each in process.contracts}
    ours = [each for each in TASKS if each["type"] == "resolve_ticket"]
    assert len(ours) >= 20
    assert sum(each.get("planned", False) for each in ours) == 10
    for each in ours:
        choices = [name for names in each.get("choose", []) for name in names]
        assert {*each["needs"], *each["may"], *choices} <= listed, each["id"]
        assert each["input"].get("message", "") in each["task"]
