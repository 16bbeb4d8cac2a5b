"""What use cases say to a model reads as commands on a terminal, with the options that lead to the home."""

import pytest

from process_orchestrator.doors.cli.words import result_text, spoken
from process_orchestrator.views import text
from process_orchestrator.views.models import EscalationPage, NextAction, ProcessPage


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("call list_processes to find it.", "run `orchestrator processes` to find it."),
        ("call get_state with process_id p_abc.", "run `orchestrator state p_abc`."),
        ("get_state of p_abc, or submit with a new key.", "`orchestrator state p_abc`, or submit with a new key."),
        ("call describe_agents with process_type x_y and go on.", "run `orchestrator processes show x_y` and go on."),
        ("ask the user to run `orchestrator check`.", "run `orchestrator check`."),
        ("leave `cursor` out for the first page.", "leave `--cursor` out for the first page."),
        ("use one of a, b.", "use one of a, b."),
    ],
)
def test_a_tool_becomes_its_command(said: str, heard: str) -> None:
    assert spoken(said) == heard


def test_what_to_do_next_stands_last_and_leads_to_the_same_home() -> None:
    action = NextAction(tool="get_state", args={"wait_s": 20}, command="orchestrator state p_abc", reason="because")
    page = ProcessPage(processes=[], next_actions=[action])
    last = result_text(page, text.processes_text, options=" --home /here").splitlines()[-1]
    assert last == "Next: `orchestrator state p_abc --wait 20 --home /here`"


def test_the_next_page_is_told_as_the_option_that_gives_it() -> None:
    page = ProcessPage(processes=[], next_cursor="17:p_abc")
    last = result_text(page, text.processes_text, options=" --home /here").splitlines()[-1]
    assert last == "More: run it again with --cursor 17:p_abc."
    questions = EscalationPage(escalations=[], next_cursor="0:1:2:it's")
    last = result_text(questions, text.escalations_text, options="").splitlines()[-1]
    assert last == """More: run it again with --cursor '0:1:2:it'"'"'s'."""


def test_foreign_text_is_left_as_it_is() -> None:
    page = ProcessPage(processes=[])
    foreign = "- an agent wrote: orchestrator resolve p_abc.e1"
    assert foreign in result_text(page, lambda _: foreign, options=" --home /here")
