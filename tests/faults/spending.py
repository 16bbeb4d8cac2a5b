"""A process of paid calls under a cap, and the program that drives it until it is killed.

    spending.py STATE     start the process, or go on with it, and drive until killed

The agent is paid per key: a call sent again under its key is answered again and billed once. What it has billed stands
in STATE/../bills.log, a line before each answer.
"""

import hashlib
import os
import sys
from pathlib import Path
from typing import Final

import anyio
from msgspec.structs import replace

from hosting.scripted import AGENT, CLOCK, CONTRACT, Script, opened, spec
from process_orchestrator.core.facts.commands import InvokeAgent
from process_orchestrator.core.facts.events import CallSucceeded, Event
from process_orchestrator.core.facts.specs import Budget, PlanFacts, ProcessSpec, StepFacts
from process_orchestrator.core.facts.values import Assurance, Effect, Idempotency, OnFailure, StepKind
from process_orchestrator.core.ports import Bodies

CAP_USD_MICROS: Final = 1_000_000
RESERVE_USD_MICROS: Final = 50_000
BESIDE: Final = 20
"""Calls that run beside each other: as many as the cap can hold back for at once."""

LAYERS: Final = 3
ANSWERS_AFTER_S: Final = 0.02
"""Times the last figure of the bill: some answer at once, some late."""


def bill_of(key: str) -> int:
    """What the agent bills for a key: between three and five cents."""
    return 30_000 + int(hashlib.sha256(key.partition("/")[2].encode()).hexdigest(), 16) % 20_001


def billed(state: Path) -> dict[str, int]:
    """What the agent has billed so far, by key. A line that a kill cut off was never answered."""
    log = state.parent / "bills.log"
    lines = log.read_text(encoding="utf-8").split("\n")[:-1] if log.exists() else []
    return {key: int(amount) for key, amount in (line.split() for line in lines)}


def deliveries(state: Path) -> int:
    """How often the agent was called, repeats included."""
    log = state.parent / "bills.log"
    return log.read_bytes().count(b"\n") if log.exists() else 0


def agent(state: Path) -> Script:
    log = os.open(state.parent / "bills.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    async def work(call: InvokeAgent, _delivery: int) -> Event | None:
        amount = bill_of(call.key)
        os.write(log, f"{call.key} {amount}\n".encode())
        await anyio.sleep(amount % 10 * ANSWERS_AFTER_S)
        return CallSucceeded(at=CLOCK.now_ms(), call=call.call, output=call.input, usd_micros=amount, ms=20)

    return Script(work=work, reserve_usd_micros=RESERVE_USD_MICROS)


def process() -> ProcessSpec:
    """Three layers of twenty paid writes: each of a layer needs the one of its number in the layer before."""
    names = [[f"s{layer}x{number}" for number in range(BESIDE)] for layer in range(LAYERS)]
    steps = tuple(
        StepFacts(
            id=name,
            kind=StepKind.CALL,
            needs=(names[layer - 1][number],) if layer else (),
            needed_by=(names[layer + 1][number],) if layer + 1 < LAYERS else (),
            contract=CONTRACT,
            effect=Effect.WRITE,
            idempotency=Idempotency.KEYED,
            agents=(AGENT,),
            on_failure={"else": OnFailure.ESCALATE},
            decision_level=Assurance.A0,
        )
        for layer, row in enumerate(names)
        for number, name in enumerate(row)
    )
    plan = PlanFacts(sha256="b" * 64, steps=steps, type_level=Assurance.A0)
    return replace(spec(plan, key="the only one"), budget=Budget(usd_micros=CAP_USD_MICROS))


async def main() -> None:
    state = Path(sys.argv[1])
    async with opened(state, agent(state)) as host:
        await host.start(process(), Bodies())
        sys.stdout.write("started\n")
        sys.stdout.flush()
        await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(main)
