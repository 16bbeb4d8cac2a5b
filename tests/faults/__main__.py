"""The fault programme by hand: `./dev faults simulate --seeds 10000`, and the others as they are listed by `--help`."""

import argparse
import os
import random
import tempfile
from pathlib import Path

from faults.catalogue import SHAPES
from faults.crash_points import every_point
from faults.killing import REFERENCES, in_a_zygote
from faults.running import SEEDS, explain, kept, run_seeds
from faults.simulation import Setting
from faults.soaking import soak


def simulate(arguments: argparse.Namespace) -> int:
    """Kept seeds first, then new ones; what fails is shrunk, printed and kept."""
    first = arguments.first if arguments.first is not None else random.SystemRandom().randrange(1_000_000_000)
    print(f"seeds {first} to {first + arguments.seeds - 1}", flush=True)
    settings = [*kept(), *(Setting(seed=first + number) for number in range(arguments.seeds))]
    figures = run_seeds(settings, jobs=arguments.jobs)
    print(figures)
    for report in figures.failed[:5]:
        print(explain(report))
    if figures.failed:
        with SEEDS.open("a", encoding="utf-8") as file:
            file.writelines(f"{report.setting}\n" for report in figures.failed[:5] if report.setting not in kept())
    return 1 if figures.failed else 0


def power(arguments: argparse.Namespace) -> int:
    """Power cuts over worlds of random seeds."""
    from faults.power import cut_power, recordings  # noqa: PLC0415 - brings an SQLite library of its own

    first = arguments.first if arguments.first is not None else random.SystemRandom().randrange(1_000_000_000)
    print(f"seeds from {first}", flush=True)
    worlds = max(1, arguments.cuts // 200)
    bad = 0
    for number, recording in enumerate(recordings(first, worlds)):
        found = cut_power(recording, arguments.cuts // worlds, seed=first + number)
        bad += found.lost + found.corrupt
        print("\n  ".join([str(found), *found.found[:5]]), flush=True)
    return 1 if bad else 0


def crashes(_: argparse.Namespace) -> int:
    """Every crash point of every shape."""
    found = [every_point(name) for name in SHAPES]
    for each in found:
        print("\n  ".join([str(each), *each.wrong[:5]]))
    return 1 if any(each.wrong for each in found) else 0


def kills(_: argparse.Namespace) -> int:
    """A real engine program, killed -9 at every write of the reference processes."""
    wrong = 0
    for name in REFERENCES:
        found = in_a_zygote(name)
        wrong += len(found.wrong)
        print("\n  ".join([str(found), *found.wrong[:5]]), flush=True)
    return 1 if wrong else 0


def soak_for(arguments: argparse.Namespace) -> int:
    """Real engines, killed -9, for some minutes."""
    first = arguments.first if arguments.first is not None else random.SystemRandom().randrange(1_000_000_000)
    with tempfile.TemporaryDirectory() as home:
        report = soak(Path(home), seed=first, seconds=arguments.minutes * 60)
    print(f"{report.kills} kills, {report.processes} processes, {report.events} events, {report.deeds} deeds")
    print("\n".join([f"{len(report.wrong)} laws broken", *report.wrong[:10]]))
    return 1 if report.wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev faults", description=__doc__)
    commands = parser.add_subparsers(required=True)
    simulation = commands.add_parser("simulate", help="seeded worlds in virtual time")
    simulation.add_argument("--seeds", type=int, default=1000)
    simulation.add_argument("--first", type=int, default=None, help="the first seed; else a random one, printed")
    simulation.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    simulation.set_defaults(run=simulate)
    cuts = commands.add_parser("power", help="power cuts over the real journal")
    cuts.add_argument("--cuts", type=int, default=1000)
    cuts.add_argument("--first", type=int, default=None)
    cuts.set_defaults(run=power)
    commands.add_parser("crashes", help="kills before and after every write").set_defaults(run=crashes)
    commands.add_parser("kills", help="real engines, killed -9 before and after every write").set_defaults(run=kills)
    long = commands.add_parser("soak", help="real engines, killed -9 at random")
    long.add_argument("--minutes", type=float, default=10)
    long.add_argument("--first", type=int, default=None)
    long.set_defaults(run=soak_for)
    arguments = parser.parse_args()
    return arguments.run(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
