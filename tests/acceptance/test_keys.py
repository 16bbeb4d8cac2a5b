"""One key, one booking; and what must not be repeated is not. From outside, with an agent that keeps books of its own.

The agent does as the process's input says, call by call, and writes down every call and every booking.
"""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import anyio
import pytest
from anyio.abc import SocketStream
from mcp import Client

from acceptance.building import PROGRAMS, TEXT, TEXTS, HomeBuilder, record
from acceptance.driving import call, server, until_settled
from performing.fleet import Heard, ScriptedServer, says, scripted_server
from process_orchestrator.core.facts.commands import InvokeAgent
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.process import apply
from process_orchestrator.home import Home
from process_orchestrator.hosting.database import reading

pytestmark = pytest.mark.anyio

NUMBERED: Final = record({"id": {"type": "integer"}})
BUSY: Final = {"errors": {"busy": {"text": "busy:"}}}
ATTEMPTS: Final = 3


class Called(NamedTuple):
    """One call as the agent wrote it down."""

    key: str | None
    word: str


class Office:
    """A running server, its home, and the books of its agents."""

    def __init__(self, client: Client, home: Home, books: Path, web: ScriptedServer) -> None:
        self.client, self.home, self.books, self.web = client, home, books, web
        self.rival_books = books.with_name("rival.db")
        self._submitted = 0

    async def run(self, process_type: str, *script: str) -> dict[str, Any]:
        """A process to its end or its question; its view, with the `ref` under which the agent keeps its books."""
        self._submitted += 1
        ref = f"{process_type}-{self._submitted}"
        submitted = await call(
            self.client, "submit_process", process_type=process_type, input={"ref": ref, "script": list(script)}
        )
        return {**await until_settled(self.client, submitted["process_id"]), "ref": ref}

    async def decide(self, view: dict[str, Any], decision: str, data: Any = None) -> dict[str, Any]:
        """Answer the one open question; where the process then stands."""
        (question,) = view["escalations"]
        arguments = {"escalation_id": question["escalation_id"], "decision": decision}
        resolved = await call(
            self.client, "resolve_escalation", **arguments, **({} if data is None else {"data": data})
        )
        assert resolved["status"] == "resolved", resolved
        return {**await until_settled(self.client, view["process_id"]), "ref": view["ref"]}

    def calls(self, ref: str) -> list[Called]:
        return [Called(*row) for row in self._read("SELECT key, word FROM call WHERE ref = ? ORDER BY number", ref)]

    def bookings(self, ref: str) -> int:
        return len(self._read("SELECT key FROM booking WHERE ref = ?", ref))

    def landed(self, ref: str) -> bool:
        return bool(self._read("SELECT ref FROM landed WHERE ref = ?", ref))

    def rival_was_called(self, ref: str) -> bool:
        return bool(self._read("SELECT ref FROM call WHERE ref = ?", ref, self.rival_books))

    def _read(self, statement: str, ref: str, books: Path | None = None) -> list[Any]:
        if not (books or self.books).exists():
            return []
        with closing(sqlite3.connect(books or self.books)) as connection:
            return connection.execute(statement, (ref,)).fetchall()

    def heard(self, ref: str) -> list[Heard]:
        """The requests of one process at the agent over HTTP."""
        return [heard for heard in self.web.heard if heard.json["ref"] == ref]

    def journaled_keys(self, process_id: str) -> list[str]:
        """The key of each call that the journal orders: agents of contracts without a key never see it."""
        state: Process | None = None
        found: list[str] = []
        with reading(self.home.state) as view:
            assert view is not None
            for row in view.every_row(process_id):
                for event in row.events:
                    moved = apply(state, event)
                    state = moved.state
                    found += [command.key for command in moved.commands if isinstance(command, InvokeAgent)]
        return found


def built_home(path: Path, web: ScriptedServer) -> Home:
    build = HomeBuilder(path)
    given = record({"ref": TEXT, "script": TEXTS})
    keyed: dict[str, Any] = {
        "given": record({"ref": TEXT, "script": TEXTS, "request_id": TEXT}),
        "idempotency": {"key": "request_id"},
        "retry": {
            "max_attempts": ATTEMPTS,
            "on": ["transient", "timeout", "lost", "contract"],
            "initial_s": 0.1,
            "max_s": 0.1,
        },
    }
    for name, rest in {"keyed": keyed, "web_keyed": keyed, "unsafe": {}, "web_unsafe": {}}.items():
        build.contract(
            f"book.{name}",
            answer=NUMBERED,
            kind="write",
            errors={"busy": {"class": "transient"}},
            timeout={"attempt_s": 1, "total_s": 60},
            **{"given": given, **rest},
        )
        arguments = {"ref": "$.input.ref", "script": "$.input.script"}
        build.process(name, {"id": "post", "contract": f"book.{name}", "in": arguments}, given=given)
    served = {f"book.{name}": {"tool": "book", **BUSY} for name in ("keyed", "unsafe")}
    program = PROGRAMS / "books.py"
    build.stdio_agent("books", program, str(path / "books.db"), serves=served, prefer=10)
    build.stdio_agent("rival", program, str(path / "rival.db"), serves=served, prefer=20)
    posts = {f"book.{name}": {"method": "POST", "path": "/book"} for name in ("web_keyed", "web_unsafe")}
    build.http_agent("web", web.url, serves=posts)
    return build.built()


async def answer_as_told(heard: Heard, stream: SocketStream, *, web: ScriptedServer) -> None:
    """The n-th request about one `ref` is answered with the n-th status of its script."""
    before = sum(other.json["ref"] == heard.json["ref"] for other in web.heard) - 1
    status = int(heard.json["script"][before])
    await says({"id": 1} if status == 200 else {"error": "bad gateway"}, status=status)(heard, stream)


@pytest.fixture(scope="module")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Office]:
    path = tmp_path_factory.mktemp("keys") / "home"
    async with scripted_server() as web:
        web.scripts["/book"] = lambda heard, stream: answer_as_told(heard, stream, web=web)
        home = built_home(path, web)
        async with Client(server(home)) as client:
            yield Office(client, home, path / "books.db", web)


def offered(view: dict[str, Any]) -> set[str]:
    (question,) = view["escalations"]
    return {option["decision"] for option in question["options"]}


# --- a contract with a key ---------------------------------------------------------------------------------------


@pytest.mark.behaviour("P2-once")
@pytest.mark.parametrize(
    "script",
    [
        ("late", "busy", "book"),  # the first call books when the third has long been answered
        ("silent", "busy", "slow"),
        ("die", "busy", "book"),
        ("break", "busy", "book"),
        ("silent", "break", "die", "book"),
    ],
    ids="-".join,
)
async def test_an_agent_that_fails_after_it_may_have_booked_is_asked_under_one_key_and_books_once(
    office: Office, script: tuple[str, ...]
) -> None:
    view = await office.run("keyed", *script)
    if len(script) > ATTEMPTS:
        assert view["status"] == "waiting_human"
        view = await office.decide(view, "retry")
    assert view["status"] == "completed"
    calls = office.calls(view["ref"])
    assert [each.word for each in calls] == list(script)
    assert {each.key for each in calls} == {f"{view['process_id']}/post/g1"}
    if "late" in script:
        with anyio.fail_after(10):
            while not office.landed(view["ref"]):
                await anyio.sleep(0.02)
    assert office.bookings(view["ref"]) == 1
    assert not office.rival_was_called(view["ref"])


@pytest.mark.behaviour("P2-once")
async def test_a_key_changes_only_while_every_call_under_it_said_that_nothing_was_done(office: Office) -> None:
    view = await office.run("keyed", "busy", "silent", "book")
    assert view["status"] == "completed"
    generations = [(each.key or "").rpartition("/")[2] for each in office.calls(view["ref"])]
    assert generations == ["g1", "g2", "g2"]
    assert office.bookings(view["ref"]) == 1


@pytest.mark.behaviour("P2-once")
async def test_a_person_who_asks_for_another_try_of_a_keyed_write_cannot_change_its_key(office: Office) -> None:
    view = await office.run("keyed", "break", "break", "break", "book")
    assert view["status"] == "waiting_human"
    (question,) = view["escalations"]
    assert (question["kind"], offered(view) & {"retry_with_input", "use_agent"}) == ("failed", set())
    refused = await office.client.call_tool(
        "resolve_escalation",
        {"escalation_id": question["escalation_id"], "decision": "retry", "data": {"fresh_key": True}},
    )
    assert refused.is_error
    assert refused.structured_content is not None
    assert refused.structured_content["error"]["code"] == "INPUT_MISMATCH"
    assert len(office.calls(view["ref"])) == ATTEMPTS
    assert (await office.decide(view, "retry"))["status"] == "completed"
    assert len({each.key for each in office.calls(view["ref"])}) == 1
    assert office.bookings(view["ref"]) == 1


@pytest.mark.behaviour("P2-once")
async def test_a_keyed_write_that_answers_502_is_retried_under_the_same_key(office: Office) -> None:
    view = await office.run("web_keyed", "502", "502", "200")
    assert view["status"] == "completed"
    heard = office.heard(view["ref"])
    assert len(heard) == ATTEMPTS
    key = f"{view['process_id']}/post/g1"
    assert {(each.headers["idempotency-key"], each.json["request_id"]) for each in heard} == {(key, key)}


# --- a contract without one --------------------------------------------------------------------------------------


@pytest.mark.behaviour("P2-unsafe")
@pytest.mark.parametrize(
    ("word", "code"),
    [("break", "output_mismatch"), ("silent", "timeout"), ("die", "lost"), ("boom", "undeclared_error")],
)
async def test_an_unsafe_write_whose_outcome_is_unknown_is_not_called_again_but_asked_about(
    office: Office, word: str, code: str
) -> None:
    view = await office.run("unsafe", word, "book")
    assert (view["status"], view["escalations"][0]["kind"]) == ("waiting_human", "outcome_unknown")
    assert offered(view) == {"use_output", "retry", "skip", "abort"}
    trace = await call(office.client, "list_trace", process_id=view["process_id"], kind="call")
    assert [entry["verdict"] for entry in trace["entries"] if entry["event"] == "CallFailed"] == [code]
    settled = await office.decide(view, "use_output", {"id": 7})
    assert settled["status"] == "completed"
    assert [each.word for each in office.calls(view["ref"])] == [word]
    assert office.bookings(view["ref"]) == 1
    assert not office.rival_was_called(view["ref"])


@pytest.mark.behaviour("P2-unsafe")
async def test_an_unsafe_write_that_answers_502_is_not_called_again(office: Office) -> None:
    view = await office.run("web_unsafe", "502", "200")
    assert view["escalations"][0]["kind"] == "outcome_unknown"
    assert (await office.decide(view, "abort"))["error"]["code"] == "aborted"
    heard = office.heard(view["ref"])
    assert [each.headers.get("idempotency-key") for each in heard] == [None]


@pytest.mark.parametrize(
    ("data", "generations"),
    [(None, ["g1", "g1"]), ({"fresh_key": False}, ["g1", "g1"]), ({"fresh_key": True}, ["g1", "g2"])],
)
async def test_a_person_may_have_an_unsafe_write_called_again_and_says_whether_under_a_fresh_key(
    office: Office, data: Any, generations: list[str]
) -> None:
    view = await office.run("unsafe", "break", "book")
    settled = await office.decide(view, "retry", data)
    assert settled["status"] == "completed"
    assert [each.word for each in office.calls(view["ref"])] == ["break", "book"]
    assert [key.rpartition("/")[2] for key in office.journaled_keys(view["process_id"])] == generations


@pytest.mark.behaviour("P2-unsafe")
async def test_an_unsafe_write_that_failed_twice_is_asked_about_twice(office: Office) -> None:
    view = await office.run("unsafe", "break", "silent", "book")
    again = await office.decide(view, "retry")
    assert [question["kind"] for question in again["escalations"]] == ["outcome_unknown"]
    assert len(office.calls(view["ref"])) == 2
    assert (await office.decide(again, "abort"))["status"] == "failed"
    assert len(office.calls(view["ref"])) == 2
