"""`python -m bench`: run the benchmarks in a home of their own, print one table, keep one JSON file.

The exit code is 0 unless a benchmark could not run, which also ends the run. A missed bar is printed, for people to judge.
"""

import argparse
import importlib
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Final

from rich.console import Console

from bench import report
from bench.harness import Result, Size
from bench.home import temporary_home

BENCHMARKS: Final = {
    "resolution": "bench.resolution",
    "records": "bench.records",
    "appends": "bench.appends",
    "listings": "bench.listings",
    "objects": "bench.objects",
    "media": "bench.media",
    "budgets": "bench.budgets",
    "rules": "bench.rules",
    "propagation": "bench.propagation",
    "audit": "bench.audit",
    "analytics": "bench.analytics",
    "clouds": "bench.clouds",
    "s3_objects": "bench.s3_objects",
    "azure_blobs": "bench.azure_blobs",
    "gcs_objects": "bench.gcs_objects",
}
"""Modules with a `run(home, size)` that returns the table's rows; imported when Django stands."""


def main() -> None:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # stops the servers and removes the home on the way out
    console = Console() if sys.stdout.isatty() else Console(width=report.WIDTH)
    taken_at = datetime.now(UTC)
    results: list[Result] = []
    with temporary_home() as home:
        facts = report.machine_facts(home.folder)
        try:
            for name in arguments.only or BENCHMARKS:
                started = perf_counter()
                results += importlib.import_module(BENCHMARKS[name]).run(home, arguments.size)
                console.print(f"{name}: {perf_counter() - started:.1f} s", highlight=False)
        finally:  # what was measured before something could not run is worth having
            report.show(console, results, facts)
            path = arguments.save or report.default_path(taken_at)
            report.save(path, arguments.size, results, facts)
            console.print(f"Written to {path}", highlight=False, soft_wrap=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.partition("\n")[0] if __doc__ else "")
    sizes = parser.add_mutually_exclusive_group()
    for size, about in (
        (Size.QUICK, "about two minutes"),
        (Size.SMOKE, "only show that everything runs; the figures mean nothing"),
        (Size.FULL, "long enough for steady figures (the default)"),
    ):
        sizes.add_argument(f"--{size.value}", dest="size", action="store_const", const=size, help=about)
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="run this benchmark; may be given again")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the JSON there, not into bench/results/")
    parser.set_defaults(size=Size.FULL)
    return parser.parse_args()


if __name__ == "__main__":
    main()
