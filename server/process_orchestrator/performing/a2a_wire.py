"""What travels between us and an A2A agent: requests built in the dialect of 0.3 or 1.0, answers of both read alike.

Pure. Large whole numbers stay exact (the SDK's messages turn each into a double), and what an answer does not say in
the protocol's own words is refused rather than guessed. Nothing here judges a value against its contract.

Source: A2A specification 1.0, sections 4.1 (Task, Message, Part, Artifact) and 9 (JSON-RPC); 0.3, sections 6 and 7.
"""

from __future__ import annotations

import uuid
from hashlib import sha256
from typing import Any, Final

import msgspec

from process_orchestrator.checking.a2a_card import CURRENT, Interface, Skill
from process_orchestrator.checking.retry_after import told_retry_after_ms
from process_orchestrator.checking.schemas.validate import encode_body
from process_orchestrator.core.errors import BodyError
from process_orchestrator.core.facts.values import Fact
from process_orchestrator.performing.answer import Reply
from process_orchestrator.performing.links import AgentCall

SEND: Final = "send"
GET: Final = "get"
CANCEL: Final = "cancel"
LIST: Final = "list"
METHODS: Final = {
    "0.3": {SEND: "message/send", GET: "tasks/get", CANCEL: "tasks/cancel"},
    "1.0": {SEND: "SendMessage", GET: "GetTask", CANCEL: "CancelTask", LIST: "ListTasks"},
}
VERSION_HEADER: Final = "A2A-Version"

COMPLETED: Final = "completed"
LIVE: Final = frozenset({"submitted", "working", "unknown"})
"""States in which the agent goes on by itself."""
ASKING: Final = frozenset({"input-required", "auth-required"})
ENDED_BADLY: Final = frozenset({"failed", "canceled", "rejected"})

PARTS_MAX: Final = 10_000
ID_CHARS_MAX: Final = 1000
"""Of a task's id, which goes out again with every question about it."""
WHOLE_MAX: Final = 2**53
LINEAGE: Final = "process-orchestrator/lineage"
KEY: Final = "process-orchestrator/key"
SKILL: Final = "skillId"


class Said(Fact, frozen=True, kw_only=True):
    """What an agent's message or task says. A message is a task that is completed, and has no id."""

    state: str
    task: str | None = None
    reply: Reply


def same_id(kind: str, key: str) -> str:
    """An id that is the same for every delivery of one call: derived from its key."""
    return str(uuid.UUID(bytes=sha256(f"a2a\0{kind}\0{key}".encode()).digest()[:16], version=4))


def send_params(
    interface: Interface, skill: Skill, bind: dict[str, Any], arguments: dict[str, Any], call: AgentCall
) -> dict[str, Any]:
    """The parameters that send one call: its arguments as one data part, the one that `bind.text` names as text."""
    current = interface.version == CURRENT
    named = bind.get("text")
    parts: list[dict[str, Any]] = []
    if named in arguments:
        text = arguments[named]
        shown = text if isinstance(text, str) else encode_body(text).decode()
        parts.append({"text": shown} if current else {"kind": "text", "text": shown})
    rest = {name: value for name, value in arguments.items() if name != named}
    if rest or not parts:
        parts.append({"data": rest, "mediaType": "application/json"} if current else {"kind": "data", "data": rest})
    metadata: dict[str, Any] = {SKILL: skill.id}
    if call.keyed:
        metadata[KEY] = call.key
    if call.lineage:
        metadata[LINEAGE] = list(call.lineage)
    message = {
        "messageId": same_id("message", call.key),
        "contextId": same_id("context", call.key),
        "role": "ROLE_USER" if current else "user",
        "parts": parts,
        "metadata": metadata,
    }
    modes = {"acceptedOutputModes": list(skill.output_modes)} if skill.output_modes else {}
    at_once = {"returnImmediately": True} if current else {"blocking": False}
    if not current:
        message["kind"] = "message"
    params: dict[str, Any] = {"message": message, "configuration": {**modes, **at_once, "historyLength": 0}}
    return {**params, **_tenant(interface)}


def task_params(interface: Interface, task: str) -> dict[str, Any]:
    """The parameters that ask for a task, or cancel it."""
    return {"id": task, **_tenant(interface)}


def list_params(interface: Interface, call: AgentCall) -> dict[str, Any]:
    """The parameters that ask for the tasks that earlier deliveries of a call have led to; 0.3 has no such method."""
    return {"contextId": same_id("context", call.key), "pageSize": 10, "historyLength": 0, **_tenant(interface)}


def earlier_task(result: Any, call: AgentCall) -> str | None:
    """The newest task of this very call that may be taken up. Raises BodyError (not_json).

    Of an earlier try, which was told to stop, only one that is completed; of the same one, after its engine ended,
    one that still goes on as well.
    """
    return _task_in(result, call, states=frozenset({COMPLETED, *LIVE} if call.delivery > 1 else {COMPLETED}))


def live_task(result: Any, call: AgentCall) -> str | None:
    """The newest task of this very call that still goes on. Raises BodyError (not_json)."""
    return _task_in(result, call, states=LIVE)


def _task_in(result: Any, call: AgentCall, *, states: frozenset[str]) -> str | None:
    for each in _list(_object(result, "the list of tasks").get("tasks")):
        task = _object(each, "a task")
        name, status = task.get("id"), task.get("status")
        if task.get("contextId") != same_id("context", call.key) or not isinstance(status, dict):
            continue
        if isinstance(name, str) and 0 < len(name) <= ID_CHARS_MAX and _state(status.get("state")) in states:
            return name
    return None


def _tenant(interface: Interface) -> dict[str, Any]:
    return {} if interface.tenant is None or interface.version != CURRENT else {"tenant": interface.tenant}


def read_said(result: Any, *, task: str | None = None) -> Said:
    """The answer of one method. `task`: the answer must be about this one. Raises BodyError (not_json)."""
    found = _object(result, "the answer")
    for name in ("task", "message"):  # 1.0 wraps what it answers, 0.3 marks it by `kind`
        if isinstance(found.get(name), dict):
            found = found[name]
            break
    is_message = found.get("kind") == "message" or ("messageId" in found and "status" not in found)
    if is_message and task is None:
        return Said(state=COMPLETED, reply=_reply(_parts(found), found.get("metadata")))
    given = found.get("id")
    if is_message or not isinstance(given, str) or not 0 < len(given) <= ID_CHARS_MAX:
        raise BodyError("not_json", "the answer is neither a message nor a task of A2A")
    if task is not None and given != task:
        raise BodyError("not_json", f"asked for task {task[:80]}, the agent answered of {given[:80]}")
    status = _object(found.get("status"), "the task's status")
    state = _state(status.get("state"))
    told = status.get("message")
    spoken = _parts(told) if isinstance(told, dict) else []
    parts = [part for each in _list(found.get("artifacts")) for part in _parts(_object(each, "an artifact"))]
    if state == COMPLETED:
        return Said(state=state, task=given, reply=_reply(parts or spoken, found.get("metadata")))
    reply = _reply(spoken or parts, found.get("metadata"), failed=state not in LIVE, state=state)
    return Said(state=state, task=given, reply=reply)


def _state(written: Any) -> str:
    """A state in the words of 0.3; 1.0 writes TASK_STATE_INPUT_REQUIRED."""
    state = str(written).removeprefix("TASK_STATE_").lower().replace("_", "-")
    if state not in {COMPLETED, *LIVE, *ASKING, *ENDED_BADLY}:
        raise BodyError("not_json", f"{str(written)[:40]!r} is no state of a task that can be followed")
    return state


def _reply(parts: list[dict[str, Any]], metadata: Any, *, failed: bool = False, state: str | None = None) -> Reply:
    """Parts as one neutral reply: one data part is the value, several stand in a list `data`; texts are joined.

    Files are told by name, type and address or bytes, and only where an agent gives nothing else.
    """
    data = [_whole(part["data"]) for part in parts if "data" in part]
    texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    files = [_file(part) for part in parts if part.keys() & {"raw", "url", "file"}]
    structured: Any = msgspec.UNSET
    if data:
        structured = data[0] if len(data) == 1 else {"data": data}
    elif files and not texts:
        structured = {"files": files}
    return Reply(
        structured=structured,
        text="\n".join(texts) if texts else None,
        failed=failed,
        state=state,
        retry_after_ms=told_retry_after_ms(structured, metadata) if failed else None,
    )


def _whole(value: Any) -> Any:
    """A value whose whole numbers are written as such: who uses protobuf has doubles only, and sends 5 as 5.0."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= WHOLE_MAX else value
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    return value


def _file(part: dict[str, Any]) -> dict[str, Any]:
    inner = part.get("file")
    told = inner if isinstance(inner, dict) else part
    names = {"filename": "name", "name": "name", "mediaType": "media_type", "mimeType": "media_type"}
    bodies = {"raw": "base64", "bytes": "base64", "url": "url", "uri": "url"}
    known = {**names, **bodies}
    return {known[name]: value for name, value in told.items() if name in known and isinstance(value, str)}


def _parts(holder: dict[str, Any]) -> list[dict[str, Any]]:
    parts = _list(holder.get("parts"))
    if len(parts) > PARTS_MAX:
        raise BodyError("too_large", f"the answer has over {PARTS_MAX} parts")
    return [_object(each, "a part") for each in parts]


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise BodyError("not_json", "the answer has something else where A2A has a list")
    return value


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BodyError("not_json", f"{what} is no object of A2A")
    return value
