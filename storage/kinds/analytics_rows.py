"""Rows of analytics and where they lie: packed into segments by the ten seconds in which they happened, below a day and a shard.

A segment is one document, written once and never changed: `e/{HHMMSS}/{segment}` in the partition (day, shard). So a batch of
records that happened together costs one document, and a range of time is read in order without an index. A day's and a run's
rows are found by pointers that are written before the rows and mean nothing without them.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

import orjson

from northstar.errors import InvalidRequest
from northstar.instants import instant_text
from storage.documents import Document, Partition, Ref
from storage.values import CheckedFields, check_size, encode

COLLECTION: Final = "analytics_store"
SHARDS: Final = 4
"""Partitions of one day: a batch goes to one of them, a range reads them all."""
_SHARDS: Final = frozenset(map(str, range(SHARDS)))
SEGMENT_PREFIX: Final = "e/"
SEGMENT_BYTES: Final = 224 * 1024
"""Of rows in one document, well below what a document may have."""
TEN_SECONDS: Final = len("2026-11-20T12:00:0")
"""How much of an instant's text says in which ten seconds it lies."""
DAYS: Final[Partition] = ("days",)
UUID_SHARDS: Final = 64
OTHER_SHARDS: Final = 4
RUN_NAME: Final = 512
"""Bytes of a run's quoted name that stand in keys; a hash stands for a longer one."""
_UUID_PERIOD_BITS: Final = 31
"""Of milliseconds: version 7 UUIDs of the same 25 days lie together, so a batch claims its ids in one partition or two."""

Row = dict[str, Any]
"""What is kept of one submitted record: JSON values, times as text that sorts as time does."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a segment lies."""

    day: str
    shard: int
    window: str
    segment: str

    @property
    def partition(self) -> Partition:
        return (self.day, str(self.shard))

    @property
    def ref(self) -> Ref:
        return Ref(COLLECTION, self.partition, f"{SEGMENT_PREFIX}{self.window}/{self.segment}")

    @property
    def text(self) -> str:
        return f"{self.day}.{self.shard}.{self.window}.{self.segment}"


def place_named(text: str) -> Place:
    """Undo `Place.text`. Raises InvalidRequest for what is no place."""
    parts = text.split(".")
    if len(parts) != 4 or not all(part.isascii() and part.isalnum() for part in parts) or parts[1] not in _SHARDS:
        raise InvalidRequest(f"{text[:80]!a} names no row.", fix="Send a row_id as a listing gave it.")
    return Place(parts[0], int(parts[1]), parts[2], parts[3])


@dataclass(slots=True)
class NewRow:
    """A row to keep. `claim` is what it must be the first to have: its record's id, or a name of its own.

    `at` is the instant in `row["corrected_at"]`, by which it is found. `version` is that of a claim that is to be taken over.
    """

    row: Row
    at: str
    claim: str
    version: int | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row as it is kept. `row_id` names it for good; `token` is the submission that it came with."""

    row_id: str
    row: Row
    token: str

    @property
    def order(self) -> tuple[str, str]:
        return (self.row["corrected_at"], self.row_id)


@dataclass(slots=True)
class Segment:
    """Rows that go into one document."""

    place: Place
    rows: list[NewRow]
    encoded: CheckedFields = field(default_factory=lambda: CheckedFields({}, b"{}"))


def id_claim(analytics_id: str) -> str:
    """The claim of a record's id."""
    return "c/" + analytics_id


def claim_of(row: Row) -> str:
    """The claim that a stored row holds."""
    claim: str = row.get("claim") or id_claim(row["analytics_id"])
    return claim


def index_partition(name: str) -> Partition:
    """Where the pointer of an id or a run lies: by the time that a version 7 UUID holds, else by a hash."""
    if len(name) == 36 and name[14] == "7" and name[8] == name[13] == "-":
        try:
            return ("index", f"t{(int(name[:8] + name[9:13], 16) >> _UUID_PERIOD_BITS) % UUID_SHARDS:02}")
        except ValueError:
            pass
    return ("index", f"h{zlib.crc32(name.encode()) % OTHER_SHARDS}")


def claim_ref(claim: str) -> Ref:
    """The document that says who was first."""
    return Ref(COLLECTION, index_partition(claim[2:]), claim)


def run_prefix(run_id: str) -> str:
    """What the keys of a run's pointers start with: no run's prefix starts another's."""
    name = quote(run_id, safe="")
    if len(name) > RUN_NAME:
        name = "=" + blake2b(run_id.encode(), digest_size=32).hexdigest()  # no quoted name has this sign
    return f"r/{name}/"


def run_ref(run_id: str, place: Place) -> Ref:
    return Ref(COLLECTION, index_partition(run_id), run_prefix(run_id) + place.text)


def day_of(at: str) -> str:
    return at[0:4] + at[5:7] + at[8:10]


def hour_of(at: str) -> str:
    return at[11:13]


def window_of(at: str) -> str:
    """The ten seconds in which an instant lies, as HHMMSS."""
    return at[11:13] + at[14:16] + at[17:18] + "0"


def instant(moment: datetime) -> str:
    return instant_text(moment)


def segments_of(rows: Iterable[NewRow], token: str, names: Iterator[str]) -> list[Segment]:
    """Pack rows into segments, and tell each row its place. `names` gives segments their names, never the same again."""
    groups: dict[str, list[NewRow]] = {}
    for row in rows:
        groups.setdefault(row.at[:TEN_SECONDS], []).append(row)
    segments: list[Segment] = []
    shard = -1
    for at, group in sorted(groups.items()):
        day, window = day_of(at), window_of(at)
        for part, encoded in _parts(group, token):
            name = next(names)
            shard = zlib.crc32(name.encode()) % SHARDS if shard < 0 else shard
            place = Place(day, shard, window, name)
            for row in part:
                row.place = place
            segments.append(Segment(place, part, encoded))
    return segments


def repacked(segment: Segment, rows: list[NewRow], token: str) -> list[Segment]:
    """The segment with these of its rows only; none of it when there are none."""
    if len(rows) == len(segment.rows):
        return [segment]
    return [Segment(segment.place, rows, encoded_rows([row.row for row in rows], token))] if rows else []


def _parts(rows: list[NewRow], token: str) -> Iterator[tuple[list[NewRow], CheckedFields]]:
    encoded = encoded_rows([row.row for row in rows], token)
    if len(encoded.encoded) <= SEGMENT_BYTES or len(rows) == 1:
        check_size(encoded.encoded)
        yield rows, encoded
        return
    half = len(rows) // 2
    yield from _parts(rows[:half], token)
    yield from _parts(rows[half:], token)


def encoded_rows(rows: Sequence[Row], token: str) -> CheckedFields:
    """The fields of a segment with their encoding. The rows were checked when they were made."""
    fields = {"rows": list(rows), "token": token}
    try:
        encoded = orjson.dumps(fields)
    except TypeError:  # an integer beyond 64 bits
        encoded = b'"$'
    return CheckedFields(fields, encode(fields) if b'"$' in encoded else encoded)


def rows_of(document: Document, place: Place) -> list[StoredRow]:
    """The rows of a segment; a fence has none."""
    token = document.fields.get("token", "")
    return [
        StoredRow(f"{place.text}.{number}", row, token) for number, row in enumerate(document.fields.get("rows", ()))
    ]


def place_of(document: Document) -> Place:
    """Where a segment that a scan found lies."""
    day, shard = document.ref.partition
    _, window, segment = document.ref.key.split("/")
    return Place(day, int(shard), window, segment)


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID in its usual form."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
