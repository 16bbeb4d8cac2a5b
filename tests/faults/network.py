"""The agents of a simulation: they answer, lie, hang, answer late, fail before or after the deed, by the seed.

They live outside the engine: what one has begun goes on although its engine was killed or gave it up. They keep books
of what was really done, so that no effect is judged by the engine's word. They keep their contracts in one thing: what
they declare as not done was not done, and a keyed deed is done once under one key.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import anyio

from faults.catalogue import KEYED, SERVED
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import FailureClass
from process_orchestrator.core.ports import InProcessAgent, InProcessCall

Json = Any

QUICK_S: Final = 0.04
MUTE_S: Final = 3600.0
AFTER_THE_DEED: Final = frozenset({"half_done", "lost"})
"""Failures that steady agents report of what they did."""
AGAIN: Final = "again"
"""No failure: an answer that says that it is not yet known."""
LATE_S: Final = 0.6
"""How long after the question a deed may be done at most: well past the deadline of the call."""


class Deed(NamedTuple):
    """Something that was really done."""

    process: str
    unit: str
    call: str
    contract: str
    key: str
    given: str


@dataclass(kw_only=True)
class Network:
    """All agents, and what they did. `calm`: they answer well from now on."""

    seed: int
    faults: bool = True
    calm: bool = False
    deeds: list[Deed] = field(default_factory=list[Deed])
    asked: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])  # (process, call) -> deliveries
    wrong: list[str] = field(default_factory=list[str])
    noted: Callable[[Deed], None] = lambda _deed: None  # told of every deed
    _done: set[str] = field(default_factory=set[str])  # keys under which something was done

    def agents(self) -> dict[str, InProcessAgent]:
        return dict.fromkeys(SERVED, self.work)

    async def work(self, arguments: dict[str, Json], told: InProcessCall) -> Json:
        """One call. What is drawn depends on the call alone, so that a shrunk run meets the same agents."""
        self.asked[told.process, told.call] += 1
        draw = random.Random(f"{self.seed} {told.process} {told.call} {self.asked[told.process, told.call]}")
        if told.contract.partition("@")[0] in KEYED and arguments["request_id"] != told.key:
            self.wrong.append(f"{told.process} {told.call} came with the key {arguments['request_id']}")
        deed = self._deed(arguments, told)
        if self.calm or not self.faults:
            await anyio.sleep(draw.random() * QUICK_S)
            self._do(deed)
            return _good(arguments, draw)
        return await self._moody(arguments, deed, draw)

    async def _moody(self, arguments: dict[str, Json], deed: Deed, draw: random.Random) -> Json:
        roll = draw.random()
        pause = draw.random() * QUICK_S
        if roll < 0.18:  # nothing is done
            await anyio.sleep(pause)
            if roll < 0.06:
                raise AgentCallError("busy", "later", retry_after_ms=draw.choice([None, 5, 30, 5000]))
            if roll < 0.09:
                raise AgentCallError("unknown_vendor", "nobody")
            if roll < 0.10:
                raise AgentCallError("person", "ask somebody")
            if roll < 0.13:
                raise AgentCallError("unreachable", "nobody listens")
            if roll < 0.15:
                raise AgentCallError("undeclared_error", "503", class_=FailureClass.TRANSIENT)
            await anyio.sleep(MUTE_S)
        # From here on it is done, whether or not anybody still listens.
        late = roll < 0.22
        asyncio.get_running_loop().call_later(draw.random() * LATE_S if late else pause, self._do, deed)
        await anyio.sleep(MUTE_S if late else pause + 0.001)
        if roll < 0.25:
            raise AgentCallError("half_done", "who knows")
        if roll < 0.27:
            raise RuntimeError("a \ud800 fault")
        if roll < 0.30:
            raise AgentCallError("lost", "reset")
        if roll < 0.33:
            known = {"n": arguments["n"], "list": "x"}  # keeps `ensures`, breaks the schema
            return draw.choice([None, [], known, {"n": arguments["n"] + 1}, {"n": float("nan")}, {"n": 1e400}])
        return _good(arguments, draw)

    def _deed(self, arguments: dict[str, Json], told: InProcessCall) -> Deed:
        return Deed(
            process=told.process,
            unit=told.call.rpartition(".")[0],
            call=told.call,
            contract=told.contract.partition("@")[0],
            key=told.key,
            given=repr(sorted((name, value) for name, value in arguments.items() if name != "request_id")),
        )

    def _do(self, deed: Deed) -> None:
        if deed.contract in KEYED:
            if deed.key in self._done:
                return
            self._done.add(deed.key)
        self.deeds.append(deed)
        self.noted(deed)

    def remember(self, deed: Deed) -> None:
        """Something that was done before this program began."""
        self._done.add(deed.key)
        self.deeds.append(deed)


class SteadyNetwork(Network):
    """Agents that do to each call the same every time: what is written in a shape's troubles."""

    def __init__(self, troubles: Mapping[str, str]) -> None:
        super().__init__(seed=0, faults=False)
        self._troubles = troubles

    async def work(self, arguments: dict[str, Json], told: InProcessCall) -> Json:
        self.asked[told.process, told.call] += 1
        trouble = self._troubles.get(told.call)
        await anyio.sleep(QUICK_S / 4)
        if trouble in (None, AGAIN) or trouble in AFTER_THE_DEED:
            self._do(self._deed(arguments, told))
            await anyio.sleep(QUICK_S / 4)
        if trouble is not None and trouble != AGAIN:
            raise AgentCallError(trouble, "as it is written")
        return {"n": arguments["n"], "known": trouble is None, "list": [1, 2]}


def _good(arguments: dict[str, Json], draw: random.Random) -> Json:
    return {"n": arguments["n"], "known": draw.random() < 0.5, "list": [1, 2]}
