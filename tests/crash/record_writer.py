"""A process that bears writers of analytics records; each takes batches in until it is killed, and says what was acknowledged.

Usage: record_writer.py BACKEND, with the backend's config as a first line of JSON on stdin, and Django's settings in the
environment. A further line `NAME` bears a writer and is answered by `born NAME PID`. A writer says `NAME NUMBER OUTCOMES` of each
acknowledged batch.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import django

from northstar import logs
from northstar.context import RequestContext
from northstar.modes import LAB
from storage.documents import DocumentDriver
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from storage.registry import driver_class

CONTEXT = RequestContext("acme", "dev", LAB)
BATCH = 8


def store_over(driver: DocumentDriver) -> Any:
    """Acme's analytics."""
    from storage.kinds.analytics_store import AnalyticsStore  # noqa: PLC0415 - needs settings

    scope = Scope("acme", "dev")
    documents = GuardedDocuments(driver, scope=scope, served_by=ServedBy(1, 1, "lab"), kind="analytics_store")
    return AnalyticsStore(documents, CONTEXT)


def driver_of(backend: str, config: Mapping[str, Any]) -> DocumentDriver:
    """A driver with this config."""
    found = driver_class("analytics_store", backend)
    driver: DocumentDriver = found(found.Config.model_validate(config), mode=LAB, epoch=1)
    return driver


def batch_of(name: str, number: int) -> list[Any]:
    """A batch: records of this writer, one that every writer sends, one sent twice, one that conflicts, one that is none."""
    own = [{"analytics_id": f"{name}-{number}-{n}", "run_id": name, "session_id": f"s{n % 3}"} for n in range(BATCH)]
    shared = {"analytics_id": f"shared-{number}", "payload": "the same"}
    return [*own, shared, own[0], own[1] | {"payload": "other"}, {"platform": "fridge"}]


def take(store: Any, name: str, number: int) -> list[str]:
    """Take a batch in under its own token, and return the outcomes. The same batch again completes what was begun."""
    from analytics.records.drafts import Submission, drafts_of  # noqa: PLC0415 - needs settings
    from analytics.records.ingest import carry_out  # noqa: PLC0415

    records = batch_of(name, number)
    submission = Submission(CONTEXT, f"{name}x{number}", datetime.now(UTC))
    drafts = drafts_of(submission, records, [f"{name}-{number}-own-{n}" for n in range(len(records))])
    return [outcome.outcome for outcome in carry_out(submission, drafts, store)]


def write(backend: str, config: Mapping[str, Any], name: str) -> None:
    """Take batches in until somebody kills this process."""
    store, number = store_over(driver_of(backend, config)), 0
    while True:
        outcomes = take(store, name, number)
        os.write(1, f"{name} {number} {','.join(outcomes)}\n".encode())
        number += 1


def main(backend: str) -> None:
    logs.configure(readable=True)  # not on stdout
    config = json.loads(sys.stdin.readline())
    django.setup()
    import analytics.records.ingest  # noqa: F401, PLC0415 - once, for all children
    import storage.kinds.analytics_store  # noqa: F401, PLC0415

    driver_class("analytics_store", backend)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while name := sys.stdin.readline().strip():
        child = os.fork()
        if child == 0:
            write(backend, config, name)
        os.write(1, f"born {name} {child}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1])
