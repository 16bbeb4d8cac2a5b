"""Nobody inside our network is asked, whatever addresses, redirects, links and name servers say.

A canary on loopback counts who comes, and hears nothing. Source: docs/http-agents.md, "Which addresses are asked".
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from performing.canary import canary, certificate, tls_canary
from performing.fleet import Directory, agent, http, one_call, open_pool, says, scripted_server
from process_orchestrator.checking.addresses import allowed, followed, web_address
from process_orchestrator.checking.documents.definitions import Agent, Transport
from process_orchestrator.checking.importers.fetch import read_source
from process_orchestrator.core.errors import AddressError, AgentCallError, RefusedError
from process_orchestrator.performing.address import Resolver
from process_orchestrator.performing.http_exchange import HttpClient, Network, Received, Sending

HOSTS = (
    "127.0.0.1",
    "127.0.0.2",
    "127.1",
    "127.0.1",
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0x7f.1",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "0177.0.0.01",
    "00127.0.0.1",
    "127.0.0.1.",
    "127.0.0.01",
    "0",
    "0.0.0.0",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[::1%25lo]",
    "[::1%lo]",
    "user@127.0.0.1",
    "api.example@127.0.0.1",
    "api.example:80@127.0.0.1",
    "api.example%40@127.0.0.1",
    "127.0.0.1%00.api.example",
    "127.0.0.1%2f.api.example",
    "api.example\\@127.0.0.1",
    "１２７.０.０.１",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "127。0。0。1",
    "loc\u00adalhost",
    "127.0.0.1\t",
    " 127.0.0.1",
    "127.0.0.1#.api.example",
    "127.0.0.1?.api.example",
)
ANSWERS: tuple[Sequence[str], ...] = (
    ["127.0.0.1"],
    ["::1"],
    ["0.0.0.0"],
    ["::"],
    ["192.0.0.9", "127.0.0.1"],
    ["2606:4700::1111", "::1"],
    ["::ffff:127.0.0.1"],
    ["::127.0.0.1"],
    ["::ffff:0:127.0.0.1"],
    ["64:ff9b::7f00:1"],
    ["2002:7f00:1::"],
    ["2001:0:7f00:1::"],
    ["2606:4700::5efe:7f00:1"],
    ["10.0.0.1"],
    ["172.16.0.1"],
    ["192.168.0.1"],
    ["169.254.169.254"],
    ["168.63.129.16"],
    ["100.64.0.1"],
    ["100.100.100.200"],
    ["192.0.0.192"],
    ["198.18.0.1"],
    ["192.0.2.1"],
    ["224.0.0.1"],
    ["240.0.0.1"],
    ["255.255.255.255"],
    ["fd00:ec2::254"],
    ["fe80::1"],
    ["fec0::1"],
    ["ff02::1"],
    ["3fff::1"],
    ["not an address"],
    [],
)
QUICK = ("http", "token_url")
SLOW = pytest.mark.slow  # a client of their own is made for each address
BIND: dict[str, Any] = {"http": {"method": "GET", "path": "/x"}, "mcp_http": {"tool": "x"}, "a2a": {"skill": "x"}}


def suspect(kind: str, url: str) -> Agent:
    """An agent that may not go to loopback, with a hostile address in its place of that kind."""
    if kind == "token_url":
        client = {"token_url": url, "client_id": "x", "client_secret": "literal"}
        return agent("desk", Transport(kind="http", url="https://api.example", auth={"oauth2_client": client}))
    return agent("desk", Transport(kind=kind, card=url) if kind == "a2a" else Transport(kind=kind, url=url))


async def refusal_of(directory: Directory, tmp_path: Path, kind: str = "http", **rest: Any) -> AgentCallError:
    async with open_pool(directory, tmp_path, **rest) as pool:
        with pytest.raises(AgentCallError) as raised:
            await pool.call("desk", BIND.get(kind, BIND["http"]), {}, one_call(4000))
    return raised.value


def answering(*answers: Sequence[str]) -> tuple[Resolver, list[str]]:
    """A resolver that gives one answer after another, the last for ever, and the names that it was asked for."""
    left, asked = list(answers), list[str]()

    async def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve, asked


@pytest.mark.behaviour("ssrf")
@pytest.mark.parametrize("kind", [*QUICK, pytest.param("mcp_http", marks=SLOW), pytest.param("a2a", marks=SLOW)])
async def test_no_writing_of_a_loopback_address_reaches_it(tmp_path: Path, kind: str) -> None:
    assert len(HOSTS) >= 30
    async with canary() as bird:
        for host in HOSTS:
            error = await refusal_of(Directory(suspect(kind, f"http://{host}:{bird.port}/x")), tmp_path, kind)
            assert error.code == "unreachable", host
        assert bird.connections == 0


@pytest.mark.behaviour("ssrf")
@pytest.mark.parametrize("kind", [*QUICK, pytest.param("mcp_http", marks=SLOW), pytest.param("a2a", marks=SLOW)])
async def test_no_answer_of_a_name_server_leads_inside(tmp_path: Path, kind: str) -> None:
    async with canary() as bird:
        for answer in ANSWERS:
            resolve, asked = answering(answer)
            directory = Directory(suspect(kind, f"http://api.example:{bird.port}/x"))
            error = await refusal_of(directory, tmp_path, kind, resolve=resolve)
            assert (error.code, set(asked)) == ("unreachable", {"api.example"}), answer
        assert bird.connections == 0


@pytest.mark.behaviour("ssrf")
async def test_a_name_that_answers_otherwise_a_moment_later_changes_nothing(tmp_path: Path) -> None:
    """Resolved once: what was judged is what is connected to, however the name answers between the two."""
    async with scripted_server() as server, canary() as bird:
        server.scripts["/x"] = says({"ok": True})
        resolve, asked = answering(["127.0.0.1"], ["10.0.0.1"], ["127.0.0.1", "10.0.0.1"])
        directory = Directory(http("desk", f"http://api.example:{server.port}"))
        async with open_pool(directory, tmp_path, resolve=resolve) as pool:
            answer = await pool.call("desk", BIND["http"], {}, one_call())
            assert (answer.value, asked) == ({"ok": True}, ["api.example"])
            assert server.heard[0].headers["host"] == f"api.example:{server.port}"
            for _ in range(2):
                with pytest.raises(AgentCallError):
                    await pool.call("desk", BIND["http"], {}, one_call())
        assert (len(asked), len(server.heard), bird.connections) == (3, 1, 0)


def elsewhere(port: int) -> tuple[str, ...]:
    return (
        f"http://127.0.0.1:{port}/",
        f"http://localhost:{port}/",
        f"//127.0.0.1:{port}/",
        f"http://[::1]:{port}/",
        f"http://2130706433:{port}/",
        f"http://0x7f.1:{port}/",
        f"http://x@127.0.0.1:{port}/",
        f"https://127.0.0.1:{port}/",
        f"HTTP://127.0.0.1:{port}",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
    )


@pytest.mark.behaviour("ssrf")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed_wherever_it_leads(tmp_path: Path, status: int) -> None:
    async with canary() as bird, scripted_server() as server:
        for target in elsewhere(bird.port):
            server.scripts["/x"] = says(
                {}, status=status, headers=f"Location: {target}\r\nRefresh: 0; url={target}\r\n"
            )
            error = await refusal_of(Directory(http("desk", server.url)), tmp_path)
            assert (error.code, f"status {status}" in error.message) == ("undeclared_error", True)
        assert (bird.connections, len(server.heard)) == (0, len(elsewhere(bird.port)))


@pytest.mark.behaviour("ssrf")
@pytest.mark.parametrize("place", ["poll header", "poll url", "link", "next", "redirected poll", "redirected page"])
async def test_no_link_in_an_answer_is_followed_to_another_place(tmp_path: Path, place: str) -> None:
    poll: dict[str, Any] = {"every_s": 0.01} | ({"url": "/next"} if place == "poll url" else {})
    pages = {"next": "link" if place == "link" else "/next", "items": "/items"}
    bind = BIND["http"] | ({"poll": poll} if "poll" in place else {"pages": pages})
    async with canary() as bird, scripted_server() as server:
        for target in elsewhere(bird.port):
            named = "/y" if "redirected" in place else target
            headers = f'Location: {named}\r\nLink: <{named}>; rel="next"\r\n'
            status = 202 if "poll" in place else 200
            server.scripts["/x"] = says({"items": [1], "next": named}, status=status, headers=headers)
            server.scripts["/y"] = says({}, status=307, headers=f"Location: {target}\r\n")
            async with open_pool(Directory(http("desk", server.url)), tmp_path) as pool:
                with pytest.raises(AgentCallError) as raised:
                    await pool.call("desk", bind, {}, one_call(4000))
            assert raised.value.code == "undeclared_error", target
        assert bird.connections == 0


@pytest.mark.behaviour("ssrf")
async def test_an_importer_asks_nobody_inside_either() -> None:
    async with canary() as bird:
        for host in HOSTS:
            with pytest.raises(RefusedError) as raised:
                await read_source(f"https://{host}:{bird.port}/openapi.json")
            assert raised.value.code == "BAD_ARGUMENT", host
        assert bird.connections == 0


async def test_loopback_of_the_sixth_version_is_reached_where_it_is_allowed(tmp_path: Path) -> None:
    async with canary() as bird:
        error = await refusal_of(Directory(http("desk", f"http://[::1]:{bird.port}")), tmp_path)
        assert error.code == ("lost" if bird.connections else "unreachable")


async def test_where_nothing_answers_the_next_judged_address_is_tried_without_asking_the_name_again(
    tmp_path: Path,
) -> None:
    async with scripted_server() as server:
        server.scripts["/x"] = says({"ok": True})
        resolve, asked = answering(["::1", "127.0.0.1"], ["127.0.0.1"])
        async with open_pool(
            Directory(http("desk", f"http://api.example:{server.port}")), tmp_path, resolve=resolve
        ) as pool:
            assert (await pool.call("desk", BIND["http"], {}, one_call())).value == {"ok": True}
        assert (asked, len(server.heard)) == (["api.example"], 1)


async def test_an_mcp_agent_is_found_at_the_next_address_too(tmp_path: Path) -> None:
    async with scripted_server() as server:
        server.scripts["/mcp"] = says({}, status=418)
        resolve, _ = answering(["::1", "127.0.0.1"])
        there = Transport(kind="mcp_http", url=f"http://api.example:{server.port}/mcp", allow_loopback=True)
        error = await refusal_of(Directory(agent("desk", there)), tmp_path, "mcp_http", resolve=resolve)
        assert "418" in error.message


async def asked_over_tls(name: str, port: int, network: Network) -> Received:
    client = HttpClient(network)
    sending = Sending(method="GET", url=web_address(f"https://{name}:{port}/"), headers={})
    try:
        return await client.ask(sending, allow_loopback=True, bytes_max=1000)
    finally:
        await client.aclose()


async def test_the_certificate_is_that_of_the_name_and_not_of_the_address(tmp_path: Path) -> None:
    server, trust = certificate("api.example", tmp_path)
    resolve, _ = answering(["127.0.0.1"])
    async with tls_canary(server) as bird:
        for name in ("api.example", "API.example."):
            answer = await asked_over_tls(name, bird.port, Network(resolve=resolve, trust=trust))
            assert (answer.status, answer.data) == (200, b"{}")
        assert bird.names == ["api.example", "api.example"]
        for name, trusted in (("other.example", trust), ("api.example", None)):
            with pytest.raises(AgentCallError) as raised:
                await asked_over_tls(name, bird.port, Network(resolve=resolve, trust=trusted))
            assert (raised.value.code, f"certificate of {name}" in raised.value.message) == ("unreachable", True)


async def test_nothing_of_the_environment_decides_where_a_request_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with canary() as bird, scripted_server() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{bird.port}")
        server.scripts["/x"] = says({}, headers="Set-Cookie: a=b\r\n")
        async with open_pool(Directory(http("desk", server.url)), tmp_path) as pool:
            for _ in range(2):
                await pool.call("desk", BIND["http"], {}, one_call())
        assert (bird.connections, "cookie" in server.heard[1].headers) == (0, False)


@pytest.mark.parametrize(
    ("text", "origin", "target"),
    [
        ("https://Api.Example.", "https://api.example", "/"),
        ("http://api.example:80/a?b=c#d", "http://api.example", "/a?b=c"),
        ("https://xn--fa-hia.example:8443/%20", "https://xn--fa-hia.example:8443", "/%20"),
        ("http://[2606:4700:0::1111]/", "http://[2606:4700::1111]", "/"),
        ("http://8.8.8.8?x", "http://8.8.8.8", "/?x"),
    ],
)
def test_an_address_has_one_reading(text: str, origin: str, target: str) -> None:
    address = web_address(text)
    assert (address.origin, address.target) == (origin, target)


@pytest.mark.parametrize(
    "text",
    ["", "api.example", "ftp://a/", "http://", "http:///x", "http://a:0/", "http://a:99999/", "http://a:/", "http://a..b/",
     "http://-a/", "http://[::1]x/", "http://[1.2.3.4]/", "https://" + "a" * 254, "http://a/" + "x" * 5000, "http://a|b/"],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(AddressError) as raised:
        web_address(text)
    assert text == "" or text not in raised.value.message


def test_an_address_in_an_answer_is_read_from_where_it_stands() -> None:
    base = web_address("https://api.example/v1/jobs?x=1")
    assert followed(base, "7?a=b|c#d").target == "/v1/7?a=b%7Cc"
    assert followed(base, "https://API.example:443/y").target == "/y"
    assert followed(base, "/ü y").target == "/%C3%BC%20y"


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert allowed(address, allow_loopback=False)
