"""Run ours, the floor and the peers interleaved (A B A B …) and print one table of medians with ratios.

Few absolute figures survive a shared machine, so only ratios taken within one run count. `--quick` is S1 and S2 of ours
and `bare` in under a minute. A full run writes docs/performance.md and appends its rows to bench/results.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEERS = {
    "ours": ("peer_ours.py", ""),
    "bare": ("peer_bare.py", ""),
    "langgraph": ("peer_langgraph.py", ""),
    "dbos": ("peer_dbos.py", ""),
}
FIGURES = {  # scenario -> (field, heading, unit, True where less is better)
    "s1": [("per_step_ms", "S1 one at a time", "ms/step", True)],
    "s2": [("steps_per_s", "S2 50 at once", "steps/s", False), ("cpu_ms_per_step", "S2 CPU", "ms/step", True)],
    "s3": [
        ("w10_ms", "S3 fan-out 10", "ms", True),
        ("w100_ms", "S3 fan-out 100", "ms", True),
        ("w1000_ms", "S3 fan-out 1000", "ms", True),
    ],
    "s6": [
        ("recover_s", "S6 recovery after kill -9", "s", True),
        ("reexecuted_after_end", "S6 finished calls run again", "", True),
        ("missing_at_end", "S6 missing at the end", "", True),
    ],
    "s7": [("growth", "S7 last 100 over first 100 of 1000 steps", "x", True)],
    "s8": [("bytes_per_step", "S8 disk", "bytes/step", True)],
}
SIZES = {"s2": {"langgraph": 200, "dbos": 100}, "s6": {"langgraph": 100, "dbos": 100}, "s7": {"dbos": 400}}
"""Where a peer would take minutes, fewer processes: rates and ratios stay comparable."""


def measure(peer: str, scenario: str, *, limit: float) -> dict[str, object]:
    """Run one scenario of one peer in a process of its own and give its row."""
    program, variant = PEERS[peer]
    command = [sys.executable, str(HERE / program), "--scenario", scenario, "--variant", variant, "--limit", str(limit)]
    size = SIZES.get(scenario, {}).get(peer)
    if size:
        command += ["--n", str(size)]
    if scenario == "s3" and peer in {"langgraph", "dbos"}:
        command += ["--widths", "10,100"] if peer == "dbos" else ["--widths", "10,100,1000"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit * 3, check=False)
    except subprocess.TimeoutExpired:
        return {"peer": peer, "scenario": scenario, "error": f"no end in {limit * 3:.0f} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        return {"peer": peer, "scenario": scenario, "error": (done.stderr or done.stdout)[-400:]}
    return json.loads(lines[-1])


def table(rows: list[dict[str, object]], peers: list[str], scenarios: list[str]) -> str:
    """Write medians and their ratio to ours as a Markdown table."""
    lines = ["| what | unit | " + " | ".join(peers) + " |", "|---|---|" + "---|" * len(peers)]
    for scenario in scenarios:
        for field, heading, unit, less in FIGURES[scenario]:
            values = {
                peer: [
                    r[field]
                    for r in rows
                    if r["peer"] == peer and r["scenario"] == scenario and is_number(r.get(field))
                ]
                for peer in peers
            }
            medians = {peer: statistics.median(found) for peer, found in values.items() if found}
            ours = medians.get("ours")
            cells = [cell(medians.get(peer), None if peer == "ours" else ours, less=less) for peer in peers]
            lines.append(f"| {heading} | {unit} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def cell(value: float | None, ours: float | None, *, less: bool) -> str:
    if value is None:
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:g}"
    if ours is None or not value or not ours:
        return text
    ratio = value / ours if less else ours / value
    return f"{text} ({ratio:.1f}x)"


def document(body: str, rounds: int) -> str:
    return f"""# Performance

Written by `./dev bench`: medians of {rounds} interleaved rounds, every step durable (`synchronous=FULL`) before it is
acknowledged, agents in process, both sides of every call validated against a JSON Schema. In brackets: how many times
faster or smaller ours is than that peer, in the same run. `bare` is a Python loop over SQLite that does nothing but the
journal: the floor, without contracts, keys, retries or trace. Absolute times depend on the machine
({os.cpu_count()} cores, Python {platform.python_version()}); the ratios are what counts. S6: 200 processes killed in the
middle; a finished call that runs again is one whose result was not yet durable, under the same key.

{body}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="S1 and S2 of ours and bare")
    parser.add_argument("--peers", default="", help=f"comma-separated, of {', '.join(PEERS)}")
    parser.add_argument("--scenarios", default="", help=f"comma-separated, of {', '.join(FIGURES)}")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--limit", type=float, default=120)
    arguments = parser.parse_args()
    peers = (arguments.peers or ("ours,bare" if arguments.quick else ",".join(PEERS))).split(",")
    scenarios = (arguments.scenarios or ("s1,s2" if arguments.quick else ",".join(FIGURES))).split(",")
    rounds = arguments.rounds or (2 if arguments.quick else 3)
    rows: list[dict[str, object]] = []
    started = time.monotonic()
    for number in range(rounds):
        for scenario in scenarios:
            for peer in peers:
                row = {**measure(peer, scenario, limit=arguments.limit), "round": number}
                rows.append(row)
                print(json.dumps(row), file=sys.stderr, flush=True)
    body = table(rows, peers, scenarios)
    print(body)
    errors = [row for row in rows if "error" in row]
    for row in errors:
        print(f"\n{row['peer']} {row['scenario']}: {row['error']}")
    if not arguments.quick and not arguments.peers and not arguments.scenarios:
        (ROOT / "docs" / "performance.md").write_text(document(body, rounds), encoding="utf-8")
        with (HERE / "results.jsonl").open("a", encoding="utf-8") as file:
            file.writelines(json.dumps({**row, "load": os.getloadavg()[0]}) + "\n" for row in rows)
    print(f"\n{time.monotonic() - started:.0f} s", file=sys.stderr)
    raise SystemExit(1 if any(row["peer"] == "ours" for row in errors) else 0)


if __name__ == "__main__":
    main()
