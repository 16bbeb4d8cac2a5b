"""HTTP agents on loopback whose every byte is chosen here: requests as bound, answers as bounded, codes as promised."""

import base64
import gzip
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from anyio.abc import SocketStream

from performing.fleet import (
    Directory,
    Heard,
    Script,
    ScriptedServer,
    closed_port,
    http,
    one_call,
    open_pool,
    says,
    scripted_server,
)
from performing.http_misdeeds import endless, half, resets, silent, trickles
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import FailureClass, Outcome
from process_orchestrator.performing.agent_pool import AgentPool

GET: dict[str, Any] = {"method": "GET", "path": "/x"}
POST: dict[str, Any] = {"method": "POST", "path": "/x"}


@asynccontextmanager
async def desk(tmp_path: Path, script: Script, **changes: Any) -> AsyncGenerator[tuple[AgentPool, ScriptedServer]]:
    """A pool with one HTTP agent `desk` whose server answers /x by the script."""
    async with scripted_server() as server:
        server.scripts["/x"] = script
        async with open_pool(Directory(http("desk", server.url, **changes)), tmp_path) as pool:
            yield pool, server


async def refused(pool: AgentPool, bind: dict[str, Any], timeout_ms: int = 5000) -> AgentCallError:
    with pytest.raises(AgentCallError) as raised:
        await pool.call("desk", bind, {"a": 1}, one_call(timeout_ms))
    return raised.value


async def test_arguments_go_to_path_query_and_body_as_bound(tmp_path: Path) -> None:
    async with desk(tmp_path, says({"ok": True})) as (pool, server):
        server.scripts["/v/a%2Fb"] = says({"ok": True})
        bind = {"method": "PUT", "path": "/v/{id}", "query": ["dry", "tag"]}
        arguments = {"id": "a/b", "dry": True, "tag": ["x", "y"], "total": 1.5}
        answer = await pool.call("desk", bind, arguments, one_call())
    heard = server.heard[0]
    assert answer.value == {"ok": True}
    assert (heard.method, heard.target) == ("PUT", "/v/a%2Fb?dry=true&tag=x&tag=y")
    assert heard.json == {"total": 1.5}
    assert heard.headers["accept-encoding"] == "identity"


async def test_without_a_body_all_arguments_are_query(tmp_path: Path) -> None:
    async with desk(tmp_path, says({})) as (pool, server):
        await pool.call("desk", GET, {"tax_id": "DE 1", "n": 2}, one_call())
    assert server.heard[0].target == "/x?tax_id=DE+1&n=2"
    assert server.heard[0].body == b""


async def test_a_form_body_and_renamed_arguments(tmp_path: Path) -> None:
    async with desk(tmp_path, says({})) as (pool, server):
        bind = POST | {"body": "form", "input": {"vat": "$.tax_id", "mode": "fast"}}
        await pool.call("desk", bind, {"tax_id": "DE&1", "n": 2}, one_call())
    assert server.heard[0].body == b"n=2&vat=DE%261&mode=fast"
    assert server.heard[0].headers["content-type"] == "application/x-www-form-urlencoded"


async def test_the_key_travels_as_a_header_where_the_contract_takes_one(tmp_path: Path) -> None:
    async with desk(tmp_path, says({})) as (pool, server):
        await pool.call("desk", POST, {}, one_call(keyed=True))
        await pool.call("desk", POST, {}, one_call())
    assert server.heard[0].headers["idempotency-key"] == "p_x/post/g1"
    assert "idempotency-key" not in server.heard[1].headers


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"bearer": "env:DESK_TOKEN"}, "authorization", "Bearer tok-123456"),
        ({"header": {"X-Key": "env:DESK_TOKEN"}}, "x-key", "tok-123456"),
        (
            {"basic": {"user": "ann", "password": "env:DESK_TOKEN"}},
            "authorization",
            "Basic " + base64.b64encode(b"ann:tok-123456").decode(),
        ),
    ],
)
async def test_each_form_of_auth_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, auth: dict[str, Any], header: str, value: str
) -> None:
    monkeypatch.setenv("DESK_TOKEN", "tok-123456")
    async with desk(tmp_path, says({}), auth=auth) as (pool, server):
        await pool.call("desk", GET, {}, one_call())
    assert server.heard[0].headers[header] == value


async def test_a_rotated_secret_is_used_at_the_next_call(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("first-secret\n")
    async with desk(tmp_path, says({}), auth={"query": {"key": f"file:{secret}"}}) as (pool, server):
        await pool.call("desk", GET, {}, one_call())
        secret.write_text("second-secret\n")
        await pool.call("desk", GET, {}, one_call())
    assert [heard.target for heard in server.heard] == ["/x?key=first-secret", "/x?key=second-secret"]


async def test_an_echoed_secret_is_masked_in_values_and_in_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_TOKEN", "tok-123456")

    async def echo(heard: Heard, stream: SocketStream) -> None:
        await says({"seen": heard.headers["authorization"]})(heard, stream)

    async with desk(tmp_path, echo, auth={"bearer": "env:DESK_TOKEN"}) as (pool, _server):
        answer = await pool.call("desk", GET, {}, one_call())
    assert answer.value == {"seen": "Bearer [secret]"}


async def test_an_unknown_form_of_auth_is_named(tmp_path: Path) -> None:
    async with desk(tmp_path, says({}), auth={"kerberos": {"realm": "x"}}) as (pool, server):
        error = await refused(pool, GET)
    assert (error.code, "kerberos" in error.message, server.heard) == ("unreachable", True, [])


@pytest.mark.parametrize(
    ("status", "class_", "outcome"),
    [
        (429, FailureClass.TRANSIENT, Outcome.NOT_DONE),
        (503, FailureClass.TRANSIENT, Outcome.NOT_DONE),
        (502, FailureClass.TRANSIENT, Outcome.UNKNOWN),
        (504, FailureClass.TRANSIENT, Outcome.UNKNOWN),
        (500, FailureClass.PERMANENT, Outcome.UNKNOWN),
        (400, FailureClass.PERMANENT, Outcome.UNKNOWN),
        (401, FailureClass.DENIED, Outcome.NOT_DONE),
        (403, FailureClass.DENIED, Outcome.UNKNOWN),
        (302, FailureClass.PERMANENT, Outcome.UNKNOWN),
    ],
)
async def test_undeclared_statuses_are_classed_by_what_may_have_happened(
    tmp_path: Path, status: int, class_: FailureClass, outcome: Outcome
) -> None:
    elsewhere = "Location: http://127.0.0.1:1/\r\n"
    async with desk(tmp_path, says({"error": "no"}, status=status, headers=elsewhere)) as (pool, server):
        error = await refused(pool, POST)
    assert (error.code, error.class_, error.outcome) == ("undeclared_error", class_, outcome)
    assert len(server.heard) == 1  # no redirect is followed
    assert ("names http://127.0.0.1:1/; redirects are not followed" in error.message) is (status == 302)


async def test_declared_errors_are_told_by_status_and_text(tmp_path: Path) -> None:
    bind = POST | {"errors": {"taken": {"http_status": 422, "text": "taken"}, "unknown_vendor": {"http_status": 422}}}
    async with desk(tmp_path, says({"why": "no such vendor"}, status=422)) as (pool, server):
        assert (await refused(pool, bind)).code == "unknown_vendor"
        server.scripts["/x"] = says({"why": "number is taken"}, status=422)
        assert (await refused(pool, bind)).code == "taken"


@pytest.mark.parametrize(
    ("header", "least", "most"), [("7", 7000, 7000), ("Wed, 21 Oct 2065 07:28:00 GMT", 1, 7 * 86_400_000)]
)
async def test_retry_after_is_read_in_both_forms(tmp_path: Path, header: str, least: int, most: int) -> None:
    async with desk(tmp_path, says({}, status=429, headers=f"Retry-After: {header}\r\n")) as (pool, _server):
        error = await refused(pool, POST)
    assert error.retry_after_ms is not None
    assert least <= error.retry_after_ms <= most


@pytest.mark.behaviour("P5-bounded")
@pytest.mark.parametrize(
    ("script", "code"),
    [
        (resets, "lost"),
        (half, "lost"),
        (trickles, "timeout"),
        (silent, "timeout"),
        (endless, "too_large"),
        (says(b'{"a": NaN}'), "not_finite"),
        (says(b'{"a": 1, "a": 2}'), "duplicate_key"),
        (says(b"[" * 100_000 + b"]" * 100_000), "too_deep"),
        (says(b"all is well"), "not_json"),
        (says(b"x" * 2_000_000), "too_large"),
        (says(gzip.compress(b"0" * 50_000_000), headers="Content-Encoding: gzip\r\n"), "not_json"),
    ],
)
async def test_each_misdeed_of_an_http_agent_ends_as_its_code(tmp_path: Path, script: Script, code: str) -> None:
    async with desk(tmp_path, script) as (pool, _server):
        assert (await refused(pool, POST, timeout_ms=400)).code == code


async def test_text_that_is_no_json_by_its_type_becomes_a_text_field(tmp_path: Path) -> None:
    async with desk(tmp_path, says(b"all is well", kind="text/plain")) as (pool, _server):
        assert (await pool.call("desk", POST, {}, one_call())).value == {"text": "all is well"}


async def test_a_refused_connection_was_not_reached(tmp_path: Path) -> None:
    async with open_pool(Directory(http("desk", f"http://127.0.0.1:{closed_port()}")), tmp_path) as pool:
        assert (await refused(pool, POST)).code == "unreachable"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "[::ffff:127.0.0.1]",
    ],
)
async def test_addresses_that_are_not_public_are_refused_unless_allowed(tmp_path: Path, host: str) -> None:
    async with open_pool(Directory(http("desk", f"http://{host}:9", loopback=False)), tmp_path) as pool:
        error = await refused(pool, POST)
    words = ("may not reach", "not resolve", "number in disguise")
    assert (error.code, any(each in error.message for each in words)) == ("unreachable", True)


async def test_a_changed_address_is_used_at_the_next_call(tmp_path: Path) -> None:
    async with scripted_server() as first, scripted_server() as second:
        first.scripts["/x"], second.scripts["/x"] = says({"at": 1}), says({"at": 2})
        directory = Directory(http("desk", first.url))
        async with open_pool(directory, tmp_path) as pool:
            assert (await pool.call("desk", GET, {}, one_call())).value == {"at": 1}
            directory.put(http("desk", second.url))
            assert (await pool.call("desk", GET, {}, one_call())).value == {"at": 2}
