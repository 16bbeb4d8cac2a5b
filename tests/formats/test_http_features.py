"""HTTP agents in whole homes: secrets stay out of every record, and work that takes longer outlives its engine."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from formats.writing import opened, write_home
from performing.fleet import Heard, ScriptedServer, says, scripted_server
from process_orchestrator.hosting.packing import unpack
from process_orchestrator.views.models import ProcessView, SubmitRequest

pytestmark = pytest.mark.anyio

HOME = """
    contract: job.do
    version: 1.0.0
    summary: Do a job.
    input:  {type: object, required: [job], properties: {job: {type: string}, request_id: {type: string}}}
    output: {type: object}
    errors: {refused: {class: conflict}}
    effects: EFFECTS
    retry: {max_attempts: 1, on: []}
    ---
    process: working
    version: 1.0.0
    summary: Do a job.
    input:  {type: object, required: [job], properties: {job: {type: string}}}
    output: {type: object, required: [answer], properties: {answer: {type: object}}}
    on_failure: FAILURE
    plan:
      steps: [{id: do, contract: job.do, in: {job: $.input.job}}]
      output: {answer: $.steps.do.output}
    ---
    agent: desk
    summary: Does jobs.
    transport:
      kind: http
      base_url: URL
      allow_loopback: true
      auth: {oauth2_client: {token_url: URL/token, client_id: desk, client_secret: "env:FEATURE_SECRET", send: SEND}}
    serves:
      - contract: job.do@^1
        bind: {method: POST, path: /jobs, POLL errors: {refused: {http_status: 409}}}
"""
SECRET, TOKEN = "secret-with/signs-0815", "token-that-was-fetched-4711"
POLL = "poll: {status: /state, until: [done], every_s: 0.05, path: /jobs/7},"


def home_text(server: ScriptedServer, **written: str) -> str:
    marks = {"EFFECTS": "{kind: read}", "FAILURE": "fail", "SEND": "basic", "POLL": "", **written, "URL": server.url}
    text = HOME
    for mark, value in marks.items():
        text = text.replace(mark, value)
    return text


def stored(folder: Path) -> Iterator[bytes]:
    """All that stands in a state folder: every file as it is, every turn unpacked, every body."""
    for file in folder.rglob("*"):
        if file.is_file():
            yield file.read_bytes()
    connection = sqlite3.connect(folder / "orchestrator.db")
    try:
        for (turn,) in connection.execute("SELECT turn FROM journal"):
            yield unpack(turn)
        for (body,) in connection.execute("SELECT bytes FROM artifact"):
            yield body
    finally:
        connection.close()


async def tells_all(heard: Heard, stream: SocketStream) -> None:
    """An agent that gives away what it was shown, and refuses some jobs in the same words."""
    shown = {"header": heard.headers["authorization"], TOKEN: [f"a {TOKEN} b", SECRET, heard.body.decode()]}
    status = {b"refused": 409, b"broken": 500, b"denied": 401}
    found = next((code for word, code in status.items() if word in heard.body), 200)
    await says(shown, status=found)(heard, stream)


@pytest.mark.parametrize("send", ["basic", "form"])
async def test_neither_secret_nor_token_stands_in_any_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, send: str
) -> None:
    monkeypatch.setenv("FEATURE_SECRET", SECRET)
    shown = ""
    async with scripted_server() as server:
        server.scripts |= {"/jobs": tells_all, "/token": says({"access_token": TOKEN, "expires_in": 3600})}
        home = write_home(tmp_path, home_text(server, SEND=send))
        async with opened(home) as use:
            for job in ("plain", "refused", "broken", "denied"):
                view = await use.run("working", {"job": job})
                shown += view.model_dump_json() + "".join(e.model_dump_json() for e in await use.trace(view, "do"))
            error = {"error": "invalid_client", "error_description": f"{SECRET} and desk:{SECRET} are wrong"}
            server.scripts["/token"] = says(error, status=401)
            monkeypatch.setenv("FEATURE_SECRET", SECRET + "-rotated")
            view = await use.run("working", {"job": "unsent"})
            shown += view.model_dump_json() + "".join(e.model_dump_json() for e in await use.trace(view, "do"))
            assert view.error is not None
            assert (view.error.code, view.error.blame) == ("unreachable", "transport")
            assert "invalid_client" in shown
        records = [*stored(home.state)]
    assert sum(b"[secret]" in record for record in records) >= 4
    records.append(shown.encode())
    for secret in (SECRET, TOKEN, "secret-with%2Fsigns-0815"):
        assert not any(secret.encode() in record for record in records), secret


async def started(use: Any, job: str) -> ProcessView:
    return await use.orchestrator.submit(SubmitRequest(process_type="working", input={"job": job}))


@pytest.mark.parametrize(
    ("effects", "posts", "status"),
    [
        ("{kind: read}", 2, "completed"),
        ("{kind: write}\n    idempotency: {key: request_id}", 2, "completed"),
        ("{kind: write}", 1, "waiting_human"),
    ],
)
async def test_accepted_work_is_asked_about_again_under_its_key_after_the_engine_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, effects: str, posts: int, status: str
) -> None:
    monkeypatch.setenv("FEATURE_SECRET", SECRET)
    asked = anyio.Event()
    done = False

    async def look(heard: Heard, stream: SocketStream) -> None:
        asked.set()
        await says({"state": "done" if done else "queued"})(heard, stream)

    async with scripted_server() as server:
        server.scripts |= {"/token": says({"access_token": TOKEN}), "/jobs/7": look}
        server.scripts["/jobs"] = says({"state": "queued"}, status=202)
        text = home_text(server, POLL=POLL, EFFECTS=effects, FAILURE="escalate")
        home = write_home(tmp_path, text.replace("retry: {max_attempts: 1, on: []}\n", "\n"))
        async with opened(home) as use:
            view = await started(use, "long")
            await asked.wait()
        done = True
        async with opened(home) as use:
            latest = await use.settled(view)
        keys = [heard.headers.get("idempotency-key") for heard in server.heard if heard.target == "/jobs"]
    assert (len(keys), latest.status) == (posts, status)
    assert len(set(keys)) == 1
    if "idempotency" in effects:
        assert keys[0] == f"{view.process_id}/do/g1"
    if posts == 1:
        assert latest.escalations[0].kind == "outcome_unknown"
