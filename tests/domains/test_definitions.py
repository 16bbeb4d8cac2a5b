from pathlib import Path
from typing import Any

import pytest

from domains.running import ROOT
from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.core.facts.values import Assurance


def test_the_shipped_definitions_load_without_a_problem() -> None:
    assert [(problem.file, problem.line, problem.message) for problem in load_home(ROOT).problems] == []


@pytest.mark.parametrize("name", ["invoice_approval", "release_report", "resolve_ticket"])
def test_every_contract_of_a_shipped_type_is_served(name: str) -> None:
    registry = load_home(ROOT)
    process = registry.process(name)
    assert process is not None
    for reference in process.contracts:
        contract = registry.contract(reference)
        assert contract is not None
        assert registry.serving(contract), reference


@pytest.mark.parametrize("name", ["invoice_approval", "release_report"])
def test_a_shipped_plan_passes_the_check(name: str) -> None:
    registry = load_home(ROOT)
    process = registry.process(name)
    assert process is not None
    compiled = registry.plan(process, server_floor=Assurance.A0)
    assert [(problem.level, problem.pointer, problem.message) for problem in compiled.problems] == []
    assert compiled.facts is not None


def test_the_story_of_the_demo_names_documents_that_are_there(story: dict[str, Any], invoices: dict[str, str]) -> None:
    assert [chapter["file"] for chapter in story["chapters"]] == ["straight.xml", "second.txt", "large.xml"]
    for chapter in story["chapters"]:
        assert chapter["label"] in invoices[chapter["file"]]


def test_the_agents_named_by_the_story_are_shipped(story: dict[str, Any]) -> None:
    text = Path(ROOT / "agents_registry" / f"{story['fault']['agent']}.agent.yaml").read_text(encoding="utf-8")
    for name in story["fault"]["env"]:
        assert f'{name}: ""\n' in text
