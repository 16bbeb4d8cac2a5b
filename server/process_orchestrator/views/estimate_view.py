"""Renders an estimate: the answer in one sentence first, then where it comes from. Pure; adds nothing up."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Final

from process_orchestrator.checking.estimating.calculator import whole
from process_orchestrator.core.money import usd
from process_orchestrator.views.definition_models import HistoryRow
from process_orchestrator.views.estimate_models import (
    AgainstView,
    EstimateStep,
    EstimateView,
    HistoryView,
    NumberRange,
    RangeView,
)
from process_orchestrator.views.formats import counted, one_line

if TYPE_CHECKING:
    from fractions import Fraction

    from process_orchestrator.checking.estimating.against import Against, Record
    from process_orchestrator.checking.estimating.calculator import Estimate, Part
    from process_orchestrator.checking.estimating.history import Span
    from process_orchestrator.views.definition_models import NextAction, Simpler, VerdictView

STEPS_SHOWN: Final = 40
TO: Final = "\N{EN DASH}"


def range_view(span: Span) -> RangeView:
    return RangeView(low=usd(whole(span.low)), likely=usd(whole(span.likely)), high=usd(whole(span.high)))


def estimate_view(found: Estimate, *, verdict: VerdictView | None) -> EstimateView:
    """The calculation as a result; whoever asked adds which type it is about."""
    return EstimateView(
        answer=answer(found),
        verdict=verdict,
        steps=[_step(each) for each in found.parts],
        case_usd=range_view(found.case),
        total_usd=range_view(found.total),
        cases=found.cases,
        single_call_usd=None if found.single_call is None else usd(whole(found.single_call)),
        manual_review_share=None if found.person_share is None else share_text(found.person_share),
        lower_bound=found.lower_bound,
        runs=found.runs,
        duration_ms=None if found.duration_ms is None else number_view(found.duration_ms),
        assumptions=list(found.assumptions),
        unknowns=list(found.unknowns),
    )


def _step(part: Part) -> EstimateStep:
    return EstimateStep(
        step=part.name,
        what=part.what,
        agent=part.agent,
        calls=number_view(part.calls),
        usd=range_view(part.usd_micros),
        known=part.known,
    )


def number_view(span: Span) -> NumberRange:
    return NumberRange(low=_number(span.low), likely=_number(span.likely), high=_number(span.high))


def _number(value: Fraction) -> float:
    return float(round(value, 2))


# --- the answer --------------------------------------------------------------------------------------------------


def answer(found: Estimate) -> str:
    """The first sentence: "About 0.04 USD (0.02-0.11, with a dash) a case; 500 cases 21 USD; 6 % need a person."."""
    case = found.case
    about = "At least" if found.lower_bound else "About"
    span = f" ({short(case.low)}{TO}{short(case.high)})" if short(case.low) != short(case.high) else ""
    parts = [f"{about} {short(case.likely)} USD{span} a case"]
    if found.cases > 1:
        parts.append(f"{found.cases} cases {short(found.total.likely)} USD")
    if found.person_share is not None:
        parts.append(f"{_percent(found.person_share)} need{'s' if found.person_share == 1 else ''} a person")
    return "; ".join(parts) + "."


def short(micros: Fraction) -> str:
    """Dollars with two digits that count: 0.0042, 0.13, 2.10, 21, 1,240."""
    value = Decimal(whole(micros)) / 1_000_000
    if value == 0:
        return "0"
    if value >= 10:  # from here on cents are noise
        return f"{value.quantize(Decimal(1), ROUND_HALF_UP):,}"
    if value >= 1:
        return f"{value.quantize(Decimal('0.01'), ROUND_HALF_UP)}"
    shown = f"{value.quantize(Decimal(1).scaleb(value.adjusted() - 1), ROUND_HALF_UP):f}".rstrip("0")
    return shown.ljust(shown.index(".") + 3, "0")


def _percent(share: Fraction) -> str:
    percent = share * 100
    rounded = round(percent)
    if share == 1:
        return "every case"
    if 0 < percent < 1:
        return "under 1 %"
    return f"{rounded} %"


def share_text(share: Fraction) -> str:
    """A share from 0 to 1 as a decimal of at most four places."""
    return f"{(Decimal(share.numerator) / share.denominator).quantize(Decimal('0.0001'), ROUND_HALF_UP).normalize():f}"


# --- prose -------------------------------------------------------------------------------------------------------


def estimate_text(view: EstimateView) -> str:
    lines = [view.answer]
    if view.process_type:
        runs = f", {counted(view.runs, 'earlier run')} looked at" if view.runs else ", no earlier run"
        lines.append(f"{view.process_type} {view.version or ''}{runs}.".replace(" ,", ","))
    if view.verdict is not None:
        reasons = "; ".join(view.verdict.reasons)
        lines.append(f"Verdict {view.verdict.kind}{f': {one_line(reasons)}' if reasons else ''}.")
        lines += [simpler_line(each) for each in view.verdict.simpler]
    if view.single_call_usd is not None:
        lines.append(f"A single direct call: {view.single_call_usd} USD.")
    lines += [_step_line(each) for each in view.steps[:STEPS_SHOWN]]
    if len(view.steps) > STEPS_SHOWN:
        lines.append(f"- and {len(view.steps) - STEPS_SHOWN} more")
    case, total = view.case_usd, view.total_usd
    lines.append(f"A case: {case.low} to {case.high} USD, likely {case.likely}.")
    if view.cases > 1:
        lines.append(f"{view.cases} cases: {total.low} to {total.high} USD, likely {total.likely}.")
    if view.duration_ms is not None:
        took = view.duration_ms
        lines.append(f"At work: {took.low / 1000:.3g} to {took.high / 1000:.3g} s, likely {took.likely / 1000:.3g} s.")
    lines += [f"Unknown: {one_line(each)}." for each in view.unknowns]
    lines += [f"Assumed: {one_line(each)}." for each in view.assumptions]
    lines += [f"Warning: {one_line(each)}" for each in view.warnings]
    return "\n".join(lines) + "\n" + next_lines(view.next_actions)


def next_lines(actions: list[NextAction]) -> str:
    return "".join(f"Next: {_way(each)}. {each.reason}\n" for each in actions)


def _way(action: NextAction) -> str:
    ways = [action.tool or "", f"`{action.command}`" if action.command else ""]
    return " or ".join(way for way in ways if way)


def simpler_line(each: Simpler) -> str:
    """What would do instead, at which price, and what is lost by it."""
    cost = f" for {each.est_usd} USD" if each.est_usd is not None else " at an unknown price"
    time = f" in about {each.est_ms} ms" if each.est_ms is not None else ""
    lost = f"; without {one_line(', '.join(each.loses), limit=600)}" if each.loses else ""
    return f"Simpler: {one_line(each.what)}{cost}{time}{lost}."


def _step_line(each: EstimateStep) -> str:
    calls, cost = each.calls, each.usd
    who = f" at {each.agent}" if each.agent else ""
    price = f"{cost.likely} USD ({cost.low}{TO}{cost.high})" if cost.low != cost.high else f"{cost.likely} USD"
    known = "" if each.known else ", price unknown"
    return f"- {each.step} [{each.what}{who}]: {calls.likely:g} calls ({calls.low:g}{TO}{calls.high:g}), {price}{known}"


# --- history -----------------------------------------------------------------------------------------------------


def history_row(process_type: str, record: Record) -> HistoryRow:
    """One version of a type."""
    return HistoryRow(
        process_type=process_type,
        version=record.version,
        runs=record.runs,
        mean_usd=usd(whole(record.mean_usd_micros)),
        mean_calls=_number(record.mean_calls),
        mean_ms=whole(record.mean_ms),
        person_share=share_text(record.person_share),
        failed_share=share_text(record.failed_share),
        unknown_price_runs=record.unknown_runs,
        judged=record.judged,
        inside=record.inside,
        inside_share=None if record.inside_share is None else share_text(record.inside_share),
        inside_time=record.inside_time,
        inside_time_share=None if record.inside_time_share is None else share_text(record.inside_time_share),
    )


def history_text(view: HistoryView) -> str:
    if not view.types:
        return "No run has ended yet: estimates come from contracts and prices.\n"
    lines = [line for row in view.types for line in history_lines(row)]
    lines += [f"Warning: {one_line(each)}" for each in view.warnings]
    return "\n".join(lines) + "\n" + next_lines(view.next_actions)


def history_lines(row: HistoryRow) -> list[str]:
    """What the runs of one version took, and how what was said before them held."""
    lines = [
        f"{row.process_type} {row.version}: {counted(row.runs, 'run')}, {row.mean_usd} USD, "
        f"{row.mean_calls:g} calls and {row.mean_ms} ms on average; {_share(row.person_share)} needed a person, "
        f"{_share(row.failed_share)} failed.",
        f"  {held_text(row)}",
    ]
    if row.unknown_price_runs:
        runs = counted(row.unknown_price_runs, "run")
        lines.append(f"  {runs} had calls of unknown price: their costs are lower bounds.")
    return lines


def held_text(row: HistoryRow) -> str:
    """How what was said before each run held."""
    if not row.judged:
        return "Estimate against actual: not judged yet; from the 20th run on estimates come from history."
    return (
        f"Estimate against actual: {row.inside} of {row.judged} runs cost what was said before "
        f"({_share(row.inside_share or '0')}), {row.inside_time} took as long ({_share(row.inside_time_share or '0')})."
    )


def _share(text: str) -> str:
    return f"{(Decimal(text) * 100).quantize(Decimal(1), ROUND_HALF_UP)} %"


def against_view(found: Against) -> AgainstView:
    return AgainstView(
        case_usd=range_view(found.said),
        spent_usd=usd(found.spent_usd_micros),
        held=found.held,
        lower_bound=found.lower_bound,
        source="history" if found.looked_up else "contracts",
        runs=found.runs,
    )


def against_text(view: AgainstView) -> str:
    """One line for a report: what it cost, what was to be expected."""
    said = view.case_usd
    source = f"by {counted(view.runs, 'earlier run')}" if view.source == "history" else "by contracts and prices"
    least = ", a lower bound" if view.lower_bound else ""
    how = "as estimated" if view.held else "outside the estimate"
    return f"{view.spent_usd} USD, {how}: {said.likely} USD was likely, {said.low} to {said.high} ({source}{least})"
