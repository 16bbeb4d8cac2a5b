"""`agents call METHOD:/path --infer-output`: the output of an HTTP agent's operation, as its real answers show it."""

import sys
import threading
from collections.abc import Generator
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

from cli.calling import call
from process_orchestrator.checking.loading.loader import load_home

PRACTICE = Path(__file__).resolve().parents[2] / "docs" / "practice"


def practice_module() -> ModuleType:
    """The practice server of the walkthrough, which is a program of its own."""
    spec = util.spec_from_file_location("practice_server", PRACTICE / "server.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pets() -> Generator[str]:
    """The address of a pet store."""
    server = practice_module().Practice(0)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.address
    server.shutdown()
    thread.join()
    server.server_close()


def test_answers_over_http_become_the_output_and_the_wrap_of_a_draft(pets: str, tmp_path: Path) -> None:
    source = (f"{pets}/petstore.yaml", "--agent", "pets", "--only", "GET", "--allow-loopback")
    assert call("contracts", "import", "openapi", *source, "--home", tmp_path).code == 0
    one = call("agents", "call", "pets", "GET:/pets/1", "--infer-output", "--write", "--json", "--home", tmp_path)
    assert one.code == 0, one.err
    assert set(one.json["output"]["required"]) == {"id", "name", "tag"}
    many = call("agents", "call", "pets", "GET:/pets", "--infer-output", "--write", "--json", "--home", tmp_path)
    assert many.code == 0, many.err
    assert many.json["wrap"] == "items"
    registry = load_home(tmp_path)
    assert not [each for each in registry.problems if each.level == "error"]
    (agent,) = registry.agents
    wraps = {serve.contract: serve.bind.get("wrap") for serve in agent.serves}
    assert wraps == {"pets.find_pets@^1": "items", "pets.find_pet_by_id@^1": None}
    listed, found = registry.contract("pets.find_pets"), registry.contract("pets.find_pet_by_id")
    assert listed is not None
    assert found is not None
    assert listed.output["properties"]["items"]["items"]["properties"]["tag"] == {"type": "string"}
    assert found.output["properties"]["id"] == {"type": "integer"}
    nowhere = call("agents", "call", "pets", "GET:/petstore.yaml", "--infer-output", "--write", "--home", tmp_path)
    assert nowhere.code in {1, 2}
