"""What an estimate says, as data: of one case, of many, and how earlier ones held. Names are public interface."""

from __future__ import annotations

from typing import Literal

from process_orchestrator.views.definition_models import HistoryRow, NextAction, VerdictView
from process_orchestrator.views.view import Json, Request, Stated, View


class RangeView(View):
    """Low, likely and high, as plain decimal US dollars."""

    low: str
    likely: str
    high: str


class NumberRange(View):
    """Low, likely and high of a count or of milliseconds."""

    low: float
    likely: float
    high: float


class EstimateStep(View):
    """One step of the plan, or one stage of ours that asks a model. `known` is false where a price is unknown."""

    step: str
    what: str
    agent: str | None = None
    calls: NumberRange
    usd: RangeView
    known: bool


class EstimateView(View):
    """What a case costs, and all of them. `lower_bound`: something is unknown, the sums are without it."""

    answer: str
    process_type: Stated[str] = None
    version: str | None = None
    planned_by: Stated[str] = None
    verdict: Stated[VerdictView] = None
    plan: dict[str, Json] | None = None
    steps: list[EstimateStep] = []
    case_usd: RangeView
    total_usd: RangeView
    cases: int
    single_call_usd: Stated[str] = None
    manual_review_share: Stated[str] = None
    lower_bound: bool
    runs: int
    duration_ms: NumberRange | None = None
    assumptions: list[str] = []
    unknowns: list[str] = []
    next_actions: list[NextAction] = []
    warnings: list[str] = []


class HistoryView(View):
    """Earlier runs by type and version, the newest of each."""

    types: list[HistoryRow]
    next_actions: list[NextAction] = []
    warnings: list[str] = []


class AgainstView(View):
    """What a run cost beside what was to be expected when it was submitted."""

    case_usd: RangeView
    spent_usd: str
    held: bool
    lower_bound: bool
    source: Literal["history", "contracts"]
    runs: int


class EstimateRequest(Request):
    """Figures are read by `figures`: numbers or decimal text. `input` is that of the process type."""

    task: str | None = None
    process_type: str | None = None
    input: Json = None
    plan: bool = False
    calls: Json = None
    context_tokens: Json = None
    output_tokens: Json = None
    rate_usd_per_mtok: Json = None
    manual_review_share: Json = None
    review_usd: Json = None
    cases: Json = None
    warnings: tuple[str, ...] = ()
