"""Has a model read tasks and plan them in a real engine over the shipped definitions, and says what came of each.

Every process is started with `approval: plan`: whatever the model plans stops before its first call, so that no agent
is asked, and what would have been dispatched can be looked at.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from process_orchestrator.assemble import Mode, open_orchestrator
from process_orchestrator.core.errors import ModelError
from process_orchestrator.core.facts.values import Tier
from process_orchestrator.home import Home, seed_home
from process_orchestrator.llm.cassette import Recording, Replaying
from process_orchestrator.llm.litellm_model import LitellmModel
from process_orchestrator.llm.port import Answer, Model, Prompt, TierFacts
from process_orchestrator.llm.tiers import Price, TierSetup, Way
from process_orchestrator.orchestrator import Orchestrator
from process_orchestrator.performing.secrets import Secrets
from process_orchestrator.settings import Settings
from process_orchestrator.views.models import ProcessView, SubmitRequest
from real_model.cases import Case

TAPES: Final = Path(__file__).resolve().parents[1] / "data" / "cassettes"
FREE: Final = Price(in_usd_micros=0, out_usd_micros=0)
CALL_S: Final = 180
WAIT_S: Final = 20


@dataclass(frozen=True, kw_only=True)
class Thought:
    """What became of one task."""

    case: Case
    view: ProcessView

    @property
    def asked(self) -> str | None:
        """Which question the process waits with."""
        return self.view.escalations[0].kind if self.view.escalations else None

    @property
    def type(self) -> str | None:
        """The type that was found, by rule or model; also where it then turned out that the task lacks some input."""
        if self.asked != "intake":
            return self.view.process_type
        lacking = re.search(r"(\w+) needs ", self.view.escalations[0].question)
        return lacking[1] if lacking is not None else self.view.process_type

    @property
    def classified(self) -> bool:
        return self.type is not None

    @property
    def contracts(self) -> tuple[str, ...]:
        """The contracts of the plan that would have been dispatched, in order."""
        return tuple(str(step.contract).partition("@")[0] for step in self.view.steps)

    @property
    def planned(self) -> bool:
        return self.asked == "plan" and bool(self.view.steps)

    @property
    def right(self) -> bool:
        """Whether the plan does the task: all that it needs, and nothing that it must not."""
        used, case = set(self.contracts), self.case
        known = {*case.needs, *case.may, *(name for names in case.choose for name in names)}
        return self.planned and used >= set(case.needs) and used <= known and all(used & set(n) for n in case.choose)


def tiers_of(alias: str, api_base: str) -> tuple[TierSetup, ...]:
    """A light and a strong tier over one local model; the same for a cassette, whose questions hold no address."""
    way = Way(model=f"openai/{alias}", api_base=api_base, price=FREE)
    return (
        TierSetup(tier=Tier.LIGHT, way=way, max_tokens=600, timeout_s=CALL_S),
        TierSetup(tier=Tier.STRONG, way=way, max_tokens=1500, timeout_s=CALL_S),
    )


def live(alias: str, api_base: str, *, tape: Path | None) -> Model:
    """A local model; what it says is kept where a tape is given."""
    model = LitellmModel(tiers_of(alias, api_base), secrets=Secrets())
    return model if tape is None else Recording(model, tape, secrets=Secrets())


class Replayed:
    """A cassette that remembers what it was asked and does not hold: a stage only says that it got no answer."""

    def __init__(self, alias: str, tape: Path) -> None:
        self.missed: list[str] = []
        self._tape = Replaying(LitellmModel(tiers_of(alias, "http://127.0.0.1:1/v1"), secrets=Secrets()), tape)

    def tier(self, tier: Tier) -> TierFacts | None:
        return self._tape.tier(tier)

    async def complete(self, prompt: Prompt, tier: Tier) -> Answer:
        try:
            return await self._tape.complete(prompt, tier)
        except ModelError as error:
            if error.code == "not_configured":
                self.missed.append(error.message)
            raise

    def preload(self) -> None:
        self._tape.preload()

    async def aclose(self) -> None:
        await self._tape.aclose()


def replayed(alias: str, tape: Path) -> Replayed:
    return Replayed(alias, tape)


@asynccontextmanager
async def desk(folder: Path, model: Model) -> AsyncGenerator[Orchestrator]:
    """A home of its own with the shipped definitions."""
    home = Home(path=folder / "home", state=folder / "state")
    seed_home(home)
    async with open_orchestrator(home, Settings(), mode=Mode.DRIVE, model=model) as orchestrator:
        yield orchestrator


async def think(orchestrator: Orchestrator, cases: Sequence[Case]) -> list[Thought]:
    """One after the other: a local model answers one question at a time."""
    thoughts: list[Thought] = []
    for case in cases:
        view = await orchestrator.submit(SubmitRequest(task=case.task, approval="plan"))
        while view.status in {"running", "queued"}:
            view = await orchestrator.state(view.process_id, wait_s=WAIT_S, since=view.version)
        thoughts.append(Thought(case=case, view=view))
        if view.status == "waiting_human":
            await orchestrator.cancel(view.process_id, reason="seen")
    return thoughts


def figures(thoughts: Sequence[Thought]) -> dict[str, Any]:
    """How many of them came out how."""
    return {
        "tasks": len(thoughts),
        "classified": sum(each.classified for each in thoughts),
        "type right": sum(each.type == each.case.type and each.classified for each in thoughts),
        "planned": sum(each.planned for each in thoughts),
        "plan right": sum(each.right for each in thoughts),
        "tokens": sum(each.view.cost.tokens for each in thoughts),
    }
