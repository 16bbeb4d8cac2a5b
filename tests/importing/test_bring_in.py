"""What an import writes and what an update leaves alone, through the files that a person has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from process_orchestrator.checking.documents.yaml_reader import read
from process_orchestrator.checking.importers.draft import Draft, DraftContract, Todo
from process_orchestrator.checking.importers.write import bring_in
from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.core.errors import RefusedError


def contract(key: str = "GET /pets", **changed: Any) -> DraftContract:
    document: dict[str, Any] = {
        "version": "1.0.0",
        "summary": "List the pets.",
        "input": {"type": "object", "properties": {"limit": {"type": "integer", "maximum": 100}}},
        "output": {"type": "object", "required": ["pets"], "properties": {"pets": {"type": "array"}}},
        "effects": {"kind": "read"},
        **changed,
    }
    bind = {"method": "GET", "path": "/pets"}
    todo = (Todo(pointer="/effects", text="does it change anything?"),)
    return DraftContract(key=key, name=key.rsplit("/", maxsplit=1)[-1], document=document, bind=bind, todo=todo)


def draft(*contracts: DraftContract, **changed: Any) -> Draft:
    kept = contracts or (contract(),)
    transport = {"kind": "http", "base_url": "https://pets.example/v1"}
    given: dict[str, Any] = {
        "kind": "openapi",
        "source": "pets.yaml",
        "agent": "Pet Store",
        "document": {"summary": "The pet store.", "transport": transport},
        "contracts": kept,
        "known": tuple(each.key for each in kept),
        **changed,
    }
    return Draft(**given)


def text_of(home: Path, name: str = "pet_store.pets") -> str:
    return (home / f"contracts/pet_store/{name}.contract.yaml").read_text()


def edit(home: Path, old: str, new: str, name: str = "pet_store.pets") -> None:
    path = home / f"contracts/pet_store/{name}.contract.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def value_of(home: Path, name: str = "pet_store.pets") -> dict[str, Any]:
    return read(text_of(home, name).encode(), file=name).value


def test_an_import_writes_a_draft_that_the_loader_takes(tmp_path: Path) -> None:
    outcome = bring_in(draft(), tmp_path)
    assert [(each.file, each.action) for each in outcome.files] == [
        ("contracts/pet_store/pet_store.pets.contract.yaml", "written"),
        ("agents_registry/pet_store.agent.yaml", "written"),
    ]
    registry = load_home(tmp_path)
    assert [each.code for each in registry.problems] == ["DRAFT"]
    found = registry.contract("pet_store.pets")
    assert found is not None
    assert (found.status, found.todo) == ("draft", ("/effects: does it change anything?",))


def test_a_second_import_refuses_and_names_update(tmp_path: Path) -> None:
    bring_in(draft(), tmp_path)
    before = text_of(tmp_path)
    with pytest.raises(RefusedError, match="--update"):
        bring_in(draft(contract(summary="Other.")), tmp_path)
    assert text_of(tmp_path) == before


def test_an_update_of_what_did_not_change_leaves_every_byte(tmp_path: Path) -> None:
    bring_in(draft(), tmp_path)
    edit(tmp_path, "summary: List the pets.", "summary:   'Mine'  # said so by ana")
    before = text_of(tmp_path)
    outcome = bring_in(draft(), tmp_path, update=True)
    assert text_of(tmp_path) == before
    assert {each.action for each in outcome.files} == {"unchanged"}
    assert outcome.changes == ()


def test_an_update_takes_what_was_left_as_imported_and_keeps_what_a_person_wrote(tmp_path: Path) -> None:
    bring_in(draft(), tmp_path)
    edit(tmp_path, "summary: List the pets.", "summary: All our pets.  # asked for by the desk")
    edit(tmp_path, "status: draft", "status: active")
    edit(tmp_path, 'todo: ["/effects: does it change anything?"]\n', "# decided on Monday: reads only\n")
    edit(tmp_path, "effects: {kind: read}", "effects: {kind: none}\ntimeout: {attempt_s: 5}\nidempotency: natural")
    wider = {"type": "object", "properties": {"limit": {"type": "integer", "maximum": 500}, "tag": {"type": "string"}}}
    outcome = bring_in(draft(contract(input=wider, summary="List pets.")), tmp_path, update=True)
    text, value = text_of(tmp_path), value_of(tmp_path)
    assert "# asked for by the desk" in text
    assert "# decided on Monday: reads only" in text
    assert value["summary"] == "All our pets."
    assert value["status"] == "active"
    assert value["effects"] == {"kind": "none"}
    assert value["timeout"] == {"attempt_s": 5}
    assert value["input"] == wider
    assert "/effects: does it change anything?" not in value["todo"]
    assert any("raise the version" in each for each in value["todo"])
    assert any("the source now says" in each for each in value["todo"])
    assert {(each.pointer, each.how) for each in outcome.changes} == {
        ("/summary", "conflict"),
        ("/input/properties/limit/maximum", "taken"),
        ("/input/properties/tag", "taken"),
    }
    assert bring_in(draft(contract(input=wider, summary="List pets.")), tmp_path, update=True).changes == ()
    assert text_of(tmp_path) == text


def test_what_a_person_removed_or_renamed_stays_so(tmp_path: Path) -> None:
    both = (contract(), contract("GET /owners"))
    bring_in(draft(*both), tmp_path)
    (tmp_path / "contracts/pet_store/pet_store.owners.contract.yaml").unlink()
    agent = tmp_path / "agents_registry/pet_store.agent.yaml"
    kept = [line for line in agent.read_text().splitlines() if "owners" not in line]
    agent.write_text("\n".join(kept).replace("pet_store.pets@^1", "animals.all@^1") + "\n")
    edit(tmp_path, "contract: pet_store.pets", "contract: animals.all")
    (tmp_path / "contracts/pet_store/pet_store.pets.contract.yaml").rename(tmp_path / "contracts/all.contract.yaml")
    outcome = bring_in(draft(contract(version="1.0.0", summary="Now."), both[1]), tmp_path, update=True)
    assert not (tmp_path / "contracts/pet_store/pet_store.owners.contract.yaml").exists()
    assert [(each.name, each.action) for each in outcome.files] == [
        ("animals.all", "updated"),
        ("pet_store.owners", "removed"),
        ("pet_store", "unchanged"),
    ]
    assert "summary: Now." in (tmp_path / "contracts/all.contract.yaml").read_text()


def test_what_is_new_and_what_is_gone_at_the_source_is_said(tmp_path: Path) -> None:
    bring_in(draft(), tmp_path)
    outcome = bring_in(draft(contract("GET /owners")), tmp_path, update=True)
    assert {(each.file.rpartition("/")[2], each.how) for each in outcome.changes} >= {
        ("pet_store.owners.contract.yaml", "new"),
        ("pet_store.pets.contract.yaml", "gone"),
    }
    assert any("no longer offers it" in each for each in value_of(tmp_path)["todo"])
    serves = read((tmp_path / "agents_registry/pet_store.agent.yaml").read_bytes(), file="").value["serves"]
    assert [each["contract"] for each in serves] == ["pet_store.pets@^1", "pet_store.owners@^1"]


def test_what_an_update_does_not_choose_is_left_alone(tmp_path: Path) -> None:
    both = (contract(), contract("GET /owners"))
    bring_in(draft(*both), tmp_path)
    agent, before = tmp_path / "agents_registry/pet_store.agent.yaml", text_of(tmp_path)
    outcome = bring_in(draft(both[1], known=("GET /pets", "GET /owners"), only=("/owners",)), tmp_path, update=True)
    assert text_of(tmp_path) == before
    assert "pet_store.pets@^1" in agent.read_text()
    assert [each.name for each in outcome.files] == ["pet_store.owners", "pet_store"]


def test_without_its_record_an_update_changes_nothing_that_stands_there(tmp_path: Path) -> None:
    bring_in(draft(), tmp_path)
    (tmp_path / "contracts/pet_store/imported.json").unlink()
    before = text_of(tmp_path)
    outcome = bring_in(draft(contract(summary="Other.")), tmp_path, update=True)
    assert text_of(tmp_path) == before
    assert any("no record" in each.message for each in outcome.changes)


def test_a_flow_file_with_comments_keeps_them(tmp_path: Path) -> None:
    bring_in(draft(), tmp_path)
    path = tmp_path / "contracts/pet_store/pet_store.pets.contract.yaml"
    path.write_text(json.dumps(value_of(tmp_path)).replace("{", "{ # mine\n", 1) + "\n")
    bring_in(draft(contract(summary="Now.")), tmp_path, update=True)
    assert "# mine" in text_of(tmp_path)
    assert value_of(tmp_path)["summary"] == "Now."


def test_of_two_versions_that_a_person_made_the_newest_follows_the_source(tmp_path: Path) -> None:
    bring_in(draft(), tmp_path)
    old = text_of(tmp_path)
    (tmp_path / "contracts/pet_store/a.contract.yaml").write_text(old.replace("version: 1.0.0", "version: 1.1.0"))
    bring_in(draft(contract(summary="Now.")), tmp_path, update=True)
    assert text_of(tmp_path) == old
    assert "summary: Now." in (tmp_path / "contracts/pet_store/a.contract.yaml").read_text()


def test_changes_that_break_the_file_together_are_given_back(tmp_path: Path) -> None:
    closed = {"type": "object", "additionalProperties": False, "properties": {"a": {"type": "string"}, "b": {}}}
    bring_in(draft(contract(input=closed)), tmp_path)
    edit(tmp_path, ", b: {}", "")
    assert "b" not in value_of(tmp_path)["input"]["properties"]
    bring_in(draft(contract(input={**closed, "required": ["b"]}, summary="Yes.")), tmp_path, update=True)
    assert "required" not in value_of(tmp_path)["input"]
    assert value_of(tmp_path)["summary"] == "Yes."
    assert any("do not go together" in each for each in value_of(tmp_path)["todo"])


def test_a_schema_that_our_lint_refuses_is_left_open_with_a_todo(tmp_path: Path) -> None:
    bring_in(draft(contract(output={"type": "object", "requird": []})), tmp_path)
    value = value_of(tmp_path)
    assert value["output"] == {"type": "object"}
    assert any("could not be taken over" in each for each in value["todo"])


def test_a_broken_record_is_refused_with_what_to_do(tmp_path: Path) -> None:
    bring_in(draft(), tmp_path)
    (tmp_path / "contracts/pet_store/imported.json").write_text(json.dumps({"contracts": 1}))
    with pytest.raises(RefusedError, match="no record of an import any more"):
        bring_in(draft(), tmp_path, update=True)
