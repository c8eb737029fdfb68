"""`kill -9` of writers to a cloud backend costs nothing acknowledged, leaves nothing half written, and counts nothing twice."""

import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from storage.guard import GuardedDocuments
from tests.api.test_every_backend import CONFIGS
from tests.crash import cloud_writer
from tests.crash.cloud_writer import COLLECTION, NAMED, PARTITION, SHARED, THREADS, count, documents_of, driver_of

KILLS = 10
LONGEST_LIFE_SECONDS = 0.2
"""A writer is killed at a random moment of so much time after each of its threads had its first acknowledgement."""


class Writer:
    """One process that writes. `acknowledged` has the last step that each thread was told is stored."""

    def __init__(self, backend: str, config: dict[str, Any], name: str) -> None:
        self.name = name
        self.acknowledged = [0] * THREADS
        command = [sys.executable, "-m", cloud_writer.__name__, backend, name]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin
        assert self._process.stdout
        self._output = self._process.stdout
        self._process.stdin.write(json.dumps(config).encode() + b"\n")
        self._process.stdin.flush()

    def wait_until_busy(self) -> None:
        while not all(self.acknowledged):
            self._note(self._output.readline())

    def kill(self) -> None:
        """Kill it and read what it was still told."""
        self._process.kill()
        for line in self._output:
            self._note(line)
        with self._process:  # closes its pipes
            self._process.wait()

    def _note(self, line: bytes) -> None:
        assert line.endswith(b"\n"), "the writer ended by itself"
        thread, number = map(int, line.split())
        assert number == self.acknowledged[thread] + 1
        self.acknowledged[thread] = number


@pytest.fixture(params=["cosmos", "dynamodb", "firestore"])
def backend(request) -> str:
    name: str = request.param
    return name


@pytest.fixture
def config(request, backend) -> dict[str, Any]:
    return CONFIGS[backend](request)


@pytest.fixture
def documents(lab, backend, config) -> Iterator[GuardedDocuments]:
    with closing(driver_of(backend, config)) as driver:
        driver.prepare()
        yield documents_of(driver)


def stored_steps(documents: GuardedDocuments, writer: Writer) -> list[int]:
    """Check each thread of a killed writer: all it was told, perhaps one more step, whole. Returns the steps that are stored."""
    steps = []
    for thread, acknowledged in enumerate(writer.acknowledged):
        prefix = f"{writer.name}/{thread}/"
        page = documents.scan(COLLECTION, PARTITION, prefix=prefix)
        found = {document.ref.key.removeprefix(prefix): document.fields["n"] for document in page.documents}
        number = found["left"]
        assert number in {acknowledged, acknowledged + 1}
        assert found == {"left": number, "right": number} | ({"some": number} if number % 2 else {})
        steps.append(number)
    return steps


def counter(documents: GuardedDocuments, ref: Any) -> int:
    document = documents.get(ref)
    assert document
    return int(document.fields["n"])


@pytest.mark.crash
@pytest.mark.line(47, 53, 123, 135)
def test_killing_writers_loses_nothing_and_counts_nothing_twice(documents, backend, config):
    killed: list[Writer] = []
    writers = [Writer(backend, config, "w0")]
    try:
        for number in range(1, KILLS + 1):  # while one dies, another is alive
            writers.append(Writer(backend, config, f"w{number}"))
            for writer in writers:
                writer.wait_until_busy()
            threading.Event().wait(random.uniform(0, LONGEST_LIFE_SECONDS))  # the random moment
            killed.append(writers.pop(0))
            killed[-1].kill()
    finally:
        for writer in writers:
            writer.kill()
    check_counts(documents, killed + writers)


def check_counts(documents: GuardedDocuments, writers: list[Writer]) -> None:
    """Every stored step is in both counters once; of a step under way, its own counter may know already."""
    steps = {writer.name: stored_steps(documents, writer) for writer in writers}
    total = sum(sum(numbers) for numbers in steps.values())
    assert counter(documents, SHARED) == total
    for writer, numbers in steps.items():
        for thread, number in enumerate(numbers):
            for repeated in (1, number, number + 1):
                count(documents, writer, thread, repeated)
    assert counter(documents, NAMED) == total + THREADS * len(steps)
