"""A program that works on one refund until somebody kills it: the shipped desk, its plan by a scripted model.

python refunding.py HOME KEY
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import anyio

from domains.planned import ORDER, REFUND, TASKS, draft, proposed
from llm.scripted import ScriptedModel
from process_orchestrator.assemble import Mode, open_orchestrator
from process_orchestrator.core.facts.values import Tier
from process_orchestrator.core.ports import Proof, ProofKind
from process_orchestrator.home import Home
from process_orchestrator.llm.port import Prompt
from process_orchestrator.orchestrator import Orchestrator
from process_orchestrator.settings import Settings
from process_orchestrator.views.models import Caller, ProcessView, ResolveRequest, SubmitRequest

STEPS = [ORDER, REFUND, draft("order", "refund")]


def scripted() -> ScriptedModel:
    """A model that plans the refund."""

    def script(prompt: Prompt) -> Any:
        return proposed(prompt, STEPS)

    return ScriptedModel(script, tiers=(Tier.STRONG,))


def request(key: str) -> SubmitRequest:
    """The small refund of the tasks."""
    given = next(each for each in TASKS if each["id"] == "refund_small")
    return SubmitRequest(
        process_type=given["type"], task=given["task"], input=given["input"], idempotency_key=key, approval="plan"
    )


async def approved(orchestrator: Orchestrator, view: ProcessView) -> ProcessView:
    """The process once a person has looked at its plan."""
    while view.status in {"queued", "running"} and not view.escalations:
        view = await orchestrator.state(view.process_id, wait_s=5, since=view.version)
    for asked in view.escalations:
        if asked.kind == "plan" and asked.status == "open":
            decision = ResolveRequest(escalation_id=asked.escalation_id, decision="approve")
            await orchestrator.resolve(decision, proof=Proof(kind=ProofKind.TERMINAL))
    return await orchestrator.state(view.process_id)


async def main(folder: Path, key: str) -> None:
    home = Home(path=folder, state=folder / "state")
    async with open_orchestrator(home, Settings(), mode=Mode.DRIVE, model=scripted()) as orchestrator:
        view = await orchestrator.submit(request(key), caller=Caller(channel="cli"))
        print(view.process_id, flush=True)
        await approved(orchestrator, view)
        await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2])
