"""Bare journal on SQLite: the physical limit for a Python+SQLite engine on this machine.

variants: direct    one stdlib connection used on the event loop, one commit per event
          aiosqlite the same through aiosqlite's thread
          group     one writer thread; every event queued while a commit runs joins the next transaction
"""

import time

_t0 = time.perf_counter()
import asyncio
import json
import queue
import sqlite3
import threading

import aiosqlite
import orjson

from harness import Peer, agent, main, stamp, step_input

IMPORT_S = time.perf_counter() - _t0
DDL = "CREATE TABLE IF NOT EXISTS journal(id INTEGER PRIMARY KEY, pid TEXT NOT NULL, seq INT NOT NULL, kind INT NOT NULL, data BLOB)"
INS = "INSERT INTO journal(pid,seq,kind,data) VALUES(?,?,?,?)"
START, STEP, WAIT, SIGNAL, DONE = range(5)


class GroupWriter:
    def __init__(self, path, sync):
        self.q, self.loop = queue.SimpleQueue(), asyncio.get_running_loop()
        self.path, self.sync, self.commits, self.events = path, sync, 0, 0
        self.t = threading.Thread(target=self._work, daemon=True)
        self.t.start()

    def _work(self):
        db = sqlite3.connect(self.path, isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA synchronous={self.sync}")
        db.execute(DDL)
        while True:
            item = self.q.get()
            if item is None:
                break
            batch = [item]
            while not self.q.empty() and len(batch) < 2000:
                nxt = self.q.get()
                if nxt is None:
                    self.q.put(None)
                    break
                batch.append(nxt)
            db.execute("BEGIN IMMEDIATE")
            db.executemany(INS, [b[0] for b in batch])
            db.execute("COMMIT")
            self.commits += 1
            self.events += len(batch)
            self.loop.call_soon_threadsafe(self._wake, [b[1] for b in batch])
        db.close()

    @staticmethod
    def _wake(futs):
        for f in futs:
            if not f.done():
                f.set_result(None)

    def put(self, row):
        f = self.loop.create_future()
        self.q.put((row, f))
        return f

    def close(self):
        self.q.put(None)
        self.t.join()


class Bare(Peer):
    name = "bare"

    async def start(self):
        self.path, self.sig = str(self.dir / "j.db"), {}
        v = self.variant or "group"
        if v == "group":
            w = self.w = GroupWriter(self.path, self.sync)
            self.put, self._close = lambda *r: w.put(r), w.close
        elif v == "direct":
            db = sqlite3.connect(self.path, isolation_level=None)
            db.execute("PRAGMA journal_mode=WAL"), db.execute(f"PRAGMA synchronous={self.sync}"), db.execute(DDL)

            async def put(*r):
                db.execute(INS, r)  # autocommit: one transaction per event

            self.put, self._close = put, db.close
        else:
            db = self.adb = await aiosqlite.connect(self.path, isolation_level=None)
            for s in ("PRAGMA journal_mode=WAL", f"PRAGMA synchronous={self.sync}", DDL):
                await db.execute(s)

            async def put(*r):
                await db.execute(INS, r)

            self.put, self._close = put, None
        self.closed = False

    async def stop(self):
        if not self.closed:
            self.closed = True
            if self._close:
                self._close()
            else:
                await self.adb.close()

    async def _steps(self, pid, k, delay=0.0, frm=0, st=False):
        prev = None
        for i in range(frm, k):
            if st:
                stamp()
            prev = await agent(pid, i, step_input(pid, i, prev), delay)
            await self.put(pid, i, DONE if i == k - 1 else STEP, orjson.dumps(prev))
        return prev

    async def run(self, pid, k, delay=0.0):
        await self.put(pid, -1, START, orjson.dumps({"k": k, "delay": delay}))
        return await self._steps(pid, k, delay)

    async def run_timed(self, pid, k):
        await self.put(pid, -1, START, orjson.dumps({"k": k, "delay": 0}))
        return await self._steps(pid, k, st=True)

    async def fanout(self, pid, w):
        await self.put(pid, -1, START, b"{}")

        async def br(i):
            out = await agent(pid, i, step_input(pid, i))
            await self.put(pid, i, STEP, orjson.dumps(out))
            return out

        await asyncio.gather(*(br(i) for i in range(w)))
        await self.put(pid, w, DONE, b"{}")

    async def park(self, pid):
        # a parked process is a row, not a coroutine
        await self.put(pid, -1, START, b"{}")
        await self.put(pid, 0, WAIT, orjson.dumps(await agent(pid, 0, step_input(pid, 0))))
        self.parked += 1

    async def resolve(self, pid):
        await self.put(pid, 1, SIGNAL, b'{"approved":true}')
        await self.put(pid, 2, DONE, orjson.dumps(await agent(pid, 2, step_input(pid, 2))))

    async def recover(self, pids):
        db = sqlite3.connect(self.path)
        last, conf = {}, {}
        for pid, seq, kind, data in db.execute("SELECT pid,seq,kind,data FROM journal ORDER BY id"):
            last[pid] = (seq, kind)
            if kind == START:
                conf[pid] = json.loads(data)
        db.close()
        missing = [p for p in pids if p not in last]
        self.resubmitted = len(missing)
        todo = [self.run(p, self.k, self.delay) for p in missing]
        todo += [
            self._steps(p, conf[p]["k"], conf[p]["delay"], frm=last[p][0] + 1)
            for p in pids
            if p in last and last[p][1] != DONE
        ]
        await asyncio.gather(*todo)


if __name__ == "__main__":
    main(Bare, IMPORT_S)
