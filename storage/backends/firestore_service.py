"""What compare-and-set asks of Firestore: strong reads in one call, and one atomic commit with a condition for each document."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from storage.backends.firestore_client import FirestoreConnection, messages
from storage.backends.firestore_items import (
    ENVELOPE,
    mark_of,
    read_memory,
    read_stored,
    write_condition,
    write_document,
    write_memory,
    written_at,
)
from storage.backends.firestore_names import GROUP, document_id, memory_id, parent_of
from storage.backends.sending import pause_after
from storage.backends.service import CONNECT_SECONDS, Change, Memory, Outrun, Place, Stored
from storage.documents import ABSENT, ANY, Put, Written
from storage.errors import BackendUnavailable

LOAD_ATTEMPTS: Final = 3
READ_AT_ONCE: Final = 500
"""Documents that one call reads. Firestore sets no number; so many names stay far below the 10 MiB of a request."""


class FirestoreService:
    """The `Service` of one driver, and its native put."""

    commit_time_is_version: bool = True

    def __init__(self, connection: FirestoreConnection, *, epoch: int) -> None:
        self.connection = connection
        self._epoch = epoch

    def name(self, place: Place, key: str) -> str:
        """Return the full name of a document."""
        return f"{self.connection.documents}{parent_of(place)}/{GROUP}/{document_id(key)}"

    def read(self, names: Iterable[str], mask: Sequence[str] = ()) -> dict[str, Any]:
        """Return the stored documents of these full names, each once; None for one that is missing.

        Raises BackendUnavailable when Firestore has not answered for each of them.
        """
        found: dict[str, Any] = {}
        rest = iter(names)
        while chunk := list(islice(rest, READ_AT_ONCE)):
            for answer in self.connection.batch_get(chunk, mask):
                if answer.HasField("found"):
                    found[answer.found.name] = answer.found
                elif answer.missing:
                    found[answer.missing] = None
            if not found.keys() >= set(chunk):
                raise BackendUnavailable("Firestore did not answer for every document.")
        return found

    def read_envelope(self, place: Place, key: str) -> Stored | None:
        """Return what is stored of a document, its fields left out."""
        name = self.name(place, key)
        found = self.read([name], [ENVELOPE])[name]
        return read_stored(found) if found else None

    def put(self, place: Place, step: Put, operation_id: str) -> Written:
        """Write one document in one conditional commit. Raises as `FirestoreConnection.commit`."""
        request = messages().CommitRequest(database=self.connection.database)
        self.add_put(request.writes.add(), place, step, operation_id)
        (result,) = self.connection.commit(request).write_results
        return written_at(result.update_time, mark_of(step.expires_at))

    def add_put(self, write: Any, place: Place, step: Put, operation_id: str) -> None:
        """Set a `google.firestore.v1.Write` to a put with its condition."""
        if step.expect is not ANY:
            write_condition(write.current_document, None if step.expect is ABSENT else int(step.expect))
        write.update.name = self.name(place, step.key)
        write_document(write.update, step, epoch=self._epoch, operation_id=operation_id)

    def load(
        self, place: Place, keys: Sequence[str], operation_ids: Sequence[str]
    ) -> tuple[dict[str, Stored], dict[str, Memory]]:
        """As `Service.load`. A memory that has lapsed but is still there is removed, so that a commit finds none.

        Tried again while it fails fast: a connection that was lost takes the first call after it along.
        """
        started, failures = time.monotonic(), 0
        while True:
            try:
                return self._load(place, keys, operation_ids)
            except BackendUnavailable:
                failures += 1
                if failures == LOAD_ATTEMPTS or time.monotonic() - started > CONNECT_SECONDS:
                    raise
                time.sleep(pause_after(failures))

    def _load(
        self, place: Place, keys: Sequence[str], operation_ids: Sequence[str]
    ) -> tuple[dict[str, Stored], dict[str, Memory]]:
        names = {key: self.name(place, key) for key in keys}
        memory_names = {one: self._memory_name(place, one) for one in operation_ids}
        found = self.read([*names.values(), *memory_names.values()])
        stored = {key: read_stored(found[name]) for key, name in names.items() if found[name]}
        memories = {one: read_memory(found[name]) for one, name in memory_names.items() if found[name]}
        now = datetime.now(UTC)
        self._forget({memory_names[one]: memory for one, memory in memories.items() if memory.until <= now})
        return stored, {one: memory for one, memory in memories.items() if memory.until > now}

    def commit(self, place: Place, changes: Sequence[Change], memories: Sequence[Memory]) -> list[Stored]:
        """As `Service.commit`."""
        request = messages().CommitRequest(database=self.connection.database)
        for change in changes:
            self._add_change(request.writes.add(), place, change)
        for memory in memories:
            write = request.writes.add()
            write_condition(write.current_document, None)
            write.update.name = self._memory_name(place, memory.operation_id)
            write_memory(write.update, memory)
        response = self.connection.commit(request)
        times = [result.update_time for result in response.write_results if result.HasField("update_time")]
        return [_stamped(change.after, times[0] if times else response.commit_time) for change in changes]

    def _add_change(self, write: Any, place: Place, change: Change) -> None:
        before, after = change.before, change.after
        if after.gone:
            write_condition(write.current_document, before.version if before else None)
            write.delete = self.name(place, change.key)
        else:
            step = Put(change.key, after.fields, before.version if before else ABSENT, after.expires_at)
            self.add_put(write, place, step, after.operation_id)

    def _memory_name(self, place: Place, operation_id: str) -> str:
        return f"{self.connection.documents}{parent_of(place)}/{GROUP}/{memory_id(operation_id)}"

    def _forget(self, lapsed: Mapping[str, Memory]) -> None:
        """Remove memories that have lapsed, unless somebody has written them anew meanwhile."""
        for name, memory in lapsed.items():
            request = messages().CommitRequest(database=self.connection.database)
            write = request.writes.add(delete=name)
            write_condition(write.current_document, memory.written.version if memory.written else None)
            try:
                self.connection.commit(request)
            except Outrun:
                continue  # somebody else has removed it


def _stamped(after: Stored, update_time: Any) -> Stored:
    written = written_at(update_time, after.version)
    return replace(after, version=written.version, updated_at=written.updated_at)
