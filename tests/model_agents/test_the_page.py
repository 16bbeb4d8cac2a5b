"""What docs/models-as-agents.md shows is sound, and works as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli.calling import call
from llm.scripted import ScriptedModel
from performing.fleet import FixedClock, one_call
from process_orchestrator.assemble import open_orchestrator
from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.core.errors import ModelError
from process_orchestrator.home import Home
from process_orchestrator.performing.agent_pool import AgentPool
from process_orchestrator.performing.model_agent import failure_of
from process_orchestrator.settings import Settings
from process_orchestrator.usecases.verifying import Verifier, VerifyRequest, choose, patient
from process_orchestrator.views.models import SubmitRequest

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parents[2] / "docs" / "models-as-agents.md"
BLOCKS = re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for place, text in BLOCKS:
        file = tmp_path / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path


def loaded(home: Path) -> Registry:
    registry = load_home(home)
    assert registry.problems == ()
    return registry


async def test_the_shown_contract_is_kept_by_the_shown_agent(home: Path, tmp_path: Path) -> None:
    registry = loaded(home)
    contract, agent = registry.contract("mail.draft"), registry.agent("mail_writer")
    assert contract is not None
    assert agent is not None
    [(serving, serve)] = registry.serving(contract)
    [example] = contract.examples
    model = ScriptedModel({"agent:mail_writer": example["output"]})
    pool = AgentPool(lambda: registry, state_dir=tmp_path, home=home, clock=FixedClock())
    pool.model = model
    async with pool:
        answer = await pool.call(serving.name, dict(serve.bind), dict(example["input"]), one_call(keeps=contract))
    assert (serving, answer.value) == (agent, example["output"])


PROCESS = """
process: answering
version: 1.0.0
summary: Answer one question.
input: {type: object, required: [question], properties: {question: {type: string, minLength: 1, maxLength: 4000}}}
output: {type: object, properties: {text: {type: string}}}
plan:
  steps:
    - {id: draft, contract: mail.draft, in: {question: $.input.question, facts: [Open from nine to five.]}}
  output: {text: $.steps.draft.output.text}
"""


async def test_a_whole_process_runs_on_it_behind_a_real_engine(home: Path) -> None:
    (home / "contracts" / "answering.process.yaml").write_text(PROCESS, encoding="utf-8")
    said = {"subject": "Our hours", "text": "We are open from nine to five."}
    async with open_orchestrator(
        Home(path=home, state=home / "state"), Settings(), model=ScriptedModel({"agent:mail_writer": said})
    ) as orchestrator:
        request = SubmitRequest(process_type="answering", input={"question": "When?"}, wait_s=10)
        view = await orchestrator.submit(request)

    assert (view.status, view.output) == ("completed", {"text": said["text"]})
    assert view.cost.tokens > 0


async def test_verify_holds_the_model_to_its_contract_and_sends_no_broken_arguments(home: Path, tmp_path: Path) -> None:
    registry = loaded(home)
    said = {"subject": "Hours", "text": "We are open from nine to five."}
    model = ScriptedModel({"agent": said})
    request = VerifyRequest(contract="mail.draft", count=2)
    chosen = choose(registry, request)
    pool = AgentPool(lambda: patient(chosen), state_dir=tmp_path, home=home, clock=FixedClock())
    pool.model = model
    async with pool:
        view = await Verifier(chosen, pool, request).run()

    totals = {each.check: each for each in view.checks}
    assert (view.ok, view.failures, len(model.asked)) == (True, [], 3)
    assert totals["invalid"].skipped > 0


def test_the_commands_say_what_is_missing(home: Path) -> None:
    checked = call("check", "--home", home)
    assert checked.code == 0
    assert (
        "TIER_NOT_SET at /transport/tier: mail_writer asks a model of the tier light, and none is set up" in checked.out
    )
    assert "models.light" in checked.out
    called = call("agents", "call", "mail_writer", "mail.draft", "--home", home)
    assert (called.code, called.err.count("no_model")) == (1, 1)
    other = call("agents", "call", "mail_writer", "mail.send", "--home", home)
    assert "it keeps mail.draft@^1, not mail.send" in other.err
    looked = call("doctor", "--home", home)
    assert "model agents: mail_writer asks a model of the tier light, and none is set up" in looked.out
    pinned = call("agents", "pin", "--home", home)
    assert pinned.code == 0
    assert "mail_writer (model): not comparable, a model says nothing of itself" in pinned.out


def test_the_contract_is_faked_without_any_model(home: Path) -> None:
    made = call(
        "contracts", "fake", "mail.draft", "--write-registry", home / "fakes" / "agents_registry", "--home", home
    )
    assert made.code == 0, made.err
    fakes = load_home(home / "fakes")
    contract = fakes.contract("mail.draft")
    assert contract is not None
    assert [agent.name for agent, _ in fakes.serving(contract)] == ["fake"]


def test_every_code_that_a_failure_becomes_is_in_its_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    codes = (
        "no_model",
        "unreachable",
        "rate_limited",
        "timeout",
        "refused",
        "not_json",
        "truncated",
        "output_mismatch",
    )
    for code in codes:
        assert f"`{failure_of(ModelError(code, 'x')).code}`" in text
