"""Where arguments stand in an HTTP request, and what no argument may do there."""

import base64
import re
from email.parser import BytesParser
from typing import Any

import pytest

from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.performing.http_request import laid_out


def parts(content: bytes | None, content_type: str | None) -> list[tuple[str, str | None, str | None, bytes]]:
    """Name, file name, type and bytes of each part, as a mail parser reads them."""
    message = BytesParser().parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + (content or b""))
    found: list[tuple[str, str | None, str | None, bytes]] = []
    for part in message.walk():
        if part.is_multipart():
            continue
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        name = part.get_param("name", header="content-disposition")
        kind = part.get_content_type() if "content-type" in part else None
        found.append((str(name), part.get_filename(), kind, data))
    return found


def test_headers_take_arguments_by_name_and_absent_ones_are_left_out() -> None:
    bind = {"method": "GET", "path": "/x", "headers": {"X-Tenant": "tenant", "X-Tags": "tags", "X-None": "none"}}
    wanted = laid_out(bind, {"tenant": "acme", "tags": ["a", 1, True], "none": None, "page": 2})
    assert wanted.headers == {"X-Tenant": "acme", "X-Tags": "a,1,true"}
    assert wanted.query == (("page", "2"),)


def test_an_absent_value_is_no_query_parameter_and_a_list_is_repeated() -> None:
    wanted = laid_out({"method": "GET", "path": "/x"}, {"a": None, "b": [1, None, "x y"], "c": {"d": 1}})
    assert wanted.query == (("b", "1"), ("b", "x y"), ("c", '{"d":1}'))


def test_a_path_keeps_its_own_characters_and_encodes_those_of_arguments() -> None:
    bind = {"method": "GET", "path": "/v1/ünter(1)/{id}:cancel/{when}"}
    wanted = laid_out(bind, {"id": "a/b?c#d %{when}", "when": ["x", 2]})
    assert wanted.path == "/v1/%C3%BCnter(1)/a%2Fb%3Fc%23d%20%25%7Bwhen%7D:cancel/x%2C2"


@pytest.mark.parametrize("value", [None, "", [], {"a": 1}, "..", ".", "../admin", "a/../../admin", "..\\admin"])
def test_a_path_is_filled_whole_and_no_argument_leads_out_of_its_place(value: Any) -> None:
    with pytest.raises(AgentCallError) as raised:
        laid_out({"method": "GET", "path": "/users/{id}/orders"}, {"id": value})
    assert (raised.value.code, "`id`" in raised.value.message) == ("input_mismatch", True)


def test_two_arguments_together_cannot_lead_out_either() -> None:
    with pytest.raises(AgentCallError):
        laid_out({"method": "GET", "path": "/a/{x}{y}/b"}, {"x": ".", "y": "."})
    with pytest.raises(AgentCallError):
        laid_out({"method": "GET", "path": "/a/{x}"}, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "a\r\nHost: evil"),
        ("X-A", "a\nb"),
        ("X-A", "ü"),
        ("X-A", "a\x00"),
        ("X-A", " a"),
        ("X-A", "x" * 9000),
        ("Cookie", "a=b"),
        ("Host", "evil"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Authorization", "Bearer x"),
    ],
)
def test_a_header_that_could_split_or_redirect_a_request_is_refused(name: str, value: str) -> None:
    with pytest.raises(AgentCallError) as raised:
        laid_out({"method": "GET", "path": "/x", "headers": {name: "a"}}, {"a": value})
    assert raised.value.code == "input_mismatch"


def test_one_argument_may_be_the_whole_body() -> None:
    wanted = laid_out({"method": "POST", "path": "/x", "body": "$.items", "query": ["dry"]}, {"items": [1], "dry": 1})
    assert (wanted.content, wanted.content_type, wanted.query) == (b"[1]", "application/json", (("dry", "1"),))
    without = laid_out({"method": "POST", "path": "/x", "body": "$.items"}, {"other": 1})
    assert (without.content, without.content_type) == (None, None)


def test_a_multipart_body_holds_files_fields_lists_and_objects() -> None:
    bind = {"method": "POST", "path": "/x", "body": "multipart", "files": ["document", "scan"]}
    document = {
        "base64": base64.b64encode(b"%PDF\r\n--x").decode(),
        "name": 'in"voice\r\n.pdf',
        "type": "application/pdf",
    }
    arguments = {
        "document": document,
        "scan": base64.b64encode(b"raw").decode(),
        "title": "Ünter",
        "tag": ["a", "b"],
        "meta": {"a": 1},
        "none": None,
    }
    wanted = laid_out(bind, arguments)
    assert parts(wanted.content, wanted.content_type) == [
        ("document", "in%22voice%0D%0A.pdf", "application/pdf", b"%PDF\r\n--x"),
        ("scan", "scan", "application/octet-stream", b"raw"),
        ("title", None, None, "Ünter".encode()),
        ("tag", None, None, b"a"),
        ("tag", None, None, b"b"),
        ("meta", None, "application/json", b'{"a":1}'),
    ]
    again = laid_out(bind, arguments)
    assert again.content_type != wanted.content_type  # a boundary that a file could hold would end it early
    assert re.fullmatch(r"multipart/form-data; boundary=[0-9a-f]{32}", str(again.content_type))


@pytest.mark.parametrize("value", ["no base64!", 7, {"name": "x"}, {"base64": "AAAA", "type": "x\r\ny"}])
def test_what_is_no_file_is_refused_before_anything_is_sent(value: Any) -> None:
    with pytest.raises(AgentCallError) as raised:
        laid_out({"method": "POST", "path": "/x", "body": "multipart", "files": ["f"]}, {"f": value})
    assert (raised.value.code, "`f`" in raised.value.message) == ("input_mismatch", True)
