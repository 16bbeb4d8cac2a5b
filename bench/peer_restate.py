"""Restate: its server on loopback, and the service in this process behind hypercorn.

Variants: "" (default) or "+killserver" (S6 also kills the server). Restate's log is synced by its own default. It cannot
stop and start again in one process, so S8 is not measured.
"""

import time

_t0 = time.perf_counter()
import asyncio
import os
from pathlib import Path

import httpx
import hypercorn.asyncio
import hypercorn.config
import restate

import servers
from harness import Peer, agent, main, stamp, step_input

IMPORT_S = time.perf_counter() - _t0
ING, ADM, NODE, SVC = 18080, 19070, 15122, 19080
PARKED = 0
flow, fan, parkwf = restate.Workflow("Flow"), restate.Workflow("Fan"), restate.Workflow("Park")


def _call(ctx, pid, i, prev=None, delay=0.0):
    return ctx.run_typed(f"s{i}", agent, restate.RunOptions(), pid, i, step_input(pid, i, prev), delay)


@flow.main(name="run")
async def flow_run(ctx: restate.WorkflowContext, a: dict) -> dict:
    prev = None
    for i in range(a["k"]):
        if a.get("timed"):
            stamp()
        prev = await _call(ctx, a["pid"], i, prev, a["delay"])
    return {"last": prev["step"]}


@fan.main(name="run")
async def fan_run(ctx: restate.WorkflowContext, a: dict) -> dict:
    futs = [_call(ctx, a["pid"], i) for i in range(a["w"])]
    return {"n": len(await restate.gather(*futs))}


@parkwf.main(name="run")
async def park_run(ctx: restate.WorkflowContext, a: dict) -> dict:
    global PARKED
    await _call(ctx, a["pid"], 0)
    if not a.get("seen"):
        PARKED += 1  # bench only; counted again on replay, which wait_parked tolerates
    msg = await ctx.promise("human", type_hint=dict).value()
    await _call(ctx, a["pid"], 2)
    return {"ok": msg["approved"]}


@parkwf.handler(name="human")
async def park_human(ctx: restate.WorkflowSharedContext, msg: dict) -> None:
    await ctx.promise("human", type_hint=dict).resolve(msg)


class Restate(Peer):
    name = "restate"

    async def start(self):
        global PARKED
        PARKED = 0
        self.srv = servers.left_running(self.dir, kill="killserver" in self.variant)
        cfg = hypercorn.config.Config()
        cfg.bind, cfg.loglevel = [f"127.0.0.1:{SVC}"], "ERROR"
        cfg.h2_max_concurrent_streams = 2000
        self.ev = asyncio.Event()
        self.task = asyncio.create_task(
            hypercorn.asyncio.serve(restate.app([flow, fan, parkwf]), cfg, shutdown_trigger=self.ev.wait)
        )
        if self.srv is None:
            self.srv = servers.started(
                self.dir,
                [servers.restate(), "--no-logo"],
                log=Path(f"{self.dir}.server.log"),
                RESTATE_BASE_DIR=str(self.dir / "rs"),
                RESTATE_DISABLE_TELEMETRY="true",
                RESTATE_LISTEN_MODE="tcp",
                RESTATE_BIND_ADDRESS=f"127.0.0.1:{NODE}",
                RESTATE_ADVERTISED_ADDRESS=f"http://127.0.0.1:{NODE}/",
                RESTATE_INGRESS__BIND_ADDRESS=f"127.0.0.1:{ING}",
                RESTATE_ADMIN__BIND_ADDRESS=f"127.0.0.1:{ADM}",
                RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE="512MB",
                RESTATE_DEFAULT_NUM_PARTITIONS=os.environ.get("RESTATE_PARTS", "4"),
                RUST_LOG="error",
            )
        self.c = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{ING}", timeout=300, limits=httpx.Limits(max_connections=400)
        )
        for _ in range(400):
            try:
                r = await self.c.post(
                    f"http://127.0.0.1:{ADM}/deployments", json={"uri": f"http://127.0.0.1:{SVC}", "force": False}
                )
                if r.status_code in (200, 201, 409):
                    break
                await asyncio.sleep(0.05)
            except httpx.HTTPError:
                await asyncio.sleep(0.05)
        else:
            raise RuntimeError("restate did not come up")
        for _ in range(400):  # the ingress may be a little behind the admin API
            try:
                if (await self.c.get("/restate/health")).status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.05)

    async def stop(self):
        if self.srv:
            await self.c.aclose()
            await servers.ended(self.srv, within_s=6)
            self.srv = None
            self.task.cancel()

    def server_pids(self):
        return [self.srv] if self.srv else []

    async def _post(self, path, body):
        for _ in range(100):
            r = await self.c.post(path, json=body)
            if r.status_code in (404, 503):  # service metadata not yet at the ingress
                await asyncio.sleep(0.05)
                continue
            r.raise_for_status()
            return r.json() if r.content else None
        r.raise_for_status()

    async def run(self, pid, k, delay=0.0):
        return await self._post(f"/Flow/{pid}/run", {"pid": pid, "k": k, "delay": delay})

    async def run_timed(self, pid, k):
        return await self._post(f"/Flow/{pid}/run", {"pid": pid, "k": k, "delay": 0.0, "timed": True})

    async def fanout(self, pid, w):
        assert (await self._post(f"/Fan/{pid}/run", {"pid": pid, "w": w}))["n"] == w

    async def park(self, pid):
        await self._post(f"/Park/{pid}/run/send", {"pid": pid})

    async def wait_parked(self, n):
        while PARKED < n:
            await asyncio.sleep(0.01)

    async def resolve(self, pid):
        await self._post(f"/Park/{pid}/human", {"approved": True})
        r = await self.c.get(f"/restate/workflow/Park/{pid}/attach")
        assert r.json()["ok"] is True

    async def recover(self, pids):
        async def one(p):
            r = await self.c.get(f"/restate/workflow/Flow/{p}/attach")
            if r.status_code == 404:
                self.resubmitted += 1
                return await self.run(p, self.k, self.delay)
            r.raise_for_status()

        await asyncio.gather(*(one(p) for p in pids))


if __name__ == "__main__":
    main(Restate, IMPORT_S)
