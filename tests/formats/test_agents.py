"""What the page of formats says of agents and their `bind`, in homes that a newcomer writes from it, run for real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from formats.writing import opened, write_home

pytestmark = pytest.mark.anyio

ANY = """
    contract: words.give
    version: 1.0.0
    summary: Give words back.
    input:  {type: object, required: [words], properties: {words: {type: string}}}
    output: {type: object}
    effects: {kind: none}
    ---
    process: giving
    version: 1.0.0
    summary: Give words back.
    input:  {type: object, required: [words], properties: {words: {type: string}}}
    output: {type: object, required: [answer], properties: {answer: {type: object}}}
    plan:
      steps: [{id: give, contract: words.give, in: {words: $.input.words}, on_failure: fail}]
      output: {answer: $.steps.give.output}
    ---
    agent: clerk
    summary: Small and plain.
    transport: {kind: mcp_stdio, command: ["{python}", CLERK]}
    serves: [{contract: words.give@^1, bind: BIND}]
"""


@pytest.mark.parametrize(
    ("bind", "words", "answer"),
    [
        ("{tool: both}", "text", {"said": "structured"}),
        ("{tool: both, result: text}", "text", {"text": "text"}),
        ("{tool: say}", "plain words", {"text": "plain words"}),
        ("{tool: say}", '{"value": 1}', {"value": 1}),
        ("{tool: say, result: text}", '{"value": 1}', {"text": '{"value": 1}'}),
        ("{tool: say, result: json}", '{"value": 1}', {"value": 1}),
        ("{tool: nothing}", "", {"text": ""}),
        ("{tool: echo, input: {path: $.words}}", "a", {"path": "a"}),
    ],
)
async def test_an_mcp_answer_is_read_as_its_bind_says(
    tmp_path: Path, bind: str, words: str, answer: dict[str, Any]
) -> None:
    async with opened(write_home(tmp_path, ANY.replace("BIND", bind))) as use:
        view = await use.run("giving", {"words": words})
    assert view.error is None
    assert view.output == {"answer": answer}


@pytest.mark.parametrize(
    ("bind", "words", "code"),
    [
        ("{tool: say}", '{"value": ', "not_json"),
        ("{tool: say}", '{"value": NaN}', "not_finite"),
        ("{tool: say}", '{"value": 1, "value": 2}', "duplicate_key"),
        ("{tool: say}", "[1, 2]", "output_mismatch"),
        ("{tool: say, result: json}", "plain words", "not_json"),
        ("{tool: say, result: structured}", "plain words", "not_json"),
        ("{tool: missing}", "a", "undeclared_error"),
    ],
)
async def test_an_mcp_answer_that_cannot_be_read_has_its_code_and_is_the_agents_fault(
    tmp_path: Path, bind: str, words: str, code: str
) -> None:
    async with opened(write_home(tmp_path, ANY.replace("BIND", bind))) as use:
        view = await use.run("giving", {"words": words})
        failed = [entry for entry in await use.trace(view, "give") if entry.event == "CallFailed"]
    assert view.error is not None
    assert (view.status, view.error.code, view.error.blame, view.error.step) == ("failed", code, "agent", "give")
    assert {entry.verdict for entry in failed} == {code}


async def test_secrets_come_from_the_environment_or_a_file_and_are_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token.txt").write_text("from-a-file-4711\n", encoding="utf-8")
    monkeypatch.setenv("FORMATS_TOKEN", "from-the-environment-4711")
    home = write_home(tmp_path, f"""
    contract: setting.read
    version: 1.0.0
    summary: Read a setting.
    input:  {{type: object, required: [name], properties: {{name: {{type: string}}}}}}
    output: {{type: object, required: [value], properties: {{value: {{type: string}}}}}}
    effects: {{kind: read}}
    ---
    process: reading
    version: 1.0.0
    summary: Read settings.
    input:  {{type: object}}
    output: {{type: object, required: [values], properties: {{values: {{type: array}}}}}}
    plan:
      steps: [{{id: read, contract: setting.read, for_each: {{const: [PLAIN, ENVIRONMENT, FILE, HOME_OF_ALL]}}, in: {{name: $.item}}}}]
      output: {{values: $.steps.read.output}}
    ---
    agent: clerk
    summary: Small and plain.
    transport:
      kind: mcp_stdio
      command: ["{{python}}", CLERK]
      env: {{PLAIN: plain, ENVIRONMENT: "env:FORMATS_TOKEN", FILE: "file:{tmp_path}/token.txt", HOME_OF_ALL: "{{home}}"}}
    serves: [{{contract: setting.read@^1, bind: {{tool: environment}}}}]
    """)  # fmt: skip
    async with opened(home) as use:
        view = await use.run("reading")
    assert view.output is not None
    values = [each["value"] for each in view.output["values"]]
    assert (values[0], values[3]) == ("plain", str(home.path))
    assert "4711" not in view.model_dump_json()
    assert values[1] != ""
    assert values[2] != ""


SHOP = """
    contract: item.price
    version: 1.0.0
    summary: Look at an item.
    input:  {type: object, required: [id], properties: {id: {type: string}, size: {type: integer}, colour: {type: string}}}
    output: {type: object}
    errors:
      no_item: {class: not_found}
      closed:  {class: permanent}
    effects: {kind: read}
    ---
    process: looking
    version: 1.0.0
    summary: Look at an item.
    input:  {type: object, required: [id], properties: {id: {type: string}, size: {type: integer}, colour: {type: string}}}
    output: {type: object, properties: {answer: {type: object}, code: {type: string}}}
    plan:
      steps:
        - id: look
          contract: item.price
          in: {id: $.input.id, size: $.input.size, colour: $.input.colour}
          on_failure: skip
      output: {answer: $.steps.look.output, code: $.steps.look.error.code}
    ---
    agent: shop
    summary: Sells things.
    transport:
      kind: http
      base_url: http://127.0.0.1:{port}
      start: {command: ["{python}", SHOP, "{port}"], ready: /ready}
      AUTH
    serves:
      - contract: item.price@^1
        bind: BIND
"""


@pytest.mark.parametrize(
    ("bind", "seen"),
    [
        ('{method: GET, path: "/items/{id}", query: [size, colour]}', ("GET", "/items/a b%2Fc", {"size": ["7"]}, None)),
        ('{method: POST, path: "/items", body: json}', ("POST", "/items", {}, {"id": "a b/c", "size": 7})),
        ('{method: POST, path: "/items", body: form}', ("POST", "/items", {}, {"id": ["a b/c"], "size": ["7"]})),
        ('{method: PUT, path: "/items/{id}", body: [size]}', ("PUT", "/items/a b%2Fc", {}, {"size": 7})),
        (
            '{method: PUT, path: "/items/{key}", query: [big], body: json, input: {key: $.id, big: $.size}}',
            ("PUT", "/items/a b%2Fc", {"big": ["7"]}, {}),
        ),
    ],
)
async def test_an_http_call_carries_its_arguments_where_the_bind_says(
    tmp_path: Path, bind: str, seen: tuple[Any, ...]
) -> None:
    home = write_home(tmp_path, SHOP.replace("BIND", bind).replace("AUTH", ""))
    async with opened(home) as use:
        view = await use.run("looking", {"id": "a b/c", "size": 7})
    assert view.output is not None, view
    answer = view.output["answer"]
    path = answer["path"].replace("%20", " ")
    assert (answer["method"], path, answer["query"], answer["body"]) == seen


@pytest.mark.parametrize(
    ("bind", "given", "output"),
    [
        ('{method: GET, path: "/items/missing", errors: {no_item: {http_status: 404}}}', "a", {"code": "no_item"}),
        ('{method: POST, path: /items, body: json, errors: {closed: {text: "closed to.ay"}}}', "closed", {"code": "closed"}),
        ('{method: GET, path: "/items/missing"}', "a", {"code": "undeclared_error"}),
        ("{method: GET, path: /plain}", "a", {"answer": {"text": "opening hours: nine to five"}}),
    ],
)  # fmt: skip
async def test_an_http_answer_is_read_as_its_bind_says(tmp_path: Path, bind: str, given: str, output: Any) -> None:
    home = write_home(tmp_path, SHOP.replace("BIND", bind).replace("AUTH", ""))
    async with opened(home) as use:
        view = await use.run("looking", {"id": given})
    assert view.output == output


@pytest.mark.parametrize(
    ("auth", "header", "arrived"),
    [
        ('{bearer: "env:FORMATS_TOKEN"}', "Authorization", "Bearer [secret]"),
        ('{header: {X-Key: "env:FORMATS_TOKEN"}}', "X-Key", "[secret]"),
        ('{basic: {user: ana, password: "env:FORMATS_TOKEN"}}', "Authorization", "Basic [secret]"),
    ],
)
async def test_an_http_agent_is_sent_its_credentials_and_no_view_shows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, auth: str, header: str, arrived: str
) -> None:
    monkeypatch.setenv("FORMATS_TOKEN", "secret-0815")
    bind = '{method: GET, path: "/items/{id}"}'
    home = write_home(tmp_path, SHOP.replace("BIND", bind).replace("AUTH", f"auth: {auth}"))
    async with opened(home) as use:
        view = await use.run("looking", {"id": "a"})
        trace = await use.trace(view, "look")
    assert view.output is not None
    assert view.output["answer"]["headers"][header] == arrived
    assert "secret-0815" not in view.model_dump_json() + "".join(entry.model_dump_json() for entry in trace)


async def test_the_next_agent_by_preference_is_the_fallback_and_a_pin_names_one(tmp_path: Path) -> None:
    clerk = 'transport: {kind: mcp_stdio, command: ["{python}", CLERK, "{state}/log", NAME]}'
    home = write_home(
        tmp_path,
        f"""
    contract: number.double
    version: 1.0.0
    summary: Double a number.
    input:  {{type: object, required: [value], properties: {{value: {{type: integer}}}}}}
    output: {{type: object, required: [value, name], properties: {{value: {{type: integer}}, name: {{type: array}}}}}}
    effects: {{kind: none}}
    retry: {{max_attempts: 1, on: []}}
    ---
    process: doubling
    version: 1.0.0
    summary: Double a number twice.
    input:  {{type: object}}
    output: {{type: object, required: [any, pinned]}}
    plan:
      steps:
        - {{id: any, contract: number.double, in: {{value: 2}}}}
        - {{id: pinned, contract: number.double, agent: third, in: {{value: $.steps.any.output.value}}}}
      output: {{any: $.steps.any.output.name, pinned: $.steps.pinned.output}}
    ---
    agent: first
    summary: Cannot be started.
    transport: {{kind: mcp_stdio, command: ["{{python}}", -c, "raise SystemExit(3)"]}}
    prefer: 10
    serves: [{{contract: number.double@^1, bind: {{tool: double}}}}]
    ---
    agent: second
    summary: Works.
    {clerk.replace("NAME", "second")}
    prefer: 20
    serves: [{{contract: number.double@^1, bind: {{tool: double}}}}]
    ---
    agent: third
    summary: Works too.
    {clerk.replace("NAME", "third")}
    prefer: 30
    serves: [{{contract: number.double@^1, bind: {{tool: double}}}}]
    """,
    )
    async with opened(home) as use:
        view = await use.run("doubling")
        prepared = [entry for entry in await use.trace(view) if entry.event == "CallPrepared"]
    assert view.output == {"any": ["second"], "pinned": {"value": 8, "name": ["third"]}}
    assert [(entry.agent, entry.call) for entry in prepared] == [
        ("first", "any.1"),
        ("second", "any.2"),
        ("third", "pinned.1"),
    ]
    assert all(entry.why_agent for entry in prepared)


async def test_a_person_keeps_a_contract_as_an_agent_does(tmp_path: Path) -> None:
    home = write_home(
        tmp_path,
        """
    contract: photo.judge
    version: 1.0.0
    summary: Say whether a photo may be used.
    input:  {type: object, required: [url], properties: {url: {type: string, format: uri}}}
    output: {type: object, additionalProperties: false, required: [usable], properties: {usable: {type: boolean}, why: {type: string}}}
    effects: {kind: none}
    ensures: [{id: reason, expr: "output.usable || has(output.why)"}]
    ---
    agent: editor
    summary: Looks at photos.
    transport: {kind: human, role: editor}
    serves: [{contract: photo.judge@^1}]
    ---
    process: judging
    version: 1.0.0
    summary: Judge a photo.
    input:  {type: object, required: [url], properties: {url: {type: string, format: uri}}}
    output: {type: object, required: [usable], properties: {usable: {type: boolean}}}
    plan:
      steps: [{id: judge, contract: photo.judge, in: {url: $.input.url}}]
      output: {usable: $.steps.judge.output.usable}
    escalation: {min_assurance: A0}
    """,
    )
    async with opened(home) as use:
        view = await use.run("judging", {"url": "https://example.org/a.jpg"})
        question = view.escalations[0]
        for wrong in ({"usable": "yes"}, {"usable": False}, {}):
            with pytest.raises(Exception, match="INPUT_MISMATCH"):
                await use.decide(view, "answer", wrong)
        done = await use.decided(view, "answer", {"usable": False, "why": "blurred"})
    assert (question.kind, question.role) == ("task", "editor")
    assert [option.decision for option in question.options] == ["answer", "reject", "abort"]
    assert (done.status, done.output) == ("completed", {"usable": False})
