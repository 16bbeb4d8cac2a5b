"""A real small model reads tasks: what it is right about is counted, and what is out of scope is never classified.

Live, where the model is there (`./dev real-model`), in every run of CI; and every day from cassettes of such a run
(`./dev real-model --record`). Nothing asks for exact words: a model may say what it likes, the gates may not.
"""

import json
import os
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Final

import pytest

from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.llm.port import Model
from real_model.cases import Case, intake_cases, plan_cases
from real_model.fetch import LARGE, Weights
from real_model.serving import Served, absent, serving
from real_model.thinking import TAPES, Replayed, Thought, desk, figures, live, think

ROOT: Final = Path(__file__).resolve().parents[2]
MODE: Final = os.environ.get("REAL_MODEL", "")
"""Set by `./dev real-model`: whole | record | quick (a part, in CI). Then the model must be there."""

INTAKE_SHARE: Final = 0.5 if MODE == "quick" else 0.9
"""Of the tasks in scope so many are of the right type, at least; of the others none is classified. Of few, fewer."""

QUICK: Final = {"intake": 10, "plan": 10}
"""Of so many tasks one is tried in CI."""


def cases_of(stage: str) -> tuple[Case, ...]:
    cases = intake_cases() if stage == "intake" else plan_cases()
    return cases[:: QUICK[stage]] if MODE == "quick" else cases


def judge(stage: str, thoughts: Sequence[Thought], *, who: str) -> None:
    """The gates: nothing out of scope has a type, no plan holds what its type may not use; the rest is counted."""
    registry = load_home(ROOT)
    told = figures(thoughts)
    sys.stderr.write(f"\n{who} {stage}: {json.dumps(told)}\n")
    for each in thoughts:
        assert each.view.status == "waiting_human", (each.case.task, each.view.status, each.view.error)
        assert each.asked in {"plan", "intake", "failed", "loop", "budget", "approval", "task"}, each.case.task
        if each.case.type is None:
            assert not each.classified, each.case.task
        if each.planned and each.view.process_type is not None:
            process = registry.process(each.view.process_type)
            assert process is not None
            listed = {name.partition("@")[0] for name in process.contracts}
            assert set(each.contracts) <= listed, each.case.task
    inside = [each for each in thoughts if each.case.type is not None]
    right = [each for each in inside if each.type == each.case.type]
    if stage == "intake":
        wrong = [(each.case.task, each.type) for each in inside if each not in right]
        assert len(right) >= INTAKE_SHARE * len(inside), wrong


def served(weights: Weights) -> Generator[Served]:
    if not MODE:
        pytest.skip("a model is asked by `./dev real-model` alone: it takes minutes")
    if (why := absent(weights)) is not None:
        pytest.fail(why)
    with serving(weights) as model:
        yield model


@pytest.fixture(scope="module")
def large() -> Generator[Served]:
    yield from served(LARGE)


async def thought(folder: Path, model: Model, stage: str) -> list[Thought]:
    async with desk(folder, model) as orchestrator:
        return await think(orchestrator, cases_of(stage))


async def tried(folder: Path, model: Served, stage: str) -> None:
    tape = TAPES / f"{stage}-{model.alias}.jsonl" if MODE == "record" else None
    if tape is not None:
        tape.unlink(missing_ok=True)
    thoughts = await thought(folder, live(model.alias, model.api_base, tape=tape), stage)
    judge(stage, thoughts, who=f"{model.alias}, live")


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["intake", "plan"] if MODE == "quick" else ["intake"])
async def test_a_real_model_thinks_and_the_gates_hold(tmp_path: Path, large: Served, stage: str) -> None:
    await tried(tmp_path, large, stage)


@pytest.mark.behaviour("models-are-gated")
@pytest.mark.parametrize("tape", sorted(TAPES.glob("intake-*.jsonl")), ids=lambda tape: tape.stem)
async def test_what_a_real_model_said_goes_through_the_gates_again(tmp_path: Path, tape: Path) -> None:
    stage, _, alias = tape.stem.partition("-")
    model = Replayed(alias, tape)
    thoughts = await thought(tmp_path, model, stage)
    assert model.missed == [], "prompts have changed since they were recorded. Do: ./dev real-model --record"
    judge(stage, thoughts, who=f"{alias}, from its cassette")
