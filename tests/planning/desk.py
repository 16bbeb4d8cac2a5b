"""A small support desk in definitions: what a planner may be offered, and what it must never be."""

from __future__ import annotations

from typing import Any, Final

from checking_plan.making import agent, contract, process
from process_orchestrator.checking.documents.definitions import Contract, ProcessType
from process_orchestrator.checking.loading.registry import Registry

FIND: Final = """
contract: order.find
summary: Find an order by its number.
input: {type: object, required: [order_id], additionalProperties: false, properties: {order_id: {type: string}}}
output:
  type: object
  required: [order_id, total, status, customer, lines]
  additionalProperties: false
  properties:
    order_id: {type: string}
    total: {type: number}
    status: {enum: [open, sent, lost]}
    coupon: {type: string}
    customer:
      type: object
      required: [email]
      additionalProperties: false
      properties: {email: {type: string}, iban: {type: string}}
    lines:
      type: array
      items:
        type: object
        required: [sku, amount]
        additionalProperties: false
        properties: {sku: {type: string}, amount: {type: number}}
data: {sensitive: [/output/customer/iban]}
cost: {per_call_usd: 0}
"""

REFUND: Final = """
contract: refund.issue
summary: Pay an order back.
input:
  type: object
  required: [order_id, amount, request_id]
  additionalProperties: false
  properties:
    request_id: {type: string}
    order_id: {type: string}
    amount: {type: number}
    reason: {enum: [lost, damaged, goodwill]}
    notify: {type: boolean}
output:
  type: object
  required: [refund_id]
  additionalProperties: false
  properties: {refund_id: {type: string}}
effects: {kind: write, resources: ["refunds"], undo: {contract: refund.revoke, in: {refund_id: $.output.refund_id}}}
idempotency: {key: request_id}
approval: {when: {expr: "input.amount > 100.0"}, role: approver, min_assurance: A1}
"""

REVOKE: Final = """
contract: refund.revoke
summary: Take a refund back.
input: {type: object, required: [refund_id], additionalProperties: false, properties: {refund_id: {type: string}}}
output: {type: object, properties: {done: {type: boolean}}}
effects: {kind: write}
idempotency: natural
"""

STOCK: Final = """
contract: stock.check
summary: Is an article in stock?
input: {type: object, required: [sku], additionalProperties: false, properties: {sku: {type: string}}}
output: {type: object, required: [there], additionalProperties: false, properties: {there: {type: boolean}}}
effects: {kind: none}
"""

REPORT: Final = """
contract: stock.report
summary: One line about a list of answers.
input:
  type: object
  required: [answers]
  additionalProperties: false
  properties: {answers: {type: array, items: {type: object, properties: {there: {type: boolean}}, required: [there]}}}
output: {type: object, required: [line], additionalProperties: false, properties: {line: {type: string}}}
effects: {kind: none}
"""

ANSWER: Final = """
contract: answer.draft
summary: Draft an answer to the customer.
input:
  type: object
  required: [text]
  additionalProperties: false
  properties: {text: {type: string}, refund_id: {type: string}, total: {type: number}}
output: {type: object, required: [answer], additionalProperties: false, properties: {answer: {type: string}}}
effects: {kind: none}
"""

ASK: Final = """
contract: person.ask
summary: A colleague looks at it.
input: {type: object, required: [question], additionalProperties: false, properties: {question: {type: string}}}
output: {type: object, required: [verdict], additionalProperties: false, properties: {verdict: {type: string}}}
effects: {kind: none}
"""

DRAFT: Final = """
contract: label.print
status: draft
todo: [say what it costs]
summary: Print a label.
input: {type: object, properties: {order_id: {type: string}}}
output: {type: object}
"""

WIPE: Final = """
contract: disk.wipe
summary: Not on any map.
input: {type: object, additionalProperties: false, properties: {disk: {type: string}}}
output: {type: object}
effects: {kind: irreversible}
"""

UNSERVED: Final = """
contract: nobody.serves
summary: Nobody does this.
input: {type: object}
output: {type: object}
"""

MAP: Final = (
    "order.find@^1",
    "refund.issue@^1",
    "stock.check@^1",
    "stock.report@^1",
    "answer.draft@^1",
    "person.ask@^1",
)


def object_of(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


TICKET: Final[dict[str, Any]] = {
    "process": "ticket",
    "summary": "Resolve one ticket.",
    "input": object_of(["text"], text={"type": "string"}, order_id={"type": "string"}, urgent={"type": "boolean"}),
    "output": object_of(["answer"], answer={"type": "string"}, refund_id={"type": "string"}),
    "contracts": list(MAP),
    "budget": {"usd": 1.0, "calls": 60},
}


def ticket(**rest: Any) -> ProcessType:
    return process({**TICKET, **rest})


def contracts() -> tuple[Contract, ...]:
    texts = (FIND, REFUND, REVOKE, STOCK, REPORT, ANSWER, ASK, DRAFT, WIPE, UNSERVED)
    return tuple(contract(text) for text in texts)


def registry(*types: ProcessType, more: tuple[Contract, ...] = ()) -> Registry:
    served = [each.name for each in more]
    return Registry.of(
        contracts=[*contracts(), *more],
        processes=types,
        agents=[
            agent("shop", "order.find@^1", "stock.check@^1", "stock.report@^1", "label.print@^1"),
            agent("bank", "refund.issue@^1", "refund.revoke@^1"),
            agent("writer", "answer.draft@^1", *served),
            agent("colleague", "person.ask@^1", kind="human", role="clerk"),
            agent("disks", "disk.wipe@^1"),
        ],
    )
