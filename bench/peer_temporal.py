"""Temporal: its dev server on loopback, keeping a database file, and a worker in this process.

Variants: activity (default), local (local activities), each without the sandbox (the peer's fast path); "+killserver"
makes S6 also kill -9 the server. --sync has no effect: the dev server fixes its own SQLite pragmas.
"""

import time

_t0 = time.perf_counter()
import asyncio
import os
import socket
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

import servers
from harness import Peer, agent, main, stamp, step_input

IMPORT_S = time.perf_counter() - _t0
PORT = int(os.environ.get("TEMPORAL_PORT", "17233"))
STC = timedelta(seconds=float(os.environ.get("TEMPORAL_STC", "5")))
PARKED = 0


@activity.defn
async def step(pid: str, i: int, inp: dict, delay: float) -> dict:
    stamp()
    return await agent(pid, i, inp, delay)


@activity.defn
async def mark() -> None:
    global PARKED
    PARKED += 1


async def _call(local, pid, i, inp, delay):
    f = workflow.execute_local_activity if local else workflow.execute_activity
    return await f(
        step,
        args=[pid, i, inp, delay],
        start_to_close_timeout=STC,
        retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100)),
    )


@workflow.defn
class Flow:
    @workflow.run
    async def run(self, pid: str, k: int, delay: float, local: bool) -> int:
        prev = None
        for i in range(k):
            prev = await _call(local, pid, i, step_input(pid, i, prev), delay)
        return prev["step"]


@workflow.defn
class Fan:
    @workflow.run
    async def run(self, pid: str, w: int, local: bool) -> int:
        return len(await asyncio.gather(*(_call(local, pid, i, step_input(pid, i), 0.0) for i in range(w))))


@workflow.defn
class Park:
    def __init__(self):
        self.msg = None

    @workflow.run
    async def run(self, pid: str, local: bool) -> bool:
        global PARKED
        await _call(local, pid, 0, step_input(pid, 0), 0.0)
        PARKED += 1  # bench only: worker and driver share this process
        await workflow.wait_condition(lambda: self.msg is not None)
        await _call(local, pid, 2, step_input(pid, 2), 0.0)
        return self.msg["approved"]

    @workflow.signal
    def human(self, msg: dict) -> None:
        self.msg = msg


class Temporal(Peer):
    name = "temporal"

    async def start(self):
        global PARKED
        PARKED = 0
        self.local = self.variant.startswith("local")
        self.srv = servers.left_running(self.dir, kill="killserver" in self.variant)
        if self.srv is None:
            dev = [servers.temporal(), "server", "start-dev", "--headless", "--log-level", "error"]
            where = ["--db-filename", str(self.dir / "t.db"), "--ip", "127.0.0.1", "--port", str(PORT)]
            self.srv = servers.started(self.dir, [*dev, *where])
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", PORT), 0.2).close()
                self.c = await Client.connect(f"127.0.0.1:{PORT}")
                break
            except Exception:
                await asyncio.sleep(0.05)
        self.w = Worker(
            self.c,
            task_queue="q",
            workflows=[Flow, Fan, Park],
            activities=[step, mark],
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_cached_workflows=20000,
        )
        self.wt = asyncio.create_task(self.w.run())
        self.h = {}

    async def stop(self):
        if self.srv:
            await self.w.shutdown()
            await servers.ended(self.srv, within_s=8)
            self.srv = None

    def server_pids(self):
        return [self.srv] if self.srv else []

    async def run(self, pid, k, delay=0.0):
        return await self.c.execute_workflow(Flow.run, args=[pid, k, delay, self.local], id=pid, task_queue="q")

    async def run_timed(self, pid, k):
        return await self.run(pid, k)

    async def fanout(self, pid, w):
        assert await self.c.execute_workflow(Fan.run, args=[pid, w, self.local], id=pid, task_queue="q") == w

    async def park(self, pid):
        self.h[pid] = await self.c.start_workflow(Park.run, args=[pid, self.local], id=pid, task_queue="q")

    async def wait_parked(self, n):
        while PARKED < n:
            await asyncio.sleep(0.01)

    async def resolve(self, pid):
        await self.h[pid].signal(Park.human, {"approved": True})
        assert await self.h[pid].result() is True

    async def recover(self, pids):
        async def one(p):
            try:
                return await self.c.get_workflow_handle(p).result()
            except RPCError as e:
                if e.status != RPCStatusCode.NOT_FOUND:
                    raise
                self.resubmitted += 1
                return await self.run(p, self.k, self.delay)

        await asyncio.gather(*(one(p) for p in pids))


if __name__ == "__main__":
    main(Temporal, IMPORT_S)
