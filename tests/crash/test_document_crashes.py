"""`kill -9` at any moment costs nothing acknowledged, and shows nothing half written."""

import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from storage.backends.filesystem import FilesystemDocuments
from storage.documents import Ref
from tests.contract.filesystem_lab import driver, index_rows, log_of, rebuilt_rows
from tests.crash import document_writer
from tests.crash.document_writer import COLLECTION, PARTITION, SHARED, THREADS, step_of

KILLS = 50
LONGEST_LIFE_SECONDS = 0.08
"""A writer is killed at a random moment of so much time after each of its threads had its first acknowledgement."""


@dataclass
class Writer:
    """One process that writes. `acknowledged` has the last step that each thread was told is stored."""

    name: str
    process: subprocess.Popen[bytes]
    acknowledged: list[int]

    @classmethod
    def start(cls, root: Path, name: str) -> "Writer":
        command = [sys.executable, "-m", document_writer.__name__, str(root), name]
        return cls(name, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE), [0] * THREADS)

    def wait_until_busy(self) -> None:
        while not all(self.acknowledged):
            self._count(self._output.readline())

    def kill(self) -> None:
        """Kill it and read what it was still told."""
        self.process.kill()
        for line in self._output:
            self._count(line)
        with self.process:  # closes its pipes
            self.process.wait()
        assert self.process.returncode == -9

    @property
    def _output(self):
        assert self.process.stdout
        return self.process.stdout

    def _count(self, line: bytes) -> None:
        assert line.endswith(b"\n"), "the writer ended by itself"
        thread, number = map(int, line.split())
        assert number == self.acknowledged[thread] + 1
        self.acknowledged[thread] = number


@pytest.fixture
def documents(lab: Path) -> Iterator[FilesystemDocuments]:
    opened = driver()
    yield opened
    opened.close()


def own_documents(documents: FilesystemDocuments, prefix: str) -> dict[str, dict]:
    page = documents.scan(COLLECTION, PARTITION, prefix=prefix, limit=1000)
    return {document.ref.key: document.fields for document in page.documents}


def state_after(writer: str, thread: int, steps: int) -> dict[str, dict]:
    state: dict[str, dict] = {}
    for number in range(1, steps + 1):
        step = step_of(writer, thread, number)
        state.update(step.puts)
        for key in step.deletes:
            state.pop(key, None)
    return state


def stored_steps(documents: FilesystemDocuments, writer: Writer) -> int:
    """Check each thread of a killed writer: all it was told, perhaps one more step, whole. Returns the steps that are stored."""
    total = 0
    for thread, acknowledged in enumerate(writer.acknowledged):
        found = own_documents(documents, f"{writer.name}/{thread}/")
        steps = found[f"{writer.name}/{thread}/left"]["n"]
        assert steps in {acknowledged, acknowledged + 1}
        assert found == state_after(writer.name, thread, steps)
        total += steps
    return total


class Reader(threading.Thread):
    """Scans while others write and die. `torn` has what was seen apart although it changes together, `logs` every log seen."""

    def __init__(self, documents: FilesystemDocuments, root: Path) -> None:
        super().__init__()
        self.torn: list[str] = []
        self.logs: set[int] = set()
        self.done = threading.Event()
        self._documents = documents
        self._root = root

    def run(self) -> None:
        while not self.done.is_set():
            found = own_documents(self._documents, "")
            for key, fields in found.items():
                if key.endswith("/left") and found.get(key.replace("/left", "/right")) != fields:
                    self.torn.append(key)
            if found:
                self.logs.add(log_of(self._root).stat().st_ino)


@pytest.mark.crash
def test_killing_writers_at_random_moments_loses_nothing_acknowledged(documents, lab):
    killed: list[Writer] = []
    reader = Reader(documents, lab)
    writers = [Writer.start(lab, f"w{number}") for number in range(2)]
    reader.start()
    try:
        for number in range(2, KILLS + 2):  # while one dies, another is alive
            writers.append(Writer.start(lab, f"w{number}"))
            killed.append(writers.pop(0))
            kill_at_random(documents, killed[-1])
        while writers:
            killed.append(writers.pop(0))
            kill_at_random(documents, killed[-1])
    finally:
        reader.done.set()
        reader.join()
        for writer in writers:
            writer.kill()
    assert not reader.torn
    assert len(reader.logs) > 1, "no compaction was met"
    check_the_end(documents, lab, killed)


def kill_at_random(documents: FilesystemDocuments, writer: Writer) -> None:
    writer.wait_until_busy()
    threading.Event().wait(random.uniform(0, LONGEST_LIFE_SECONDS))  # the random moment
    writer.kill()
    stored_steps(documents, writer)


def check_the_end(documents: FilesystemDocuments, root: Path, writers: list[Writer]) -> None:
    """The counter has every stored step, the log has only whole lines, and the index is what the log says.

    Steps are counted anew: one that a writer was not told of may come to light only when the next one reads the log.
    """
    documents.put(Ref(COLLECTION, PARTITION, "last"), {})
    steps = sum(stored_steps(documents, writer) for writer in writers)
    assert own_documents(documents, SHARED)[SHARED]["n"] == steps
    documents.close()
    for line in log_of(root).read_bytes().splitlines(keepends=True):
        assert line.endswith(b"\n")
        json.loads(line)
    assert index_rows(log_of(root)) == rebuilt_rows(log_of(root), root / "copy")
