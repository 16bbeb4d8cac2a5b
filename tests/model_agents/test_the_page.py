"""What docs/models-as-agents.md shows is sound, and works as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llm.scripted import ScriptedModel
from performing.fleet import FixedClock, one_call
from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.core.errors import ModelError
from process_orchestrator.performing.agent_pool import AgentPool
from process_orchestrator.performing.model_agent import failure_of

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
