"""OAuth 2.0 tokens of HTTP agents: fetched once for all, kept, renewed after a 401, and never shown."""

from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from performing.fleet import Directory, Heard, http, one_call, open_pool, says, scripted_server, until
from performing.http_misdeeds import silent
from performing.token_server import SECRET, TokenDesk, basic, client, token_desk
from process_orchestrator.checking.addresses import web_address
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import FailureClass, Outcome
from process_orchestrator.performing.agent_pool import AgentPool
from process_orchestrator.performing.credentials import Client, Credentials
from process_orchestrator.performing.http_exchange import Sending

POST: dict[str, Any] = {"method": "POST", "path": "/x"}


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_SECRET", SECRET)


async def refused(pool: AgentPool, timeout_ms: int = 5000) -> AgentCallError:
    with pytest.raises(AgentCallError) as raised:
        await pool.call("desk", POST, {}, one_call(timeout_ms))
    return raised.value


async def test_a_token_is_fetched_once_and_masked_where_the_agent_echoes_it(tmp_path: Path) -> None:
    async with token_desk(tmp_path, scope="read write", params={"audience": "https://desk.example"}) as (pool, desk):
        answers = [await pool.call("desk", POST, {}, one_call()) for _ in range(3)]
    assert [answer.value for answer in answers] == [{"seen": "Bearer [secret]"}] * 3
    assert [heard.headers["authorization"] for heard in desk.worked] == ["Bearer token-1-0815"] * 3
    assert len(desk.asked) == 1
    assert desk.asked[0].headers["authorization"] == basic("desk+one", "s3cret%2Fwith%3Asigns")
    assert desk.asked[0].headers["content-type"] == "application/x-www-form-urlencoded"
    assert desk.fields() == {
        "grant_type": "client_credentials",
        "scope": "read write",
        "audience": "https://desk.example",
    }


async def test_a_client_may_show_itself_in_the_form(tmp_path: Path) -> None:
    async with token_desk(tmp_path, send="form") as (pool, desk):
        await pool.call("desk", POST, {}, one_call())
    assert desk.fields() == {"grant_type": "client_credentials", "client_id": "desk one", "client_secret": SECRET}
    assert "authorization" not in desk.asked[0].headers


async def test_fifty_calls_that_wait_for_a_token_wait_for_one_request(tmp_path: Path) -> None:
    async with token_desk(tmp_path) as (pool, desk), anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(pool.call, "desk", POST, {}, one_call())
    assert (len(desk.asked), len(desk.worked)) == (1, 50)


async def test_a_token_that_ended_is_fetched_anew_and_a_401_repeats_the_call_once(tmp_path: Path) -> None:
    async with token_desk(tmp_path) as (pool, desk):
        await pool.call("desk", POST, {}, one_call())
        desk.revoked.add("token-1-0815")
        await pool.call("desk", POST, {}, one_call())
        seen = [heard.headers["authorization"] for heard in desk.worked]
        assert seen == [f"Bearer token-{number}-0815" for number in (1, 1, 2)]
        desk.revoked |= {f"token-{number}-0815" for number in range(9)}
        error = await refused(pool)
        assert len(desk.worked) == 5  # refused, once more, and then it is the answer
    assert (error.code, error.class_, error.outcome) == ("undeclared_error", FailureClass.DENIED, Outcome.NOT_DONE)


async def test_many_calls_that_are_refused_at_once_fetch_one_token(tmp_path: Path) -> None:
    async with token_desk(tmp_path) as (pool, desk):
        await pool.call("desk", POST, {}, one_call())
        desk.revoked.add("token-1-0815")
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(pool.call, "desk", POST, {}, one_call())
        assert len(desk.asked) == 2


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        ({"expires_in": 0}, 3),
        ({"expires_in": "3600"}, 1),
        ({"expires_in": None}, 1),
        ({"expires_in": 10**15}, 1),
        ({"expires_in": -5}, 3),
    ],
)
async def test_a_token_is_kept_as_long_as_its_endpoint_says(tmp_path: Path, answer: dict[str, Any], asked: int) -> None:
    async with token_desk(tmp_path) as (pool, desk):
        desk.answer = {"token_type": "bearer"} | answer
        for _ in range(3):
            await pool.call("desk", POST, {}, one_call())
    assert len(desk.asked) == asked


async def test_a_rotated_secret_fetches_another_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with token_desk(tmp_path, send="form") as (pool, desk):
        await pool.call("desk", POST, {}, one_call())
        monkeypatch.setenv("DESK_SECRET", "another-secret")
        await pool.call("desk", POST, {}, one_call())
        assert [desk.fields(index)["client_secret"] for index in (0, 1)] == [SECRET, "another-secret"]


@pytest.mark.parametrize(
    ("status", "body", "class_", "told"),
    [
        (401, {"error": "invalid_client", "error_description": f"no {SECRET} here"}, "denied", "(invalid_client): no [sec"),
        (400, {"error": "invalid_scope"}, "denied", "status 400 (invalid_scope)"),
        (403, b"<html>", "denied", "status 403"),
        (404, b"", "permanent", "status 404"),
        (302, b"", "permanent", "names http://127.0.0.1:1/elsewhere; redirects are not followed"),
        (429, {}, None, "status 429"),
        (503, b"later", None, "status 503"),
        (200, b"no json", None, "is no JSON object"),
        (200, [1], None, "is no JSON object"),
        (200, {"token_type": "bearer"}, None, "without an access_token"),
        (200, {"access_token": "a\r\nHost: evil"}, None, "without an access_token"),
        (200, {"access_token": "x" * 20_000}, None, "without an access_token"),
        (200, {"access_token": "x-0815", "token_type": "mac"}, "permanent", "another type than bearer"),
        (200, b"[" * 1000 + b"]" * 1000, None, "is no JSON object"),
        (200, b" " * 100_000, None, "the body is over 65536 bytes"),
    ],
)  # fmt: skip
async def test_an_endpoint_that_gives_no_token_is_named_and_nothing_was_done(
    tmp_path: Path, status: int, body: Any, class_: str | None, told: str
) -> None:
    headers = "Retry-After: 7\r\nLocation: http://127.0.0.1:1/elsewhere?x=1\r\n"
    async with token_desk(tmp_path, token=says(body, status=status, headers=headers)) as (pool, desk):
        error = await refused(pool)
    assert (error.code, error.class_, error.outcome) == ("unreachable", class_, Outcome.NOT_DONE)
    assert told in error.message
    assert SECRET not in error.message
    assert (len(desk.worked), len(desk.asked)) == (0, 1)
    assert error.retry_after_ms == (7000 if status in {429, 503} else None)


async def test_those_that_waited_share_a_failure_and_the_next_call_asks_again(tmp_path: Path) -> None:
    gate, heard_all = anyio.Event(), list[Heard]()

    async def later(heard: Heard, stream: SocketStream) -> None:
        heard_all.append(heard)
        await gate.wait()
        await says({}, status=500)(heard, stream)

    codes: list[str] = []

    async def one(pool: AgentPool) -> None:
        codes.append((await refused(pool)).code)

    async with token_desk(tmp_path, token=later) as (pool, _desk):
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(one, pool)
            await until(lambda: len(heard_all) == 1)
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            gate.set()
        assert (codes, len(heard_all)) == (["unreachable"] * 4, 1)
        await one(pool)
    assert len(heard_all) == 2


async def test_a_mute_endpoint_costs_the_calls_time_and_nothing_counts_as_sent(tmp_path: Path) -> None:
    async with token_desk(tmp_path, token=silent) as (pool, desk):
        error = await refused(pool, timeout_ms=300)
        assert (error.code, error.outcome, desk.worked) == ("timeout", Outcome.NOT_DONE, [])
        desk.server.scripts["/token"] = desk.token  # who was cut off in the middle leaves the next one a free way
        assert (await pool.call("desk", POST, {}, one_call())).value == {"seen": "Bearer [secret]"}


async def test_a_token_endpoint_is_under_the_agents_own_rules(tmp_path: Path) -> None:
    async with scripted_server() as canary:
        desk = TokenDesk(canary)
        async with open_pool(
            Directory(http("desk", "https://desk.example", auth=client(canary.url), loopback=False)), tmp_path
        ) as pool:
            error = await refused(pool)
    assert (error.code, "may not reach" in error.message, desk.server.heard) == ("unreachable", True, [])


async def test_a_missing_secret_is_named_and_nobody_is_asked(tmp_path: Path) -> None:
    async with token_desk(tmp_path, client_secret="env:NOBODY_SET_THIS") as (pool, desk):
        error = await refused(pool)
    assert (error.code, error.class_, desk.server.heard) == ("unreachable", FailureClass.PERMANENT, [])
    assert "NOBODY_SET_THIS" in error.message


async def test_old_tokens_are_forgotten_and_the_secret_stays_masked(tmp_path: Path) -> None:
    async with token_desk(tmp_path) as (pool, desk):
        desk.answer = {"expires_in": 0}
        for _ in range(8):
            await pool.call("desk", POST, {}, one_call())
        text = " ".join([*desk.granted, SECRET])
        assert pool.secrets.mask_text(text).count("[secret]") == 5


def test_no_text_of_what_is_held_or_sent_shows_a_secret() -> None:
    shown = Client(token_url="https://x.example", client_id="x", client_secret=SECRET)
    url = web_address(f"https://x.example/a?key={SECRET.replace('/', '%2F')}")
    sending = Sending(method="GET", url=url, headers={"Authorization": SECRET})
    assert "s3cret" not in f"{shown} {shown!r} {sending} {sending!r} {Credentials(token=SECRET)!r}"


async def test_a_token_that_two_agents_were_given_is_masked_until_both_have_others(tmp_path: Path) -> None:
    async with scripted_server() as server:
        given = ["shared-token", "shared-token", *(f"other-token-{number}" for number in range(20))]

        async def token(heard: Heard, stream: SocketStream) -> None:
            await says({"access_token": given.pop(0), "token_type": "bearer", "expires_in": 3600})(heard, stream)

        async def echo(heard: Heard, stream: SocketStream) -> None:
            await says({"seen": heard.headers["authorization"]})(heard, stream)

        server.scripts |= {"/token": token, "/x": echo, "/ended": says({}, status=401)}
        both = [http(name, server.url, auth=client(server.url)) for name in ("desk", "other")]
        async with open_pool(Directory(*both), tmp_path) as pool:
            for name in ("desk", "other"):
                await pool.call(name, POST, {}, one_call())
            for _ in range(6):  # more tokens than are masked of one agent
                with pytest.raises(AgentCallError):
                    await pool.call("desk", POST | {"path": "/ended"}, {}, one_call())
            answer = await pool.call("other", POST, {}, one_call())
    assert answer.value == {"seen": "Bearer [secret]"}
