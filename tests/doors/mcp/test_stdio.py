"""A real server process on real pipes."""

import json
import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.types import ElicitResult, InputRequiredResult

from doors.mcp.fake_orchestrator import ESCALATION, PROCESS, FakeOrchestrator
from process_orchestrator.core.ports import ProofKind
from process_orchestrator.doors.mcp_server import build_server
from process_orchestrator.doors.request_state_key import request_state_key

TESTS = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("stdio_program.py")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
ENVIRONMENT["PYTHONPATH"] = str(TESTS)
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "0"}},
}
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}
SUBMIT = {
    "jsonrpc": "2.0",
    "id": 2,
    "method": "tools/call",
    "params": {"name": "submit_process", "arguments": {"process_type": "invoice_approval"}},
}


def start(state: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, str(PROGRAM), str(state)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=ENVIRONMENT)


def say(server: "subprocess.Popen[bytes]", *messages: dict[str, Any]) -> None:
    assert server.stdin is not None
    server.stdin.write(b"".join(json.dumps(message).encode() + b"\n" for message in messages))
    server.stdin.flush()


def test_stdout_carries_the_protocol_and_nothing_else(tmp_path: Path) -> None:
    with start(tmp_path) as server:
        assert server.stdout is not None
        say(server, HELLO, READY, SUBMIT)
        lines = [server.stdout.readline(), server.stdout.readline()]
        rest, errors = server.communicate(timeout=20)
    assert [json.loads(line)["id"] for line in lines] == [1, 2]
    assert rest == b""
    for noise in (b"before", b"from print", b"from the first stdout", b"on the descriptor", b"at the end", b"after"):
        assert b"noise " + noise in errors


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_though_the_host_keeps_its_side_open(tmp_path: Path, number: int) -> None:
    with start(tmp_path) as server:
        assert server.stdout is not None
        say(server, HELLO, READY)
        server.stdout.readline()
        server.send_signal(number)
        assert server.wait(timeout=20) == 0
        server.communicate()


@pytest.mark.anyio
async def test_the_official_client_works_over_pipes(tmp_path: Path, mode: Literal["auto", "legacy"]) -> None:
    async def accept(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"decision": "approve"})

    program = StdioServerParameters(
        command=sys.executable, args=[str(PROGRAM), str(tmp_path)], env={"PYTHONPATH": str(TESTS)}
    )
    with anyio.fail_after(60):
        async with Client(program, mode=mode, elicitation_callback=accept) as client:
            tools = (await client.list_tools()).tools
            submitted = await client.call_tool("submit_process", {"process_type": "invoice_approval"})
            state = await client.call_tool("get_state", {"process_id": PROCESS})
            decided = await client.call_tool("resolve_escalation", {"escalation_id": ESCALATION})
    assert len(tools) == 10
    assert submitted.structured_content is not None
    assert submitted.structured_content == state.structured_content
    assert decided.structured_content is not None
    assert decided.structured_content["recorded"]["assurance"] == "A1"


@pytest.mark.anyio
async def test_an_open_question_outlives_a_restart_of_the_server(tmp_path: Path) -> None:
    async def never(context: Any, params: Any) -> ElicitResult:
        raise AssertionError

    asked, answered = FakeOrchestrator(), FakeOrchestrator()
    call = {"escalation_id": ESCALATION}
    async with Client(build_server(asked, state_key=request_state_key(tmp_path)), elicitation_callback=never) as client:
        question = await client.session.call_tool("resolve_escalation", call, allow_input_required=True)
    assert isinstance(question, InputRequiredResult)
    assert question.input_requests is not None
    (name,) = question.input_requests
    responses: dict[str, Any] = {name: ElicitResult(action="accept", content={"decision": "approve"})}
    async with Client(
        build_server(answered, state_key=request_state_key(tmp_path)), elicitation_callback=never
    ) as client:
        result = await client.call_tool(
            "resolve_escalation", call, input_responses=responses, request_state=question.request_state
        )
    assert result.structured_content is not None
    assert result.structured_content["status"] == "resolved"
    ((_, proof),) = answered.seen.resolves
    assert proof.kind is ProofKind.ELICITATION


def test_doors_that_start_at_once_agree_on_one_private_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: request_state_key(tmp_path), range(64)))
    (file,) = tmp_path.iterdir()
    assert len(keys) == 1
    assert keys == {file.read_bytes()}
    assert file.name == "request_state.key"
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_damaged_key_is_named_and_not_used(tmp_path: Path) -> None:
    (tmp_path / "request_state.key").write_bytes(b"short")
    with pytest.raises(ValueError, match=r"request_state\.key is no key of 32 bytes"):
        request_state_key(tmp_path)
