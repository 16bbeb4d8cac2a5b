"""Every default of a definition, filled into the definition as written.

The result is again a definition of the same kind and means the same: `show` prints it, `shape` reads it. Takes for
granted that the meta-schema found nothing wrong. What stays absent has no default: an unknown cost is not zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Json = Any
Written = Mapping[str, Json]

RETRY_ON: Final = ("transient", "timeout", "lost")
SAFE_ATTEMPTS: Final = 3


def filled(kind: str, written: Written) -> dict[str, Json]:
    """`written` with all defaults of its kind: contract, process or agent."""
    return _FILL[kind](written)


def _contract(written: Written) -> dict[str, Json]:
    effects: Written = written["effects"]
    idempotency: Json = written.get("idempotency", "unsafe")
    safe = effects["kind"] in ("none", "read") or idempotency != "unsafe"
    return {
        **written,
        "errors": {
            code: {"retry_after": False, "outcome": "not_done", **error}
            for code, error in written.get("errors", {}).items()
        },
        "effects": {"resources": [], **effects},
        "idempotency": idempotency,
        "timeout": {"attempt_s": 30, "total_s": 180, **written.get("timeout", {})},
        "retry": {
            "max_attempts": SAFE_ATTEMPTS if safe else 1,
            "on": list(RETRY_ON),
            "initial_s": 1,
            "factor": 2,
            "max_s": 30,
            "jitter": "full",
            **written.get("retry", {}),
        },
        "limits": {"output_bytes": 1_000_000, "depth": 64, **written.get("limits", {})},
        "data": {"sensitive": [], **written.get("data", {})},
        "requires": written.get("requires", []),
        "ensures": written.get("ensures", []),
        "status": written.get("status", "active"),
        "todo": written.get("todo", []),
        "examples": written.get("examples", []),
    }


def _agent(written: Written) -> dict[str, Json]:
    transport: Written = written["transport"]
    kind: str = transport["kind"]
    if kind in ("mcp_http", "http", "a2a"):
        transport = {"allow_loopback": "start" in transport, **transport}
    return {
        **written,
        "transport": dict(transport),
        "serves": [{**serve, "bind": _bind(serve.get("bind", {}))} for serve in written["serves"]],
        "limits": {"concurrency": 4, "output_bytes": 1_000_000, **written.get("limits", {})},
        "circuit": {"failures": 5, "window_s": 60, "open_s": 30, **written.get("circuit", {})},
        "prefer": written.get("prefer", 100),
    }


def _bind(written: Written) -> dict[str, Json]:
    bind = dict(written)
    if "poll" in written:
        states: Written = {"failed": []} if "status" in written["poll"] else {}
        bind["poll"] = {**states, "every_s": 5, **written["poll"]}
    if "pages" in written:
        bind["pages"] = {"max": 10, **written["pages"]}
    return bind


def _process(written: Written) -> dict[str, Json]:
    word: str = written.get("on_failure", "escalate")
    whole = {
        **written,
        "intake": {"keywords": [], "examples": [], "requires": [], **written.get("intake", {})},
        "budget": {
            "usd": 1.00,
            "calls": 100,
            "tokens": 500_000,
            "total_s": 3600,
            "unknown": "allow",
            **written.get("budget", {}),
        },
        "limits": {"steps": 30, "replans": 2, "same_call": 3, "depth": 3, **written.get("limits", {})},
        "escalation": {
            "role": "approver",
            "deadline_s": 86_400,
            "on_deadline": "reject",
            "min_assurance": "A2",
            **written.get("escalation", {}),
        },
        "on_failure": word,
        "on_cancel": written.get("on_cancel", "leave"),
        "on_abort": written.get("on_abort", "leave"),
    }
    if "plan" in written:
        plan: Written = written["plan"]
        whole["plan"] = {**plan, "steps": [_step(step, word) for step in plan["steps"]]}
    return whole


def _step(written: Written, process_word: str) -> dict[str, Json]:
    on_failure: Json = written.get("on_failure", process_word)
    words: Written = on_failure if isinstance(on_failure, Mapping) else {"else": on_failure}
    whole = {**written, "after": written.get("after", []), "on_failure": {"else": process_word, **words}}
    if "for_each" in written:
        whole |= {"parallel": written.get("parallel", 4), "item_failure": written.get("item_failure", "stop")}
    if "repeat" in written:
        whole["repeat"] = {"max": 5, "every_s": 10, **written["repeat"]}
    return whole


_FILL: Final[Mapping[str, Callable[[Written], dict[str, Json]]]] = {
    "contract": _contract,
    "agent": _agent,
    "process": _process,
}
