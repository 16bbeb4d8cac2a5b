"""What this version does not carry out is said when a file is checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from formats.writing import problems, write_home
from process_orchestrator.checking.loading.loader import load_home

HOME = """
    contract: thing.act
    version: 1.0.0
    summary: Act.
    input:  {type: object}
    output: {type: object}
    effects: {kind: read}
    ---
    agent: desk
    summary: Acts.
    transport: {TRANSPORT}
    serves: [{contract: thing.act@^1, bind: BIND}]
    limits: {LIMITS}
    ---
    process: acting
    version: 1.0.0
    summary: Act twice.
    PROCESS
    input:  {type: object}
    output: {type: object, properties: {twice: {type: string}}}
    plan:
      steps: [{id: a, contract: thing.act, in: {}STEP}, {id: b, contract: thing.act, in: {}, after: [a]}]
      output: {twice: $.steps.b.status}
"""
SOUND = {
    "TRANSPORT": 'kind: http, base_url: "https://desk.example"',
    "BIND": "{method: GET, path: /}",
    "LIMITS": "per_s: 5",
    "PROCESS": "on_failure: fail",
    "STEP": "",
}
POLL = "{method: POST, path: /, body: json, poll: {status: /status, until: [done]}}"
OAUTH = 'kind: http, base_url: "https://d.example", auth: {oauth2_client: {token_url: "https://d.example/t", client_id: a, client_secret: "env:T"}}'


def told(folder: Path, **written: str) -> list[str]:
    text = HOME
    for mark, value in {**SOUND, **written}.items():
        text = text.replace(mark, value)
    return [line.split(":")[0] for line in problems(write_home(folder, text)) if "SIMPLER" not in line]


@pytest.mark.parametrize(
    ("written", "level", "pointer"),
    [
        ({"TRANSPORT": "kind: model, tier: light, instructions: act", "BIND": "{}"}, "error", "/transport/kind"),
    ],
)  # fmt: skip
def test_it_is_said_where_it_stands(tmp_path: Path, written: dict[str, str], level: str, pointer: str) -> None:
    file = (
        "agents_registry/desk.agent.yaml"
        if "PROCESS" not in written and "STEP" not in written
        else "contracts/acting.process.yaml"
    )
    assert told(tmp_path, **written) == [f"{level} NOT_YET_SUPPORTED {file} {pointer}"]


@pytest.mark.parametrize("written", [{}, {"TRANSPORT": OAUTH}, {"BIND": POLL}])
def test_nothing_is_said_of_what_is_carried_out(tmp_path: Path, written: dict[str, str]) -> None:
    assert told(tmp_path, **written) == []


def test_such_a_file_is_in_force_nevertheless(tmp_path: Path) -> None:
    text = HOME
    changed = {"TRANSPORT": "kind: model, tier: light, instructions: act", "BIND": "{}"}
    for mark, value in {**SOUND, **changed}.items():
        text = text.replace(mark, value)
    assert load_home(write_home(tmp_path, text).path).agent("desk") is not None
