"""What lies in Firestore for a document: the fields, and beside them the envelope; and the same for a remembered answer.

    fields      the user's, as a map (or bytes, see `firestore_values`)
    key         the document's, indexed for scans downwards; a remembered answer has none
    envelope    operation_id, epoch, expires_at; of a remembered answer operation_id, answers, until
    reap_at     when Firestore may delete it for good: the field of the TTL policy

A version is the time of the write in microseconds, doubled, and odd where the document expires. So a put that expects a version
knows, without reading, that what it replaces cannot have expired. It fits 53 bits until the year 2112.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from storage.backends.firestore_values import read_fields, read_time, write_fields, write_time
from storage.backends.service import Memory, Stored, instant_of, version_at
from storage.documents import Document, Put, Ref, Written

FIELDS: Final = "fields"
KEY: Final = "key"
ENVELOPE: Final = "envelope"
REAP_AT: Final = "reap_at"
REAP_AFTER: Final = timedelta(hours=1)
"""After the expiry: so no clock that is a little slow finds a document gone that it thinks alive."""

_EXPIRES: Final = 1
_BEYOND_VERSIONS: Final = 2**53


def mark_of(expires_at: datetime | None) -> int:
    """Return what an expiry adds to the version."""
    return 0 if expires_at is None else _EXPIRES


def never_expires(version: int) -> bool:
    """Whether this is the version of a document without an expiry."""
    return version < _BEYOND_VERSIONS and not version & _EXPIRES


def written_at(update_time: Any, mark: int) -> Written:
    """Return the version and time of a write from the service's `update_time`."""
    moment = read_time(update_time)
    return Written(version_at(moment) * 2 + mark, moment)


def write_condition(target: Any, before: int | None) -> None:
    """Set a Precondition: what must be stored is the document of this version, or with None nothing."""
    if before is None:
        target.exists = False
    else:
        write_time(target.update_time, instant_of(before // 2))


def write_document(target: Any, step: Put, *, epoch: int, operation_id: str) -> None:
    """Set the fields of a `google.firestore.v1.Document`."""
    write_fields(target.fields[FIELDS], step.fields)
    target.fields[KEY].string_value = step.key
    envelope = target.fields[ENVELOPE].map_value.fields
    envelope["operation_id"].string_value = operation_id
    envelope["epoch"].integer_value = epoch
    if step.expires_at is not None:
        write_time(envelope["expires_at"].timestamp_value, step.expires_at)
        _write_reaping(target, step.expires_at)


def read_stored(document: Any) -> Stored:
    """Return what a stored document holds; without fields where they were not asked for."""
    envelope = document.fields[ENVELOPE].map_value.fields
    expires_at = read_time(envelope["expires_at"].timestamp_value) if "expires_at" in envelope else None
    written = written_at(document.update_time, mark_of(expires_at))
    return Stored(
        written.version,
        read_fields(document.fields[FIELDS]) if FIELDS in document.fields else {},
        written.updated_at,
        expires_at,
        envelope["epoch"].integer_value,
        envelope["operation_id"].string_value,
    )


def present_document(ref: Ref, document: Any) -> Document | None:
    """Return the document as the contract has it; None once it has expired."""
    stored = read_stored(document)
    if not stored.present(datetime.now(UTC)):
        return None
    return Document(
        ref,
        stored.fields,
        stored.version,
        stored.updated_at,
        stored.expires_at,
        stored.epoch,
        stored.operation_id,
    )


def write_memory(target: Any, memory: Memory) -> None:
    """Set the fields of a `google.firestore.v1.Document` that remembers an answer."""
    envelope = target.fields[ENVELOPE].map_value.fields
    envelope["operation_id"].string_value = memory.operation_id
    envelope["answers"].string_value = memory.answers
    write_time(envelope["until"].timestamp_value, memory.until)
    _write_reaping(target, memory.until)


def read_memory(document: Any) -> Memory:
    """Return a remembered answer, with the version and time of the commit that it came with."""
    envelope: Mapping[str, Any] = document.fields[ENVELOPE].map_value.fields
    return Memory(
        envelope["operation_id"].string_value,
        envelope["answers"].string_value,
        read_time(envelope["until"].timestamp_value),
        written_at(document.update_time, 0),
    )


def _write_reaping(target: Any, end: datetime) -> None:
    """Let Firestore delete the document some time after its end, if that is a time at all."""
    if end < datetime.max.replace(tzinfo=UTC) - REAP_AFTER:
        write_time(target.fields[REAP_AT].timestamp_value, end + REAP_AFTER)
