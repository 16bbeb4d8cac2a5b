"""The fault programme by hand: `./dev faults simulate --seeds 10000`, and the others as they are listed by `--help`."""

import argparse
import os
import random

from faults.running import SEEDS, explain, kept, run_seeds
from faults.simulation import Setting


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


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev faults", description=__doc__)
    commands = parser.add_subparsers(required=True)
    simulation = commands.add_parser("simulate", help="seeded worlds in virtual time")
    simulation.add_argument("--seeds", type=int, default=1000)
    simulation.add_argument("--first", type=int, default=None, help="the first seed; else a random one, printed")
    simulation.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    simulation.set_defaults(run=simulate)
    arguments = parser.parse_args()
    return arguments.run(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
