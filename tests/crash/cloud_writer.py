"""A process that writes documents to a cloud backend until it is killed, and says on stdout what was acknowledged.

Usage: cloud_writer.py BACKEND NAME, with the backend's config as a line of JSON on stdin; a line of output is `thread step`.
"""

import json
import os
import sys
import threading

from django.conf import settings

from northstar import logs
from northstar.modes import LAB
from storage.documents import Delete, DocumentDriver, Increment, Put, Ref
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from storage.registry import driver_class

COLLECTION = "tabular_store"
PARTITION = ("orders",)
THREADS = 3
NAMED = Ref(COLLECTION, PARTITION, "named")
"""A counter that every step adds one to, twice with the same operation id."""
SHARED = Ref(COLLECTION, PARTITION, "shared")
"""A counter that every step adds one to, in its atomic write."""


def driver_of(backend: str, config: dict[str, str]) -> DocumentDriver:
    """A driver with this config."""
    found = driver_class("tabular_store", backend)
    driver: DocumentDriver = found(found.Config.model_validate(config), mode=LAB, epoch=1)
    return driver


def documents_of(driver: DocumentDriver) -> GuardedDocuments:
    """Acme's documents."""
    return GuardedDocuments(driver, scope=Scope("acme", "dev"), served_by=ServedBy(1, 1, "cloud"))


def count(documents: GuardedDocuments, writer: str, thread: int, number: int) -> None:
    """Count a step once, however often this is called."""
    documents.increment(NAMED, {"n": 1}, operation_id=f"{writer}/{thread}/{number}")


def step(documents: GuardedDocuments, writer: str, thread: int, number: int) -> None:
    """Count, then change two documents together, and a third one that comes and goes."""
    own = f"{writer}/{thread}"
    for _ in range(2):
        count(documents, writer, thread, number)
    some = Put(f"{own}/some", {"n": number}) if number % 2 else Delete(f"{own}/some")
    both = [Put(f"{own}/{side}", {"n": number}) for side in ("left", "right")]
    documents.write(COLLECTION, PARTITION, [*both, some, Increment(SHARED.key, {"n": 1})])


def main(backend: str, writer: str) -> None:
    logs.configure(readable=True)  # not on stdout
    config = json.loads(sys.stdin.readline())
    settings.configure(NORTHSTAR_ALLOWED_ENDPOINTS=[config["endpoint"]])
    documents = documents_of(driver_of(backend, config))

    def write(thread: int) -> None:
        number = 0
        while True:
            number += 1
            step(documents, writer, thread, number)
            os.write(1, b"%d %d\n" % (thread, number))

    for thread in range(THREADS):
        threading.Thread(target=write, args=(thread,), daemon=True).start()
    sys.stdin.read()  # ends with the test's process, however that ends


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
