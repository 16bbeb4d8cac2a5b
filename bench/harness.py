"""Common benchmark harness: one agent call, eight scenarios, one CLI for every peer.

A peer file subclasses ``Peer`` and calls ``main(PeerClass, import_seconds)``.
The harness owns the work (what a step does), the clock and the crash; a peer
only says how its engine runs, parks, resolves and recovers a process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import statistics as st
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jsonschema_rs
import psutil

# ------------------------------------------------------------------ the work
SCHEMA_IN = {
    "type": "object",
    "required": ["task", "step", "context"],
    "properties": {
        "task": {"type": "string", "minLength": 1},
        "step": {"type": "integer", "minimum": 0},
        "context": {"type": "object"},
    },
    "additionalProperties": False,
}
SCHEMA_OUT = {
    "type": "object",
    "required": ["step", "ok", "summary", "score", "items"],
    "properties": {
        "step": {"type": "integer"},
        "ok": {"type": "boolean"},
        "summary": {"type": "string", "maxLength": 400},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "items": {"type": "array", "maxItems": 16, "items": {"type": "string"}},
    },
    "additionalProperties": False,
}
_VIN = jsonschema_rs.validator_for(SCHEMA_IN)
_VOUT = jsonschema_rs.validator_for(SCHEMA_OUT)
SUMMARY = "the agent looked at the request and produced a short answer " * 2
_LOG_FD: int | None = None


def step_input(pid: str, step: int, prev: dict | None = None) -> dict:
    return {"task": pid, "step": step, "context": {"prev": (prev or {}).get("step", -1)}}


def log_start(pid: str, step: int) -> None:
    """Log that a call has started, when S6 asks."""
    if _LOG_FD is not None:
        os.write(_LOG_FD, f"{pid} {step} S {os.getpid()}\n".encode())


def log_end(pid: str, step: int) -> None:
    if _LOG_FD is not None:
        os.write(_LOG_FD, f"{pid} {step} E {os.getpid()}\n".encode())


async def agent(pid: str, step: int, inp: dict, delay: float = 0.0) -> dict:
    """The in-process no-op agent call behind a contract. Logs every execution when S6 asks."""
    log_start(pid, step)
    _VIN.validate(inp)
    if delay:
        await asyncio.sleep(delay)
    out = {"step": step, "ok": True, "summary": SUMMARY, "score": 0.93, "items": ["alpha", "beta"]}
    _VOUT.validate(out)
    log_end(pid, step)
    return out


# ------------------------------------------------------------------ the peer
class Peer:
    """What a peer must provide. ``variant`` and ``sync`` come from the CLI."""

    name = "peer"
    fanout_supported = True
    park_supported = True
    recover_supported = True

    def __init__(self, workdir: Path, sync: str, variant: str, recovering: bool = False):
        self.dir, self.sync, self.variant, self.recovering = workdir, sync, variant, recovering
        self.parked = 0  # peers may bump this when a process reaches its wait

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    async def run(self, pid: str, k: int, delay: float = 0.0):
        """Submit a process of k sequential steps and wait until it has completed."""
        raise NotImplementedError

    async def run_timed(self, pid: str, k: int) -> list[float]:
        """Like run, but returns the wall clock at each step start (for S7)."""
        raise NotImplementedError

    async def fanout(self, pid: str, w: int):
        raise NotImplementedError

    async def park(self, pid: str):
        """Submit step + wait-for-human + step; return when submitted (parked if the engine says so)."""
        raise NotImplementedError

    async def wait_parked(self, n: int):
        while self.parked < n:
            await asyncio.sleep(0.01)

    async def resolve(self, pid: str):
        """Deliver the human's answer and wait until the process has completed."""
        raise NotImplementedError

    async def recover(self, pids: list[str]):
        """After a restart: wait until every submitted process has completed. A process whose submission was not
        acknowledged before the kill is submitted again (self.k, self.delay) and counted in self.resubmitted."""
        raise NotImplementedError

    def server_pids(self) -> list[int]:
        return []

    # step start stamps for S7, filled by peers through stamp()
    def disk_bytes(self) -> int:
        return sum(f.stat().st_size for f in self.dir.rglob("*") if f.is_file())


STAMPS: list[float] = []


def stamp() -> None:
    STAMPS.append(time.perf_counter())


def pct(xs, p):
    xs = sorted(xs)
    return xs[min(len(xs) - 1, int(len(xs) * p))]


def rss_mb(pids=()) -> dict:
    d = {"client": round(psutil.Process().memory_info().rss / 1e6, 1)}
    srv = 0
    for p in pids:
        try:
            pr = psutil.Process(p)
            srv += pr.memory_info().rss + sum(c.memory_info().rss for c in pr.children(recursive=True))
        except psutil.Error:
            pass
    if srv:
        d["server"] = round(srv / 1e6, 1)
    return d


def cpu_s(pids=()) -> float:
    t = psutil.Process().cpu_times()
    s = t.user + t.system
    for p in pids:
        try:
            pr = psutil.Process(p)
            for q in [pr, *pr.children(recursive=True)]:
                c = q.cpu_times()
                s += c.user + c.system
        except psutil.Error:
            pass
    return s


async def _bounded(coros, limit):
    sem = asyncio.Semaphore(limit)

    async def one(c):
        async with sem:
            return await c

    return await asyncio.gather(*(one(c) for c in coros))


# ------------------------------------------------------------- the scenarios
async def s1(p: Peer, a) -> dict:
    for i in range(10):
        await p.run(f"warm{i}", a.k)
    ts = []
    c0 = cpu_s(p.server_pids())
    for i in range(a.n or 200):
        t = time.perf_counter()
        await p.run(f"s1-{i}", a.k)
        ts.append((time.perf_counter() - t) * 1e3)
    c = cpu_s(p.server_pids()) - c0
    return {
        "p50_ms": round(pct(ts, 0.5), 3),
        "p99_ms": round(pct(ts, 0.99), 3),
        "per_step_ms": round(pct(ts, 0.5) / a.k, 3),
        "cpu_ms_per_step": round(c * 1e3 / len(ts) / a.k, 3),
    }


async def s2(p: Peer, a) -> dict:
    n = a.n or 500
    for i in range(5):
        await p.run(f"warm{i}", a.k)
    c0 = cpu_s(p.server_pids())
    t = time.perf_counter()
    await _bounded([p.run(f"s2-{i}", a.k) for i in range(n)], a.concurrency)
    d = time.perf_counter() - t
    c = cpu_s(p.server_pids()) - c0
    return {
        "proc_per_s": round(n / d, 1),
        "steps_per_s": round(n * a.k / d, 1),
        "cpu_ms_per_step": round(c * 1e3 / n / a.k, 3),
    }


async def s3(p: Peer, a) -> dict:
    if not p.fanout_supported:
        return {"unsupported": True}
    await p.fanout("warm", 2)
    r = {}
    for w in a.widths:
        ts = []
        for i in range(3 if w < 1000 else 1):
            t = time.perf_counter()
            try:
                await asyncio.wait_for(p.fanout(f"s3-{w}-{i}", w), a.limit)
            except Exception as e:  # report a refusal or a timeout as the result
                r[f"w{w}"] = f"{type(e).__name__}: {str(e)[:120]}"
                break
            ts.append((time.perf_counter() - t) * 1e3)
        if ts and f"w{w}" not in r:
            r[f"w{w}_ms"] = round(st.median(ts), 1)
    return r


async def s5(p: Peer, a) -> dict:
    if not p.park_supported:
        return {"unsupported": True}
    n = a.n or 1000
    base, t = rss_mb(p.server_pids()), time.perf_counter()
    await _bounded([p.park(f"s5-{i}") for i in range(n)], a.concurrency)
    await asyncio.wait_for(p.wait_parked(n), a.limit)
    d1 = time.perf_counter() - t
    held = rss_mb(p.server_pids())
    t = time.perf_counter()
    await _bounded([p.resolve(f"s5-{i}") for i in range(n)], a.concurrency)
    d2 = time.perf_counter() - t
    return {
        "n": n,
        "park_per_s": round(n / d1, 1),
        "rss_before": base,
        "rss_parked": held,
        "rss_mb_per_1000": round((sum(held.values()) - sum(base.values())) * 1000 / n, 2),
        "resolve_per_s": round(n / d2, 1),
    }


async def s7(p: Peer, a) -> dict:
    n = a.n or 1000
    await p.run("warm", a.k)
    STAMPS.clear()
    t = time.perf_counter()
    await p.run_timed("s7", n)
    d = time.perf_counter() - t
    gaps = [(y - x) * 1e3 for x, y in zip(STAMPS, STAMPS[1:])]
    q = lambda xs: round(st.median(xs), 3) if xs else None
    return {
        "steps": n,
        "total_s": round(d, 2),
        "first100_ms": q(gaps[:100]),
        "last100_ms": q(gaps[-100:]),
        "growth": round(q(gaps[-100:]) / q(gaps[:100]), 2) if gaps else None,
        "curve_ms": [[at + len(gaps[at : at + 50]), q(gaps[at : at + 50])] for at in range(0, len(gaps), 50)],
        "disk_bytes": p.disk_bytes(),
    }


async def s8(p: Peer, a) -> dict:
    n = a.n or 200
    await p.run("warm", a.k)
    await p.stop()  # so that logs are folded into the store before both readings
    b = p.disk_bytes()
    await p.start()
    await _bounded([p.run(f"s8-{i}", a.k) for i in range(n)], a.concurrency)
    await p.stop()
    return {"bytes_per_step": round((p.disk_bytes() - b) / n / a.k)}


async def s4child(p: Peer, a) -> dict:
    await p.run("first", a.k)
    return {"first_done_s": round(time.time() - float(os.environ["BENCH_T0"]), 3)}


async def s6start(p: Peer, a) -> dict:
    await asyncio.gather(*(p.run(f"s6-{i}", a.k, a.delay) for i in range(a.n or 200)))
    return {"finished_before_kill": True}


async def s6recover(p: Peer, a) -> dict:
    p.k, p.delay, p.resubmitted = a.k, a.delay, 0
    await p.recover([f"s6-{i}" for i in range(a.n or 200)])
    return {"done": True, "resubmitted": p.resubmitted}


def _child(a, scenario, **env):
    cmd = [
        sys.executable,
        sys.argv[0],
        "--scenario",
        scenario,
        "--sync",
        a.sync,
        "--variant",
        a.variant,
        "--k",
        str(a.k),
        "--delay",
        str(a.delay),
        "--dir",
        a.dir,
    ]
    if a.n:
        cmd += ["--n", str(a.n)]
    return subprocess.Popen(
        cmd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
        start_new_session=True,
    )


def s4(a) -> dict:
    rs = []
    for _ in range(a.repeat):
        shutil.rmtree(a.dir, ignore_errors=True)
        out, err = _child(a, "s4child", BENCH_T0=str(time.time())).communicate(timeout=a.limit)
        try:
            rs.append(json.loads(out.strip().splitlines()[-1]))
        except Exception:
            return {"error": err[-400:]}
    m = lambda f: round(st.median(f(r) for r in rs), 3)
    return {
        "first_done_s": m(lambda r: r["first_done_s"]),
        "import_s": m(lambda r: r["import_s"]),
        "rss_mb": rs[-1]["rss"],
        "rss_import_mb": rs[-1]["rss_import_mb"],
    }


def _log(path):
    rows = [l.split() for l in path.read_text().splitlines()] if path.exists() else []
    return [(r[0], int(r[1]), r[2], r[3]) for r in rows if len(r) == 4 and r[0].startswith("s6-")]


def s6(a, peer_cls) -> dict:
    if not peer_cls.recover_supported:
        return {"unsupported": True}
    n = a.n or 200
    shutil.rmtree(a.dir, ignore_errors=True)
    log = Path(a.dir + ".execlog")
    log.unlink(missing_ok=True)
    c = _child(a, "s6start", BENCH_EXECLOG=str(log))
    t = time.time()
    while sum(1 for r in _log(log) if r[2] == "E") < n * a.k // 2:
        if c.poll() is not None or time.time() - t > a.limit:
            os.path.exists(log) and None
            c.kill()
            return {"error": "child ended early: " + c.stderr.read()[-500:]}
        time.sleep(0.01)
    os.kill(c.pid, signal.SIGKILL)  # the engine process; servers kept by a peer are killed by its own variant
    c.wait()
    before = _log(log)
    t = time.time()
    r = _child(a, "s6recover", BENCH_EXECLOG=str(log))
    try:
        out, err = r.communicate(timeout=a.limit)
    except subprocess.TimeoutExpired:
        os.kill(r.pid, signal.SIGKILL)
        return {"error": "recovery did not finish", "done_steps": len({x[:2] for x in _log(log) if x[2] == "E"})}
    d = time.time() - t
    after = _log(log)[len(before) :]
    started = {x[:2] for x in before if x[2] == "S"}
    ended = {x[:2] for x in before if x[2] == "E"}
    redone = {x[:2] for x in after if x[2] == "S"} & started
    # durable before the kill: the next step of the same process had already started
    durable = {(p, s) for p, s in ended if (p, s + 1) in started}
    done = {x[:2] for x in before + after if x[2] == "E"}
    return {
        "recover_s": round(d, 2),
        "ended_at_kill": len(ended),
        "in_flight_at_kill": len(started - ended),
        "reexecuted": len(redone),
        "reexecuted_after_end": len(redone & ended),
        "lost_durable": len(redone & durable),
        "missing_at_end": n * a.k - len(done),
        "resubmitted": json.loads(out.strip().splitlines()[-1])["resubmitted"] if out.strip() else None,
        **({"err": err[-300:]} if not out.strip() else {}),
    }


SCEN = {
    "s1": s1,
    "s2": s2,
    "s3": s3,
    "s5": s5,
    "s7": s7,
    "s8": s8,
    "s4child": s4child,
    "s6start": s6start,
    "s6recover": s6recover,
}


def main(peer_cls, import_s: float = 0.0) -> None:
    global _LOG_FD
    ap = argparse.ArgumentParser(description=f"benchmark: {peer_cls.name}")
    ap.add_argument("--scenario", required=True, help="s1 s2 s3 s4 s5 s6 s7 s8, comma-separated")
    ap.add_argument(
        "--sync", default="FULL", choices=["FULL", "NORMAL"], help="PRAGMA synchronous, where the peer has one"
    )
    ap.add_argument("--variant", default="", help="peer-specific variant, see README")
    ap.add_argument("--k", type=int, default=5)
    ap.add_argument("--n", type=int, default=0, help="number of processes (0: the scenario's default)")
    ap.add_argument("--concurrency", type=int, default=50)
    ap.add_argument("--widths", type=lambda s: [int(x) for x in s.split(",")], default=[10, 100, 1000])
    ap.add_argument("--delay", type=float, default=0.05, help="agent duration in S6")
    ap.add_argument("--repeat", type=int, default=3)
    ap.add_argument("--limit", type=float, default=120, help="seconds before a scenario is given up")
    ap.add_argument("--dir", default="")
    ap.add_argument("--out", default="", help="append JSON lines here")
    a = ap.parse_args()
    rss_import = rss_mb()["client"]
    a.dir = a.dir or str(Path(tempfile.gettempdir()) / f"bench-{peer_cls.name}-{a.variant}-{a.sync}-{os.getpid()}")
    if os.environ.get("BENCH_EXECLOG"):
        _LOG_FD = os.open(os.environ["BENCH_EXECLOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def once(s):
        if s != "s6recover":
            shutil.rmtree(a.dir, ignore_errors=True)
        os.makedirs(a.dir, exist_ok=True)
        p = peer_cls(Path(a.dir), a.sync, a.variant, recovering=s == "s6recover")
        await p.start()
        try:
            r = await SCEN[s](p, a)
            r.setdefault("rss", rss_mb(p.server_pids()))
            return r
        finally:
            await p.stop()

    for s in a.scenario.split(","):
        a.n_saved = a.n
        if s == "s4":
            r = s4(a)
        elif s == "s6":
            r = s6(a, peer_cls)
        else:
            r = asyncio.run(once(s))
        if s in ("s4child",):
            r.update(import_s=round(import_s, 3), rss_import_mb=rss_import)
        row = (
            {"peer": peer_cls.name, "variant": a.variant, "sync": a.sync, "scenario": s, **r}
            if not s.endswith("child")
            else r
        )
        print(json.dumps(row), flush=True)
        if a.out:
            with open(a.out, "a") as f:
                f.write(json.dumps(row) + "\n")
        if s not in ("s4child", "s6start", "s6recover"):
            shutil.rmtree(a.dir, ignore_errors=True)
