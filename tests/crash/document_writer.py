"""A process that writes documents until it is killed, and says on stdout what was acknowledged: one "<thread> <step>" per line.

What a step does follows from the seed, the thread and the step's number, so a test knows it without being told.
"""

import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from django.conf import settings

from northstar import logs
from northstar.modes import LAB
from storage.backends.filesystem import FilesystemDocuments
from storage.backends.filesystem_config import FilesystemConfig
from storage.documents import Delete, Increment, Operation, Put

COLLECTION = "tabular_store"
PARTITION = ("acme", "dev", "_", "orders")
THREADS = 3
SHARED = "shared"
"""A counter that every step of every writer adds one to, in the same atomic write."""


@dataclass(frozen=True)
class Step:
    """One atomic write: what it puts and removes of the thread's own keys, besides counting one."""

    puts: dict[str, dict[str, Any]]
    deletes: list[str]


def step_of(writer: str, thread: int, number: int) -> Step:
    """Two keys that always change together, one that comes and goes, and now and then a long text."""
    random = Random(f"{writer}/{thread}/{number}")
    own = f"{writer}/{thread}"
    puts: dict[str, dict[str, Any]] = {f"{own}/left": {"n": number}, f"{own}/right": {"n": number}}
    if random.random() < 0.5:
        puts[f"{own}/long"] = {"n": number, "text": "x" * random.randrange(40_000)}
    if random.random() < 0.5:
        return Step(puts, [f"{own}/some"])
    return Step({**puts, f"{own}/some": {"n": number}}, [])


def main(root: str, writer: str) -> None:
    logs.configure(readable=True)  # not on stdout
    settings.configure(NORTHSTAR_HOME=Path(root), NORTHSTAR_ALLOWED_ROOTS=[root])
    documents = FilesystemDocuments(FilesystemConfig(), mode=LAB, epoch=1)

    def write(thread: int) -> None:
        number = 0
        while True:
            number += 1
            step = step_of(writer, thread, number)
            operations: list[Operation] = [Put(key, fields) for key, fields in step.puts.items()]
            operations += [Delete(key) for key in step.deletes] + [Increment(SHARED, {"n": 1})]
            documents.write(COLLECTION, PARTITION, operations)
            os.write(1, b"%d %d\n" % (thread, number))

    for thread in range(THREADS):
        threading.Thread(target=write, args=(thread,), daemon=True).start()
    sys.stdin.read()  # ends with the test's process, however that ends


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
