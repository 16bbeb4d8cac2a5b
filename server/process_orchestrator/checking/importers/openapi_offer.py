"""What an HTTP agent offers, by the OpenAPI document that it was imported from: its bound operations, each whole.

The document is read anew, from the address that the agent's file names. It is not the service: it shows what its owner
says of it now. Comparing is `checking.live_change`'s; when to ask is decided by the commands that pin and compare.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread

from process_orchestrator.checking.documents.pins import Definition, bound_name, document_of
from process_orchestrator.checking.importers.fetch import read_source
from process_orchestrator.checking.importers.foreign_document import read_foreign
from process_orchestrator.checking.importers.openapi import draft_of
from process_orchestrator.checking.importers.openapi_document import OpenApi, mapping
from process_orchestrator.core.errors import AgentCallError, RefusedError

if TYPE_CHECKING:
    from process_orchestrator.checking.documents.definitions import Agent

Json = Any

PARAMETER: Final = re.compile(r"\{[^{}]*\}")


async def offered(agent: Agent, *, names: Sequence[str], timeout_s: float) -> dict[str, Definition]:
    """The operations of these names (`GET /orders/{id}`), as the document describes them now.

    Raises AgentCallError (unreachable) where the document cannot be had or read.
    """
    address = document_of(agent)
    if address is None:
        raise AgentCallError("unreachable", f"{agent.name} was imported from no document at an address")
    try:
        with anyio.fail_after(timeout_s):
            read = await read_source(address, allow_loopback=agent.transport.allow_loopback)
        value = await anyio.to_thread.run_sync(partial(read_foreign, read.data, source=read.shown))
        return await anyio.to_thread.run_sync(partial(operations, value, source=read.shown, names=names))
    except TimeoutError:
        raise AgentCallError("unreachable", f"no document from {address} within {timeout_s:g} s") from None
    except RefusedError as error:
        raise AgentCallError("unreachable", f"its OpenAPI document: {error.message}") from error


def operations(value: Json, *, source: str, names: Sequence[str]) -> dict[str, Definition]:
    """The operations of a document that are bound by these names. Raises RefusedError for one that is not read."""
    document = OpenApi(value, source=source)
    found: dict[str, Definition] = {}
    wanted = {_shape(name) for name in names}
    for operation in document.operations():
        if _shape(operation.key) not in wanted:
            continue
        draft = draft_of(value, source=source, agent="any", only=[operation.key])
        for contract in draft.contracts:
            name = bound_name(contract.bind)
            if name is None or name not in names:
                continue
            security = operation.body.get("security", document.value.get("security"))
            found[name] = {
                "method": operation.method,
                "path": operation.path,
                "operation": operation.body,
                "inputSchema": contract.document["input"],
                "outputSchema": contract.document["output"],
                "errors": contract.document.get("errors", {}),
                "security": security or [],
                "securitySchemes": document.components("securitySchemes") if security else {},
                "consumes": sorted(mapping(document.followed(operation.body.get("requestBody")).get("content"))),
            }
    return found


def _shape(name: str) -> str:
    """A method and path whatever its parameters are called: a bind may call them otherwise."""
    return PARAMETER.sub("{}", name)
