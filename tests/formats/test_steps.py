"""What the page of formats says of steps, in homes that a newcomer writes from it, run with a real agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from formats.writing import opened, problems, write_home

pytestmark = pytest.mark.anyio

CLERK = """
    contract: number.echo
    version: 1.0.0
    summary: Give a number back.
    input:  {type: object, additionalProperties: false, required: [value], properties: {value: {type: integer}, name: {type: string}}}
    output: {type: object, additionalProperties: false, required: [value], properties: {value: {type: integer}, name: {type: string}}}
    effects: {kind: none}
    ---
    contract: number.even
    version: 1.0.0
    summary: Give an even number back; an odd one cannot be read.
    input:  {type: object, required: [value], properties: {value: {type: integer}}}
    output: {type: object, required: [value], properties: {value: {type: integer}}}
    errors:
      odd_number: {class: invalid_input}
    effects: {kind: read}
    ---
    agent: clerk
    summary: Small and plain.
    transport: {kind: mcp_stdio, command: ["{python}", CLERK, "{state}/clerk.log"]}
    serves:
      - {contract: number.echo@^1, bind: {tool: echo}}
      - {contract: number.even@^1, bind: {tool: odd, errors: {odd_number: {text: "it is odd"}}}}
    ---
"""


async def test_a_condition_skips_a_step_and_its_default_stands_in(tmp_path: Path) -> None:
    home = write_home(
        tmp_path,
        CLERK
        + """
    process: choosing
    version: 1.0.0
    summary: Echo a large number, else say zero.
    input:  {type: object, required: [value], properties: {value: {type: integer}}}
    output: {type: object, required: [value], properties: {value: {type: integer}, name: {type: string}}}
    plan:
      steps:
        - id: large
          contract: number.echo
          when: {let: {value: $.input.value}, expr: "value > 10"}
          in: {value: $.input.value, name: {const: $.input.value}}
          default: {value: 0, name: {let: {value: $.input.value}, expr: "value < 0 ? 'negative' : 'small'"}}
      output: {value: $.steps.large.output.value, name: $.steps.large.output.name}
    """,
    )
    async with opened(home) as use:
        large, small = await use.run("choosing", {"value": 11}), await use.run("choosing", {"value": -1})
        skipped = [entry for entry in await use.trace(small, "large") if entry.event == "StepSkipped"]
    assert (large.status, large.output) == ("completed", {"value": 11, "name": "$.input.value"})
    assert (small.status, small.output) == ("completed", {"value": 0, "name": "negative"})
    assert small.steps[0].status == "skipped"
    assert skipped[0].output == {"value": 0, "name": "negative"}


async def test_first_joins_branches_of_which_one_ran(tmp_path: Path) -> None:
    home = write_home(
        tmp_path,
        CLERK
        + """
    process: joining
    version: 1.0.0
    summary: Two ways, one result.
    input:  {type: object, required: [left], properties: {left: {type: boolean}, note: {type: string}}}
    output: {type: object, required: [value, way], properties: {value: {type: integer}, way: {type: string}, note: {type: string}}}
    plan:
      steps:
        - {id: left,  contract: number.echo, when: $.input.left, in: {value: 1}}
        - {id: right, contract: number.echo, when: {let: {left: $.input.left}, expr: "!left"}, in: {value: 2}}
        - id: joined
          contract: number.echo
          in: {value: {first: [$.steps.left.output.value, $.steps.right.output.value]}}
      output:
        value: $.steps.joined.output.value
        way: {let: {status: $.steps.left.status}, expr: "status == 'done' ? 'left' : 'right'"}
        note: $.input.note
    """,
    )
    async with opened(home) as use:
        left, right = await use.run("joining", {"left": True}), await use.run("joining", {"left": False, "note": "n"})
    assert left.output == {"value": 1, "way": "left"}
    assert right.output == {"value": 2, "way": "right", "note": "n"}


async def test_after_orders_steps_that_share_no_data(tmp_path: Path) -> None:
    home = write_home(
        tmp_path,
        CLERK
        + """
    process: ordered
    version: 1.0.0
    summary: One after the other.
    input:  {type: object}
    output: {type: object}
    plan:
      steps:
        - {id: last,  contract: number.echo, in: {value: 2}, after: [first]}
        - {id: first, contract: number.echo, in: {value: 1}}
      output: {value: $.steps.last.output.value}
    """,
    )
    async with opened(home) as use:
        view = await use.run("ordered")
        calls = [entry.step for entry in await use.trace(view) if entry.event == "CallPrepared"]
    assert (view.output, calls) == ({"value": 2}, ["first", "last"])


async def test_a_map_gives_its_outputs_in_order_and_knows_the_index(tmp_path: Path) -> None:
    home = write_home(
        tmp_path,
        CLERK
        + """
    process: mapping
    version: 1.0.0
    summary: Number the values of a list.
    input:  {type: object, required: [values], properties: {values: {type: array, items: {type: integer}}}}
    output: {type: object, required: [list, sum, second], properties: {list: {type: array, items: {type: object}}, sum: {type: integer}, second: {type: integer}}}
    plan:
      steps:
        - id: each
          contract: number.echo
          for_each: $.input.values
          parallel: 2
          in: {value: {let: {item: $.item, index: $.index}, expr: "item * 10 + index"}}
      output:
        list: $.steps.each.output
        sum: {let: {all: $.steps.each.output}, expr: "sum(all.map(one, one.value))"}
        second: $.steps.each.output.1.value
    """,
    )
    async with opened(home) as use:
        view = await use.run("mapping", {"values": [3, 1, 2]})
        empty = await use.run("mapping", {"values": []})
    assert view.output == {"list": [{"value": 30}, {"value": 11}, {"value": 22}], "sum": 63, "second": 11}
    assert view.steps[0].items is not None
    assert (view.steps[0].items.done, view.steps[0].items.total) == (3, 3)
    assert empty.status == "failed"
    assert empty.error is not None  # there is no second value, and the output needs one
    assert (empty.error.code, empty.error.pointer, empty.error.blame) == ("output_mismatch", "/second", "planner")


async def test_items_that_fail_are_left_out_as_null_where_the_map_says_skip(tmp_path: Path) -> None:
    home = write_home(
        tmp_path,
        CLERK
        + """
    process: leaving_out
    version: 1.0.0
    summary: Read what can be read.
    input:  {type: object, required: [values], properties: {values: {type: array, items: {type: integer}}}}
    output: {type: object, required: [list], properties: {list: {type: array}}}
    plan:
      steps:
        - {id: each, contract: number.even, for_each: $.input.values, item_failure: skip, in: {value: $.item}}
      output: {list: $.steps.each.output}
    """,
    )
    async with opened(home) as use:
        view = await use.run("leaving_out", {"values": [2, 3, 4]})
    assert (view.status, view.output) == ("completed", {"list": [{"value": 2}, None, {"value": 4}]})


FAILING = """
    process: failing
    version: 1.0.0
    summary: A number that cannot be read.
    on_failure: ON_PROCESS
    input:  {type: object, required: [value], properties: {value: {type: integer}}}
    output: {type: object, properties: {status: {type: string}, code: {type: string}}}
    plan:
      steps:
        - {id: read, contract: number.even, in: {value: $.input.value}ON_STEP}
      output: {status: $.steps.read.status, code: $.steps.read.error.code}
    escalation: {min_assurance: A0}
"""


@pytest.mark.parametrize(
    ("on_process", "on_step", "status", "output"),
    [
        ("escalate", ", on_failure: skip", "completed", {"status": "skipped", "code": "odd_number"}),
        ("escalate", ", on_failure: {odd_number: skip, else: fail}", "completed", {"status": "skipped", "code": "odd_number"}),
        ("escalate", ", on_failure: {invalid_input: fail, else: skip}", "failed", None),
        ("escalate", ", on_failure: {not_found: skip, else: escalate}", "waiting_human", None),
        ("skip", "", "completed", {"status": "skipped", "code": "odd_number"}),
        ("skip", ", on_failure: fail", "failed", None),
        ("fail", "", "failed", None),
        ("escalate", "", "waiting_human", None),
    ],
)  # fmt: skip
async def test_on_failure_is_a_word_or_a_map_and_the_process_gives_its_default(
    tmp_path: Path, on_process: str, on_step: str, status: str, output: dict[str, Any] | None
) -> None:
    text = FAILING.replace("ON_PROCESS", on_process).replace("ON_STEP", on_step)
    async with opened(write_home(tmp_path, CLERK + text)) as use:
        view = await use.run("failing", {"value": 3})
    assert (view.status, view.output) == (status, output)
    if status == "failed":
        assert view.error is not None
        assert (view.error.code, view.error.blame, view.error.step) == ("odd_number", "caller", "read")
    if status == "waiting_human":
        assert [option.decision for option in view.escalations[0].options][:2] == ["retry", "retry_with_input"]


async def test_retries_and_timeouts_of_a_step_may_only_tighten_the_contract(tmp_path: Path) -> None:
    step = "{id: a, contract: number.echo, in: {value: 1}, timeout_s: %s, retry: {max_attempts: %s}}"
    text = """
    process: tight
    version: 1.0.0
    summary: Tightened.
    input:  {type: object}
    output: {type: object}
    plan:
      steps: [STEP]
      output: {}
    """
    sound = write_home(tmp_path / "sound", CLERK + text.replace("STEP", step % (5, 1)))
    loose = write_home(tmp_path / "loose", CLERK + text.replace("STEP", step % (900, 9)))
    async with opened(sound) as use:
        assert (await use.run("tight")).status == "completed"
    told = "\n".join(line for line in problems(loose) if line.startswith("error"))
    assert "timeout_s" in told
    assert "max_attempts" in told


def test_a_wait_or_a_repeat_that_is_a_bare_number_is_told_how_to_write_it(tmp_path: Path) -> None:
    text = """
    process: waiting
    version: 1.0.0
    summary: Waits.
    input: {type: object}
    output: {type: object}
    plan:
      steps:
        - {id: rest, wait: 10}
        - {id: look, contract: number.echo, in: {value: 1}, repeat: 3}
        - {id: last, contract: number.echo, in: {value: 1}, after: look}
      output: {}
    """
    told = [line.split(" ", 1)[1] for line in problems(write_home(tmp_path, CLERK + text)) if line.startswith("error")]
    assert [line.split(": ", 1)[1] for line in told] == [
        "`wait` must be of type object, not integer Fix: write `wait: {seconds: 60}`",
        "`repeat` must be of type object, not integer "
        "Fix: write `repeat: {until: {let: {NAME: $.output.FIELD}, expr: ...}, max: 5, every_s: 10}`",
        "`after` must be of type array, not string Fix: write a value of type array",
    ]


async def test_a_failing_binding_is_the_planners_and_a_failing_input_the_callers(tmp_path: Path) -> None:
    home = write_home(
        tmp_path,
        CLERK
        + """
    process: blaming
    version: 1.0.0
    summary: Whose fault.
    input:  {type: object, properties: {list: {type: array, items: {type: integer}}}}
    output: {type: object}
    plan:
      steps:
        - {id: a, contract: number.echo, in: {value: {let: {numbers: $.input.list}, expr: "numbers[0] / numbers[1]"}}, on_failure: fail}
      output: {}
    """,
    )
    async with opened(home) as use:
        view = await use.run("blaming", {"list": [1, 0]})
        absent = await use.run("blaming", {})
    assert view.error is not None
    assert absent.error is not None
    assert (view.error.code, view.error.blame, view.error.pointer) == ("condition_error", "planner", "/value")
    assert (absent.error.code, absent.error.blame) == ("missing_binding", "caller")
