"""Process Orchestrator: the engine behind its public port, real contracts on both sides, agents in process."""

import time

_t0 = time.perf_counter()
import asyncio
from contextlib import AsyncExitStack

from harness import SCHEMA_IN, SCHEMA_OUT, SUMMARY, Peer, log_end, log_start, main, stamp
from process_orchestrator.assemble import Fleet, Mode, open_engine
from process_orchestrator.checking.loading.loader import definition_from_dict
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.schemas.validate import encode_body, ref_of
from process_orchestrator.core.facts.events import EscalationResolved
from process_orchestrator.core.facts.specs import Budget, ProcessSpec
from process_orchestrator.core.facts.values import Assurance, Decision, TypePin
from process_orchestrator.core.limits import Limits
from process_orchestrator.core.ports import Bodies, Body, Proof, ProofKind

IMPORT_S = time.perf_counter() - _t0

WORK = {
    "contract": "bench.work",
    "version": "1.0.0",
    "summary": "One step of the benchmark.",
    "input": SCHEMA_IN,
    "output": SCHEMA_OUT,
    "effects": {"kind": "write"},
    "idempotency": {"key": "request_id"},
}
WORK["input"] = {**SCHEMA_IN, "properties": {**SCHEMA_IN["properties"], "request_id": {"type": "string"}}}
REVIEW = {
    "contract": "bench.review",
    "version": "1.0.0",
    "summary": "A person looks.",
    "input": {"type": "object"},
    "output": {"type": "object", "required": ["approved"], "properties": {"approved": {"type": "boolean"}}},
    "effects": {"kind": "read"},
}
AGENTS = [
    {
        "agent": "worker",
        "summary": "the benchmark's agent",
        "transport": {"kind": "in_process"},
        "serves": [{"contract": "bench.work"}],
    },
    {
        "agent": "person",
        "summary": "a person",
        "transport": {"kind": "human", "role": "approver"},
        "serves": [{"contract": "bench.review"}],
    },
]
TASK = {"type": "object", "required": ["task"], "properties": {"task": {"type": "string"}}}


def arguments(step: int, previous: str | None) -> dict:
    prev = f"$.steps.{previous}.output.step" if previous else -1
    return {"task": "$.input.task", "step": step, "context": {"prev": prev}}


def chain(k: int) -> dict:
    steps = [
        {"id": f"s{i}", "contract": "bench.work", "in": arguments(i, f"s{i - 1}" if i else None)} for i in range(k)
    ]
    return process(f"chain{k}", steps, {"last": f"$.steps.s{k - 1}.output.step"}, k)


def fan(w: int) -> dict:
    item = {"task": "$.input.task", "step": "$.index", "context": {}}
    step = {"id": "all", "contract": "bench.work", "for_each": "$.input.items", "parallel": min(w, 1000), "in": item}
    schema = {**TASK, "properties": {**TASK["properties"], "items": {"type": "array", "items": {"type": "integer"}}}}
    schema["required"] = ["task", "items"]
    return {**process(f"fan{w}", [step], {"all": "$.steps.all.output"}, w), "input": schema}


def parked() -> dict:
    steps = [
        {"id": "a", "contract": "bench.work", "in": arguments(0, None)},
        {"id": "human", "contract": "bench.review", "in": {"step": "$.steps.a.output.step"}},
        {"id": "b", "contract": "bench.work", "in": arguments(2, "a"), "after": ["human"]},
    ]
    return process("parked", steps, {"last": "$.steps.b.output.step"}, 3)


def process(name: str, steps: list, output: dict, calls: int) -> dict:
    return {
        "process": name,
        "version": "1.0.0",
        "summary": "benchmark",
        "input": TASK,
        "output": {"type": "object"},
        "plan": {"steps": steps, "output": output},
        "limits": {"steps": max(30, len(steps))},
        "budget": {"calls": calls + 100},
        "escalation": {"min_assurance": "A0"},
    }


def registry_of(types: list) -> Registry:
    return Registry.of(
        [definition_from_dict("contract", c) for c in (WORK, REVIEW)],
        [definition_from_dict("process", t) for t in types],
        [definition_from_dict("agent", a) for a in AGENTS],
    )


class Ours(Peer):
    name = "ours"

    async def start(self):
        self.delay_s, self.known, self.parked_ids = 0.0, {}, {}
        self.registry = registry_of([])
        self.stack = AsyncExitStack()
        fleet = Fleet(lambda: self.registry, home=self.dir, in_process={"worker": self.work})
        engine = open_engine(self.dir, fleet, mode=Mode.DRIVE)
        self.host = await self.stack.enter_async_context(engine)

    async def stop(self):
        await self.stack.aclose()
        self.stack = AsyncExitStack()

    async def work(self, arguments, _call):
        stamp()
        log_start(arguments["task"], arguments["step"])
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        log_end(arguments["task"], arguments["step"])
        return {
            "step": arguments["step"],
            "ok": True,
            "summary": SUMMARY,
            "score": 0.93,
            "items": ["alpha", "beta"],
        }

    def plan(self, definition):
        """Check and compile a type once; every process of it then starts from the same pinned definitions."""
        name = definition["process"]
        if name not in self.known:
            self.registry = registry_of([definition])
            found = self.registry.process(name)
            self.known[name] = (found, self.registry.plan(found, server_floor=Assurance.A0))
        return self.known[name]

    async def begin(self, pid, definition, body):
        found, compiled = self.plan(definition)
        data = encode_body(body)
        ref = ref_of(data)
        spec = ProcessSpec(
            principal="bench",
            key=pid,
            request_sha256=ref.sha256,
            input=ref,
            type=TypePin(name=found.name, version=found.version, sha256=found.source.sha256),
            plan=compiled.facts,
            budget=Budget(calls=found.budget.calls),
            limits=Limits(steps=found.limits.steps, calls=found.budget.calls),
        )
        bodies = Bodies(artifacts=(Body(ref=ref, data=data),), definitions=compiled.definitions)
        return await self.host.start(spec, bodies)

    async def end(self, state):
        while not state.finished:
            assert state.status != "waiting_human", state.escalations
            state = await self.host.wait(state.spec.process_id, since=state.seq, timeout_s=60, settled=True)
        assert state.status == "completed", (state.status, state.failing)
        return state

    async def run(self, pid, k, delay=0.0):
        self.delay_s = delay
        return await self.end(await self.begin(pid, chain(k), {"task": pid}))

    async def run_timed(self, pid, k):
        return await self.run(pid, k)

    async def fanout(self, pid, w):
        await self.end(await self.begin(pid, fan(w), {"task": pid, "items": list(range(w))}))

    async def park(self, pid):
        state = await self.begin(pid, parked(), {"task": pid})
        while state.status != "waiting_human":
            state = await self.host.wait(state.spec.process_id, since=state.seq, timeout_s=60, settled=True)
        self.parked_ids[pid] = state.spec.process_id
        self.parked += 1

    async def resolve(self, pid):
        process_id = self.parked_ids[pid]
        data = encode_body({"approved": True})
        ref = ref_of(data)
        review = self.registry.contract("bench.review")
        event = EscalationResolved(
            at=0,
            escalation=f"{process_id}.e1",
            decision=Decision.ANSWER,
            data=ref,
            checked=review.source.sha256,
            request_id=f"{pid}-answer",
        )
        state = await self.host.deliver(
            process_id,
            event,
            Bodies(artifacts=(Body(ref=ref, data=data),)),
            request_id=event.request_id,
            proof=Proof(kind=ProofKind.ARGUMENT),
        )
        await self.end(state)

    async def recover(self, pids):
        self.delay_s = self.delay
        await asyncio.gather(*(self.run(pid, self.k, self.delay) for pid in pids))


if __name__ == "__main__":
    main(Ours, IMPORT_S)
