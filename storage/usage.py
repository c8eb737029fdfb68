"""What an operation uses of a service, as services bill it: documents and objects read and written, units of size, bytes.

A document's size is that of its encoding by the contract (`storage.values`); services measure their own forms, so counts
are estimates. A refused write counts, as services charge for it; what the guard's own retries use does not.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import orjson

from storage.blobs import Blob
from storage.documents import BulkPut, Delete, Document, Increment, Operation, Put
from storage.values import encode

Usage = Mapping[str, int]
"""Amounts by measure."""

BYTES_IN: Final = "bytes_in"
BYTES_OUT: Final = "bytes_out"
DOCUMENTS_READ: Final = "documents_read"
DOCUMENTS_WRITTEN: Final = "documents_written"
DOCUMENTS_DELETED: Final = "documents_deleted"
READ_UNITS: Final = "read_units"
"""Of 4 KiB: each document of a get is rounded up alone, those of a scan together."""
WRITE_UNITS: Final = "write_units"
"""Of 1 KiB, each document rounded up; twice as many in an atomic write."""
OBJECT_WRITES: Final = "object_writes"
"""Objects put or copied, and pages listed: services charge alike for them."""
OBJECT_READS: Final = "object_reads"

USAGE_MEASURES: Final = (
    BYTES_IN,
    BYTES_OUT,
    DOCUMENTS_READ,
    DOCUMENTS_WRITTEN,
    DOCUMENTS_DELETED,
    READ_UNITS,
    WRITE_UNITS,
    OBJECT_WRITES,
    OBJECT_READS,
)

NOTHING: Final[Usage] = {}
LISTED: Final[Usage] = {OBJECT_WRITES: 1}
LOOKED_UP: Final[Usage] = {OBJECT_READS: 1}

_READ_BYTES: Final = 4096
_WRITE_BYTES: Final = 1024
_ATOMIC: Final = 2


def of_get(document: Document | None) -> Usage:
    """A read of one document. A service charges for one that is missing too."""
    size = _size(document)
    return {BYTES_OUT: size, DOCUMENTS_READ: 1, READ_UNITS: _units(size, _READ_BYTES)}


def of_get_many(documents: Sequence[Document | None]) -> Usage:
    """Reads of documents by name, each rounded up alone."""
    sizes = [_size(document) for document in documents]
    units = sum(_units(size, _READ_BYTES) for size in sizes)
    return {BYTES_OUT: sum(sizes), DOCUMENTS_READ: len(sizes), READ_UNITS: units}


def of_scan(documents: Sequence[Document]) -> Usage:
    """A page of documents, rounded up together; an empty one counts as one."""
    size = sum(map(_size, documents))
    return {BYTES_OUT: size, DOCUMENTS_READ: max(1, len(documents)), READ_UNITS: _units(size, _READ_BYTES)}


def of_put(size: int) -> Usage:
    """A write of one document. An increment counts the size of its deltas: how large the document is, it does not know."""
    return {BYTES_IN: size, DOCUMENTS_WRITTEN: 1, WRITE_UNITS: _units(size, _WRITE_BYTES)}


DELETED: Final[Usage] = {DOCUMENTS_DELETED: 1, WRITE_UNITS: 1}


def of_put_many(documents: Iterable[BulkPut]) -> Usage:
    """Writes of documents, each alone."""
    sizes = [len(encode(document.fields)) for document in documents]
    units = sum(_units(size, _WRITE_BYTES) for size in sizes)
    return {BYTES_IN: sum(sizes), DOCUMENTS_WRITTEN: len(sizes), WRITE_UNITS: units}


def of_write(operations: Iterable[Operation]) -> Usage:
    """One atomic write."""
    size = written = deleted = units = 0
    for operation in operations:
        match operation:
            case Put():
                one = len(encode(operation.fields))
            case Increment():
                one = len(encode(operation.deltas))
            case Delete():
                one = 0
        size += one
        deleted += isinstance(operation, Delete)
        written += not isinstance(operation, Delete)
        units += _ATOMIC * _units(one, _WRITE_BYTES)
    return {BYTES_IN: size, DOCUMENTS_WRITTEN: written, DOCUMENTS_DELETED: deleted, WRITE_UNITS: units}


def of_object_put(size: int) -> Usage:
    """A whole object stored."""
    return {BYTES_IN: size, OBJECT_WRITES: 1}


def of_object_get(blob: Blob | None) -> Usage:
    """An object opened for reading: the bytes that it was asked for, whether or not the reader takes them all."""
    span = blob.span if blob else None
    return {BYTES_OUT: span.end - span.start if span else 0, OBJECT_READS: 1}


def _size(document: Document | None) -> int:
    if document is None:
        return 0
    try:
        return len(orjson.dumps(document.fields, default=str))
    except TypeError:  # an integer beyond 64 bits
        return len(encode(document.fields))


def _units(size: int, unit: int) -> int:
    return max(1, -(-size // unit))
