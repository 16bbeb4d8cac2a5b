"""A small shop: real files, a real engine on SQLite, agents in this program whose every call is kept."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import anyio

from acceptance.building import NUMBER, PROGRAMS, TEXT, HomeBuilder, record
from process_orchestrator.assemble import Mode, open_orchestrator
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.ports import InProcessCall, Proof, ProofKind
from process_orchestrator.home import Home
from process_orchestrator.orchestrator import Orchestrator, RedriveRequest
from process_orchestrator.settings import Settings
from process_orchestrator.views.models import ProcessView, ResolveRequest, SubmitRequest

Answering = Callable[[dict[str, Any]], Awaitable[Any]]
ASSERTED: Final = Proof(kind=ProofKind.ARGUMENT)

ORDER: Final = [
    {"id": "price", "contract": "shop.price", "in": {"item": "$.input.item"}},
    {"id": "book", "contract": "shop.book", "in": {"item": "$.input.item", "total": "$.steps.price.output.total"}},
    {"id": "mail", "contract": "shop.mail", "in": {"item": "$.input.item"}, "after": ["book"]},
    {"id": "check", "contract": "shop.check", "in": {"total": "$.steps.price.output.total"}, "after": ["mail"]},
]
"""Reads, books under a key, writes a letter that cannot be told from its repeat, and looks at the result."""

MANY: Final = [
    {"id": "mails", "contract": "shop.mail", "for_each": "$.input.items", "in": {"item": "$.item"}},
    {"id": "check", "contract": "shop.check", "in": {"total": 1}, "after": ["mails"]},
]
ITEM: Final = record({"item": TEXT}, note=TEXT)


def fail(step: dict[str, Any]) -> dict[str, Any]:
    return {**step, "on_failure": "fail"}


def build(path: Path, *, order: list[dict[str, Any]] | None = None, version: str = "1.0.0") -> Home:
    """The shop's definitions; a second time into the same folder after a change."""
    made = HomeBuilder(path) if not path.exists() else _again(path)
    made.contract("shop.price", given=record({"item": TEXT}), answer=record({"total": NUMBER}))
    made.contract(
        "shop.book",
        given=record({"item": TEXT, "total": NUMBER}, request_id=TEXT),
        answer=record({"id": TEXT}),
        kind="write",
        idempotency={"key": "request_id"},
    )
    made.contract("shop.mail", given=record({"item": TEXT}), answer=record({"sent": TEXT}), kind="write")
    made.contract("shop.check", given=record({"total": NUMBER}), answer=record({"ok": TEXT}))
    bound = {name: {"tool": "do"} for name in ("shop.price", "shop.book", "shop.mail", "shop.check")}
    made.stdio_agent("shop", PROGRAMS / "witness.py", serves=bound)
    for name, steps, given in (("order", order or ORDER, ITEM), ("many", MANY, record({"items": {"type": "array"}}))):
        made.process(name, *map(fail, steps), given=given, version=version)
    return made.built()


def _again(path: Path) -> HomeBuilder:
    made = HomeBuilder.__new__(HomeBuilder)
    made.home = Home(path=path, state=path / "state")
    return made


@dataclass
class Shop:
    """The one agent. `doing` replaces what it does for a contract; `calls` is what it was asked, with the key."""

    doing: dict[str, Answering] = field(default_factory=dict[str, Answering])
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list[tuple[str, str, dict[str, Any]]])

    async def __call__(self, arguments: dict[str, Any], told: InProcessCall) -> Any:
        self.calls.append((told.contract.partition("@")[0], told.key, arguments))
        name = told.contract.partition("@")[0]
        if name in self.doing:
            return await self.doing[name](arguments)
        match name:
            case "shop.price":
                return {"total": 7}
            case "shop.book":
                return {"id": f"B-{arguments['item']}"}
            case "shop.mail":
                return {"sent": arguments["item"]}
            case _:
                return {"ok": "yes"}

    @property
    def called(self) -> list[str]:
        return [name.removeprefix("shop.") for name, _, _ in self.calls]


def breaking(code: str = "undeclared_error", **more: Any) -> Answering:
    async def broken(_arguments: dict[str, Any]) -> Any:
        raise AgentCallError(code, "it does not work", **more)

    return broken


@dataclass
class Counter:
    """The shop's orchestrator, and its agent."""

    orchestrator: Orchestrator
    shop: Shop

    async def settled(self, process_id: str) -> ProcessView:
        with anyio.fail_after(20):
            async for _ in self.orchestrator.changes(process_id):
                pass
        return await self.orchestrator.state(process_id)

    async def order(self, process_type: str = "order", **given: Any) -> ProcessView:
        request = SubmitRequest(process_type=process_type, input=given or {"item": "pen"}, label="shop")
        return await self.settled((await self.orchestrator.submit(request)).process_id)

    async def redrive(self, process_id: str, **rest: Any) -> ProcessView:
        """Redrive, and wait until it has ended or asks."""
        made = await self.orchestrator.redrive(RedriveRequest(process_id=process_id, **rest))
        return (await self.settled(made.process_id)).model_copy(update={"warnings": made.warnings})

    async def decide(self, escalation_id: str, decision: str, **rest: Any) -> None:
        request = ResolveRequest(escalation_id=escalation_id, decision=decision, **rest)
        await self.orchestrator.resolve(request, proof=ASSERTED)


@asynccontextmanager
async def open_shop(home: Home, shop: Shop | None = None) -> AsyncGenerator[Counter]:
    shop = shop or Shop()
    async with open_orchestrator(home, Settings(), mode=Mode.DRIVE, in_process={"shop": shop}) as orchestrator:
        yield Counter(orchestrator, shop)


def rewrite(home: Home, name: str, **changes: Any) -> None:
    """Change fields of a definition file, as its author would."""
    file = home.path / name
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")
