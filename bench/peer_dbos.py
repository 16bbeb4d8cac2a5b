"""DBOS 3.x on SQLite (default; DBOS leaves SQLite in rollback-journal mode), variant "wal" (the same with
PRAGMA journal_mode=WAL, a tuning DBOS does not do itself) or "pg" (PostgreSQL: PG_URL in the environment).
--sync sets PRAGMA synchronous through a SQLAlchemy connect hook (SQLite), or synchronous_commit in the URL (pg)."""

import time

_t0 = time.perf_counter()
import asyncio
import logging
import os
import sqlite3

from dbos import DBOS, SetWorkflowID
from dbos._error import DBOSNonExistentWorkflowError
from sqlalchemy import Engine, event

from harness import Peer, agent, main, stamp, step_input

IMPORT_S = time.perf_counter() - _t0
SYNC, WAL = "FULL", False
PARKED = 0


@event.listens_for(Engine, "connect")
def _pragma(dbapi, _):
    if isinstance(dbapi, sqlite3.Connection):
        if WAL:
            dbapi.execute("PRAGMA journal_mode=WAL")
        dbapi.execute(f"PRAGMA synchronous={SYNC}")


@DBOS.step()
async def step(pid: str, i: int, inp: dict, delay: float) -> dict:
    return await agent(pid, i, inp, delay)


@DBOS.workflow()
async def flow(pid: str, k: int, delay: float, timed: bool) -> int:
    prev = None
    for i in range(k):
        if timed:
            stamp()
        prev = await step(pid, i, step_input(pid, i, prev), delay)
    return prev["step"]


@DBOS.workflow()
async def fan(pid: str, w: int) -> int:
    outs = await asyncio.gather(*(step(pid, i, step_input(pid, i), 0.0) for i in range(w)))
    return len(outs)


@DBOS.workflow()
async def parkflow(pid: str) -> bool:
    global PARKED
    await step(pid, 0, step_input(pid, 0), 0.0)
    PARKED += 1
    msg = await DBOS.recv_async("human", timeout_seconds=86400)
    await step(pid, 2, step_input(pid, 2), 0.0)
    return msg["approved"]


class Dbos(Peer):
    name = "dbos"

    async def start(self):
        global SYNC, WAL, PARKED
        SYNC, WAL, PARKED = self.sync, self.variant.startswith("wal"), 0
        pg = self.variant.startswith("pg")
        if pg:
            opt = "" if self.sync == "FULL" else "?options=-csynchronous_commit%3Doff"
            url = os.environ["PG_URL"] + opt
        else:
            url = f"sqlite:///{self.dir / 'dbos.db'}"
        cfg = {
            "name": "bench",
            "system_database_url": url,
            "run_admin_server": False,
            "log_level": "ERROR",
            "enable_otlp": False,
            "application_version": "1",
        }
        self.run_tag = "" if not pg or os.environ.get("BENCH_EXECLOG") else f"{time.time_ns()}-"
        logging.disable(logging.WARNING)
        DBOS(config=cfg)
        DBOS.launch()
        self.h = {}

    async def stop(self):
        if self.h is not None:
            self.h = None
            DBOS.destroy()

    async def _start(self, pid, f, *args):
        with SetWorkflowID(self.run_tag + pid):
            return await DBOS.start_workflow_async(f, *args)

    async def run(self, pid, k, delay=0.0):
        return await (await self._start(pid, flow, pid, k, delay, False)).get_result()

    async def run_timed(self, pid, k):
        return await (await self._start(pid, flow, pid, k, 0.0, True)).get_result()

    async def fanout(self, pid, w):
        assert await (await self._start(pid, fan, pid, w)).get_result() == w

    async def park(self, pid):
        self.h[pid] = await self._start(pid, parkflow, pid)

    async def wait_parked(self, n):
        while PARKED < n:
            await asyncio.sleep(0.01)

    async def resolve(self, pid):
        await DBOS.send_async(self.run_tag + pid, {"approved": True}, "human")
        assert await self.h[pid].get_result() is True

    async def recover(self, pids):
        async def one(p):
            try:
                h = await DBOS.retrieve_workflow_async(p)
            except DBOSNonExistentWorkflowError:
                self.resubmitted += 1
                return await self.run(p, self.k, self.delay)
            return await h.get_result()

        await asyncio.gather(*(one(p) for p in pids))


if __name__ == "__main__":
    main(Dbos, IMPORT_S)
