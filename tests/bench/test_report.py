"""What a run prints and keeps."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from bench.harness import Bar, Figures, Plan, Result, Size, Spread
from bench.report import duration, machine_facts, save, show

RESULT = Result(
    "append, 32 writers",
    Spread(7.25, 7.0, 7.5),
    faster=True,
    ours=Figures("EventStream.append", 26e-6, 25e-6, 700e-6, 2e-3),
    base=Figures("write + fsync", 188e-6, 12e-6),
    plan=Plan(30, 1024),
)


def shown(result: Result, filesystem: str = "ext4") -> str:
    console = Console(file=io.StringIO(), width=170)
    show(console, [result], {"filesystem": filesystem})
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(94e-9, "94 ns"), (1.852e-6, "1.85 µs"), (0.0123, "12.3 ms"), (1.2, "1.2 s"), (185.4e-6, "185 µs")],
)
def test_a_duration_has_three_digits_in_the_unit_that_suits_it(seconds, text):
    assert duration(seconds) == text


def test_a_row_shows_both_sides_their_cpu_and_the_direction_of_the_ratio():
    text = shown(RESULT)
    for part in ("7.25x faster", "7 - 7.5", "26 µs (p50 700 µs, p99 2 ms)", "188 µs: write + fsync", "25 µs / 12 µs"):
        assert part in text


def test_a_missed_bar_is_printed():
    assert "≥ 9x faster: missed" in shown(replace(RESULT, bar=Bar("≥ 9x faster", met=False)))


def test_a_note_stands_below_the_table_once():
    noted = replace(RESULT, notes=("built through the driver", "built through the driver"))
    assert shown(noted).count("built through the driver") == 1


def test_data_in_memory_is_pointed_out():
    assert "fsync costs nothing" in shown(RESULT, filesystem="tmpfs")


def test_the_json_holds_the_figures_and_the_machine(tmp_path):
    facts = machine_facts(tmp_path)
    save(tmp_path / "deep" / "run.json", Size.QUICK, [RESULT], facts)
    run = json.loads((tmp_path / "deep" / "run.json").read_text())
    assert (run["size"], run["results"][0]["ratio"]["median"]) == ("quick", 7.25)
    assert {"cores", "filesystem", "load_average", "commit"} <= run["machine"].keys()


def test_the_machine_facts_name_no_folder(tmp_path):
    assert str(tmp_path) not in json.dumps(machine_facts(tmp_path))
