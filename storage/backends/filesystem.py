"""Documents on the file system: one append-only JSONL log per partition, the truth, and an index beside it that is derived.

For mode lab. Several processes may use one root; network file systems without working `flock` may not be used.
A driver may be built before a fork: the child opens its own files.
"""

import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Final, Literal

from northstar.errors import NorthstarError
from storage.backends.filesystem_batch import EncodedPut, Request, Step, step_of
from storage.backends.filesystem_cache import open_partitions
from storage.backends.filesystem_config import FilesystemConfig, refuse_outside_lab, root_folder
from storage.backends.filesystem_partition import Decided, Partition
from storage.backends.filesystem_paths import Location, make_root, refused
from storage.documents import (
    ANY,
    BulkPut,
    Delete,
    Deltas,
    Document,
    Expect,
    Expectation,
    Fields,
    Increment,
    Limits,
    Operation,
    Outcome,
    Page,
    Ref,
    Totals,
    Written,
)
from storage.documents import Partition as Names
from storage.errors import BackendUnavailable
from storage.values import encode

_BEYOND_ALL_KEYS: Final = b"\xff"
"""No UTF-8 text starts with this byte."""
_BULK: Final = 1000
"""Documents of a bulk write that share one append."""


class FilesystemDocuments:
    """The document contract over files below one root folder. Raises BackendUnavailable for everything once it is closed."""

    Config: ClassVar[type[FilesystemConfig]] = FilesystemConfig
    limits: ClassVar[Limits] = Limits(bounded_partitions=False)

    def __init__(
        self,
        config: FilesystemConfig,
        *,
        mode: str,
        epoch: int,
        collections: Sequence[str] = (),  # noqa: ARG002 - all lie in one place here
    ) -> None:
        """Take the settings; nothing is opened yet. Raises ForbiddenBackendClass outside lab."""
        refuse_outside_lab(mode)
        self._root = root_folder(config)
        self._durable = config.durability == "fsync"
        self._epoch = epoch
        self._closed = False

    def get(self, ref: Ref) -> Document | None:
        return self._partition(ref.collection, ref.partition).get(ref)

    def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        return [self.get(ref) for ref in refs]

    def put(
        self,
        ref: Ref,
        fields: Fields,
        *,
        expect: Expect = ANY,
        expires_at: datetime | None = None,
        operation_id: str = "",
    ) -> Written:
        return _written(self._submit(ref, EncodedPut(ref.key, encode(fields), expect, expires_at), operation_id))

    def delete(self, ref: Ref, *, expect: Literal[Expectation.ANY] | int = ANY, operation_id: str = "") -> bool:
        (existed,) = self._submit(ref, Delete(ref.key, expect), operation_id)
        return existed is True

    def increment(
        self,
        ref: Ref,
        deltas: Deltas,
        *,
        ceilings: Deltas | None = None,
        floors: Deltas | None = None,
        operation_id: str = "",
    ) -> Totals:
        step = Increment(ref.key, dict(deltas), dict(ceilings or {}), dict(floors or {}))
        (totals,) = self._submit(ref, step, operation_id)
        assert isinstance(totals, Totals)
        return totals

    def scan(
        self,
        collection: str,
        partition: Names,
        *,
        prefix: str = "",
        after: str | None = None,
        before: str | None = None,
        limit: int = 100,
        reverse: bool = False,
        cursor: str | None = None,
    ) -> Page:
        if reverse:
            before = cursor if before is None or (cursor is not None and _less(cursor, before)) else before
        else:
            after = cursor if after is None or (cursor is not None and _less(after, cursor)) else after
        low, high = _key_range(prefix, after, before)
        documents, more = self._partition(collection, partition).page(
            low,
            high,
            limit=min(limit, self.limits.page_documents),
            reverse=reverse,
            ref=lambda key: Ref(collection, partition, key),
        )
        return Page(tuple(documents), documents[-1].ref.key if more else None)

    def write(
        self, collection: str, partition: Names, operations: Sequence[Operation], *, operation_id: str = ""
    ) -> list[Outcome]:
        request = Request(tuple(step_of(operation) for operation in operations), operation_id)
        (decided,) = self._partition(collection, partition).submit([request])
        return _outcomes(decided)

    def put_many(self, documents: Sequence[BulkPut]) -> list[Written | Exception]:
        """As the contract says; documents of one partition share appends and disk flushes."""
        outcomes: list[Written | Exception] = [BackendUnavailable("The document was not written.")] * len(documents)
        groups: dict[tuple[str, Names], dict[int, Request]] = {}
        for position, document in enumerate(documents):
            try:
                data = encode(document.fields)
            except NorthstarError as error:
                outcomes[position] = error
                continue
            step = EncodedPut(document.ref.key, data, document.expect, document.expires_at)
            group = groups.setdefault((document.ref.collection, document.ref.partition), {})
            group[position] = Request((step,))
        for (collection, names), requests in groups.items():
            for position, outcome in _put_group(self._partition(collection, names), requests):
                outcomes[position] = outcome
        return outcomes

    def scrub(self, collection: str, partition: Names) -> None:
        """Let no line of what was deleted or replaced stay in the partition's log; keys stay for a day as tombstones."""
        self._partition(collection, partition).scrub()

    def prepare(self) -> None:
        self._refuse_closed()
        make_root(self._root)

    def ping(self) -> None:
        """Return when a file can be written below the root."""
        self.prepare()
        try:
            with tempfile.TemporaryFile(dir=self._root) as probe:
                probe.write(b"ping")
        except OSError as error:
            raise refused(error, Path(self._root.name)) from error

    def close(self) -> None:
        self._closed = True
        open_partitions.drop(self)

    def _partition(self, collection: str, names: Names) -> Partition:
        self._refuse_closed()
        return open_partitions.get(self, (collection, names), lambda: self._new_partition(collection, names))

    def _new_partition(self, collection: str, names: Names) -> Partition:
        self._refuse_closed()  # again, inside the lock that `close` takes: nothing is opened after it
        location = Location.of(self._root, collection, names)
        return Partition(location, durable=self._durable, epoch=self._epoch)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise BackendUnavailable("This store is closed: its route has changed.", fix="Open it again.")

    def _submit(self, ref: Ref, step: Step, operation_id: str) -> list[Outcome]:
        (decided,) = self._partition(ref.collection, ref.partition).submit([Request((step,), operation_id)])
        return _outcomes(decided)


def _put_group(partition: Partition, requests: dict[int, Request]) -> Iterator[tuple[int, Written | Exception]]:
    """Write the documents of one partition, so many at a time; a failed append is the outcome of all it held."""
    positions = list(requests)
    for start in range(0, len(positions), _BULK):
        chunk = positions[start : start + _BULK]
        try:
            decided = partition.submit([requests[position] for position in chunk])
        except NorthstarError as error:
            yield from ((position, error) for position in chunk)
            continue
        for position, one in zip(chunk, decided, strict=True):
            yield position, one if isinstance(one, NorthstarError) else _written(one)


def _outcomes(decided: Decided) -> list[Outcome]:
    if isinstance(decided, NorthstarError):
        raise decided
    return decided


def _written(outcomes: list[Outcome]) -> Written:
    (written,) = outcomes
    assert isinstance(written, Written)
    return written


def _less(left: str, right: str) -> bool:
    """In the byte order of UTF-8."""
    return left.encode() < right.encode()


def _key_range(prefix: str, after: str | None, before: str | None) -> tuple[bytes, bytes]:
    """Return the half-open range of key bytes: both bounds are exclusive, the prefix is not."""
    low, high = prefix.encode(), _BEYOND_ALL_KEYS
    if low:
        high = low[:-1] + bytes([low[-1] + 1])  # no byte of UTF-8 is the last one
    if after is not None:
        low = max(low, after.encode() + b"\0")
    if before is not None:
        high = min(high, before.encode())
    return low, high
