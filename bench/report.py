"""What a run leaves behind: one table for people, and one JSON file with the facts of the machine it ran on."""

import json
import os
import platform
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from bench.harness import Bar, Figures, Result, Size

WIDTH: Final = 170
"""Columns of the table where no terminal says otherwise."""
LIBRARIES: Final = ("django", "djangorestframework", "granian", "orjson")
ROOT: Final = Path(__file__).resolve().parent.parent


def table(results: Sequence[Result]) -> Table:
    """Lay the results out in one table, each note below it."""
    shown = Table(box=box.SIMPLE_HEAD, title="Northstar against its baselines", title_justify="left", pad_edge=False)
    shown.add_column("benchmark", no_wrap=True)
    shown.add_column("ratio", style="bold", no_wrap=True)
    for column in ("quartiles", "Northstar", "baseline", "CPU per op, both", "bar"):
        shown.add_column(column, overflow="fold")
    for result in results:
        shown.add_row(*_cells(result))
    return shown


def _cells(result: Result) -> tuple[str, ...]:
    low, high = result.ratio.low, result.ratio.high
    return (
        result.name,
        f"{_three_digits(result.ratio.median)}x {'faster' if result.faster else 'the time'}",
        f"{_three_digits(low)} - {_three_digits(high)}",
        _figures(result.ours),
        f"{_figures(result.base)}: {result.base.name}",
        f"{duration(result.ours.cpu)} / {duration(result.base.cpu)}",
        _bar(result.bar),
    )


def _figures(figures: Figures) -> str:
    if figures.p50 is None or figures.p99 is None:
        return duration(figures.median)
    return f"{duration(figures.median)} (p50 {duration(figures.p50)}, p99 {duration(figures.p99)})"


def _bar(bar: Bar | None) -> str:
    if bar is None:
        return "none"
    return f"{bar.text}: [green]met[/green]" if bar.met else f"{bar.text}: [bold red]missed[/bold red]"


def duration(seconds: float) -> str:
    """Return a time with three digits in the unit that suits it: 94 ns, 1.85 µs, 12.3 ms, 1.2 s."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{_three_digits(seconds / size)} {unit}"
    return f"{_three_digits(seconds / 1e-9)} ns"


def _three_digits(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def show(console: Console, results: Sequence[Result], facts: Mapping[str, Any]) -> None:
    """Print the table, what has to be said about its rows, and whether the disk makes the figures worthless."""
    console.print(table(results))
    for note in dict.fromkeys(note for result in results for note in result.notes):
        console.print(note, markup=False, highlight=False)
    if facts["filesystem"] in {"tmpfs", "ramfs"}:
        console.print(
            "The data lay in memory, where fsync costs nothing: set TMPDIR to a folder on a disk.", style="yellow"
        )


def save(path: Path, size: Size, results: Sequence[Result], facts: Mapping[str, Any]) -> None:
    """Write the run as JSON, seconds as numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    run = {"size": size.value, "machine": facts, "results": [asdict(result) for result in results]}
    path.write_text(json.dumps(run, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def default_path(taken_at: datetime) -> Path:
    """Where a run is kept when nothing else is asked for; git ignores the folder."""
    return ROOT / "bench" / "results" / f"{taken_at:%Y-%m-%dT%H%M%SZ}.json"


def machine_facts(folder: Path) -> dict[str, Any]:
    """Return what a reader must know to judge the figures; `folder` is where the data lay. No host or user name."""
    return {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.release()}",
        "filesystem": _filesystem(folder),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def _commit() -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    command = [git, "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _processor() -> str:
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text(encoding="utf-8").splitlines() if cpu_info.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _filesystem(folder: Path) -> str:
    """The type of the file system that holds the folder: of the mounts above it, the deepest."""
    table_of_mounts = Path("/proc/mounts")
    if not table_of_mounts.is_file():
        return "unknown"
    mounts = [line.split()[1:3] for line in table_of_mounts.read_text(encoding="utf-8").splitlines()]
    above = [(len(point), kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(above, default=(0, "unknown"))[1]
