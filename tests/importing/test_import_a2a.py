"""The skills of an A2A agent become drafts, from the card of a real server of the SDK; a person writes the schemas."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml

from a2a_agents.serving import a2a_server
from cli.calling import call
from process_orchestrator.checking.a2a_card import Card, read_card
from process_orchestrator.checking.importers.a2a import draft_of
from process_orchestrator.checking.importers.draft import Draft
from process_orchestrator.checking.importers.write import bring_in
from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.core.errors import RefusedError

URL = "https://ledger.example"


def card(*skills: dict[str, Any], url: str = URL, **more: Any) -> Card:
    return read_card({"name": "Ledger GmbH", "url": f"{url}/rpc", "skills": list(skills), **more})


def drafted(*skills: dict[str, Any], only: tuple[str, ...] = (), url: str = URL) -> Draft:
    return draft_of(card(*skills, url=url), {"kind": "a2a", "card": URL}, agent="ledger", only=only)


@pytest.mark.parametrize(
    ("inputs", "outputs", "given", "gives", "bind"),
    [
        (["text/plain"], ["text/plain"], ["message"], ["text"], {"text": "message", "result": "text"}),
        ([], [], ["message"], ["text"], {"text": "message", "result": "text"}),
        (["application/json"], ["application/json; charset=utf-8"], [], [], {}),
        (
            ["text/plain", "application/json"],
            ["text/plain", "application/x+json"],
            ["message"],
            [],
            {"text": "message"},
        ),
        (["image/png"], ["image/png"], [], ["files"], {}),
    ],
)
def test_media_types_are_all_that_a_card_says_of_the_shape(
    inputs: list[str], outputs: list[str], given: list[str], gives: list[str], bind: dict[str, str], tmp_path: Path
) -> None:
    draft = drafted({"id": "book-it!", "inputModes": inputs, "outputModes": outputs})
    (made,) = draft.contracts
    assert list(made.document["input"].get("properties", {})) == given
    assert list(made.document["output"].get("properties", {})) == gives
    assert made.bind == {"skill": "book-it!", **bind}
    assert [each.pointer for each in made.todo] == ["/input", "/output", "/effects/kind"]
    bring_in(draft, tmp_path)
    registry = load_home(tmp_path)
    assert [each.message for each in registry.problems if each.level == "error"] == []
    assert [(each.name, each.status) for each in registry.contracts] == [("ledger.book_it", "draft")]


def test_an_address_elsewhere_is_written_and_asked_about() -> None:
    draft = drafted({"id": "book"}, url="https://elsewhere.example")
    assert draft.document["transport"]["endpoint"] == "https://elsewhere.example/rpc"
    assert [each.pointer for each in draft.todo] == ["/transport/endpoint"]


def test_a_choice_that_chooses_nothing_names_the_nearest() -> None:
    assert [each.key for each in drafted({"id": "book"}, {"id": "void"}, only=("bo*",)).contracts] == ["book"]
    with pytest.raises(RefusedError, match=r"no skill `bok`.*the nearest: book"):
        drafted({"id": "book"}, only=("bok",))


def test_a_card_without_json_rpc_is_refused_in_words() -> None:
    with pytest.raises(RefusedError, match="offers GRPC"):
        draft_of(card({"id": "a"}, preferredTransport="GRPC"), {"kind": "a2a", "card": URL}, agent="a")


@pytest.fixture
def server_url() -> Generator[str]:
    """The address of a server that runs beside this test, which itself calls commands."""
    ready, over = threading.Event(), threading.Event()
    found: list[str] = []

    async def serve() -> None:
        async with a2a_server() as server:
            found.append(server.url)
            ready.set()
            await anyio.to_thread.run_sync(over.wait)

    thread = threading.Thread(target=anyio.run, args=(serve,))
    thread.start()
    assert ready.wait(20)
    try:
        yield found[0]
    finally:
        over.set()
        thread.join(10)


def written(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_from_an_address_to_a_contract_that_plans_may_use(tmp_path: Path, server_url: str) -> None:
    home = ("--home", str(tmp_path))
    done = call("contracts", "import", "a2a", server_url, *home, "--json")
    assert done.code == 0, done.err
    assert [each["name"] for each in done.json["files"]] == ["ledger.book", "ledger.talk", "ledger"]
    agent = written(tmp_path / "agents_registry" / "ledger.agent.yaml")
    assert agent["transport"] == {"kind": "a2a", "card": server_url, "allow_loopback": True}
    assert agent["serves"][0]["bind"] == {"skill": "book"}
    refused = call("contracts", "activate", "ledger.book", "--effects", "read", *home)
    assert refused.code == 2
    asking = ("agents", "call", "ledger", "book", "--input", '{"do": "work"}', *home, "--json")
    assert call(*asking).json == {"total": 1, "id": 5}
    inferred = call(*asking, "--infer-output", "--write")
    assert inferred.code == 0, inferred.err
    talked = call("agents", "call", "ledger", "talk", "--input", '{"message": "how?"}', *home, "--json")
    assert talked.json == {"text": "You said: how?"}
    accepting = ("--accept", "/input", "--effects", "read")
    assert call("contracts", "activate", "ledger.book", *accepting, *home).code == 0
    again = call("contracts", "import", "a2a", "--agent", "ledger", "--update", *home, "--json")
    assert again.code == 0, again.err
    assert {each["action"] for each in again.json["files"]} == {"unchanged"}
    book = written(tmp_path / "contracts" / "ledger" / "ledger.book.contract.yaml")
    assert (book["status"], book["effects"]["kind"]) == ("active", "read")
    assert book["output"]["properties"] == {"total": {"type": "integer"}, "id": {"type": "integer"}}


Refusal = Callable[[Path], tuple[str, ...]]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), "BAD_ARGUMENT", "an address is missing"),
        (("ftp://a.example",), "BAD_ARGUMENT", "no http or https address"),
        (("https://me:you@a.example",), "BAD_ARGUMENT", "user name or password"),
        (("https://10.0.0.1",), "unreachable", "may not reach"),
        (("http://127.0.0.1:9",), "unreachable", "cannot be reached"),
        (("--update",), "BAD_ARGUMENT", "an address is missing"),
        (("https://a.example", "--timeout", "0"), "BAD_ARGUMENT", "--timeout"),
    ],
)
def test_what_cannot_be_imported_is_said_in_words(
    tmp_path: Path, arguments: tuple[str, ...], code: str, said: str
) -> None:
    done = call("contracts", "import", "a2a", *arguments, "--home", str(tmp_path), "--json")
    error = json.loads(done.out)["error"]
    assert (done.code, error["code"], said in error["message"]) == (2, code, True)
    assert not list(tmp_path.glob("contracts/*/*"))
