"""`contracts import openapi`, `contracts new`, `processes new`: what a person types, and what stands there then."""

from __future__ import annotations

import json
from pathlib import Path

from cli.calling import call
from process_orchestrator.checking.loading.loader import load_home

DATA = Path(__file__).resolve().parents[1] / "importing" / "data"


def test_a_document_is_imported_updated_and_made_a_process(tmp_path: Path) -> None:
    home = tmp_path / "home"
    said = call("contracts", "import", "openapi", DATA / "rides-3.1.yaml", "--only", "GET,*ride*", "--home", home)
    assert (said.code, said.err) == (0, "")
    assert "city_rides.get_ride" in said.out
    assert "a GET is taken to read only: is that so?" in said.out
    update = call("contracts", "import", "openapi", DATA / "rides-3.1.yaml", "--home", home, "--update", "--json")
    answer = json.loads(update.out)
    assert [each["name"] for each in answer["files"]] == ["city_rides.get_ride", "city_rides"]
    listed = call("contracts", "show", "--home", home).out
    assert "(read, draft)" in listed
    assert "To decide: /effects/kind" in listed
    shown = call("contracts", "show", "city_rides.get_ride", "--home", home)
    assert "to decide before a plan may use it: /effects/kind" in shown.err
    made = call("processes", "new", "look", "--contracts", "city_rides.get_ride", "--home", home)
    assert "city_rides.get_ride is a draft" in made.out
    assert call("check", "--home", home).code == 2
    assert call("contracts", "activate", "city_rides.get_ride", "--effects", "read", "--home", home).code == 0
    assert call("check", "--home", home).code == 0
    assert call("processes", "new", "look", "--contracts", "city_rides.get_ride", "--home", home).code == 2


def test_what_cannot_be_imported_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    old = tmp_path / "old.yaml"
    old.write_text("swagger: '2.0'\n")
    bad = tmp_path / "bad.yaml"
    bad.write_text("openapi: 3.0.0\ninfo: {title: T}\npaths: {/x: {get: {responses: {'200': {description: ok}}}}}\n")
    assert "Swagger 2.0" in call("contracts", "import", "openapi", old, "--home", home).err
    assert "is no valid OpenAPI document" in call("contracts", "import", "openapi", bad, "--home", home).err
    assert "cannot be read" in call("contracts", "import", "openapi", tmp_path / "none", "--home", home).err
    assert not home.exists()
    assert call("contracts", "import", "openapi", bad, "--lenient", "--home", home).code == 0


def test_a_contract_is_made_of_examples_on_the_command_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    answer = tmp_path / "answer.json"
    answer.write_text('{"found": true}')
    said = call(
        "contracts", "new", "desk.ask", "--input-example", '{"q": "x"}', "--output-example", answer, "--home", home
    )
    assert said.code == 0
    (found,) = load_home(home).contracts
    assert (found.name, found.status, found.output["required"]) == ("desk.ask", "draft", ["found"])
    assert call("contracts", "new", "desk.ask", "--home", home).code == 2
    assert "is no name" in call("contracts", "new", "Desk/../x", "--home", home).err
    assert "no JSON object" in call("contracts", "new", "desk.two", "--input-example", "[1]", "--home", home).err
    assert "UNKNOWN_CONTRACT" in call("processes", "new", "p", "--contracts", "desk.asc", "--home", home).err
    assert "names none" in call("processes", "new", "p", "--home", home).err
