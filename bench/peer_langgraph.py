"""LangGraph 1.x with AsyncSqliteSaver. Variants: sync (durability="sync", the default here: no completed
step lost), async (LangGraph's own default durability), each keeping all step outputs in state;
suffix "-last" keeps only the last output (for S7)."""

import time

_t0 = time.perf_counter()
import asyncio
import operator
from typing import Annotated, TypedDict

import aiosqlite
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt

from harness import Peer, agent, main, stamp, step_input

IMPORT_S = time.perf_counter() - _t0


def keep_last(a, b):
    return b or a


class S(TypedDict, total=False):
    pid: str
    i: int
    k: int
    delay: float
    outs: Annotated[list, operator.add]


class SLast(TypedDict, total=False):
    pid: str
    i: int
    k: int
    delay: float
    outs: Annotated[list, keep_last]


async def node(s):
    stamp()
    i = s["i"]
    out = await agent(s["pid"], i, step_input(s["pid"], i, (s.get("outs") or [None])[-1]), s.get("delay", 0.0))
    return {"outs": [out], "i": i + 1}


def more(s):
    return "step" if s["i"] < s["k"] else END


async def branch(s):
    out = await agent(s["pid"], s["i"], step_input(s["pid"], s["i"]))
    return {"outs": [out]}


async def human(s):
    return {"outs": [{"step": 1, "human": interrupt("approve?")}], "i": s["i"] + 1}


class LangGraph(Peer):
    name = "langgraph"

    async def start(self):
        self.dur = "async" if self.variant.startswith("async") else "sync"
        state = SLast if self.variant.endswith("-last") else S
        self.conn = await aiosqlite.connect(str(self.dir / "lg.db"))
        self.saver = AsyncSqliteSaver(self.conn)
        await self.saver.setup()
        await self.conn.execute(f"PRAGMA synchronous={self.sync}")
        g = StateGraph(state)
        g.add_node("step", node)
        g.add_edge(START, "step")
        g.add_conditional_edges("step", more, ["step", END])
        self.loop_g = g.compile(checkpointer=self.saver)
        f = StateGraph(S)
        f.add_node("branch", branch)
        f.add_node("join", lambda s: {"i": len(s["outs"])})
        f.add_conditional_edges(
            START, lambda s: [Send("branch", {"pid": s["pid"], "i": i}) for i in range(s["k"])], ["branch"]
        )
        f.add_edge("branch", "join")
        f.add_edge("join", END)
        self.fan_g = f.compile(checkpointer=self.saver)
        h = StateGraph(S)
        h.add_node("a", node), h.add_node("human", human), h.add_node("b", node)
        h.add_edge(START, "a"), h.add_edge("a", "human"), h.add_edge("human", "b"), h.add_edge("b", END)
        self.park_g = h.compile(checkpointer=self.saver)

    async def stop(self):
        if self.conn:
            await self.conn.close()
            self.conn = None

    def _c(self, pid, k=20):
        return {"configurable": {"thread_id": pid}, "recursion_limit": k + 50}

    async def run(self, pid, k, delay=0.0):
        return await self.loop_g.ainvoke(
            {"pid": pid, "i": 0, "k": k, "delay": delay, "outs": []}, self._c(pid, k), durability=self.dur
        )

    async def run_timed(self, pid, k):
        return await self.run(pid, k)

    async def fanout(self, pid, w):
        r = await self.fan_g.ainvoke({"pid": pid, "i": 0, "k": w, "outs": []}, self._c(pid), durability=self.dur)
        assert r["i"] == w

    async def park(self, pid):
        await self.park_g.ainvoke({"pid": pid, "i": 0, "k": 2, "outs": []}, self._c(pid), durability=self.dur)
        self.parked += 1

    async def resolve(self, pid):
        r = await self.park_g.ainvoke(Command(resume={"approved": True}), self._c(pid), durability=self.dur)
        assert r["i"] == 3, r["i"]

    async def recover(self, pids):
        async def one(p):
            st = await self.loop_g.aget_state(self._c(p))
            # not st.next: LangGraph leaves a task out of it once its writes are saved, even if its checkpoint is not
            if st.values and st.values["i"] < st.values["k"]:
                await self.loop_g.ainvoke(None, self._c(p), durability=self.dur)
            elif not st.values:
                self.resubmitted += 1
                await self.run(p, self.k, self.delay)

        await asyncio.gather(*(one(p) for p in pids))


if __name__ == "__main__":
    main(LangGraph, IMPORT_S)
