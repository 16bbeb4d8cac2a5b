"""Definitions for tests, from short texts to the structs that the loader makes."""

from __future__ import annotations

from typing import Any

from process_orchestrator.checking.documents.definitions import Agent, Contract, ProcessType
from process_orchestrator.checking.documents.shape import agent_from, contract_from, process_from
from process_orchestrator.checking.documents.yaml_reader import read
from process_orchestrator.checking.loading.registry import Registry


def value(text: str) -> Any:
    """What YAML says, as our own reader reads it (`on` is a text)."""
    return read(text.encode(), file="test.yaml").value


def contract(text: str) -> Contract:
    """A contract from YAML; version, summary and effects are filled in."""
    written = {"version": "1.0.0", "summary": "For a test.", "effects": {"kind": "read"}, **value(text)}
    return contract_from(written, path=f"{written['contract']}.contract.yaml")


def process(written: dict[str, Any]) -> ProcessType:
    """A process type; version and summary are filled in."""
    written = {"version": "1.0.0", "summary": "For a test.", **written}
    return process_from(written, path=f"{written['process']}.process.yaml")


def agent(name: str, *contracts: str, kind: str = "mcp_stdio", **more: Any) -> Agent:
    """An agent that serves contracts."""
    transports: dict[str, Any] = {
        "mcp_stdio": {"kind": "mcp_stdio", "command": ["true"]},
        "human": {"kind": "human", "role": more.pop("role", "clerk")},
    }
    bind = {} if kind == "human" else {"tool": "run"}
    serves = [{"contract": each, "bind": bind} for each in contracts]
    written = {"agent": name, "summary": "For a test.", "transport": transports[kind], "serves": serves, **more}
    return agent_from(written, path=f"{name}.agent.yaml")


READ = """
contract: document.read
input: {type: object, required: [document], additionalProperties: false, properties: {document: {type: string}}}
output:
  type: object
  required: [id, total, vendor, lines, known]
  properties:
    id: {type: string}
    total: {type: number}
    known: {type: boolean}
    note: {type: string}
    vendor: {type: object, required: [tax_id], properties: {tax_id: {type: string}, name: {type: string}}}
    lines: {type: array, items: {$ref: "#/$defs/line"}}
  $defs:
    line: {type: object, required: [sku, amount], properties: {sku: {type: string}, amount: {type: number}}}
errors: {unreadable: {class: invalid_input}}
"""

CHECK = """
contract: line.check
effects: {kind: none}
cost: {per_call_usd: 0}
input:
  type: object
  required: [line]
  additionalProperties: false
  properties: {line: {type: object}, rate: {type: number}}
output: {type: object, required: [allowed], properties: {allowed: {type: boolean}}}
"""

POST = """
contract: ledger.post
input:
  type: object
  required: [id, total]
  additionalProperties: false
  properties: {request_id: {type: string}, id: {type: string}, total: {type: number}, memo: {type: string}}
output: {type: object, required: [posting], properties: {posting: {type: string}}}
effects: {kind: write, resources: ["ledger:invoice"], undo: {contract: ledger.void, in: {posting: $.output.posting}}}
idempotency: {key: request_id}
retry: {max_attempts: 4, on: [transient, timeout, lost]}
timeout: {attempt_s: 20, total_s: 120}
errors: {busy: {class: transient}}
approval: {when: {expr: "input.total > 1000.0"}, role: controller, min_assurance: A1}
"""

VOID = """
contract: ledger.void
input: {type: object, required: [posting], additionalProperties: false, properties: {posting: {type: string}}}
output: {type: object, properties: {done: {type: boolean}}}
effects: {kind: write}
idempotency: natural
"""

ASK = """
contract: invoice.ask
input: {type: object, required: [question], properties: {question: {type: string}}}
output: {type: object, required: [accepted], properties: {accepted: {type: boolean}}}
effects: {kind: none}
"""

DRAFT = """
contract: draft.one
status: draft
input: {type: object}
output: {type: object}
"""

WIPE = """
contract: disk.wipe
input: {type: object, additionalProperties: false, properties: {disk: {type: string}}}
output: {type: object}
effects: {kind: irreversible}
"""

UNSERVED = """
contract: nobody.serves
input: {type: object}
output: {type: object}
"""


def registry(*processes: ProcessType, agents: tuple[Agent, ...] = ()) -> Registry:
    """The contracts above, with agents for all but the unserved one."""
    return Registry.of(
        contracts=[contract(text) for text in (READ, CHECK, POST, VOID, ASK, DRAFT, WIPE, UNSERVED)],
        processes=processes,
        agents=[
            agent("reader", "document.read@^1", prefer=10),
            agent("reader_too", "document.read@^1"),
            agent("checker", "line.check@^1"),
            agent("ledger", "ledger.post@^1", "ledger.void@^1"),
            agent("clerk", "invoice.ask@^1", kind="human", role="clerk"),
            agent("disks", "disk.wipe@^1", "draft.one@^1"),
            *agents,
        ],
    )


HEAD = """
process: approval
input:
  type: object
  required: [document]
  additionalProperties: false
  properties: {document: {type: string}, limit: {type: number}, memo: {type: string}}
output: {type: object, properties: {posting: {type: string}, total: {type: number}}}
"""


def plan(steps: str, *, output: str = "{}", head: str = HEAD, more: str = "") -> ProcessType:
    """A process type whose plan has these steps (a YAML list in flow or block style)."""
    written = value(head) | value(more or "{}")
    written |= {"plan": {"steps": value(steps), "output": value(output)}}
    return process(written)
