"""Draw the growth curves of a benchmark run as SVG files: rows as JSON on stdin, the folder as argument.

Runs in the peers' environment, where matplotlib is. Both axes are logarithmic where the peers lie orders apart; a flat
line is what is wanted of a step's time, a line of slope one of a fan-out's.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")  # no screen is asked for
from matplotlib import pyplot as plt

mpl.rcParams["svg.hashsalt"] = "process-orchestrator"  # the same rows give the same file
mpl.rcParams["svg.fonttype"] = "none"


def curve(rows: list[dict], scenario: str, points) -> dict[str, list[tuple[float, float]]]:
    """Collect the medians of each peer's points over the rounds."""
    found: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["scenario"] == scenario:
            for x, y in points(row):
                found[row["peer"]][x].append(y)
    return {peer: sorted((x, statistics.median(ys)) for x, ys in by_x.items()) for peer, by_x in found.items() if by_x}


def steps(row: dict) -> list[tuple[float, float]]:
    return [(x, y) for x, y in row.get("curve_ms") or [] if y]


def widths(row: dict) -> list[tuple[float, float]]:
    matches = ((re.fullmatch(r"w(\d+)_ms", name), y) for name, y in row.items())
    return [(float(match[1]), y) for match, y in matches if match and y]


def draw(curves: dict[str, list[tuple[float, float]]], path: Path, title: str, x: str) -> None:
    figure, axes = plt.subplots(figsize=(7, 4))
    for peer, points in curves.items():
        axes.plot(
            *zip(*points, strict=True), label=peer, marker="o", markersize=3, linewidth=2 if peer == "ours" else 1
        )
    axes.set(title=title, xlabel=x, ylabel="ms", yscale="log")
    if x == "width":
        axes.set_xscale("log")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    rows, folder = json.load(sys.stdin), Path(sys.argv[1])
    draw(curve(rows, "s7", steps), folder / "performance-steps.svg", "Time of a step, one long process", "step")
    draw(curve(rows, "s3", widths), folder / "performance-width.svg", "Fan-out and join", "width")


if __name__ == "__main__":
    main()
