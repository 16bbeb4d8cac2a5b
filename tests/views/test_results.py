"""Every result keeps its own schema, fits its caps in prose, and says money, time and foreign text in one form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from orchestrator.home import ASSERTED, INVOICE, Desk, Fleet, answering, failing, open_desk
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts.values import FailureClass
from process_orchestrator.core.money import usd, usd_micros
from process_orchestrator.views import models as m
from process_orchestrator.views.estimate_models import EstimateView, HistoryView
from process_orchestrator.views.formats import epoch_ms, harmless, markdown, one_line, timestamp
from process_orchestrator.views.text import TEXT_BYTES_MAX, view_text

pytestmark = pytest.mark.anyio

RESULTS = (
    m.ProcessView,
    m.TracePage,
    m.Resolution,
    m.EscalationPage,
    m.EscalationView,
    m.ProcessPage,
    m.Description,
    m.Validation,
    m.CheckReportView,
    m.WhyView,
    m.ErrorView,
    EstimateView,
    HistoryView,
)


STATED = {
    "ProcessView": {"process_type", "label", "why", "verdict", "task", "planned_by"},
    "EstimateView": {"process_type", "planned_by", "verdict", "single_call_usd", "manual_review_share"},
    "StepView": {"contract", "agent"},
    "FailureView": {"step", "call", "pointer", "rule", "message"},
    "ProcessRowView": {"process_type", "label", "why"},
    "EscalationView": {"step", "call"},
    "EscalationWhy": {"seq"},
    "PrecedentView": {"code"},
    "RecordedResolution": {"data", "note"},
    "TraceEntry": {
        "step", "call", "agent", "why_agent", "contract", "ms", "tokens", "cost_usd", "verdict", "blame",
    },
}  # fmt: skip
"""Fields that are there in every result, null without a value. Any other optional field is absent then."""


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.__name__)
def test_a_schema_is_an_object_without_a_union_and_says_null_only_of_what_is_always_there(
    result: type[m.View],
) -> None:
    schema = m.output_schema(result)

    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object"
    assert not {"anyOf", "oneOf", "allOf", "$ref"} & set(schema)
    for name, part in {result.__name__: schema, **schema.get("$defs", {})}.items():
        nullable = {field for field, kept in part.get("properties", {}).items() if "null" in str(kept)}
        assert nullable == STATED.get(name, set()) - {"data"}, name  # any JSON value may be null


def test_a_field_without_a_mark_of_being_optional_is_always_there() -> None:
    step = m.StepView(id="post", status="waiting", attempts=0)

    assert step.payload() == {"id": "post", "contract": None, "agent": None, "status": "waiting", "attempts": 0}


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.__name__)
def test_a_brief_schema_names_every_field_and_shows_no_more_levels_than_asked(result: type[m.View]) -> None:
    whole, brief = m.output_schema(result), m.brief_schema(result, depth=0)

    jsonschema.Draft202012Validator.check_schema(brief)
    assert brief["properties"].keys() == whole["properties"].keys()
    assert not any("properties" in field or "$ref" in str(field) for field in brief["properties"].values())


async def everything(desk: Desk) -> list[m.View]:
    """Results of every kind, of processes in every kind of state."""
    use, desk.fleet.doing["backup"] = desk.orchestrator, failing("illegible", class_=FailureClass.PERMANENT)
    done, task = await desk.settled(task="a task", label="l"), await desk.settled("review")
    gate = await desk.settled("reminders")
    desk.fleet.doing["reader"] = answering({"number": 1})
    failed = await desk.settled("reading", input={"text": "other"})
    name = failed.escalations[0].escalation_id
    views: list[m.View] = [done, task, gate, failed]
    for process in (done, task, gate, failed):
        views.append(await use.state(process.process_id, include=("plan", "report", "diagram")))
        views.append(await use.trace(process.process_id, limit=100))
        views.append(await use.trace(process.process_id, step="read", data=True))
        views.append(await use.why(process.process_id))
    open_ones = (await use.escalations()).escalations
    views += [await use.escalation(row.escalation_id) for row in open_ones]
    views += [await use.escalations(), await use.processes(), await use.processes(limit=1)]
    for decision in (None, "use_output", "abort"):
        request = m.ResolveRequest(
            escalation_id=name, decision=decision, data=INVOICE if decision == "use_output" else None
        )
        views.append(await use.resolve(request, proof=ASSERTED))
    try:
        await use.resolve(m.ResolveRequest(escalation_id=name, decision="abort"), proof=ASSERTED)
    except RefusedError as error:
        views.append(use.error_view(error))
    for request in (m.SubmitRequest(task="read or review"), m.SubmitRequest(process_type="booking", input={"a": 1})):
        with pytest.raises(RefusedError) as refused:
            await use.submit(request)
        views.append(use.error_view(refused.value))
    views += [
        await use.escalations(status="all"),
        await use.state(failed.process_id),
        await use.describe(),
        await use.check(),
    ]
    views += [
        await use.describe("booking"),
        await use.describe(contract="ledger.post"),
        await use.describe(agent="ledger"),
    ]
    views.append(await use.validate(contract="ledger.post", direction="input", payload={"total": "x"}))
    views.append(await use.validate(definition="contract: x\n"))
    return views


async def test_every_rendered_result_keeps_its_own_schema(desk: Desk) -> None:
    for view in await everything(desk):
        payload = view.payload()
        jsonschema.validate(payload, m.output_schema(type(view)))
        for depth in (0, 1, 2):
            jsonschema.validate(payload, m.brief_schema(type(view), depth=depth))
        empty = {name for name, value in payload.items() if value is None}
        assert empty <= STATED.get(type(view).__name__, set()), type(view).__name__


async def test_every_prose_begins_with_what_to_do_and_fits(desk: Desk) -> None:
    for view in await everything(desk):
        text = view_text(view)
        assert 0 < len(text.encode()) <= TEXT_BYTES_MAX, type(view).__name__
        if getattr(view, "next_actions", None) and not isinstance(view, m.WhyView | m.EscalationView):
            assert text.startswith("Next: "), type(view).__name__


async def test_prose_of_a_large_result_is_cut_and_names_the_way_to_the_rest(tmp_path: Path) -> None:
    long = {**INVOICE, "lines": [{"name": f"line {number}", "amount": 1.0} for number in range(90)]}
    async with open_desk(tmp_path, fleet=Fleet(doing={"reader": answering(long)})) as desk:
        view = await desk.settled()
        text = view_text(await desk.orchestrator.trace(view.process_id, limit=100))

    assert TEXT_BYTES_MAX - 500 < len(text.encode()) <= TEXT_BYTES_MAX
    assert text.endswith("… cut; the whole: list_trace with a smaller limit, or with step\n")


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0.00"),
        (1, "0.000001"),
        (4200, "0.0042"),
        (10_000, "0.01"),
        (2_000_000, "2.00"),
        (1_234_567, "1.234567"),
        (-1_500_000, "-1.50"),
        (123_456_789_000_000, "123456789.00"),
    ],
)
def test_money_is_a_plain_decimal_string(micros: int, text: str) -> None:
    assert usd(micros) == text
    assert usd_micros(text) == micros


@pytest.mark.parametrize(
    ("amount", "micros"),
    [
        (1, 1_000_000),
        (0.1, 100_000),
        (" 1.50 ", 1_500_000),
        ("1e-6", 1),
        ("0.0000001", None),
        ("NaN", None),
        (float("inf"), None),
        ("", None),
        ("1,50", None),
        (True, None),
        (None, None),
        ([1], None),
    ],
)
def test_an_amount_is_exact_or_nothing(amount: Any, micros: int | None) -> None:
    assert usd_micros(amount) == micros


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_000_000_007, "2026-11-18T11:06:40.007Z"),
        (999, "1970-01-01T00:00:00.999Z"),
    ],
)
def test_times_are_utc_with_milliseconds(at_ms: int, text: str) -> None:
    assert timestamp(at_ms) == text
    assert epoch_ms(text) == at_ms


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01 00:00:01", 1000),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_time_is_read_with_or_without_its_parts(text: str, at_ms: int | None) -> None:
    assert epoch_ms(text) == at_ms


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("plain\ntext", "plain\ntext"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("a\x00b\x07c\x7fd\x9be", "abcde"),
        ("invoice \u202egnp.exe", "invoice gnp.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("a\r\nb\rc", "a\nb\nc"),
    ],
)
def test_foreign_text_is_made_harmless(foreign: str, shown: str) -> None:
    assert harmless(foreign) == shown


def test_one_line_is_one_short_line() -> None:
    assert one_line("a\n\n  b\tc") == "a b c"
    assert len(one_line("x" * 1000)) == 300


@pytest.mark.parametrize(
    ("foreign", "literal"),
    [
        ("a_b 0.002 - no", "a_b 0.002 - no"),
        ("*x* _y_", r"\*x\* \_y\_"),
        ("<img src=x>", r"\<img src=x\>"),
        ("[a](http://b)", r"\[a\](http\://b)"),
        ("a | b", r"a \| b"),
        ("www.evil.com", r"www\.evil.com"),
        ("![x](y)", r"\!\[x\](y)"),
        ("# no\nheading", r"\# no heading"),
    ],
)
def test_foreign_text_stays_literal_in_markdown(foreign: str, literal: str) -> None:
    assert markdown(foreign) == literal
