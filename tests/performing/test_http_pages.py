"""Answers in pages: put together whole, bounded in number, bytes and time, and only from the agent's own origin."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from anyio.abc import SocketStream

from performing.fleet import Directory, Heard, ScriptedServer, http, one_call, open_pool, says, scripted_server
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.performing.agent_pool import AgentPool
from process_orchestrator.performing.http_pages import next_link

LINK: dict[str, Any] = {"next": "link", "items": "/items"}
CURSOR: dict[str, Any] = {"next": "/meta/next", "cursor": "page_token", "items": "/items"}


def bind(pages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"method": "GET", "path": "/x", "pages": pages, **more}


@asynccontextmanager
async def desk(
    tmp_path: Path, pages: Mapping[str, Any], *, links: Mapping[str, str] | None = None, **changes: Any
) -> AsyncGenerator[tuple[AgentPool, ScriptedServer]]:
    """An agent whose pages are chosen by the query parameter `page_token`; `links` are headers by the same."""

    async def page(heard: Heard, stream: SocketStream) -> None:
        token = parse_qs(heard.target.partition("?")[2]).get("page_token", [""])[0]
        link = (links or {}).get(token)
        await says(pages[token], headers=f"Link: {link}\r\n" if link else "")(heard, stream)

    async with scripted_server() as server:
        server.scripts["/x"] = page
        async with open_pool(Directory(http("desk", server.url, **changes)), tmp_path) as pool:
            yield pool, server


async def refused(pool: AgentPool, bound: dict[str, Any], **changes: Any) -> AgentCallError:
    with pytest.raises(AgentCallError) as raised:
        await pool.call("desk", bound, {}, one_call(5000, **changes))
    return raised.value


async def test_cursors_are_followed_until_there_is_none(tmp_path: Path) -> None:
    pages = {
        "": {"items": [1, 2], "meta": {"next": "b c&d"}},
        "b c&d": {"items": [], "meta": {"next": 0}},
        "0": {"items": [3], "meta": {"next": None}, "total": 3},
    }
    async with desk(tmp_path, pages) as (pool, server):
        answer = await pool.call(
            "desk", bind(CURSOR), {"size": 2, "page_token": "old"} | {"page_token": None}, one_call()
        )
    assert answer.value == {"items": [1, 2, 3], "meta": {"next": None}, "total": 3}
    assert [heard.target for heard in server.heard] == [
        "/x?size=2",
        "/x?size=2&page_token=b+c%26d",
        "/x?size=2&page_token=0",
    ]


async def test_links_are_followed_with_credentials_and_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_KEY", "key-0815")
    links = {
        "": '</x?page_token=1>; rel="prev next", <http://evil/>; rel=last',
        "1": "<?page_token=2&key=key-0815>; rel=next",
    }
    pages = {"": [{"a": 1}], "1": [{"a": 2}], "2": [{"a": 3}]}
    bound = bind({"next": "link", "items": ""}, wrap="items", headers={"X-Tenant": "tenant"})
    async with desk(tmp_path, pages, links=links, auth={"query": {"key": "env:DESK_KEY"}}) as (pool, server):
        answer = await pool.call("desk", bound, {"tenant": "acme"}, one_call())
    assert answer.value == {"items": [{"a": 1}, {"a": 2}, {"a": 3}]}
    assert [heard.headers["x-tenant"] for heard in server.heard] == ["acme"] * 3
    assert [heard.target for heard in server.heard] == [
        "/x?key=key-0815",
        "/x?page_token=1&key=key-0815",
        "/x?page_token=2&key=key-0815",
    ]


async def test_an_address_in_the_answer_is_followed_at_the_same_origin_only(tmp_path: Path) -> None:
    bound = bind({"next": "/next", "items": "/items"})
    async with desk(tmp_path, {"": {"items": [1], "next": "/x?page_token=1"}, "1": {"items": [2], "next": ""}}) as (
        pool,
        _server,
    ):
        assert (await pool.call("desk", bound, {}, one_call())).value == {"items": [1, 2], "next": ""}
    async with scripted_server() as canary:
        elsewhere = f"{canary.url.replace('127.0.0.1', 'localhost')}/x"
        async with desk(tmp_path, {"": {"items": [1], "next": elsewhere}}) as (pool, server):
            error = await refused(pool, bound)
        assert (error.code, "is not at" in error.message, len(server.heard), canary.heard) == (
            "undeclared_error",
            True,
            1,
            [],
        )


@pytest.mark.parametrize(
    ("pages", "bound", "code", "told"),
    [
        ({"": {"items": [1], "meta": {"next": "a"}}, "a": {"items": [1], "meta": {"next": "a"}}}, CURSOR, "output_mismatch", "has no end"),
        ({"": {"items": {"a": 1}}}, LINK, "output_mismatch", "no list at /items"),
        ({"": {"items": [1], "meta": {"next": ["a"]}}}, CURSOR, "output_mismatch", "no address or cursor at /meta/next"),
        ({"": b"{", "a": 1}, LINK, "not_json", ""),
        ({"": {"items": ["x" * 600_000], "meta": {"next": "a"}}, "a": {"items": ["x" * 600_000]}}, CURSOR, "too_large", "together"),
    ],
)  # fmt: skip
async def test_pages_that_break_their_word_end_the_call(
    tmp_path: Path, pages: dict[str, Any], bound: dict[str, Any], code: str, told: str
) -> None:
    async with desk(tmp_path, pages) as (pool, _server):
        error = await refused(pool, bind(bound))
    assert (error.code, told in error.message) == (code, True)


async def test_more_pages_than_declared_are_refused_and_never_cut(tmp_path: Path) -> None:
    pages = {str(number or ""): {"items": [number], "meta": {"next": str(number + 1)}} for number in range(9)}
    pages["9"] = {"items": [9], "meta": {}}
    async with desk(tmp_path, pages) as (pool, server):
        error = await refused(pool, bind(CURSOR | {"max": 3}))
        assert (error.code, "more than 3 pages" in error.message, len(server.heard)) == ("too_large", True, 3)
        answer = await pool.call("desk", bind(CURSOR | {"max": 10}), {}, one_call())
    assert answer.value["items"] == list(range(10))


async def test_a_page_that_fails_fails_the_call_as_its_status_says(tmp_path: Path) -> None:
    pages = {"": {"items": [1], "meta": {"next": "a"}}}
    async with scripted_server() as server:

        async def page(heard: Heard, stream: SocketStream) -> None:
            first = "?" not in heard.target
            await says(pages[""] if first else {}, status=200 if first else 429, headers="Retry-After: 3\r\n")(
                heard, stream
            )

        server.scripts["/x"] = page
        async with open_pool(Directory(http("desk", server.url)), tmp_path) as pool:
            error = await refused(pool, bind(CURSOR))
    assert (error.code, error.class_, error.retry_after_ms) == ("undeclared_error", "transient", 3000)


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ('<https://a/x?p=2>; rel="next"', "https://a/x?p=2"),
        ('<a,b;c>; title="x, <y>; rel=next"; rel=prev, <c>; REL=NeXt', "c"),
        ('<a>; rel="prev", <b>; rel="last  next"', "b"),
        ("<a>; rel=nextish", None),
        ("<a>", None),
        ("", None),
        ("a; rel=next", None),
        ('<a>; rel="next', None),
    ],
)
def test_a_link_header_is_read_as_its_specification_says(header: str, target: str | None) -> None:
    assert next_link(header) == target


def test_a_hostile_link_header_is_read_in_linear_time() -> None:
    for header in ('<a>;"' * 50_000, "<a>;;;;" * 50_000, "<" * 50_000, '<a>; x="' + "," * 50_000, "<a>," * 50_000):
        assert next_link(header) is None
    assert json.dumps(next_link("<a>;" + " " * 16_000 + "rel=next")) == '"a"'
