"""The document contract: what every document driver promises, whatever service is behind it.

Read this first. A driver implements `DocumentDriver`; a kind (event stream, table …) is written once over it.
The promises are strong on purpose: compare-and-set, bounded increment, ordered scan and atomic writes in a partition
are what kinds are made of, so each backend does them natively and none does less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar, Final, Literal, Protocol

Number = int | float | Decimal
Value = Any
"""None, bool, int, float, Decimal, str, bytes, datetime (UTC), list or dict with str keys, of these, nested."""

Fields = Mapping[str, Value]
Deltas = Mapping[str, Number]
Partition = tuple[str, ...]

KEY_BYTES: Final = 900
PARTITION_BYTES: Final = 900
"""All parts of a partition together, in UTF-8, the scope's included: every service can hold that beside a key."""
DOCUMENT_BYTES: Final = 350 * 1024
"""Encoded size of the fields (`storage.values.encode`). Below DynamoDB's 400 KB item with room for the envelope."""
NESTING: Final = 20
ATOMIC_OPERATIONS: Final = 50
ATOMIC_BYTES: Final = 1024 * 1024
INTEGER_DIGITS: Final = 38
"""Digits of an int or a Decimal: DynamoDB's number type."""


class Expectation(Enum):
    """What a write expects to find."""

    ANY = "any"
    ABSENT = "absent"


ANY: Final = Expectation.ANY
ABSENT: Final = Expectation.ABSENT
Expect = Literal[Expectation.ANY, Expectation.ABSENT] | int
"""ANY, ABSENT, or the version the document must have."""


@dataclass(frozen=True, slots=True)
class Ref:
    """Names one document. Drivers escape the parts so that joining them is injective."""

    collection: str
    partition: Partition
    key: str


@dataclass(frozen=True, slots=True)
class Document:
    """A stored document: exactly the fields written, and the envelope beside them.

    `version` grows with every write and is never used twice for one key, not even after delete and re-creation. It fits 53 bits.
    `epoch` is the revision of the route that wrote it. `expires_at` and `updated_at` are UTC, in microseconds.
    """

    ref: Ref
    fields: dict[str, Value]
    version: int
    updated_at: datetime
    expires_at: datetime | None = None
    epoch: int = 0
    operation_id: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Documents in the byte order of their UTF-8 keys (reversed on request). `cursor` is None on the last page."""

    documents: tuple[Document, ...]
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What a put made of the document: its new version, and `updated_at` as a later read tells it."""

    version: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Put:
    """Replace all fields of one document; the result is `Written`."""

    key: str
    fields: Fields
    expect: Expect = ANY
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove one document; the result is whether it existed (bool)."""

    key: str
    expect: Literal[Expectation.ANY] | int = ANY


@dataclass(frozen=True, slots=True)
class Increment:
    """Add to numeric fields, within bounds; the result is `Totals`."""

    key: str
    deltas: Deltas
    ceilings: Deltas = field(default_factory=dict)
    floors: Deltas = field(default_factory=dict)


Operation = Put | Delete | Increment


@dataclass(frozen=True, slots=True)
class Totals:
    """The incremented fields after an increment, and the document's version."""

    values: dict[str, Number]
    version: int


Outcome = Written | bool | Totals
"""Of one operation in an atomic write: Written of a Put, `existed` of a Delete, the Totals of an Increment."""


@dataclass(frozen=True, slots=True)
class BulkPut:
    """One document of a bulk write."""

    ref: Ref
    fields: Fields
    expect: Expect = ANY
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a driver's service can hold, declared once. The portable limits above are checked by the guard for all.

    Admission compares a kind's needs with these when a route is saved; `GET /routing/kinds` shows them.
    """

    key_bytes: int = KEY_BYTES
    document_bytes: int = DOCUMENT_BYTES
    nesting: int = NESTING
    atomic_operations: int = ATOMIC_OPERATIONS
    atomic_bytes: int = ATOMIC_BYTES
    page_documents: int = 1000
    ordered_scan: bool = True
    exact_expiry: bool = True
    bounded_increment: bool = True
    strong_reads: bool = True
    bounded_partitions: bool = True
    """Whether the service bounds a partition's size or its rate: a kind then spreads what grows without end over several."""
    reads_cost: bool = False
    """Whether the service charges for each read: a quiet stream is then polled less and less often."""


class DocumentDriver(Protocol):
    """One service. Built once per route revision, used by many threads at once.

    Every write may carry an `operation_id`: the same id on the same partition again, within a day, answers with the first
    outcome and changes nothing. Without one the driver makes its own, so that its own retries are recognised.
    Errors are those of `storage.errors`; the SDK's are translated in exactly one place of each driver.
    """

    limits: ClassVar[Limits]

    def get(self, ref: Ref) -> Document | None:
        """Return the document, or None when it is missing or expired."""

    def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        """Return one entry per ref, in the order asked. A backend that did not answer is an error, never None."""

    def put(
        self,
        ref: Ref,
        fields: Fields,
        *,
        expect: Expect = ANY,
        expires_at: datetime | None = None,
        operation_id: str = "",
    ) -> Written:
        """Replace the document and return its new version and time.

        Raises AlreadyExists (expect=ABSENT and it exists, unexpired) or VersionConflict (another version, or missing).
        """

    def delete(self, ref: Ref, *, expect: Literal[Expectation.ANY] | int = ANY, operation_id: str = "") -> bool:
        """Remove the document and return whether it existed. Raises VersionConflict for another version or a missing one."""

    def increment(
        self,
        ref: Ref,
        deltas: Deltas,
        *,
        ceilings: Deltas | None = None,
        floors: Deltas | None = None,
        operation_id: str = "",
    ) -> Totals:
        """Add to top-level numeric fields in one atomic step; a missing document or field starts at 0.

        Raises CeilingReached or FloorReached when a sum would pass its bound, InvalidValue when a field is no number
        (an int and a float make a float, an int and a Decimal a Decimal, a float and a Decimal are refused). The expiry is kept.
        """

    def scan(
        self,
        collection: str,
        partition: Partition,
        *,
        prefix: str = "",
        after: str | None = None,
        before: str | None = None,
        limit: int = 100,
        reverse: bool = False,
        cursor: str | None = None,
    ) -> Page:
        """Return unexpired documents of one partition whose keys start with `prefix` and lie strictly between the bounds.

        A page's cursor is the last key on it, so it stays good across backends. Reads nothing of another partition.
        """

    def write(
        self, collection: str, partition: Partition, operations: Sequence[Operation], *, operation_id: str = ""
    ) -> list[Outcome]:
        """Apply all operations or none. Raises what the first failing operation would raise alone."""

    def put_many(self, documents: Sequence[BulkPut]) -> list[Written | Exception]:
        """Write many documents, each alone; one outcome per document: Written, or the error that it alone would raise."""

    def prepare(self) -> None:
        """Create what the service needs (tables, folders); may be called again at any time."""

    def ping(self) -> None:
        """Return when the service answers; raises BackendUnavailable or BackendRejected."""

    def close(self) -> None:
        """Release connections and files; a second call is harmless."""
