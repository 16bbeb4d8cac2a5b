"""The registry: lookups, and what stays in force when a file stops loading."""

from __future__ import annotations

import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from process_orchestrator.checking.documents.definitions import Problem
from process_orchestrator.checking.loading.loader import definition_from_dict, load_home, load_text
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.loading.report import check_report
from process_orchestrator.core.errors import DefinitionError
from process_orchestrator.core.facts.values import Assurance

SOUND = Path(__file__).parent / "home"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SOUND, tmp_path / "home"))


def contract(name: str, version: str = "1.0.0", **more: Any) -> Any:
    return definition_from_dict(
        "contract",
        {
            "contract": name,
            "version": version,
            "summary": "Does a thing.",
            "input": {"type": "object"},
            "output": {"type": "object"},
            "effects": {"kind": "read"},
            **more,
        },
    )


def agent(name: str, *serves: str, prefer: int = 100) -> Any:
    return definition_from_dict(
        "agent",
        {
            "agent": name,
            "summary": "Keeps contracts.",
            "transport": {"kind": "in_process"},
            "serves": [{"contract": each} for each in serves],
            "prefer": prefer,
        },
    )


def codes(registry: Registry) -> list[tuple[str, str]]:
    return [(problem.file, problem.code) for problem in registry.problems]


def test_a_sound_home_loads_without_a_problem(home: Path) -> None:
    registry = load_home(home)
    assert registry.problems == ()
    assert [(each.name, each.version) for each in registry.contracts] == [
        ("order.draft", "0.1.0"),
        ("order.pay", "1.2.0"),
        ("order.read", "1.0.0"),
        ("order.refund", "1.0.0"),
        ("order.ship", "1.0.0"),
    ]
    assert [each.name for each in registry.processes] == ["order_paid"]
    assert [each.name for each in registry.agents] == ["shop", "teller"]


def test_the_shipped_home_loads_without_a_problem() -> None:
    assert load_home(Path(__file__).parents[2]).problems == ()


def test_a_reference_takes_the_newest_active_version_that_it_allows() -> None:
    versions = ("1.0.0", "1.10.0", "1.9.0", "2.0.0")
    registry = Registry.of(
        [contract("a.b", version) for version in versions] + [contract("a.b", "2.1.0", status="draft")]
    )
    wanted = ("a.b", "a.b@^1", "a.b@~1.9", "a.b@1.0.0", "a.b@2.1.0", "a.b@^3", "a.c")
    found = [registry.contract(each) for each in wanted]
    assert [each and each.version for each in found] == ["2.0.0", "1.10.0", "1.9.0", "1.0.0", "2.1.0", None, None]


def test_agents_are_asked_by_preference_then_name() -> None:
    thing = contract("a.b", "1.2.0")
    agents = [agent("b", "a.b@^1"), agent("a", "a.b"), agent("z", "a.b@~1.2", prefer=1), agent("old", "a.b@~1.1")]
    registry = Registry.of([thing], [], agents)
    assert [each.name for each, _ in registry.serving(thing)] == ["z", "a", "b"]


def test_the_three_nearest_names_are_offered() -> None:
    registry = Registry.of([contract(name) for name in ("ledger.post", "ledger.void", "invoice.read", "vendor.look")])
    assert registry.nearest("contract", "leger.post@^1") == ("ledger.post", "ledger.void", "vendor.look")
    assert registry.nearest("agent", "x") == ()


def test_a_file_that_stops_loading_leaves_the_last_good_one_in_force(home: Path) -> None:
    file = home / "contracts/shop/order.read.contract.yaml"
    good = file.read_text(encoding="utf-8")
    first = load_home(home)
    file.write_text(good.replace("kind: read", "kind: reed"), encoding="utf-8")
    second = load_home(home, previous=first)
    assert codes(second) == [("contracts/shop/order.read.contract.yaml", "BAD_VALUE")]
    assert second.contract("order.read") == first.contract("order.read")
    third = load_home(home, previous=second)
    assert codes(third) == codes(second)
    assert third.contract("order.read") == first.contract("order.read")
    file.write_text(good.replace("Read one", "Look at one"), encoding="utf-8")
    fourth = load_home(home, previous=third)
    assert fourth.problems == ()
    found = fourth.contract("order.read")
    assert found is not None
    assert found.summary == "Look at one order."


def test_a_file_that_never_loaded_defines_nothing(home: Path) -> None:
    (home / "contracts/new.contract.yaml").write_text("contract: order.new\n", encoding="utf-8")
    registry = load_home(home, previous=load_home(home))
    assert registry.contract("order.new") is None
    assert {code for _, code in codes(registry)} == {"MISSING_KEY"}


def test_a_file_that_is_gone_takes_its_definition_with_it(home: Path) -> None:
    first = load_home(home)
    (home / "agents_registry/teller.agent.yaml").unlink()
    second = load_home(home, previous=first)
    assert [each.name for each in second.agents] == ["shop"]
    assert second.problems == ()


def test_a_process_whose_plan_stops_fitting_stays_in_force_with_the_plan_it_had(home: Path) -> None:
    first = load_home(home)
    before = first.process("order_paid")
    assert before is not None
    pinned = first.plan(before)
    file = home / "contracts/shop/order.pay.contract.yaml"
    file.write_text(
        file.read_text(encoding="utf-8").replace("number, total]", "number, total, note]"), encoding="utf-8"
    )
    second = load_home(home, previous=first)
    assert {file for file, _ in codes(second)} == {"contracts/shop/order_paid.process.yaml"}
    after = second.process("order_paid")
    assert after is not None
    assert after == before
    assert second.plan(after) == pinned
    assert not check_report(second).ok


def test_of_two_files_with_one_name_and_version_the_one_in_force_stays(home: Path) -> None:
    first = load_home(home)
    text = (home / "contracts/shop/order.read.contract.yaml").read_text(encoding="utf-8")
    (home / "contracts/a.contract.yaml").write_text(text.replace("Read one", "Steal one"), encoding="utf-8")
    second = load_home(home, previous=first)
    assert codes(second) == [("contracts/a.contract.yaml", "DUPLICATE_DEFINITION")]
    assert second.contract("order.read") == first.contract("order.read")


def test_files_of_other_names_hidden_ones_and_folders_of_programs_are_left_alone(home: Path) -> None:
    for name in ("contracts/notes.yaml", "contracts/.x.contract.yaml", "agents_registry/shop/data.yaml"):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text("]", encoding="utf-8")
    (home / "contracts/.git").mkdir()
    (home / "contracts/.git/x.contract.yaml").write_text("]", encoding="utf-8")
    assert load_home(home).problems == ()


def test_a_link_to_a_folder_is_not_followed(home: Path) -> None:
    (home / "contracts/loop").symlink_to(home / "contracts", target_is_directory=True)
    assert load_home(home).problems == ()


def test_a_file_named_for_another_kind_is_refused(home: Path) -> None:
    (home / "contracts/teller.contract.yaml").write_text(
        (home / "agents_registry/teller.agent.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    assert codes(load_home(home)) == [("contracts/teller.contract.yaml", "KIND_MISMATCH")]


def test_a_home_without_folders_is_an_empty_registry(tmp_path: Path) -> None:
    registry = load_home(tmp_path)
    assert (registry.contracts, registry.processes, registry.agents, registry.problems) == ((), (), (), ())


def test_a_definition_made_in_code_is_checked_like_a_file() -> None:
    with pytest.raises(DefinitionError) as caught:
        contract("a.b", effects={"kind": "write"}, retry={"max_attempts": 2})
    (problem,) = caught.value.problems
    assert isinstance(problem, Problem)
    assert (problem.code, problem.file, problem.pointer) == ("RETRY_UNSAFE", "<code>", "/retry/max_attempts")


def test_a_file_may_not_name_an_in_process_agent(home: Path) -> None:
    text = "agent: mine\nsummary: Mine.\ntransport: {kind: in_process}\nserves: [{contract: order.read}]\n"
    (home / "agents_registry/mine.agent.yaml").write_text(text, encoding="utf-8")
    assert codes(load_home(home)) == [("agents_registry/mine.agent.yaml", "BAD_VALUE")]


def test_a_text_is_checked_beside_what_is_in_force_and_changes_nothing(home: Path) -> None:
    registry = load_home(home)
    text = (home / "contracts/shop/order_paid.process.yaml").read_text(encoding="utf-8")
    sound = load_text(text, registry=registry)
    broken = load_text(text.replace("order.read,", "order.reed,"), name="mine.process.yaml", registry=registry)
    assert sound.ok
    assert [each.file for each in sound.files] == ["<text>"]
    assert {row.process for row in sound.plans} == {"order_paid"}
    assert not broken.ok
    assert [each.file for each in broken.files] == ["mine.process.yaml"]
    assert {(row.code, row.line) for row in broken.files[0].problems} == {("UNKNOWN_CONTRACT", 9)}
    assert registry.problems == ()


def test_a_text_is_checked_beside_definitions_made_in_code() -> None:
    registry = Registry.of([contract("a.b")], [], [agent("one", "a.b")])
    text = "agent: two\nsummary: Two.\ntransport: {kind: human, role: r}\nserves: [{contract: a.b}]\n"
    assert load_text(text, registry=registry).ok
    assert not load_text(text.replace("a.b", "a.c"), registry=registry).ok


def test_a_reference_to_the_network_is_refused_without_asking_the_network(home: Path) -> None:
    asked: list[str] = []

    class Canary(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

    with ThreadingHTTPServer(("127.0.0.1", 0), Canary) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        canary = f"http://127.0.0.1:{server.server_address[1]}/canary.json"
        file = home / "contracts/shop/order.read.contract.yaml"
        text = file.read_text(encoding="utf-8")
        for keyword in ("$ref", "$dynamicRef", "$schema", "$id", "$recursiveRef"):
            file.write_text(text.replace("paid: {type: boolean}", f'paid: {{{keyword}: "{canary}"}}'), encoding="utf-8")
            registry = load_home(home)
            assert registry.contract("order.read") is None
            assert {code for _, code in codes(registry)} & {"SCHEMA_REF", "SCHEMA_KEYWORD", "SCHEMA_DIALECT"}
        server.shutdown()
        thread.join(5)
    assert asked == []


def test_a_type_that_is_one_call_is_told_that_it_needs_no_orchestration(home: Path) -> None:
    file = home / "contracts/shop/order_paid.process.yaml"
    lines = file.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if "id: pay" not in line]
    text = "\n".join(kept).replace("receipt: $.steps.pay.output.receipt", "receipt: $.steps.read.output.number")
    file.write_text(text, encoding="utf-8")
    registry = load_home(home)
    (problem,) = registry.problems
    assert (problem.level, problem.code, problem.line, problem.pointer) == ("warning", "SIMPLER", 7, "/plan")
    assert problem.fix == "call order.read of agent shop directly"
    assert check_report(registry).ok


def test_an_address_with_a_password_in_it_is_not_repeated(home: Path) -> None:
    text = "agent: far\nsummary: Far.\ntransport: {kind: mcp_http, url: 'https://me:hunter2@x.example'}\n"
    (home / "agents_registry/far.agent.yaml").write_text(
        text + "serves: [{contract: order.read, bind: {tool: x}}]\n", encoding="utf-8"
    )
    registry = load_home(home)
    assert {code for _, code in codes(registry)} == {"BAD_URL"}
    assert "hunter2" not in repr(registry.problems)


def test_a_name_that_would_move_the_cursor_is_shown_without_it(home: Path) -> None:
    file = home / "contracts/shop/order.read.contract.yaml"
    before = load_home(home)
    file.write_text(file.read_text(encoding="utf-8") + '"\\e[2J\\u202Eevil": 1\n', encoding="utf-8")
    (problem,) = load_home(home, previous=before).problems
    assert problem.code == "UNKNOWN_KEY"
    assert problem.message.isprintable()
    assert problem.pointer.isprintable()
    assert "evil" in problem.message


def test_a_pipe_with_a_definition_s_name_is_a_problem_and_does_not_hang(home: Path) -> None:
    os.mkfifo(home / "contracts/pipe.contract.yaml")
    assert codes(load_home(home)) == [("contracts/pipe.contract.yaml", "FILE_UNREADABLE")]


def test_an_unchanged_home_is_the_same_snapshot_and_plans_are_compiled_once(home: Path) -> None:
    first = load_home(home)
    assert load_home(home, previous=first) is first
    process_type = first.process("order_paid")
    assert process_type is not None
    plan = first.plan(process_type)
    assert plan.facts is not None
    assert first.plan(process_type) is plan
    strict = first.plan(process_type, server_floor=Assurance.A3)
    assert strict.facts is not None
    assert (plan.facts.server_floor, strict.facts.server_floor) == (Assurance.A0, Assurance.A3)


def test_every_binding_of_a_plan_has_a_row_in_the_report(home: Path) -> None:
    report = check_report(load_home(home))
    assert report.ok
    assert [(row.step, row.argument, row.verdict) for row in report.plans] == [
        ("read", "/number", "always"),
        ("pay", "/number", "always"),
        ("pay", "/total", "always"),
        ("pay!undo", "/receipt", "always"),
        ("output", "/receipt", "always"),
    ]
