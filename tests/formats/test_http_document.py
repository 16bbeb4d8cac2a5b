"""The files in docs/http-agents.md are files that load, and `check` has nothing to say of them."""

import re
from pathlib import Path

import pytest
import yaml

from formats.writing import problems, write_home

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "http-agents.md"
READ, WRITE = "{kind: read}", '{kind: write, resources: ["x:y"]}'

CONTRACTS = {
    "order.read": (READ, "id, tenant", "{id: {type: string}, tenant: {type: string}, fields: {type: array}}"),
    "order.change": (WRITE, "id, tenant", "{id: {type: string}, tenant: {type: string}, state: {type: string}}"),
    "document.store": (WRITE, "document", "{document: {type: string, contentEncoding: base64}, title: {type: string}}"),
    "invoice.book": (WRITE, "total", "{total: {type: number}}"),
    "video.render": (WRITE, "script", "{script: {type: string}}"),
    "ticket.list": (READ, "", "{state: {type: string}}"),
    "ticket.search": (READ, "words", "{words: {type: string}}"),
    "thing.make": (WRITE, "things", "{things: {type: array}}"),
}
ERRORS = {"order.change": "{unknown_order: {class: not_found}, sold_out: {class: conflict}}"}


def blocks() -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)


def contract(name: str) -> str:
    effects, required, properties = CONTRACTS[name]
    return (
        f"contract: {name}\nversion: 1.0.0\nsummary: Of the document.\n"
        f"input: {{type: object, additionalProperties: false, required: [{required}], properties: {properties}}}\n"
        f"output: {{type: object}}\nerrors: {ERRORS.get(name, '{}')}\neffects: {effects}\n"
    )


def served(block: str) -> list[str]:
    return [each["contract"].partition("@")[0] for each in yaml.safe_load(block)["serves"]]


def test_every_file_in_the_document_loads_without_a_word(tmp_path: Path) -> None:
    found = blocks()
    assert len(found) == 6
    names = [name for block in found for name in served(block)]
    assert sorted(names) == sorted(CONTRACTS)
    assert problems(write_home(tmp_path, "\n---\n".join([*map(contract, names), *found]))) == []


@pytest.mark.parametrize(
    ("agent", "was", "becomes", "said"),
    [
        ("shop", 'path: "/orders/{id}"', 'path: "/orders/{number}"', "BIND_ARGUMENT"),
        ("shop", "path: /orders/{id}", "path: /orders/{id", "BIND_PATH"),
        ("shop", "query: [fields]", "query: [felds]", "BIND_ARGUMENT"),
        ("shop", ", query: [fields]", ", query: []", "BIND_ARGUMENT"),
        ("shop", "X-Tenant: tenant}}\n", "Cookie: tenant}}\n", "BIND_HEADER"),
        ("shop", "X-Tenant: tenant}}\n", "Content-Length: tenant}}\n", "BIND_HEADER"),
        ("shop", "X-Tenant: tenant}}\n", '"X Tenant": tenant}}\n', "BAD_NAME"),
        ("shop", "https://api.shop", "http://api.shop", "PLAIN_HTTP"),
        ("shop", "api.shop.example/v2", "2130706433", "BAD_URL"),
        ("shop", "api.shop.example/v2", "api.shop.example/v2?x=1", "BAD_URL"),
        ("archive", "body: multipart, ", "", "BIND_FILES"),
        ("archive", "body: multipart", "body: multiparts", "BAD_VALUE"),
        ("accounting", "token_url: https", "token_url: http", "PLAIN_HTTP"),
        ("accounting", "params: {audience", "params: {grant_type", "BAD_VALUE"),
        ("renderer", 'path: "/jobs/{id}", result', 'path: "/jobs/{id}", url: /at, result', "BIND_POLL"),
        ("renderer", "status: /state, ", "", "MISSING_KEY"),
        ("renderer", "every_s: 5", "every_s: 30", "BIND_POLL"),
        ("tracker", "method: GET, path: /tickets", "method: POST, path: /tickets", "BIND_PAGES"),
        ("tracker", "next: link", "next: links", "BAD_FORMAT"),
        ("tracker", "next: link", "next: link, cursor: a", "BIND_PAGES"),
        ("tracker", "ticket.search", "invoice.book", "BIND_PAGES"),
        ("local_tool", "body: $.things", "body: $.thing", "BIND_ARGUMENT"),
        ("local_tool", "body: $.things", "body: $things", "BAD_FORMAT"),
    ],
)
def test_what_does_not_go_together_is_said(tmp_path: Path, agent: str, was: str, becomes: str, said: str) -> None:
    block = next(each for each in blocks() if each.startswith(f"agent: {agent}\n"))
    changed = block.replace(was, becomes, 1)
    assert changed != block
    names = dict.fromkeys(served(block) + served(changed))
    found = problems(write_home(tmp_path, "\n---\n".join([*map(contract, names), changed])))
    assert said in [line.split(" ")[1] for line in found], found
