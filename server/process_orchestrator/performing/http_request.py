"""Where the arguments of a call stand in an HTTP request: path, query, headers, body. Pure.

Format of `bind`: docs/http-agents.md. An argument that would change the place of another is refused before anything is
sent: a header with a line break, a path with a gap or with `..` in it. `null` is an absent argument, but in JSON.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode

from process_orchestrator.checking.loading.lint_http import BODILESS, OURS, PLACEHOLDER, SECRET
from process_orchestrator.checking.schemas.validate import encode_body
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import Fact

HEADER_CHARACTERS_MAX: Final = 8_192
FORM: Final = "application/x-www-form-urlencoded"
_HEADER_TEXT: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?|", re.ASCII)
_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}", re.ASCII)
_IN_PATH: Final = "/%:@!$&'()*+,;=-._~"
"""What a `bind.path` may hold as it is."""


class Wanted(Fact, frozen=True, kw_only=True):
    """A request, but for its address and its credentials."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: dict[str, str] = {}
    content: bytes | None = None
    content_type: str | None = None


def laid_out(bind: dict[str, Any], arguments: dict[str, Any]) -> Wanted:
    """Arguments where `bind` wants them: path, query and headers by name, what is left in the body.

    Without `query` and `body`, a method without a body takes all that is left as query. Raises AgentCallError
    (input_mismatch: nothing was sent).
    """
    method = str(bind.get("method", "GET")).upper()
    path, in_path = _path(str(bind.get("path", "/")), arguments)
    named: dict[str, str] = bind.get("headers") or {}
    headers = {name: text for name, argument in named.items() for text in _header(name, arguments.get(argument))}
    rest = {name: value for name, value in arguments.items() if name not in {*in_path, *named.values()}}
    body = bind.get("body")
    bodiless = body is None and method in BODILESS
    in_query = bind.get("query", list(rest) if bodiless else [])
    query = tuple((name, text) for name in in_query if name in rest for text in _texts(rest[name]))
    rest = {name: value for name, value in rest.items() if name not in in_query}
    content, content_type = (None, None) if bodiless else _body(body, rest, bind.get("files") or ())
    return Wanted(method=method, path=path, query=query, headers=headers, content=content, content_type=content_type)


def query_text(query: tuple[tuple[str, str], ...]) -> str:
    """A query as it is sent."""
    return urlencode(query)


def _path(template: str, arguments: dict[str, Any]) -> tuple[str, set[str]]:
    """The path with its arguments filled in, and their names."""
    used: set[str] = set()

    def filled(match: re.Match[str]) -> str:
        name = match[1]
        value = arguments.get(name)
        text = ",".join(_texts(value)) if not isinstance(value, dict) else ""
        if not text:
            raise _refused(name, "stands in the path and must be a text, a number, a boolean or a list of them")
        used.add(name)
        return quote(text, safe="")

    path, end = "", 0
    for match in PLACEHOLDER.finditer(template):
        path += quote(template[end : match.start()], safe=_IN_PATH) + filled(match)
        end = match.end()
    path += quote(template[end:], safe=_IN_PATH)
    if used and any(part in {".", ".."} for part in re.split(r"[/\\]", unquote(path))):
        raise _refused(", ".join(sorted(used)), "would lead out of its place in the path")
    return path, used


def _header(name: str, value: Any) -> Iterator[str]:
    if value is None:
        return
    text = ",".join(_texts(value))
    if name.lower() in SECRET | OURS or len(text) > HEADER_CHARACTERS_MAX or not _HEADER_TEXT.fullmatch(text):
        raise _refused(name, "is no header of printable ASCII that an argument may fill")
    yield text


def _body(body: Any, rest: dict[str, Any], files: Any) -> tuple[bytes | None, str | None]:
    if body == "form":
        return urlencode([(name, text) for name, value in rest.items() for text in _texts(value)]).encode(), FORM
    if body == "multipart":
        return _multipart(rest, frozenset(files))
    if isinstance(body, str) and body.startswith("$."):
        name = body[2:]
        return (encode_body(rest[name]), "application/json") if name in rest else (None, None)
    if isinstance(body, list):
        rest = {name: value for name, value in rest.items() if name in body}
    return encode_body(rest), "application/json"


def _multipart(rest: dict[str, Any], files: frozenset[str]) -> tuple[bytes, str]:
    """Each argument as a part: files decoded, lists as parts of one name, objects as JSON. Source: RFC 7578."""
    boundary = secrets.token_hex(16)
    content = bytearray()
    for name, value in rest.items():
        for each in value if isinstance(value, list) else [value]:
            if each is None:
                continue
            file_name, media_type, data = _file(name, each) if name in files else _field(each)
            content += f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"'.encode()
            content += f'; filename="{_quoted(file_name)}"'.encode() if file_name is not None else b""
            content += f"\r\nContent-Type: {media_type}".encode() if media_type is not None else b""
            content += b"\r\n\r\n" + data + b"\r\n"
    content += f"--{boundary}--\r\n".encode()
    return bytes(content), f"multipart/form-data; boundary={boundary}"


def _field(value: Any) -> tuple[None, str | None, bytes]:
    if isinstance(value, dict | list):
        return None, "application/json", encode_body(value)
    return None, None, _plain(value).encode(errors="replace")


def _file(argument: str, value: Any) -> tuple[str, str, bytes]:
    """Name, media type and bytes of a file: base64, or `{base64, name?, type?}`."""
    written = value if isinstance(value, dict) else {"base64": value}
    text, name = written.get("base64"), written.get("name", argument)
    media_type = written.get("type", "application/octet-stream")
    if not (isinstance(text, str) and isinstance(name, str) and isinstance(media_type, str)):
        raise _refused(argument, "is a file: base64, or {base64, name?, type?}")
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise _refused(argument, "names a type that is no media type, such as application/pdf")
    try:
        return name, media_type, base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _refused(argument, "is a file, but its text is not base64") from None


def _quoted(name: str) -> str:
    """As browsers write it: https://html.spec.whatwg.org/#multipart-form-data."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A").encode(errors="replace").decode()


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [_plain(each) for each in values if each is not None]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else encode_body(value).decode()


def _refused(name: str, why: str) -> AgentCallError:
    return AgentCallError("input_mismatch", f"`{name[:60]}` {why}; nothing was sent")
