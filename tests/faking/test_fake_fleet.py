"""Whole processes on fakes: the shipped types run without the shipped programs."""

import sys
from pathlib import Path

import pytest
import yaml
from mcp import Client, StdioServerParameters

from cli.calling import call
from verifying.home import make_home

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = ("invoice.extract", "ledger.post", "release.write")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def on_fakes(folder: Path, *options: str) -> Path:
    """A home whose every program is a fake; the shipped programs are not in it."""
    written = call(
        "contracts", "fake", *options, "--write-registry", folder / "agents_registry", "--home", ROOT, "--json"
    )
    assert written.code == 0, written.err
    assert all(Path(file).exists() for file in written.json["files"])
    assert sorted(file.name for file in (folder / "agents_registry").iterdir()) == [
        "approver.agent.yaml",
        "fake.agent.yaml",
        "support_person.agent.yaml",
    ]
    assert call("check", "--home", folder).code == 0
    return folder


@pytest.mark.behaviour("fake")
def test_a_shipped_process_runs_to_its_end_without_any_real_program(tmp_path: Path) -> None:
    home = on_fakes(tmp_path)
    done = call("run", "release_report", "--input", '{"repo_path": "/no/such/place"}', "--home", home, "--json")
    assert done.code == 0, done.err
    assert [step["agent"] for step in done.json["steps"]] == ["fake"] * 4


@pytest.mark.slow
@pytest.mark.behaviour("fake")
def test_invoices_are_approved_on_fakes_and_faults_come_when_asked_for(tmp_path: Path) -> None:
    home = on_fakes(tmp_path / "sound")
    outcomes = [
        call("run", "invoice_approval", "--input", f'{{"document": "invoice {number}"}}', "--home", home, "--json")
        for number in (1, 2, 1)
    ]
    assert {each.code for each in outcomes} <= {0, 3}  # done, or a person is asked: both are ways of this type
    assert all(each.json["steps"][0]["status"] == "done" for each in outcomes)
    assert len({each.json["process_id"] for each in outcomes}) == 3
    assert outcomes[0].json.get("output") == outcomes[2].json.get("output")
    faulty = on_fakes(tmp_path / "faulty", "--fail", "unknown_vendor=1")
    asked = call("run", "invoice_approval", "--input", '{"document": "x"}', "--home", faulty, "--json")
    assert asked.code == 3
    assert call("why", asked.json["process_id"], "--home", faulty, "--json").json["code"] == "unknown_vendor"


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTRACTS)
def test_a_fake_keeps_its_contract_by_the_word_of_verify(name: str, tmp_path: Path) -> None:
    home = on_fakes(tmp_path)
    view = call(
        "contracts", "verify", name, "--agent", "fake", "--allow-writes", "--seed", "5", "--home", home, "--json"
    )
    assert view.json["failures"] == []


@pytest.mark.slow
@pytest.mark.anyio
async def test_any_mcp_client_sees_contracts_as_tools(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    words = ["-m", "process_orchestrator", "contracts", "fake", "--all", "--home", str(home.path)]
    async with Client(StdioServerParameters(command=sys.executable, args=words), read_timeout_seconds=30) as client:
        (tool,) = (await client.list_tools()).tools
        assert (tool.name, tool.input_schema["required"]) == ("order.quote", ["key", "items", "currency", "note"])
        given = {"key": "k", "items": [{"sku": "ABC-01", "quantity": 1}], "currency": "USD", "note": "é"}
        result = await client.call_tool("order.quote", given)
        assert result.structured_content is not None
        assert (result.structured_content["count"], result.structured_content["note"]) == (1, "é")
        refused = await client.call_tool("order.quote", {})
        assert refused.is_error
        with pytest.raises(Exception, match="no tool"):
            await client.call_tool("no.such", {})


def test_the_registry_of_fakes_never_replaces_what_others_wrote(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home").path
    same = call("contracts", "fake", "--write-registry", home / "agents_registry", "--home", home)
    assert (same.code, "registry of this home" in same.err) == (2, True)
    below = call("contracts", "fake", "--write-registry", home / "agents_registry" / "fakes", "--home", home)
    assert (below.code, "registry of this home" in below.err) == (2, True)
    other = tmp_path / "other" / "agents_registry"
    other.mkdir(parents=True)
    (other / "fake.agent.yaml").write_text("agent: fake\n")
    kept = call("contracts", "fake", "--write-registry", other, "--home", home)
    assert (kept.code, "is another file" in kept.err) == (2, True)
    (other / "fake.agent.yaml").unlink()
    for seed in ("1", "2"):
        assert call("contracts", "fake", "--seed", seed, "--write-registry", other, "--home", home).code == 0
    written = yaml.safe_load((other / "fake.agent.yaml").read_text())
    assert written["transport"]["command"][-4:] == ["--seed", "2", "--home", "{home}"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no contract is named"),
        (("--all", "order.quote"), "give one of them"),
        (("order.quot",), "order.quote"),
        (("--all", "--fail", "nope=0.1"), "declares the error nope"),
    ],
)
def test_a_wrong_call_says_what_to_write(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    home = make_home(tmp_path / "home").path
    called = call("contracts", "fake", *words, "--home", home)
    assert called.code == 2
    assert said in called.err
