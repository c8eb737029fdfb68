"""Bulk puts: one call for hundreds of documents, each with its own outcome; what Firestore did not take is sent again."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from northstar.errors import NorthstarError
from storage.backends.compare_and_set import UNAVAILABLE_ATTEMPTS, new_operation_id
from storage.backends.firestore_client import messages
from storage.backends.firestore_errors import Sent, code_named, error_of
from storage.backends.firestore_items import mark_of, written_at
from storage.backends.firestore_service import FirestoreService
from storage.backends.firestore_writes import NativeWrites, in_one_commit
from storage.backends.sending import pause_after
from storage.backends.service import WRITE_SECONDS, Outrun, Place, Unanswered
from storage.documents import BulkPut, Put, Ref, Written
from storage.errors import BackendUnavailable

WRITES_AT_ONCE: Final = 500
"""Documents that one call writes: what Firestore allowed until it went over to bytes alone."""
BYTES_AT_ONCE: Final = 8 * 1024 * 1024
"""Below the 10 MiB of a request."""
THREADS: Final = 8
"""Documents that are settled at the same time, each by calls of its own."""

Result = Written | Exception
Puts = Mapping[int, tuple[Place, Put]]
"""What to write, by its position in the bulk."""


@dataclass(slots=True)
class _Chunk:
    """Puts of different documents that go in one call, under one operation id."""

    puts: dict[int, tuple[Place, Put]] = field(default_factory=dict)
    writes: dict[int, Any] = field(default_factory=dict)
    bytes: int = 0
    operation_id: str = field(default_factory=new_operation_id)

    @property
    def full(self) -> bool:
        return len(self.writes) >= WRITES_AT_ONCE or self.bytes >= BYTES_AT_ONCE


class BulkWrite:
    """One bulk write. `outcomes` may be asked once."""

    def __init__(self, service: FirestoreService, native: NativeWrites) -> None:
        self._service = service
        self._native = native
        self._deadline = time.monotonic() + WRITE_SECONDS
        self._started = datetime.now(UTC)

    def outcomes(self, documents: Sequence[BulkPut]) -> list[Result]:
        """Write all and return the outcome of each; a key that comes twice is written twice, in order."""
        results: dict[int, Result] = {}
        for puts in _rounds(documents):
            alone = {position: put for position, put in puts.items() if not in_one_commit(put[1].expect)}
            results |= self._each(alone, self._native.put)
            for chunk in self._chunks({position: put for position, put in puts.items() if position not in alone}):
                results |= self._put_chunk(chunk)
        return [results[position] for position in range(len(documents))]

    def _chunks(self, puts: Puts) -> Iterator[_Chunk]:
        chunk = _Chunk()
        for position, (place, step) in puts.items():
            write = messages().Write()
            self._service.add_put(write, place, step, chunk.operation_id)
            chunk.puts[position] = (place, step)
            chunk.writes[position] = write
            chunk.bytes += write.ByteSize()
            if chunk.full:
                yield chunk
                chunk = _Chunk()
        if chunk.puts:
            yield chunk

    def _put_chunk(self, chunk: _Chunk) -> dict[int, Result]:
        results: dict[int, Result] = {}
        waiting = list(chunk.puts)
        for attempt in range(1, UNAVAILABLE_ATTEMPTS + 1):
            results |= self._sent(chunk, waiting)
            waiting = [position for position in waiting if _certainly_not_written(results[position])]
            if not waiting or attempt == UNAVAILABLE_ATTEMPTS or time.monotonic() > self._deadline:
                break
            time.sleep(pause_after(attempt))
        return results | self._settled(chunk, results)

    def _sent(self, chunk: _Chunk, positions: Sequence[int]) -> dict[int, Result]:
        """Send writes once; return each one's own answer, or for all of them that there was none."""
        request = messages().BatchWriteRequest(database=self._service.connection.database)
        request.writes.extend(chunk.writes[position] for position in positions)
        try:
            response = self._service.connection.batch_write(request)
        except NorthstarError as error:
            return dict.fromkeys(positions, error)
        answers = zip(positions, response.status, response.write_results, strict=True)
        return {position: _result(chunk.puts[position][1], *answer) for position, *answer in answers}

    def _settled(self, chunk: _Chunk, results: Mapping[int, Result]) -> dict[int, Result]:
        """Decide one by one what Firestore refused, or did not answer."""
        refused = {position: chunk.puts[position] for position, one in results.items() if isinstance(one, Outrun)}
        silent = {position: chunk.puts[position] for position, one in results.items() if isinstance(one, Unanswered)}
        decide = partial(self._native.decided, operation_id=chunk.operation_id)
        finish = partial(self._native.finished, operation_id=chunk.operation_id, started=self._started)
        return self._each(refused, decide) | self._each(silent, finish)

    def _each(self, puts: Puts, call: Callable[[Place, Put], Written]) -> dict[int, Result]:
        """Return the outcome of a call for each, several at the same time; none starts after the deadline."""

        def outcome(put: tuple[Place, Put]) -> Result:
            if time.monotonic() > self._deadline:
                return Unanswered("Firestore took too long: this document may have been written or not.")
            try:
                return call(*put)
            except NorthstarError as error:
                return error

        if len(puts) < 2:
            return {position: outcome(put) for position, put in puts.items()}
        with ThreadPoolExecutor(THREADS) as pool:
            return dict(zip(puts, pool.map(outcome, puts.values()), strict=True))


def _rounds(documents: Sequence[BulkPut]) -> Iterator[Puts]:
    """Yield the puts so that no document comes twice in a round, and its puts keep their order."""
    rounds: dict[int, dict[int, tuple[Place, Put]]] = defaultdict(dict)
    seen: dict[Ref, int] = defaultdict(int)
    for position, document in enumerate(documents):
        ref = document.ref
        step = Put(ref.key, document.fields, document.expect, document.expires_at)
        rounds[seen[ref]][position] = (Place(ref.collection, ref.partition), step)
        seen[ref] += 1
    yield from rounds.values()


def _result(step: Put, status: Any, written: Any) -> Result:
    if status.code:
        return error_of(code_named(status.code), status.message, Sent.CONDITIONS)
    return written_at(written.update_time, mark_of(step.expires_at))


def _certainly_not_written(result: Result) -> bool:
    return isinstance(result, BackendUnavailable) and not isinstance(result, Unanswered)
