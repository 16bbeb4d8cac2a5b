"""A2A agents: the card read, one message sent, its task followed to its end or cancelled, within one deadline.

JSON-RPC 2.0 is spoken here over our own bounded HTTP (`http_exchange`), not through the SDK's client: that one reads
bodies without bound and without our address rules, turns numbers into doubles, drops an error's status, takes an answer
with any id, and costs 0.8 s to import (decision 019). The SDK's server is what the tests talk to.

An address comes from the registry alone: a card may name only its own origin, or the `endpoint` that the agent's file
names. After the message went out nothing is `not_done` any more unless the agent says so. Retries are the core's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
import msgspec

from process_orchestrator.checking.a2a_card import (
    CARD_BYTES_MAX,
    CARD_DEPTH_MAX,
    Card,
    Interface,
    Skill,
    card_url,
    read_card,
    same_origin,
)
from process_orchestrator.checking.retry_after import retry_after_ms
from process_orchestrator.checking.schemas.validate import encode_body, parse_body
from process_orchestrator.core.errors import AgentCallError, BodyError, CardError
from process_orchestrator.core.facts.values import Blame, Fact, FailureClass, Outcome
from process_orchestrator.performing import a2a_wire as wire
from process_orchestrator.performing.address import readable
from process_orchestrator.performing.answer import Reply, declared_code, evidence, refusal
from process_orchestrator.performing.credentials import Authorizer
from process_orchestrator.performing.http_agent import UNAUTHORIZED, with_credentials
from process_orchestrator.performing.http_exchange import HttpClient, Network, Progress, Received, Sending
from process_orchestrator.performing.links import AgentCall, told_to_stop

CARD_KEPT_S: Final = 300.0
"""How long a card is believed. One that turns out wrong is read anew at the next call."""
CARD_S: Final = 20.0
ENVELOPE_BYTES: Final = 65_536
ENVELOPE_DEPTH: Final = 10
"""What JSON-RPC, task, artifact and part take around a value."""
POLL_FIRST_S: Final = 0.1
POLL_FACTOR: Final = 1.6
POLL_MAX_S: Final = 5.0
POLL_FAILURES_MAX: Final = 5
"""Times in a row that a task may fail to be asked for before it counts as lost: the agent works on it meanwhile."""
CANCEL_S: Final = 0.8
"""Longest that telling an agent to stop may take: a call may outlive its deadline by a second."""

NOTHING_DONE: Final = frozenset({-32700, -32600, -32601, -32602, -32004, -32005, -32007, -32008, -32009})
"""JSON-RPC errors that say that a message was not taken: malformed, no such method, operation or version."""
BROKEN: Final = frozenset({"too_large", "not_json"})
STALE_CARD: Final = frozenset({-32601, -32009})


class A2aTarget(Fact, frozen=True, kw_only=True):
    """Where an A2A agent is, at this moment. `endpoint`: the only address its card may name, where not its own."""

    card: str
    endpoint: str | None
    allow_loopback: bool
    authorizer: Authorizer


class _Refused(Exception):  # noqa: N818 - an answer of the protocol, no fault of this program
    """A JSON-RPC error."""

    def __init__(self, code: int, reply: Reply) -> None:
        super().__init__(code)
        self.code, self.reply = code, reply


class _Running:
    """One call while it runs: where it goes, whether its message went out, and the agent's task that may still run."""

    def __init__(self, bind: dict[str, Any], call: AgentCall, target: A2aTarget, interface: Interface) -> None:
        self.bind, self.call, self.target, self.interface = bind, call, target, interface
        self.progress = Progress()
        self.task: str | None = None
        self.unanswered = False  # its message went out, and no answer has named a task yet


class A2aLink:
    """One pool of connections to one A2A agent, and its card."""

    def __init__(
        self,
        target: Callable[[], Awaitable[A2aTarget]],
        *,
        output_bytes: int,
        network: Network | None = None,
    ) -> None:
        self._target, self._output_bytes, self._network = target, output_bytes, network or Network()
        self._clients: dict[str, HttpClient] = {}  # by origin: the card's, and the endpoint's where it is another
        self._card: Card | None = None
        self._card_until = 0.0
        self._reading = anyio.Lock()
        self._requests = 0
        self._closed = False

    @property
    def usable(self) -> bool:
        return not self._closed

    @property
    def pid(self) -> int | None:
        return None

    async def open(self, timeout_s: float) -> None:
        """Nothing is opened ahead: a remote server is not connected to before it is called."""

    async def aclose(self) -> None:
        self._closed = True
        for client in self._clients.values():
            await client.aclose()

    async def call(self, bind: dict[str, Any], arguments: dict[str, Any], call: AgentCall) -> Reply:
        running: _Running | None = None
        try:
            with anyio.fail_after(call.timeout_ms / 1000):
                target = await self._target()
                interface, skill = await self._place(target, bind)
                running = _Running(bind, call, target, interface)
                return await self._called(running, wire.send_params(interface, skill, bind, arguments, call))
        except TimeoutError:
            message = f"no whole answer within {call.timeout_ms} ms"
            if running is not None and running.progress.sent:
                raise AgentCallError("timeout", message, answered=running.task is not None) from None
            message = f"the agent could not be reached within {call.timeout_ms} ms; nothing was sent"
            raise AgentCallError("timeout", message, outcome=Outcome.NOT_DONE) from None
        except anyio.get_cancelled_exc_class():
            if running is not None and not told_to_stop():
                running.task, running.unanswered = None, False  # the next start meets it again
            raise
        finally:
            if running is not None and (running.task is not None or running.unanswered):
                await self._stop(running)

    async def card(self, timeout_s: float = CARD_S) -> Card:
        """The agent's card as it is now. Raises AgentCallError."""
        try:
            with anyio.fail_after(timeout_s):
                self._card = None
                return await self._known_card(await self._target())
        except TimeoutError:
            raise AgentCallError("timeout", f"no card within {timeout_s:g} s", outcome=Outcome.NOT_DONE) from None

    # --- one call -----------------------------------------------------------------------------------------------

    async def _called(self, running: _Running, params: dict[str, Any]) -> Reply:
        try:
            earlier = await self._earlier(running)
            if earlier is None:
                said = await self._sent(running, params)
            else:
                said = await self._met_again(running, earlier)
        except _Refused as refused:
            raise _rpc_failure(refused, running.bind, sent=False) from None
        except BodyError as error:
            raise AgentCallError(error.code, error.message) from error
        if said.state not in {wire.COMPLETED, *wire.ENDED_BADLY}:
            running.task = said.task
            said = await self._followed(running, said)
        if said.state == wire.COMPLETED:
            return said.reply
        raise _task_failure(said, running.bind)

    async def _sent(self, running: _Running, params: dict[str, Any]) -> wire.Said:
        running.unanswered = True
        try:
            said = wire.read_said(await self._ask(wire.SEND, params, running))
        except (_Refused, BodyError, AgentCallError):
            running.unanswered = False
            raise
        running.unanswered = False
        return said

    async def _met_again(self, running: _Running, task: str) -> wire.Said:
        """What became of a task that the same call has led to before. Whatever fails here, it may have been done."""
        try:
            result = await self._ask(wire.GET, wire.task_params(running.interface, task), running)
        except _Refused as refused:
            raise _rpc_failure(refused, running.bind, sent=True) from None
        except AgentCallError as error:
            raise _while_it_ran(error) from error
        return wire.read_said(result, task=task)

    async def _earlier(self, running: _Running) -> str | None:
        """The task that the same call has led to before, where it was made before and the agent can tell."""
        call, interface = running.call, running.interface
        number = call.call.rpartition(".")[2]
        first = call.delivery == 1 and not (number.isdecimal() and int(number) > 1)
        if first or wire.LIST not in wire.METHODS[interface.version]:
            return None
        try:
            return wire.earlier_task(await self._ask(wire.LIST, wire.list_params(interface, call), running), call)
        except (_Refused, BodyError):
            return None
        except AgentCallError as error:
            if error.code != "undeclared_error" or error.class_ is FailureClass.TRANSIENT:
                raise  # it may have one: asked again before anything is sent again
            return None  # it knows no such method, by an HTTP status

    async def _followed(self, running: _Running, said: wire.Said) -> wire.Said:
        """The task asked for, less and less often, until it goes no further by itself."""
        pause, failures, task = POLL_FIRST_S, 0, running.task
        assert task is not None  # only a task has a state that goes on
        while said.state in wire.LIVE:
            await anyio.sleep(pause)
            pause = min(pause * POLL_FACTOR, POLL_MAX_S)
            try:
                result = await self._ask(wire.GET, wire.task_params(running.interface, task), running)
                said, failures = wire.read_said(result, task=task), 0
            except _Refused as refused:
                raise _rpc_failure(refused, running.bind, sent=True) from None
            except BodyError as error:
                raise AgentCallError(error.code, error.message) from error
            except AgentCallError as error:
                failures += 1
                if failures >= POLL_FAILURES_MAX or not _passes(error):
                    raise _while_it_ran(error) from error
                pause = max(pause, min((error.retry_after_ms or 0) / 1000, POLL_MAX_S))
        if said.state not in wire.ASKING:
            running.task = None
        return said

    async def _stop(self, running: _Running) -> None:
        """Tell the agent to stop what nobody waits for any more; what it says to that is not waited for long.

        A task that no answer has named yet is looked up, where the agent can tell.
        """
        if self._closed:
            return
        with anyio.CancelScope(shield=True), anyio.move_on_after(CANCEL_S):
            with contextlib.suppress(AgentCallError, BodyError, _Refused):
                task, interface = running.task, running.interface
                if task is None and wire.LIST in wire.METHODS[interface.version]:
                    listed = await self._ask(wire.LIST, wire.list_params(interface, running.call), running)
                    task = wire.live_task(listed, running.call)
                if task is not None:
                    await self._ask(wire.CANCEL, wire.task_params(interface, task), running)

    # --- the card -----------------------------------------------------------------------------------------------

    async def _place(self, target: A2aTarget, bind: dict[str, Any]) -> tuple[Interface, Skill]:
        """The interface to speak to, and the skill that is bound. Raises AgentCallError: nothing was sent."""
        card = await self._known_card(target)
        try:
            interface = _allowed(card, target)
        except CardError as error:
            self._card = None
            raise _unusable(error.message) from error
        name = str(bind.get("skill", ""))
        skill = card.skill(name)
        if skill is None:
            self._card = None
            known = ", ".join(each.id for each in card.skills) or "none"
            message = f"the agent's card lists no skill {name} (any more); it lists {known}"
            raise AgentCallError("drifted", message[:300])
        return interface, skill

    # --- what it offers -----------------------------------------------------------------------------------------

    notices: Final = 0
    """A card does not tell when it changes."""

    def subscribe(self, on_notice: Callable[[], None]) -> None:
        """There is nothing to subscribe to."""

    async def definitions(self, timeout_s: float) -> dict[str, dict[str, Any]]:
        """Every skill by its id, whole as it stands in the card, which is read anew. Raises AgentCallError."""
        return {skill.id: skill.definition for skill in (await self.card(timeout_s)).skills}

    async def _known_card(self, target: A2aTarget) -> Card:
        async with self._reading:
            if self._card is None or anyio.current_time() >= self._card_until:
                self._card = await self._read_card(target)
                self._card_until = anyio.current_time() + CARD_KEPT_S
            return self._card

    async def _read_card(self, target: A2aTarget) -> Card:
        """Raises AgentCallError (unreachable: nothing was sent that the agent would act on)."""
        try:
            asked = Sending(method="GET", url=readable(card_url(target.card)), headers={})
            received = await self._exchange(asked, target, bytes_max=CARD_BYTES_MAX)
            if received.status == 200:
                return read_card(parse_body(received.data, max_bytes=CARD_BYTES_MAX, depth=CARD_DEPTH_MAX))
        except (BodyError, CardError) as error:
            raise _unusable(f"the agent's card cannot be read: {error.message}") from error
        except AgentCallError as error:
            if error.code in BROKEN:
                raise _unusable(f"the agent's card cannot be read: {error.message}") from error
            if error.code == "unreachable":
                raise
            raise AgentCallError("unreachable", f"the agent's card is not to be had: {error.message}") from error
        lasting = received.status < 500 and received.status not in {408, 429}
        raise AgentCallError(
            "unreachable",
            f"the agent's card is not to be had: status {received.status} at {asked.url.shown}",
            class_=FailureClass.PERMANENT if lasting else None,
            retry_after_ms=retry_after_ms(received.headers.get("retry-after")),
        )

    # --- one request --------------------------------------------------------------------------------------------

    async def _ask(self, method: str, params: dict[str, Any], running: _Running) -> Any:
        """The result of one JSON-RPC request. Raises _Refused, BodyError, AgentCallError."""
        self._requests += 1
        number, call, interface = self._requests, running.call, running.interface
        words = wire.METHODS[interface.version][method]
        body = encode_body({"jsonrpc": "2.0", "id": number, "method": words, "params": params})
        headers = {"Content-Type": "application/json", wire.VERSION_HEADER: interface.version}
        if call.keyed and method == wire.SEND:
            headers["Idempotency-Key"] = call.key
        cap = min(self._output_bytes, call.output_bytes) + ENVELOPE_BYTES  # the value itself is measured later
        try:
            sending = Sending(method="POST", url=readable(interface.url), headers=headers, content=body)
            received = await self._exchange(sending, running.target, bytes_max=cap, progress=running.progress)
        except AgentCallError:
            self._card = None  # it may have moved
            raise
        try:
            answer = parse_body(received.data, max_bytes=cap, depth=call.depth + ENVELOPE_DEPTH)
        except BodyError:
            if received.succeeded:
                self._claims_json(received)
                raise
            answer = None
        if isinstance(answer, dict) and isinstance(answer.get("error"), dict) and answer.get("jsonrpc") == "2.0":
            raise self._refused(answer["error"], received)
        if not received.succeeded:
            self._card = None
            raise refusal(_plain(received), running.bind if method == wire.SEND else {})
        if not isinstance(answer, dict) or answer.get("jsonrpc") != "2.0" or "result" not in answer:
            raise BodyError("not_json", "the answer is no response of JSON-RPC 2.0")
        if answer.get("id") != number:
            raise BodyError("not_json", "the answer bears the id of another request")
        return answer["result"]

    def _claims_json(self, received: Received) -> None:
        """What does not even claim to be the protocol came from something on the way: a proxy's page, a wrong port."""
        kind = received.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind and not received.is_json:
            self._card = None
            raise AgentCallError("not_json", f"the answer is {kind[:60]}, no JSON-RPC", blame=Blame.TRANSPORT)

    def _refused(self, error: dict[str, Any], received: Received) -> _Refused:
        code = error.get("code")
        number = code if isinstance(code, int) and not isinstance(code, bool) else 0
        if number in STALE_CARD:
            self._card = None
        reply = Reply(
            structured=error,
            text=str(error.get("message", "")),
            failed=True,
            status=None if received.succeeded else received.status,
            retry_after_ms=retry_after_ms(received.headers.get("retry-after")),
        )
        return _Refused(number, reply)

    async def _exchange(
        self, sending: Sending, target: A2aTarget, *, bytes_max: int, progress: Progress | None = None
    ) -> Received:
        """One whole answer; a 401 to a token that may have ended is no answer yet. Raises AgentCallError."""
        client = self._clients.get(sending.url.origin)
        if client is None:
            client = self._clients[sending.url.origin] = HttpClient(self._network)
        credentials = await target.authorizer.credentials()
        allowed: Any = {"allow_loopback": target.allow_loopback, "bytes_max": bytes_max, "progress": progress}
        received = await client.ask(with_credentials(sending, credentials), **allowed)
        if received.status != UNAUTHORIZED or not target.authorizer.refused(credentials):
            return received
        credentials = await target.authorizer.credentials()
        return await client.ask(with_credentials(sending, credentials), **allowed)


def _plain(received: Received) -> Reply:
    return Reply(
        text=received.data.decode(errors="replace"),
        failed=True,
        status=received.status,
        retry_after_ms=retry_after_ms(received.headers.get("retry-after")),
    )


def _allowed(card: Card, target: A2aTarget) -> Interface:
    """The interface of the card that the agent's file allows. Raises CardError: credentials go to no other place."""
    interface = card.interface(target.endpoint)
    if target.endpoint is None and not same_origin(interface.url, target.card):
        raise CardError(
            f"the card names {interface.url[:120]}, another place than its own; "
            "write that address as transport.endpoint if it is meant"
        )
    return interface


# --- what a failure means ------------------------------------------------------------------------------------------


def _rpc_failure(refused: _Refused, bind: dict[str, Any], *, sent: bool) -> AgentCallError:
    """A JSON-RPC error as a failure. `sent`: the agent has taken the message before."""
    error = refusal(refused.reply, bind)
    if error.code != "undeclared_error":
        return error
    done = sent or refused.code not in NOTHING_DONE
    return AgentCallError(
        error.code,
        f"the agent answered JSON-RPC error {refused.code}: {refused.reply.text or ''}"[:300],
        class_=error.class_,
        outcome=Outcome.UNKNOWN if done else Outcome.NOT_DONE,
        retry_after_ms=error.retry_after_ms,
        answer=error.answer,
    )


_QUESTIONS: Final = {
    "input-required": "the agent asks something that the call does not say",
    "auth-required": "the agent wants an authorisation that it was not given",
}


def _task_failure(said: wire.Said, bind: dict[str, Any]) -> AgentCallError:
    """A task that did not end well: an error that `bind.errors` names by state or text, else an undeclared one."""
    reply = said.reply
    shown = reply.text or ("" if reply.structured is msgspec.UNSET else encode_body(reply.structured).decode())
    code = declared_code(shown, None, bind, state=said.state)
    told = _QUESTIONS.get(said.state, f"the agent's task ended {said.state}")
    message = f"{told}: {shown[:200]}" if shown else told
    answer = {"state": said.state, "said": evidence(reply)}
    if code is not None:
        return AgentCallError(code, message, retry_after_ms=reply.retry_after_ms, answer=answer)
    return AgentCallError(
        "undeclared_error",
        message,
        class_=FailureClass.NEEDS_HUMAN if said.state in wire.ASKING else FailureClass.PERMANENT,
        outcome=Outcome.NOT_DONE if said.state == "rejected" else Outcome.UNKNOWN,
        retry_after_ms=reply.retry_after_ms,
        answer=answer,
    )


def _passes(error: AgentCallError) -> bool:
    """Whether asking again for a task may help."""
    return error.code in {"unreachable", "lost"} or error.class_ is FailureClass.TRANSIENT


def _while_it_ran(error: AgentCallError) -> AgentCallError:
    """A failure to ask for a task that the agent has taken: what it does meanwhile is not known."""
    code = "lost" if error.code == "unreachable" else error.code
    message = f"the agent took the task, then it could not be followed: {error.message}"
    return AgentCallError(code, message[:300], class_=error.class_, outcome=Outcome.UNKNOWN, answer=error.answer)


def _unusable(message: str) -> AgentCallError:
    """Nothing was sent, and asking again would change nothing: the card itself is at fault."""
    return AgentCallError("unreachable", message, class_=FailureClass.PERMANENT, blame=Blame.AGENT)
