"""Run ours, the floor and the peers interleaved (A B A B …) and print one table of medians with ratios.

Few absolute figures survive a shared machine, so only ratios taken within one run count. `--quick` is S1 and S2 of ours
and `bare` in under a minute. A full run writes docs/performance.md with its growth curves (docs/performance-*.svg) and
appends its rows to bench/results.jsonl; `--write` does so for a part.
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

import servers

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DOCUMENT = ROOT / "docs" / "performance.md"
PEERS_PYTHON = ROOT / ".venv-bench" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
PEERS = {  # name -> (program, variant, whether it lives in the peers' environment)
    "ours": ("peer_ours.py", "", False),
    "bare": ("peer_bare.py", "", False),
    "langgraph": ("peer_langgraph.py", "", True),
    "dbos": ("peer_dbos.py", "", True),
    "temporal": ("peer_temporal.py", "", True),
    "restate": ("peer_restate.py", "", True),
}
FIGURES = {  # scenario -> (field, heading, unit, True where less is better)
    "s1": [("per_step_ms", "S1 one at a time", "ms/step", True)],
    "s2": [("steps_per_s", "S2 50 at once", "steps/s", False), ("cpu_ms_per_step", "S2 CPU", "ms/step", True)],
    "s3": [
        ("w10_ms", "S3 fan-out 10", "ms", True),
        ("w100_ms", "S3 fan-out 100", "ms", True),
        ("w1000_ms", "S3 fan-out 1000", "ms", True),
    ],
    "s4": [
        ("first_done_s", "S4 cold start to the first finished process", "s", True),
        ("rss_import_mb", "S4 memory after the imports", "MB", True),
        ("rss_mb.client", "S4 memory after the first process", "MB", True),
    ],
    "s5": [
        ("park_per_s", "S5 parked for a person", "processes/s", False),
        ("resolve_per_s", "S5 resolved and finished", "processes/s", False),
        ("rss_mb_per_1000", "S5 memory of 1000 parked", "MB", True),
    ],
    "s6": [
        ("recover_s", "S6 recovery after kill -9", "s", True),
        ("reexecuted_after_end", "S6 finished calls run again", "", True),
        ("missing_at_end", "S6 missing at the end", "", True),
    ],
    "s7": [("growth", "S7 last 100 over first 100 of 1000 steps", "x", True)],
    "s8": [("bytes_per_step", "S8 disk", "bytes/step", True)],
}
SIZES = {
    "s1": {"temporal": 10, "restate": 50},
    "s2": {"langgraph": 200, "dbos": 100, "temporal": 40, "restate": 200},
    "s5": {"langgraph": 300, "dbos": 200, "temporal": 200},
    "s6": {"langgraph": 100, "dbos": 100, "temporal": 50, "restate": 100},
    "s7": {"dbos": 400, "temporal": 200, "restate": 400},
    "s8": {"temporal": 20},
}
"""Where a peer would take minutes, fewer processes: rates and ratios stay comparable."""
WIDTHS = {"dbos": "10,100", "temporal": "10,100", "restate": "10,100,1000"}
LEFT_OUT = {
    ("bare", "s5"): "it has no people",
    ("restate", "s8"): "it cannot stop and start again in one process",
}


def measure(peer: str, scenario: str, *, limit: float) -> dict[str, object]:
    """Run one scenario of one peer in a process of its own and give its row."""
    row: dict[str, object] = {"peer": peer, "scenario": scenario}
    if (peer, scenario) in LEFT_OUT:
        return {**row, "left_out": LEFT_OUT[peer, scenario]}
    program, variant, is_peer = PEERS[peer]
    python = str(PEERS_PYTHON) if is_peer else sys.executable
    command = [python, str(HERE / program), "--scenario", scenario, "--variant", variant, "--limit", str(limit)]
    size = SIZES.get(scenario, {}).get(peer)
    if size:
        command += ["--n", str(size)]
    if scenario == "s3" and peer in WIDTHS:
        command += ["--widths", WIDTHS[peer]]
    try:
        environment = {**os.environ, **({"RESTATE_BIN": servers.restate()} if peer == "restate" else {})}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit * 3, check=False, env=environment, cwd=HERE
        )
    except servers.MissingServerError as error:
        return {**row, "left_out": str(error)}
    except subprocess.TimeoutExpired:
        return {**row, "error": f"no end in {limit * 3:.0f} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        return {**row, "error": (done.stderr or done.stdout)[-400:]}
    return json.loads(lines[-1])


def value(row: dict[str, object], field: str) -> float | None:
    """Give a number of a row; a dot in the name leads into an object."""
    found: object = row
    for name in field.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def table(rows: list[dict[str, object]], peers: list[str], scenarios: list[str]) -> str:
    """Write medians and their ratio to ours as a Markdown table."""
    lines = ["| what | unit | " + " | ".join(peers) + " |", "|---|---|" + "---|" * len(peers)]
    for scenario in scenarios:
        for field, heading, unit, less in FIGURES[scenario]:
            medians = {peer: median(rows, peer, scenario, field) for peer in peers}
            ours = medians.get("ours")
            cells = [cell(medians[peer], None if peer == "ours" else ours, less=less) for peer in peers]
            lines.append(f"| {heading} | {unit} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def median(rows: list[dict[str, object]], peer: str, scenario: str, field: str) -> float | None:
    found = [value(row, field) for row in rows if row["peer"] == peer and row["scenario"] == scenario]
    numbers = [number for number in found if number is not None]
    return statistics.median(numbers) if numbers else None


def cell(value: float | None, ours: float | None, *, less: bool) -> str:
    if value is None:
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:g}"
    if ours is None or not value or not ours:
        return text
    ratio = value / ours if less else ours / value
    return f"{text} ({ratio:.1f}x)"


def document(body: str, notes: list[str], rounds: int) -> str:
    """Write the page; what stands under "What bounds us" was written by people and is kept."""
    former = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
    _, heading, kept = former.partition("\n## What bounds us\n")
    listed = "".join(f"- {note}\n" for note in notes)
    return f"""# Performance

Written by `./dev bench`: medians of {rounds} interleaved rounds, every step durable (`synchronous=FULL`) before it is
acknowledged, agents in process, both sides of every call validated against a JSON Schema. In brackets: how many times
faster or smaller ours is than that peer, in the same run. `bare` is a Python loop over SQLite that does nothing but the
journal: the floor, without contracts, keys, retries or trace. Temporal is its dev server, Restate its single server,
both on the same machine. Absolute times depend on the machine ({os.cpu_count()} cores, Python
{platform.python_version()}); the ratios are what counts. S6: processes killed in the middle; a finished call that runs
again is one whose result was not yet durable, under the same key.

{body}

![Time of a step as a process grows](performance-steps.svg)

![Time of a fan-out by its width](performance-width.svg)

{listed}{heading}{kept}"""


def notes(rows: list[dict[str, object]]) -> list[str]:
    """Say what the table leaves out, and which peers had fewer processes."""
    said = {f"{row['peer']} {row['scenario'].upper()} left out: {row['left_out']}" for row in rows if "left_out" in row}
    said |= {f"{row['peer']} {row['scenario'].upper()} failed: {row['error']}" for row in rows if "error" in row}
    fewer = [f"{peer} {scenario.upper()} {n}" for scenario, sizes in SIZES.items() for peer, n in sizes.items()]
    return [*sorted(said), f"Fewer processes, or steps in S7, where a peer would take minutes: {', '.join(fewer)}."]


def also() -> str:
    """Give the table of bench/also.py."""
    return subprocess.run(
        [sys.executable, str(HERE / "also.py")], stdout=subprocess.PIPE, text=True, check=True, cwd=HERE
    ).stdout.strip()


def write(rows: list[dict[str, object]], body: str, rounds: int) -> None:
    body = f"{body}\n\n{also()}"
    DOCUMENT.write_text(document(body, notes(rows), rounds), encoding="utf-8")
    with (HERE / "results.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({**row, "load": os.getloadavg()[0]}) + "\n" for row in rows)
    subprocess.run(
        [str(PEERS_PYTHON), str(HERE / "curves.py"), str(DOCUMENT.parent)],
        input=json.dumps(rows),
        text=True,
        check=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="S1 and S2 of ours and bare")
    parser.add_argument("--peers", default="", help=f"comma-separated, of {', '.join(PEERS)}")
    parser.add_argument("--scenarios", default="", help=f"comma-separated, of {', '.join(FIGURES)}")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--limit", type=float, default=120)
    parser.add_argument("--also", action="store_true", help="only what bench/also.py measures, of ours alone")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md although it is no full run")
    arguments = parser.parse_args()
    if arguments.also:
        print(also())
        return
    peers = (arguments.peers or ("ours,bare" if arguments.quick else ",".join(PEERS))).split(",")
    scenarios = (arguments.scenarios or ("s1,s2" if arguments.quick else ",".join(FIGURES))).split(",")
    unknown = [*(set(peers) - set(PEERS)), *(set(scenarios) - set(FIGURES))]
    if unknown:
        parser.error(f"no peer or scenario {', '.join(sorted(unknown))}")
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
    if arguments.write or not (arguments.quick or arguments.peers or arguments.scenarios):
        write(rows, body, rounds)
    print(f"\n{time.monotonic() - started:.0f} s", file=sys.stderr)
    raise SystemExit(1 if any(row["peer"] == "ours" for row in errors) else 0)


if __name__ == "__main__":
    main()
