"""HTTP agents that were imported from an OpenAPI document at an address: their operations pinned and compared."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cli.calling import call, replaced
from process_orchestrator.checking.changes.live_change import compare
from process_orchestrator.checking.documents.pins import PinVerdict, bound_name, pin
from process_orchestrator.checking.importers.foreign_document import read_foreign
from process_orchestrator.checking.importers.openapi import draft_of
from process_orchestrator.checking.importers.openapi_offer import operations

DATA = Path(__file__).parent.parent / "importing" / "data"
DOCUMENTS = sorted(DATA.glob("*.yaml"))
RIDES = DATA / "rides-3.1.yaml"


def offered(value: Any, names: list[str]) -> dict[str, dict[str, Any]]:
    return operations(value, source="test", names=names)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_operation_that_is_imported_is_found_by_what_it_is_bound_to(path: Path) -> None:
    value = read_foreign(path.read_bytes(), source=path.name)
    names = [str(bound_name(each.bind)) for each in draft_of(value, source=path.name, agent="any").contracts]
    assert names
    assert set(offered(value, names)) == set(names)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda operation: operation.update(description="Else."), "text_changed"),
        (lambda operation: operation.update(security=[{"other": []}]), "breaking"),
        (
            lambda operation: operation.setdefault("parameters", []).append(
                {"name": "note", "in": "query", "schema": {"type": "string"}}
            ),
            "compatible",
        ),
        (lambda operation: operation["responses"].update({"418": {"description": "no"}}), "compatible"),
        (lambda operation: operation["responses"].clear(), "breaking"),
    ],
    ids=["words", "security", "parameter", "error", "answers"],
)
def test_a_changed_operation_is_judged(change: Any, verdict: str) -> None:
    value = read_foreign(RIDES.read_bytes(), source="rides")
    [name, *_] = [str(bound_name(each.bind)) for each in draft_of(value, source="rides", agent="any").contracts]
    pinned = pin(offered(value, [name])[name])
    assert compare(name, pinned, offered(value, [name])[name]).verdict is PinVerdict.SAME
    method, path = name.split(" ")
    change(value["paths"][path][method.lower()])
    assert compare(name, pinned, offered(value, [name])[name]).verdict == verdict


@contextmanager
def published(document: list[bytes]) -> Generator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(document[0])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/openapi.yaml"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.slow
def test_an_imported_agent_is_pinned_and_compared_by_its_document(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "contracts").mkdir(parents=True)
    (home / "agents_registry").mkdir()
    text = RIDES.read_bytes()
    document = [text]
    with published(document) as url:
        took = call("contracts", "import", "openapi", url, "--agent", "rides", "--allow-loopback", "--home", home)
        assert took.code == 0, took
        [file] = (home / "agents_registry").glob("*.yaml")
        replaced(file, "transport:\n", "transport:\n  allow_loopback: true\n")
        assert call("agents", "list", "--home", home, "--json").json["agents"][0]["pin"] == "not pinned"
        assert call("agents", "pin", "--home", home).code == 0
        assert call("agents", "drift", "--home", home).code == 0
        document[0] = text.replace(b"\n  /", b"\n  /v9/", 1)
        told = call("agents", "drift", "--home", home, "--json")
        assert told.code == 1
        assert {each["verdict"] for each in told.json["agents"][0]["bound"]} >= {"missing"}
        document[0] = b"<html>"
        lost = call("agents", "drift", "--home", home, "--json").json["agents"][0]
        assert (lost["pin"], "OpenAPI document" in lost["why"]) == ("unreachable", True)
