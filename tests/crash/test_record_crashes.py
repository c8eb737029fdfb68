"""`kill -9` in the middle of a batch of records: what was acknowledged is there exactly once, and every count agrees."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from analytics.records.checking import Tally, differences
from analytics.records.instants import EARLIEST
from tests.api.test_every_backend import CONFIGS
from tests.crash import record_writer
from tests.crash.record_writer import BATCH, driver_of, store_over, take

MOST = int(os.environ.get("NORTHSTAR_RECORD_KILLS", "0"))
"""Kills per backend; else 29 of writers on the file system and 7 of each of the others: 50."""
LONGEST_LIFE_SECONDS = 0.1
END = datetime(2100, 1, 1, tzinfo=UTC)


class Nursery:
    """The process that bears writers. `told` has the outcomes of each acknowledged batch, by writer."""

    def __init__(self, backend: str, config: dict[str, Any], home: str) -> None:
        command = [sys.executable, "-m", record_writer.__name__, backend]
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "northstar.settings.lab",
            "NORTHSTAR_ALLOWED_ENDPOINTS": config.get("endpoint", ""),
            "NORTHSTAR_ALLOWED_ROOTS": config.get("base_dir", ""),
            "NORTHSTAR_HOME": home,
        }
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._pids: dict[str, int] = {}
        self.told: dict[str, list[list[str]]] = {}
        self._say(json.dumps(config))

    def bear(self, name: str) -> None:
        """Start a writer."""
        self.told[name] = []
        self._say(name)
        while name not in self._pids:
            self._hear()

    def hear_of(self, name: str) -> None:
        """Wait until a batch of a writer was acknowledged."""
        while not self.told[name]:
            self._hear()

    def kill(self, name: str) -> None:
        """Kill a writer, wherever it is."""
        os.kill(self._pids.pop(name), signal.SIGKILL)

    def close(self) -> None:
        """Kill all, and hear what they were still told."""
        for name in list(self._pids):
            self.kill(name)
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        stdin.close()
        for line in stdout:
            self._note(line)
        with self._process:
            self._process.wait()

    def _say(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> None:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the nursery ended by itself"
        self._note(line)

    def _note(self, line: str) -> None:
        name, number, rest = line.split()
        if name == "born":
            self._pids[number] = int(rest)
        else:
            assert int(number) == len(self.told[name])
            self.told[name].append(rest.split(","))


@pytest.fixture(params=CONFIGS)
def backend(request) -> str:
    name: str = request.param
    return name


@pytest.fixture
def config(request, backend, tmp_path, settings) -> dict[str, Any]:
    found = CONFIGS[backend](request) or {"base_dir": str(tmp_path / "records")}
    if "endpoint" in found:
        settings.NORTHSTAR_ALLOWED_ENDPOINTS = [found["endpoint"]]
    return found


@pytest.fixture
def store(lab, backend, config) -> Iterator[Any]:
    with closing(driver_of(backend, config)) as driver:
        driver.prepare()
        yield store_over(driver)


@pytest.mark.crash
def test_killing_writers_of_records_loses_none_and_counts_none_twice(store, backend, config, lab):
    nursery = Nursery(backend, config, str(lab))
    try:
        nursery.bear("w0")
        for number in range(1, 1 + (MOST or (29 if backend == "filesystem" else 7))):
            nursery.bear(f"w{number}")  # while one dies, another is alive
            nursery.hear_of(f"w{number - 1}")
            threading.Event().wait(random.uniform(0, LONGEST_LIFE_SECONDS))  # the random moment
            nursery.kill(f"w{number - 1}")
    finally:
        nursery.close()
    for name, batches in nursery.told.items():  # whoever was not told sends again, and so does one who was
        take(store, name, len(batches))
        take(store, name, 0)
    check(store, nursery.told)


def check(store: Any, told: dict[str, list[list[str]]]) -> None:
    """Every record is stored once, also those that several sent; the counts say what the rows say, and what writers were told."""
    rows = store.rows(EARLIEST, END, {}, limit=1_000_000, after=None).rows
    stored = Counter(one.row["analytics_id"] for one in rows if one.row["outcome"] == "stored")
    batches = [(name, number) for name, all_told in told.items() for number in range(len(all_told) + 1)]
    own = {f"{name}-{number}-{n}" for name, number in batches for n in range(BATCH)}
    assert stored == Counter(own | {f"shared-{number}" for _, number in batches})
    assert len(store.run("w0")) == len([one for one in rows if one.row["run_id"] == "w0"])
    tally = Tally(dict(store.tally(EARLIEST, END)), 0)
    assert differences(store, EARLIEST, END, tally) == []
    each = Counter(len(all_told) + 1 for all_told in told.values())
    submitted = sum(batches * writers for batches, writers in each.items())
    assert (tally.counts["conflict"], tally.counts["rejected"]) == (submitted, submitted)
    for batches_told in told.values():
        assert all(outcome != "spooled" for batch in batches_told for outcome in batch)
