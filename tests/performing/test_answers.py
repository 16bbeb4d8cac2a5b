"""How replies are read, headers understood, secrets kept: the small rules, each by itself."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from performing.fleet import FOLDER
from process_orchestrator.checking.addresses import allowed
from process_orchestrator.checking.retry_after import retry_after_ms
from process_orchestrator.core.errors import AgentCallError, BodyError
from process_orchestrator.performing.answer import Reply, read_value, refusal, renamed
from process_orchestrator.performing.failure import clean
from process_orchestrator.performing.secrets import Secret, Secrets


def read(reply: Reply, **bind: Any) -> Any:
    return read_value(reply, bind, max_bytes=1000, depth=5)


@pytest.mark.parametrize(
    ("reply", "bind", "value"),
    [
        (Reply(structured={"a": 1}, text="other"), {}, {"a": 1}),
        (Reply(structured=None, text="other"), {}, None),
        (Reply(text='{"a": 1}'), {}, {"a": 1}),
        (Reply(text="  [1]"), {}, [1]),
        (Reply(text="12"), {}, {"text": "12"}),
        (Reply(text="done"), {}, {"text": "done"}),
        (Reply(), {}, {"text": ""}),
        (Reply(structured={"a": 1}, text="12"), {"result": "json"}, 12),
        (Reply(structured={"a": 1}), {"result": "json"}, {"a": 1}),
        (Reply(structured={"a": 1}, text='{"b": 2}'), {"result": "text"}, {"text": '{"b": 2}'}),
        (Reply(structured={"a": 1}, text="x"), {"result": "structured"}, {"a": 1}),
    ],
)
def test_an_answer_is_read_as_its_bind_says(reply: Reply, bind: dict[str, Any], value: Any) -> None:
    assert read(reply, **bind) == value


@pytest.mark.parametrize(
    ("reply", "bind", "code"),
    [
        (Reply(text="{not json"), {}, "not_json"),
        (Reply(text='{"a": NaN}'), {}, "not_finite"),
        (Reply(text='{"a": 1, "a": 1}'), {}, "duplicate_key"),
        (Reply(text="[" * 9 + "]" * 9), {}, "too_deep"),
        (Reply(structured=[[[[[[[1]]]]]]]), {}, "too_deep"),
        (Reply(text="[" + "1," * 900 + "1]"), {}, "too_large"),
        (Reply(text="plain"), {"result": "json"}, "not_json"),
        (Reply(text="plain"), {"result": "structured"}, "not_json"),
    ],
)
def test_an_answer_that_cannot_be_read_names_why(reply: Reply, bind: dict[str, Any], code: str) -> None:
    with pytest.raises(BodyError) as raised:
        read(reply, **bind)
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ({"gone": {"text": "no (such|known) vendor"}}, "gone"),
        ({"gone": {"text": "vendor ["}}, "gone"),
        ({"gone": {"http_status": [404, 410]}}, "gone"),
        ({"gone": {"http_status": 404, "text": "else"}}, "undeclared_error"),
        ({"gone": {}}, "undeclared_error"),
        (None, "undeclared_error"),
    ],
)
def test_a_refusal_is_told_by_status_and_text(errors: dict[str, Any] | None, code: str) -> None:
    reply = Reply(text="Error executing tool: no such vendor [V-1]", status=410, failed=True)
    assert refusal(reply, {"errors": errors}).code == code


def test_a_refusal_in_structured_content_is_searched_as_well() -> None:
    reply = Reply(structured={"error": "no such vendor"}, failed=True)
    assert refusal(reply, {"errors": {"gone": {"text": "such vendor"}}}).code == "gone"


def test_arguments_are_renamed_moved_and_filled() -> None:
    arguments = {"file": "a.py", "place": {"line": 3}, "list": [7, 8], "kept": True}
    names = {"path": "$.file", "line": "$.place.line", "first": "$.list[0]", "mode": "fast", "gone": "$.nothing"}
    assert renamed(arguments, names) == {"path": "a.py", "line": 3, "first": 7, "mode": "fast", "kept": True}
    assert arguments["file"] == "a.py"
    assert renamed(arguments, None) is arguments


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        (None, None),
        ("120", 120_000),
        (" 0 ", 0),
        ("9" * 50, 7 * 86_400_000),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30_000),
        ("Sun, 22 Nov 2026 12:00:30 -0000", 30_000),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_in_every_form(header: str | None, wait: int | None) -> None:
    assert retry_after_ms(header, now=datetime(2026, 11, 22, 12, tzinfo=UTC)) == wait


@pytest.mark.parametrize(
    ("address", "loopback", "expected"),
    [
        ("8.8.8.8", False, True),
        ("2606:4700:4700::1111", False, True),
        ("127.0.0.1", False, False),
        ("127.0.0.1", True, True),
        ("::1", True, True),
        ("10.1.2.3", True, False),
        ("192.168.1.1", True, False),
        ("169.254.169.254", True, False),
        ("100.64.0.1", True, False),
        ("0.0.0.0", True, False),
        ("224.0.0.1", True, False),
        ("fd00::1", True, False),
        ("fe80::1", True, False),
        ("::ffff:127.0.0.1", False, False),
        ("::ffff:10.0.0.1", True, False),
        ("2002:7f00:1::", False, False),
    ],
)
def test_which_addresses_an_agent_may_have(address: str, *, loopback: bool, expected: bool) -> None:
    assert allowed(address, allow_loopback=loopback) is expected


async def test_a_secret_shows_itself_only_when_asked(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first-value\n")
    secrets = Secrets()
    secret = await secrets.resolve("file:token", folder=tmp_path)
    assert secret.reveal() == "first-value"
    assert "first-value" not in f"{secret} {secret!r} {[secret]}"
    masked = secrets.mask_value({"first-value": ["a first-value b", 1, None, {"x": True}]})
    assert masked == {"[secret]": ["a [secret] b", 1, None, {"x": True}]}
    assert secrets.leaked_in(b'{"a":"first-value"}')


FORMS = {
    "as it is": "{secret}",
    "in a query": "{query}",
    "in a path": "{path}",
    "in JSON": "{json}",
    "in JSON of ASCII": "{ascii}",
}


@pytest.mark.parametrize("form", FORMS)
async def test_a_secret_is_masked_however_an_agent_writes_it(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    secret = 'k/1+2 "ö\\=='
    monkeypatch.setenv("KEY", secret)
    secrets = Secrets()
    await secrets.resolve("env:KEY", folder=FOLDER)
    written = FORMS[form].format(
        secret=secret,
        query=urlencode({"key": secret}),
        path=quote(secret, safe=""),
        json=json.dumps(secret, ensure_ascii=False),
        ascii=json.dumps(secret),
    )
    shown = secrets.mask_text(f"refused: {written}.")
    assert "k/1" not in shown
    assert "k%2F1" not in shown
    assert "[secret]" in shown
    assert secrets.leaked_in(json.dumps({"seen": written}, ensure_ascii=False).encode())


async def test_a_secret_that_begins_like_another_leaves_no_rest_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = Secrets()
    for name, value in (("USER", "desk"), ("PASSWORD", "desk-0815")):
        monkeypatch.setenv(name, value)
        await secrets.resolve(f"env:{name}", folder=FOLDER)
    assert secrets.mask_text("desk:desk-0815") == "[secret]:[secret]"


@pytest.mark.parametrize("length", [8, 12, 19, 20])
async def test_a_secret_that_a_message_cuts_off_is_masked_as_far_as_it_goes(
    monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    secret = "sk-live-sk-live-0815"
    monkeypatch.setenv("KEY", secret)
    secrets = Secrets()
    await secrets.resolve("env:KEY", folder=FOLDER)
    reply = Reply(text="x" * (200 - length) + f"{secret} is no key", failed=True, status=403)
    assert secrets.mask_cut(refusal(reply, {}).message).endswith("x[secret]")
    assert secrets.mask_cut("sk-live") == "sk-live"
    assert secrets.mask_cut("sk-live-sk-live-sk-liv") == "sk-live-[secret]"
    assert secrets.mask_text("sk-live-sk") == "sk-live-sk"  # an answer is masked by whole secrets alone


async def test_a_secret_that_is_no_text_is_masked_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "bytes-\udcff\udcfe")
    secrets = Secrets()
    await secrets.resolve("env:KEY", folder=FOLDER)
    assert secrets.mask_text("a bytes-\udcff\udcfe") == "a [secret]"
    secrets.forget("bytes-\udcff\udcfe")
    assert not secrets.leaked_in(b"bytes-")


async def test_a_literal_is_no_secret_and_a_short_value_is_not_masked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHORT", "abc")
    secrets = Secrets()
    assert isinstance(await secrets.resolve("literal-value", folder=tmp_path), Secret)
    assert (await secrets.resolve("env:SHORT", folder=tmp_path)).reveal() == "abc"
    assert secrets.mask_text("literal-value abc") == "literal-value abc"


async def test_a_secret_file_that_is_not_there_is_named_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(AgentCallError) as raised:
        await Secrets().resolve("file:missing.txt", folder=tmp_path)
    assert "missing.txt" in raised.value.message
    assert str(tmp_path) not in raised.value.message


def test_messages_are_one_printable_line() -> None:
    assert clean("a\r\n\tb\x1b[2J\u202ec\ufeff") == "a b [2J c"
    assert len(clean("x" * 1000)) == 300
