"""The live view: it draws the plan where it fits, a list where it does not, and never lets foreign text steer."""

import io

import pytest
from rich.console import Console

from process_orchestrator.doors.cli.live import PlainLog, levels_of, render
from process_orchestrator.views.models import CostView, FailureView, ProcessView, Progress, StepView

NEEDS = {"extract": (), "vendor": ("extract",), "lines": ("extract",), "post": ("vendor", "lines")}


def view(**changed: object) -> ProcessView:
    steps = [
        StepView(id="extract", status="done", agent="document_desk", attempts=2, cost_usd="0.002"),
        StepView(id="vendor", status="backoff", attempts=1, wait_until="2026-11-22T09:30:15.000Z"),
        StepView(id="lines", status="calling", agent="policy_desk", attempts=2, items=Progress(done=1, total=3)),
        StepView(id="post", status="waiting", attempts=0),
    ]
    whole = ProcessView(
        process_id="p_" + "a" * 26,
        process_type="invoice_approval",
        status="running",
        why="agent",
        version=7,
        classified_by="caller",
        step=Progress(done=1, total=4),
        steps=steps,
        cost=CostView(spent_usd="0.002", reserved_usd="0.00", budget_usd="0.50", tokens=0, unknown_calls=0),
        poll_after_ms=1000,
        created_at="2026-11-22T09:30:00.000Z",
        updated_at="2026-11-22T09:30:14.000Z",
    )
    return whole.model_copy(update=changed)


def drawn(shown: ProcessView, *, width: int, needs: dict[str, tuple[str, ...]] = NEEDS) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(render(shown, needs, width=width))
    return out.getvalue().splitlines()


def test_steps_stand_in_the_column_after_the_last_of_their_needs() -> None:
    assert levels_of(NEEDS) == [["extract"], ["vendor", "lines"], ["post"]]


@pytest.mark.parametrize("width", [80, 140])
def test_a_plan_that_fits_is_drawn_as_a_graph(width: int) -> None:
    lines = drawn(view(), width=width)
    assert max(len(line) for line in lines) <= width
    arrows = next(line for line in lines if "──▶" in line)
    assert arrows.index("extract") < arrows.index("──▶") < arrows.index("vendor") < arrows.index("post")
    assert any("1/3" in line for line in lines)
    assert any("again at 09" in line for line in lines)
    assert "1 of 4 steps" in lines[-1]


def test_a_plan_that_does_not_fit_is_listed() -> None:
    chain = {f"step_{number}": ((f"step_{number - 1}",) if number else ()) for number in range(12)}
    steps = [StepView(id=name, status="waiting", attempts=0) for name in chain]
    lines = drawn(view(steps=steps), width=80, needs=chain)
    assert not any("──▶" in line for line in lines)
    assert sum("step_" in line for line in lines) == 12
    assert max(len(line.rstrip()) for line in lines) <= 80


def test_a_failure_names_its_code_step_and_blame() -> None:
    error = FailureView(code="output_mismatch", blame="agent", step="extract")
    assert "output_mismatch at extract, blame agent" in "\n".join(drawn(view(status="failed", error=error), width=140))


def test_what_an_agent_is_called_cannot_steer_the_terminal() -> None:
    steps = [StepView(id="extract", status="calling", agent="\x1b[2Jdesk[red]", attempts=1)]
    text = "\n".join(drawn(view(steps=steps), width=80, needs={"extract": ()}))
    assert "\x1b" not in text
    assert "desk[red]" in text


def test_the_plain_log_says_each_change_once(capsys: pytest.CaptureFixture[str]) -> None:
    log = PlainLog()
    log.show(view())
    log.show(view())
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4  # three steps have left waiting, and the process runs
    assert lines[-1].endswith("process running, waits for agent, 0.002 USD")
    log.show(view(status="completed", why=None))
    assert "process completed" in capsys.readouterr().err
