"""A real A2A server, built with the SDK, on loopback: what it does with a message is said in the message."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import uvicorn
from a2a.helpers.proto_helpers import get_data_parts, get_message_text, new_data_part, new_text_part
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.context import ServerCallContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    GetTaskRequest,
    Message,
    Part,
    Role,
    Task,
    TaskState,
    TaskStatus,
)
from a2a.utils.errors import InvalidParamsError
from starlette.applications import Starlette

from performing.fleet import closed_port

BOOK = AgentSkill(
    id="book",
    name="Book an invoice",
    description="Books one invoice.",
    tags=["ledger"],
    input_modes=["application/json"],
    output_modes=["application/json"],
)
TALK = AgentSkill(id="talk", name="Talk", description="Answers a question.", tags=["words"])


def card(url: str, *versions: str) -> AgentCard:
    return AgentCard(
        name="Ledger",
        description="Keeps books.",
        version="2.1.0",
        supported_interfaces=[
            AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version=version) for version in versions
        ],
        capabilities=AgentCapabilities(streaming=False),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[BOOK, TALK],
    )


class Clerk(AgentExecutor):
    """Does what the data part says under `do`; keeps every message and every cancel."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.cancelled: list[str] = []
        self.asked_for: list[str] = []

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        message, task_id, context_id = context.message, context.task_id, context.context_id
        assert message is not None
        assert task_id is not None
        assert context_id is not None
        self.heard.append(message)
        data = next(iter(get_data_parts(message.parts)), {})
        does = data.get("do", "talk")
        if does in {"echo", "talk"}:
            said = (
                [new_data_part(data)] if does == "echo" else [new_text_part("You said: " + get_message_text(message))]
            )
            answer = Message(message_id="m1", context_id=context_id, role=Role.ROLE_AGENT, parts=said)
            await event_queue.enqueue_event(answer)
            return
        if does == "refuse":
            raise InvalidParamsError(message="no such vendor: acme")
        submitted = TaskStatus(state=TaskState.TASK_STATE_SUBMITTED)
        await event_queue.enqueue_event(Task(id=task_id, context_id=context_id, status=submitted, history=[message]))
        await self._work(does, data, TaskUpdater(event_queue, task_id, context_id))

    async def _work(self, does: str, data: dict[str, Any], task: TaskUpdater) -> None:
        await task.start_work()
        if does == "hang":
            await anyio.sleep_forever()
        await anyio.sleep(float(data.get("for_s", 0)))
        spoken = task.new_agent_message([new_text_part(str(data.get("say", "because")))])
        if does == "work":
            parts: list[Part] = [new_data_part({"total": data.get("total", 1), "id": 5})]
            await task.add_artifact([*parts, new_text_part("booked")])
            await task.complete()
        elif does == "several":
            await task.add_artifact([new_data_part({"n": 1})])
            await task.add_artifact([new_data_part({"n": 2})])
            await task.complete()
        elif does == "raise":
            raise RuntimeError("the clerk is ill")
        else:
            await getattr(task, does)(spoken)

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.task_id is not None
        assert context.context_id is not None
        self.cancelled.append(context.task_id)
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


class Handler(DefaultRequestHandler):
    """The SDK's own, which notes the tasks that it is asked for."""

    async def on_get_task(self, params: GetTaskRequest, context: ServerCallContext) -> Task | None:
        assert isinstance(self.agent_executor, Clerk)
        self.agent_executor.asked_for.append(params.id)
        return await super().on_get_task(params, context)


class A2aServer:
    def __init__(self, port: int, clerk: Clerk) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.clerk = clerk


@asynccontextmanager
async def a2a_server(*versions: str) -> AsyncGenerator[A2aServer]:
    """A server whose card offers JSON-RPC in these versions; it answers both dialects."""
    port = closed_port()
    clerk = Clerk()
    said = card(f"http://127.0.0.1:{port}/rpc", *(versions or ("1.0", "0.3")))
    handler = Handler(agent_executor=clerk, task_store=InMemoryTaskStore(), agent_card=said)
    routes = [*create_agent_card_routes(said), *create_jsonrpc_routes(handler, "/rpc", enable_v0_3_compat=True)]
    logging.getLogger("a2a").setLevel(logging.CRITICAL)
    config = uvicorn.Config(Starlette(routes=routes), host="127.0.0.1", port=port, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    over = anyio.Event()

    async def serve() -> None:
        await server.serve()
        over.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        while not server.started:
            await anyio.sleep(0.01)
        try:
            yield A2aServer(port, clerk)
        finally:
            server.should_exit = server.force_exit = True
            with anyio.CancelScope(shield=True):
                await over.wait()
