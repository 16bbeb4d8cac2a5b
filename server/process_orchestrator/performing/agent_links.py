"""From an agent's file to a live link: placeholders filled in, secrets read, the right transport chosen.

The rooms of the transports are imported when an agent first needs them: they bring the MCP SDK and an HTTP client, half
of an engine's memory and most of its start. That happens in a thread, so that the calls of other agents go on.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio.abc
import anyio.to_thread

from process_orchestrator.checking.documents.definitions import Agent
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import FailureClass
from process_orchestrator.core.limits import BODY_DEPTH_MAX, ChildLimits
from process_orchestrator.performing.address import Resolver, resolved
from process_orchestrator.performing.child_process import ChildLog, Launch, Lifeline
from process_orchestrator.performing.credentials import Authorizer
from process_orchestrator.performing.links import Link
from process_orchestrator.performing.secrets import Secrets, is_reference

if TYPE_CHECKING:
    from process_orchestrator.llm.port import Model
    from process_orchestrator.performing.mcp_agent import McpLink
    from process_orchestrator.performing.oauth import TokenSource

ROOMS: Final = {
    "mcp_stdio": "process_orchestrator.performing.mcp_agent",
    "mcp_http": "process_orchestrator.performing.mcp_agent",
    "http": "process_orchestrator.performing.supervised_link",
    "a2a": "process_orchestrator.performing.a2a_agent",
    "model": "process_orchestrator.performing.model_agent",
}
"""The module that reaches agents of a kind, with all that it imports."""


class Folders(NamedTuple):
    """Where definitions lie, and where what runs here keeps its state."""

    home: Path
    state: Path


class LinkMaker:
    """Makes links for one pool. Nothing is opened before a link's first call."""

    def __init__(
        self,
        *,
        folders: Folders,
        secrets: Secrets,
        lifeline: Lifeline,
        tasks: anyio.abc.TaskGroup,
        child_limits: ChildLimits,
        model: Model,
        resolve: Resolver = resolved,
    ) -> None:
        self._home, self._state_dir = folders
        self._child_limits, self._model = child_limits, model
        self._secrets, self._lifeline, self._tasks, self._resolve = secrets, lifeline, tasks, resolve

    async def make(self, agent: Agent) -> Link:
        """A link for the agent as it is defined now. Raises AgentCallError where its kind cannot be called."""
        transport = agent.transport
        room = ROOMS.get(transport.kind)
        if room is not None and room not in sys.modules:
            await anyio.to_thread.run_sync(import_module, room)
        if transport.kind == "mcp_stdio":
            return self._mcp_stdio(agent)
        if transport.kind == "mcp_http":
            return await self._mcp_http(agent)
        if transport.kind == "http":
            return await self._http(agent)
        if transport.kind == "a2a":
            return await self._a2a(agent)
        if transport.kind == "model":
            return self._of_model(agent)
        raise AgentCallError(
            "unreachable",
            f"this version does not call agents of kind {transport.kind}",
            class_=FailureClass.PERMANENT,
        )

    def _mcp_stdio(self, agent: Agent) -> McpLink:
        from process_orchestrator.performing.mcp_agent import McpLink, stdio_opener  # noqa: PLC0415 - see the docstring

        async def launch() -> Launch:
            return await self._launch(agent, agent.transport.command, {})

        opener = stdio_opener(
            launch, lifeline=self._lifeline, body_bytes_max=agent.limits.output_bytes, depth_max=BODY_DEPTH_MAX
        )
        return McpLink(agent.name, opener, tasks=self._tasks)

    async def _mcp_http(self, agent: Agent) -> McpLink:
        from process_orchestrator.performing.mcp_agent import McpLink, http_opener  # noqa: PLC0415 - see the docstring
        from process_orchestrator.performing.mcp_http_guard import Way  # noqa: PLC0415

        transport = agent.transport
        authorizer = await self._authorizer(agent)
        way = Way(authorizer=authorizer, allow_loopback=transport.allow_loopback, resolve=self._resolve)
        opener = http_opener(
            self._filled(transport.url or ""),
            way,
            body_bytes_max=agent.limits.output_bytes,
            depth_max=BODY_DEPTH_MAX,
        )
        return McpLink(agent.name, opener, tasks=self._tasks)

    async def _authorizer(self, agent: Agent) -> Authorizer:
        """What shows the agent who asks. The room of tokens is imported where there are some."""
        auth, allow_loopback = agent.transport.auth, agent.transport.allow_loopback
        if "oauth2_client" not in (auth or {}):
            return Authorizer(auth, self._secrets, folder=self._folder(agent))
        room = await anyio.to_thread.run_sync(import_module, "process_orchestrator.performing.oauth")

        def tokens() -> TokenSource:
            return room.token_source(self._secrets, allow_loopback=allow_loopback, resolve=self._resolve)

        return Authorizer(auth, self._secrets, folder=self._folder(agent), tokens=tokens)

    async def _http(self, agent: Agent) -> Link:
        from process_orchestrator.performing.http_agent import HttpLink, HttpTarget  # noqa: PLC0415 - see the docstring
        from process_orchestrator.performing.http_exchange import Network  # noqa: PLC0415
        from process_orchestrator.performing.supervise import Supervised  # noqa: PLC0415
        from process_orchestrator.performing.supervised_link import SupervisedLink  # noqa: PLC0415

        transport, authorizer = agent.transport, await self._authorizer(agent)
        supervised: Supervised | None = None
        if transport.start_command:

            async def launch(port: int) -> Launch:
                return await self._launch(agent, transport.start_command, {"port": str(port)})

            supervised = Supervised(launch, ready=transport.start_ready, lifeline=self._lifeline, tasks=self._tasks)

        async def target() -> HttpTarget:
            filled = {} if supervised is None else {"port": str(await supervised.port())}
            return HttpTarget(
                base_url=self._filled(transport.url or "", filled),
                allow_loopback=transport.allow_loopback or supervised is not None,
                authorizer=authorizer,
            )

        link = HttpLink(target, output_bytes=agent.limits.output_bytes, network=Network(resolve=self._resolve))
        return link if supervised is None else SupervisedLink(link, supervised)

    async def _a2a(self, agent: Agent) -> Link:
        from process_orchestrator.performing.a2a_agent import A2aLink, A2aTarget  # noqa: PLC0415 - see the docstring
        from process_orchestrator.performing.http_exchange import Network  # noqa: PLC0415

        transport, authorizer = agent.transport, await self._authorizer(agent)

        async def target() -> A2aTarget:
            return A2aTarget(
                card=self._filled(transport.card or ""),
                endpoint=None if transport.endpoint is None else self._filled(transport.endpoint),
                allow_loopback=transport.allow_loopback,
                authorizer=authorizer,
            )

        return A2aLink(target, output_bytes=agent.limits.output_bytes, network=Network(resolve=self._resolve))

    def _of_model(self, agent: Agent) -> Link:
        from process_orchestrator.performing.model_agent import ModelLink  # noqa: PLC0415 - see the docstring

        return ModelLink(agent.name, self._model)

    async def _launch(self, agent: Agent, command: tuple[str, ...], filled: dict[str, str]) -> Launch:
        folder = self._folder(agent)
        env: dict[str, str] = {}
        for name, text in agent.transport.env.items():
            value = self._filled(text, filled)
            if is_reference(value):
                value = (await self._secrets.resolve(value, folder=folder)).reveal()
            env[name] = value
        log = ChildLog(self._state_dir / "logs" / f"{agent.name}.log", mask=self._secrets.mask_text)
        argv = [self._filled(part, filled) for part in command]
        return Launch(argv, cwd=folder, env=env, log=log, limits=self._child_limits)

    def _folder(self, agent: Agent) -> Path:
        return (self._home / agent.source.path).parent

    def _filled(self, text: str, more: dict[str, str] | None = None) -> str:
        known = {"python": sys.executable, "home": str(self._home), "state": str(self._state_dir), **(more or {})}
        for name, value in known.items():
            text = text.replace(f"{{{name}}}", value)
        return text
