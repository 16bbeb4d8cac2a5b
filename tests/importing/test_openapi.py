"""OpenAPI documents become drafts: what is taken over, what is asked of a person, what is refused."""

from __future__ import annotations

import copy
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from process_orchestrator.checking.documents.yaml_reader import read as read_yaml
from process_orchestrator.checking.importers.draft import Draft, DraftContract
from process_orchestrator.checking.importers.foreign_document import read_foreign
from process_orchestrator.checking.importers.openapi import agent_name, chosen_part, draft_of
from process_orchestrator.checking.importers.openapi_check import checked, validity
from process_orchestrator.checking.importers.openapi_server import Reach
from process_orchestrator.checking.importers.write import bring_in
from process_orchestrator.checking.importers.yaml_edit import edited
from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.checking.schemas.validate import Validator
from process_orchestrator.core.errors import RefusedError

DATA = Path(__file__).parent / "data"
WORKSHOP = DATA / "workshop-3.0.yaml"
RIDES = DATA / "rides-3.1.yaml"


def read(path: Path) -> Any:
    return read_foreign(path.read_bytes(), source=path.name)


def drafted(value: Any, **options: Any) -> Draft:
    given: dict[str, Any] = {"source": "doc.yaml", "agent": "api", **options}
    return draft_of(value, **given)


def named(draft: Draft) -> dict[str, DraftContract]:
    return {each.name: each for each in draft.contracts}


def document(paths: dict[str, Any], *, version: str = "3.1.0", **more: Any) -> dict[str, Any]:
    return {"openapi": version, "info": {"title": "T", "version": "1"}, "paths": paths, **more}


def one(operation: dict[str, Any], *, method: str = "get", path: str = "/x", **more: Any) -> DraftContract:
    whole = {"responses": {"200": {"description": "ok"}}, **operation}
    (found,) = drafted(document({path: {method: whole}}, **more)).contracts
    return found


def answered(schema: Any, **more: Any) -> DraftContract:
    content = {"application/json": {"schema": schema}}
    return one({"responses": {"200": {"description": "ok", "content": content}}}, **more)


def todos(contract: DraftContract) -> str:
    return "\n".join(each.line for each in contract.todo)


@pytest.mark.behaviour("import-openapi")
@pytest.mark.parametrize("path", [WORKSHOP, RIDES], ids=["3.0", "3.1"])
def test_a_document_imports_into_files_that_load(tmp_path: Path, path: Path) -> None:
    value = read(path)
    outcome = bring_in(drafted(value, agent=agent_name(value, source=path.name)), tmp_path)
    registry = load_home(tmp_path)
    assert {each.code for each in registry.problems} <= {"DRAFT"}
    assert len(registry.contracts) == len(outcome.files) - 1
    assert all(each.status == "draft" and each.todo for each in registry.contracts)


@pytest.mark.behaviour("draft")
def test_a_type_that_lists_a_draft_is_refused_with_its_open_decisions(tmp_path: Path) -> None:
    bring_in(drafted(read(RIDES), agent="rides"), tmp_path)
    (tmp_path / "contracts/ride.process.yaml").write_text(
        "process: ride\nversion: 1.0.0\nsummary: Ride.\ninput: {type: object}\noutput: {type: object}\n"
        "contracts: [rides.start_ride, rides.get_ride]\n"
        "plan: {steps: [{id: a, contract: rides.start_ride, in: {station: x}}], output: {}}\n"
    )
    told = [each for each in load_home(tmp_path).problems if each.file == "contracts/ride.process.yaml"]
    refused = {each.pointer: each for each in told if each.code == "DRAFT" and each.level == "error"}
    assert set(refused) == {"/contracts/1", "/plan/steps/0/contract"}
    assert "a GET is taken to read only: is that so?" in refused["/contracts/1"].fix
    assert "a POST is taken to write" in refused["/plan/steps/0/contract"].fix


def test_what_a_method_does_is_guessed_to_the_safe_side_and_asked() -> None:
    found = {method: one({}, method=method.lower()) for method in ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE")}
    assert {
        method: (each.document["effects"]["kind"], each.document.get("idempotency")) for method, each in found.items()
    } == {
        "GET": ("read", None),
        "HEAD": ("read", None),
        "PUT": ("write", "natural"),
        "POST": ("write", "unsafe"),
        "PATCH": ("write", "unsafe"),
        "DELETE": ("irreversible", "unsafe"),
    }
    assert all("/effects/kind: " in todos(each) for each in found.values())


def test_parameters_of_all_places_are_one_object_and_the_bind_says_where_they_go() -> None:
    listed = named(drafted(read(WORKSHOP)))["listParts"]
    assert list(listed.document["input"]["properties"]) == [
        *("limit", "tags", "ids", "filter_colour", "filter_max_price", "page_after", "x_tenant_id")
    ]
    assert listed.document["input"]["required"] == ["x_tenant_id"]
    assert listed.document["input"]["properties"]["limit"] == {"type": "integer", "exclusiveMinimum": 0, "maximum": 100}
    assert listed.bind == {
        "method": "GET",
        "path": "/parts",
        "query": ["limit", "tags", "ids", "filter[colour]", "filter[max_price]", "page[after]"],
        "headers": {"X-Tenant-Id": "x_tenant_id"},
        "input": {
            "filter[colour]": "$.filter_colour",
            "filter[max_price]": "$.filter_max_price",
            "page[after]": "$.page_after",
        },
        "wrap": "items",
        "errors": {"too_many_requests": {"http_status": 429}},
    }


def test_names_that_clash_get_names_of_their_own() -> None:
    copied = named(drafted(read(WORKSHOP)))["copyThing"]
    assert list(copied.document["input"]["properties"]) == ["id", "query_id", "body"]
    assert copied.bind["path"] == "/copies/{path_id}"
    assert copied.bind["query"] == ["id"]
    assert copied.bind["body"] == "$.body"
    assert copied.bind["input"] == {"id": "$.query_id", "path_id": "$.id"}


def answered_mechanically(home: Path) -> None:
    """Every todo taken as it stands."""
    for path in sorted((home / "contracts").rglob("*.contract.yaml")):
        value = read_yaml(path.read_bytes(), file="").value
        said = {key: each for key, each in value.items() if key != "todo"} | {"status": "active"}
        path.write_text(edited(path.read_text(), value, said))


@pytest.mark.parametrize("path", [WORKSHOP, RIDES], ids=["3.0", "3.1"])
def test_once_its_todos_are_answered_check_is_green(tmp_path: Path, path: Path) -> None:
    value = read(path)
    bring_in(drafted(value, agent=agent_name(value, source=path.name)), tmp_path)
    answered_mechanically(tmp_path)
    registry = load_home(tmp_path)
    assert [each.code for each in registry.problems] == []
    assert all(each.status == "active" for each in registry.contracts)


def test_what_is_read_only_is_not_sent_and_what_is_write_only_does_not_come_back() -> None:
    created = named(drafted(read(WORKSHOP)))["createPart"]
    assert "id" not in created.document["input"]["properties"]
    assert "secret_cost" in created.document["input"]["properties"]
    output = created.document["output"]
    assert "id" in output["$defs"]["Part"]["allOf"][1]["properties"]
    assert "secret_cost" not in json.dumps(output)
    part = {"name": "Bolt", "sku": "A-1", "id": "0b4f9a52-54a4-4f11-9a4c-7a9c0c4ad3a1"}
    assert Validator(output).is_valid({**part, "made_of": [part], "colour": None})
    assert not Validator(output).is_valid({**part, "made_of": [{"name": "no sku"}]})


def test_the_key_header_makes_a_repetition_harmless_once_a_person_says_so() -> None:
    created = named(drafted(read(WORKSHOP)))["createPart"]
    assert created.document["idempotency"] == {"key": "idempotency_key"}
    assert "idempotency_key" not in created.bind["body"]
    assert "Idempotency-Key" in todos(created)


def test_refusals_become_errors_by_class() -> None:
    responses = {str(each): {"description": "no"} for each in (400, 401, 403, 404, 408, 409, 418, 422, 425, 429, 503)}
    responses |= {"200": {"description": "ok"}, "default": {"description": "else"}, "5XX": {"description": "else"}}
    found = one({"responses": responses}, method="post")
    assert {code: each["class"] for code, each in found.document["errors"].items()} == {
        "bad_request": "invalid_input",
        "unauthorized": "denied",
        "forbidden": "denied",
        "not_found": "not_found",
        "request_timeout": "transient",
        "conflict": "conflict",
        "http_418": "permanent",
        "unprocessable": "invalid_input",
        "too_early": "transient",
        "too_many_requests": "transient",
        "unavailable": "transient",
    }
    assert found.document["errors"]["request_timeout"]["outcome"] == "unknown"
    assert found.bind["errors"]["http_418"] == {"http_status": 418}


@pytest.mark.parametrize(
    ("schema", "output", "wrap"),
    [
        ({"type": "array", "items": {"type": "string"}}, {"items": ["a"]}, "items"),
        ({"type": "string"}, {"value": "a"}, "value"),
        ({"type": "object", "properties": {"a": {}}}, {"a": 1}, None),
        ({"properties": {"a": {}}}, {"a": 1}, None),
        ({"oneOf": [{"type": "integer"}, {"type": "boolean"}]}, {"value": True}, "value"),
        ({}, {"anything": 1}, "value"),
        (True, {"anything": 1}, "value"),
    ],
)
def test_an_answer_that_is_no_object_is_given_a_name(schema: Any, output: Any, wrap: str | None) -> None:
    found = answered(schema)
    assert found.bind.get("wrap") == wrap
    assert found.document["output"]["type"] == "object"
    assert Validator(found.document["output"]).is_valid(output)


def test_several_successes_are_alternatives_and_none_is_an_open_object() -> None:
    placed = named(drafted(read(WORKSHOP)))["placeOrder"].document["output"]
    assert [each["$ref"] for each in placed["anyOf"]] == ["#/$defs/Order", "#/$defs/Receipt"]
    assert one({"responses": {"204": {"description": "done"}}}).document["output"] == {"type": "object"}


def test_words_of_openapi_3_0_become_those_of_2020_12() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "nullable": True, "example": "x", "enum": ["x"]},
            "b": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "format": "unix-time"},
            "c": {"type": "string", "pattern": "(?=x)", "xml": {"name": "c"}},
            "d": {"$ref": "#/components/schemas/D", "description": "ignored beside a reference"},
            "e": {"allOf": [{"$ref": "#/components/schemas/D"}], "nullable": True},
        },
    }
    more = {"components": {"schemas": {"D": {"type": "integer", "maximum": 2**63 - 1}}}}
    found = answered(schema, version="3.0.0", **more)
    output = found.document["output"]
    valid = Validator(output)
    assert valid.is_valid({"a": None, "b": 1, "e": None})
    assert valid.is_valid({"a": "x", "d": 3})
    assert not valid.is_valid({"b": 0})
    assert not valid.is_valid({"d": None})
    assert output["properties"]["a"]["examples"] == ["x"]
    assert "look-around" in todos(found)


def test_recursion_and_names_that_are_no_pointers_survive() -> None:
    schemas = {
        "A~B/C": {
            "type": "object",
            "properties": {"next": {"$ref": "#/components/schemas/A~0B~1C"}, "n": {"type": "integer"}},
        },
    }
    found = answered({"$ref": "#/components/schemas/A~0B~1C"}, components={"schemas": schemas})
    valid = Validator(found.document["output"])
    assert valid.is_valid({"next": {"next": {"n": 1}}})
    assert not valid.is_valid({"next": {"next": {"n": "x"}}})


def test_files_and_forms_are_bound_as_they_are_sent() -> None:
    found = named(drafted(read(WORKSHOP)))
    assert found["uploadDrawing"].bind["body"] == "multipart"
    assert found["uploadDrawing"].bind["files"] == ["file", "pages"]
    assert found["addNote"].bind["body"] == "form"
    assert found["addNote"].document["output"]["required"] == ["text"]


def test_what_no_agent_can_call_is_left_out_with_its_reason() -> None:
    left_out = drafted(read(WORKSHOP)).left_out
    assert "OPTIONS /health: agents are not called with this method" in left_out
    assert any(each.startswith("PUT /orders/{id}/raw: its body is application/octet-stream") for each in left_out)


def test_credentials_are_named_and_never_asked_for() -> None:
    workshop = drafted(read(WORKSHOP), agent="shop").document["transport"]
    assert workshop["auth"] == {"header": {"X-Parts-Key": "env:SHOP_KEY"}}
    assert workshop["base_url"] == "https://eu.parts.example.com/v2"
    rides = drafted(read(RIDES), agent="rides")
    assert rides.document["transport"]["auth"] == {
        "oauth2_client": {
            "token_url": "https://auth.rides.example.org/oauth/token",
            "client_id": "env:RIDES_CLIENT_ID",
            "client_secret": "env:RIDES_CLIENT_SECRET",
            "scope": "rides.write rides.read",
        }
    }
    assert any("RIDES_CLIENT_SECRET" in each.line for each in rides.todo)


@pytest.mark.parametrize(
    ("scheme", "auth"),
    [
        ({"type": "http", "scheme": "Bearer"}, {"bearer": "env:API_TOKEN"}),
        ({"type": "http", "scheme": "basic"}, {"basic": {"user": "env:API_USER", "password": "env:API_PASSWORD"}}),
        ({"type": "apiKey", "in": "query", "name": "key"}, {"query": {"key": "env:API_KEY"}}),
        ({"type": "openIdConnect", "openIdConnectUrl": "https://x.example"}, {"bearer": "env:API_TOKEN"}),
        ({"type": "oauth2", "flows": {"implicit": {}}}, {"bearer": "env:API_TOKEN"}),
        ({"type": "mutualTLS"}, None),
        ({}, None),
    ],
)
def test_each_way_in_is_one_that_an_agent_file_knows(scheme: dict[str, Any], auth: Any) -> None:
    whole = document(
        {"/x": {"get": {"responses": {}, "parameters": [{"in": "query", "name": "key", "schema": {}}]}}},
        security=[{"one": []}],
        components={"securitySchemes": {"one": scheme}},
    )
    found = drafted(whole)
    assert found.document["transport"].get("auth") == auth
    assert found.todo
    secret = "query" in (auth or {})
    assert ("key" in found.contracts[0].document["input"]["properties"]) is not secret


def test_a_person_may_choose_the_way_in() -> None:
    assert "header" in drafted(read(RIDES), reach=Reach(auth="session")).document["transport"]["auth"]
    with pytest.raises(RefusedError, match="the document knows: oauth, session"):
        drafted(read(RIDES), reach=Reach(auth="other"))


@pytest.mark.parametrize(
    ("servers", "reach", "base"),
    [
        ([], Reach(), "https://unknown.invalid"),
        ([{"url": "/v1"}], Reach(), "https://unknown.invalid"),
        ([{"url": "/v1/"}], Reach(address="https://a.example/docs/openapi.json"), "https://a.example/v1"),
        ([{"url": "https://u:p@a.example/v1?x=1#f"}], Reach(), "https://a.example/v1"),
        ([{"url": "ftp://a.example"}], Reach(), "https://unknown.invalid"),
        ([{"url": "https://0x7f.1/"}], Reach(), "https://unknown.invalid"),
        ([{"url": "http://localhost:81"}], Reach(allow_loopback=True), "http://localhost:81"),
        ("no list", Reach(), "https://unknown.invalid"),
    ],
)
def test_the_address_is_the_documents_or_a_persons_to_write(servers: Any, reach: Reach, base: str) -> None:
    found = drafted(document({"/x": {"get": {"responses": {}}}}, servers=servers), reach=reach)
    assert found.document["transport"]["base_url"] == base
    assert found.document["transport"].get("allow_loopback", False) is reach.allow_loopback
    assert any(each.pointer == "/transport/base_url" for each in found.todo) is (
        base not in ("https://a.example/v1", "http://localhost:81")
    )


@pytest.mark.parametrize(
    ("only", "keys"),
    [
        (("GET",), ["GET /parts", "GET /parts/{sku}"]),
        (("GET", "/parts/*"), ["GET /parts/{sku}"]),
        (("deletePart",), ["DELETE /parts/{sku}"]),
        (("POST /orders",), ["POST /orders"]),
    ],
)
def test_only_chooses_by_method_path_and_name(only: tuple[str, ...], keys: list[str]) -> None:
    found = drafted(read(WORKSHOP), only=only)
    assert [each.key for each in found.contracts] == keys
    assert "POST /parts" in found.known


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"swagger": "2.0", "paths": {}}, "Swagger 2.0 document"),
        ({"openapi": "4.0.0"}, "is no OpenAPI 3.0 or 3.1 document"),
        ({}, "it has no `openapi`"),
        ([], "it has no `openapi`"),
        (
            document({"/x": {"get": {"parameters": [{"$ref": "other.yaml#/p"}]}}}),
            "other.yaml#/p (at /paths/~1x/get/parameters/0)",
        ),
        (document({"/x": {"$ref": "https://169.254.169.254/latest"}}), "https://169.254.169.254/latest"),
    ],
)
def test_what_is_not_read_is_refused_by_name(value: Any, said: str) -> None:
    with pytest.raises(RefusedError) as refused:
        drafted(value)
    assert said in refused.value.message


@pytest.mark.parametrize(
    "paths",
    [
        {"/x": {"get": {"parameters": "no", "responses": []}}},
        {"/x": {"get": {"parameters": [1, {"in": "query"}, {"name": "a"}], "responses": {"200": 3}}}},
        {"/x/{a}/{b}": {"get": {"responses": {"2xx": {}, "200": {"content": {"application/json": 1}}}}}},
        {"/x": {"get": {"parameters": [{"$ref": "#/components/parameters/A"}]}}},
        {"/x": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/nowhere"}}}}}}},
        {"/x": {"get": {"security": 7, "tags": 3, "summary": ["x"], "operationId": 4}}},
        {
            "/x": {
                "get": {
                    "responses": {"200": {"content": {"application/json": {"schema": {"type": 7, "properties": 3}}}}}
                }
            }
        },
        {"/x": None, "y": {"get": {}}, "/z": {"get": {}}},
    ],
)
def test_a_malformed_document_gives_drafts_that_load_and_no_traceback(tmp_path: Path, paths: Any) -> None:
    components = {"parameters": {"A": {"$ref": "#/components/parameters/A"}}}
    bring_in(drafted(document(paths, components=components)), tmp_path)
    assert {each.code for each in load_home(tmp_path).problems if each.level == "error"} == set()


JUNK: tuple[Any, ...] = (
    *(None, True, 7, -1, 1.5, "", "x", "$ref", [], {}, [1], {"a": 1}, {"$ref": "#"}, {"$ref": "#/a/b"}, "#/x", 2**70),
    *("\x00\u202e", "a" * 3000, {"type": "object"}, {"allOf": []}, [{}], {"oneOf": [True, False]}, "array", "object"),
    {"$ref": "#/components/schemas/Part"},
)
NAMES = (
    "type",
    "$ref",
    "nullable",
    "format",
    "pattern",
    "required",
    "properties",
    "enum",
    "schema",
    "in",
    "{a}",
    "style",
)


def spoilt(dice: random.Random, value: Any) -> Any:
    """The document with some of its places replaced, added or removed."""
    whole = copy.deepcopy(value)
    for _ in range(dice.randrange(1, 8)):
        places: list[tuple[Any, Any]] = []
        stack = [whole]
        while stack:
            node = stack.pop()
            keys = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
            places += [(node, key) for key in keys]
            stack += [node[key] for key in keys]
        node, key = dice.choice(places)
        if dice.random() < 0.6:
            node[key] = copy.deepcopy(dice.choice(JUNK))
        elif isinstance(node, dict):
            node[dice.choice(NAMES)] = copy.deepcopy(dice.choice(JUNK))
    return whole


@pytest.mark.parametrize("count", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_spoilt_documents_are_refused_or_give_drafts_that_load(tmp_path: Path, count: int) -> None:
    dice = random.Random(count)
    sound = [read(WORKSHOP), read(RIDES)]
    for turn in range(count):
        value = spoilt(dice, dice.choice(sound))
        home = tmp_path / str(turn)
        try:
            draft = drafted(value)
            bring_in(draft, home)
        except RefusedError:
            continue
        assert {each.code for each in load_home(home).problems if each.level == "error"} == set()
        assert bring_in(draft, home, update=True).changes == ()


def test_references_that_go_in_circles_end() -> None:
    schemas = {"A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}}
    found = answered({"$ref": "#/components/schemas/A"}, components={"schemas": schemas})
    assert found.document["output"] == {"type": "object"}


@pytest.mark.parametrize("word", ["oneOf", "anyOf", "allOf"])
def test_alternatives_of_alternatives_do_not_multiply(word: str) -> None:
    chain = {f"S{n}": {word: [{"$ref": f"#/components/schemas/S{n + 1}"}] * 20} for n in range(12)}
    circle = {"S12": {word: [{"$ref": "#/components/schemas/S0"}, {"type": "object", "properties": {"a": {}}}]}}
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/S0"}}}}
    answer = {"200": {"description": "ok", "content": body["content"]}}
    began = time.process_time()
    one({"requestBody": body, "responses": answer}, method="post", components={"schemas": {**chain, **circle}})
    assert time.process_time() - began < 2


def test_what_the_agents_file_cannot_bind_is_left_out_and_the_rest_imported(tmp_path: Path) -> None:
    header = {"name": "X Bad", "in": "header", "schema": {"type": "string"}}
    paths = {
        "/a?action=b": {"get": {"responses": {}}},
        "/c": {"get": {"responses": {}, "parameters": [header]}},
        "/d": {"get": {"responses": {}}},
    }
    outcome = bring_in(drafted(document(paths)), tmp_path)
    assert [each.name for each in outcome.files] == ["api.get_d", "api"]
    assert sorted(each.partition(":")[0] for each in outcome.left_out) == ["GET /a?action=b", "GET /c"]
    assert {each.code for each in load_home(tmp_path).problems} == {"DRAFT"}


def test_a_secret_is_said_to_go_where_it_goes() -> None:
    assert any(
        "https://auth.rides.example.org" in each.line and "sent to" in each.line for each in drafted(read(RIDES)).todo
    )


def test_a_schema_with_all_that_it_refers_to_is_bounded() -> None:
    fields = {f"p{n}": {"type": "string", "description": "x" * 100} for n in range(60)}
    schemas = {
        f"S{n}": {"type": "object", "properties": {**fields, "next": {"$ref": f"#/components/schemas/S{n + 1}"}}}
        for n in range(400)
    }
    found = answered({"$ref": "#/components/schemas/S0"}, components={"schemas": schemas})
    assert len(json.dumps(found.document["output"])) < 100_000
    assert "too large" in todos(found)


def test_ten_thousand_operations_are_refused_with_what_to_do_and_chosen_from_quickly(tmp_path: Path) -> None:
    paths = {f"/things/{n}": {"get": {"operationId": f"get{n}", "responses": {}}} for n in range(10_000)}
    began = time.process_time()
    assert [each.key for each in drafted(document(paths), only=("get77",)).contracts] == ["GET /things/77"]
    assert time.process_time() - began < 2
    with pytest.raises(RefusedError, match="--only"):
        bring_in(drafted(document(dict(list(paths.items())[:501]))), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("path", [WORKSHOP, RIDES], ids=["3.0", "3.1"])
def test_the_documents_of_these_tests_are_valid(path: Path) -> None:
    assert checked(chosen_part(read(path), source="", only=()), source="r", lenient=False) == ()


@pytest.mark.slow
def test_a_document_that_keeps_its_checker_busy_is_given_up_in_time() -> None:
    evil = {"type": "string", "pattern": "^(a+)+$", "default": "a" * 40 + "!"}
    schema = {"schemas": {"Evil": evil}}
    assert "within 2 s" in (validity(document({}, components=schema), time_s=2).unknown or "")
