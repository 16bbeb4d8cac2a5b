"""What the whole knows to be sensitive is hidden in the views of its parts too, where no contract marks it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from formats.writing import write_home
from process_orchestrator.assemble import open_orchestrator
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.ports import InProcessCall
from process_orchestrator.settings import Settings
from process_orchestrator.views.models import SubmitRequest

pytestmark = pytest.mark.anyio

IBAN = "DE89370400440532013000"
HOME = """
    contract: person.find
    version: 1.0.0
    summary: Find.
    input:  {type: object}
    output: {type: object, required: [iban], properties: {iban: {type: string}, city: {type: string}}}
    effects: {kind: read}
    data: {sensitive: [/output/iban], sensitivity: internal}
    ---
    contract: text.form
    version: 1.0.0
    summary: Form.
    input:  {type: object, properties: {text: {type: string}, city: {type: string}}}
    output: {type: object, properties: {text: {type: string}}}
    errors: {closed: {class: permanent}}
    effects: {kind: read}
    data: {sensitivity: internal}
    ---
    agent: desk
    summary: Acts.
    transport: {kind: http, base_url: "https://desk.example"}
    serves: [{contract: person.find@^1, bind: {method: GET, path: /}}, {contract: text.form@^1, bind: {method: GET, path: /}}]
    ---
    process: deep
    version: 1.0.0
    summary: Deep.
    input:  {type: object, properties: {text: {type: string}, city: {type: string}}}
    output: {type: object, properties: {text: {type: string}}}
    plan:
      steps:
        - {id: form, contract: text.form, in: {text: $.input.text, city: $.input.city}}
        - {id: again, contract: text.form, in: {text: {let: {t: $.input.text}, expr: "'to ' + t"}}, after: [form]}
      output: {text: $.input.text}
    ---
    process: part
    version: 1.0.0
    summary: Part.
    input:  {type: object, properties: {text: {type: string}, city: {type: string}}}
    output: {type: object, properties: {text: {type: string}}}
    plan:
      steps: [{id: down, process: deep, in: {text: $.input.text, city: $.input.city}}]
      output: {text: $.steps.down.output.text}
    ---
    process: whole
    version: 1.0.0
    summary: Whole.
    input:  {type: object}
    output: {type: object, properties: {text: {type: string}}}
    plan:
      steps:
        - {id: find, contract: person.find, in: {}}
        - {id: go, process: part, in: {text: $.steps.find.output.iban, city: $.steps.find.output.city}}
      output: {text: $.steps.go.output.text}
"""


async def desk(arguments: dict[str, Any], told: InProcessCall) -> Any:
    if told.contract.startswith("person.find"):
        return {"iban": IBAN, "city": "Hamburg"}
    if arguments.get("text", "").startswith("to "):
        raise AgentCallError("closed", "it does not work")
    return {"text": "done"}


async def test_no_view_of_a_part_shows_what_the_whole_marks(tmp_path: Path) -> None:
    home = write_home(tmp_path, HOME)
    async with open_orchestrator(home, Settings(), in_process={"desk": desk}) as orchestrator:
        whole = await orchestrator.submit(SubmitRequest(process_type="whole", input={}))
        with anyio.fail_after(20):
            while not (await orchestrator.escalations()).escalations:
                await orchestrator.state(whole.process_id, wait_s=0.1)
        processes = (await orchestrator.processes()).processes
        deep = next(row.process_id for row in processes if row.process_type == "deep")
        state = await orchestrator.state(deep, include=("report",))
        [row] = state.escalations
        seen = [
            state.model_dump_json(),
            (await orchestrator.escalation(row.escalation_id)).model_dump_json(),
            *[(await orchestrator.trace(deep, step=step, data=True)).model_dump_json() for step in ("form", "again")],
            (await orchestrator.why(deep)).model_dump_json(),
            (await orchestrator.state(whole.process_id)).model_dump_json(),
        ]
        given = await orchestrator.step_body(deep, "-", "input")

    assert given == {"text": "[sensitive]", "city": "Hamburg"}
    assert [IBAN in each for each in seen] == [False] * len(seen)
    assert "Hamburg" in seen[1]
