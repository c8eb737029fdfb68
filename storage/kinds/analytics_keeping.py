"""Keeping the rows of one submission: every claim is won by one row, and every row that won one is kept exactly once.

    1. claim    each row's claim is created, pointing to the segment that will hold the row; who comes second finds it
    2. write    segments and their counts, in as few atomic writes as they fit in, each document created and never replaced

A writer that dies between the two leaves claims that point to nothing. Whoever meets one puts a fence where the segment would be:
the fence is there first, so that segment is never written, and its claims may be taken over by compare-and-set; or the segment is
there first after all. So nobody waits for the dead, clocks do not matter, and a slow writer that finds a fence begins again.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from northstar.errors import AlreadyExists, Conflict, VersionConflict
from storage.documents import ABSENT, BulkPut, Document, Put, Ref
from storage.guard import GuardedDocuments
from storage.kinds.analytics_counts import Counts, count_key, counted
from storage.kinds.analytics_rows import (
    COLLECTION,
    DAYS,
    NewRow,
    Place,
    Segment,
    StoredRow,
    claim_of,
    claim_ref,
    place_named,
    repacked,
    rows_of,
    run_ref,
    segments_of,
)

ATTEMPTS: Final = 16
UNIT_SEGMENTS: Final = 20
UNIT_BYTES: Final = 448 * 1024
"""Of rows in one atomic write: their counts are never larger than they are."""


@dataclass(frozen=True, slots=True)
class Met:
    """A row that came second: who has its claim."""

    row: StoredRow


@dataclass(slots=True)
class Kept:
    """What became of the rows of a submission: those that are stored now, and for each other one the row that it met."""

    stored: dict[int, StoredRow] = field(default_factory=dict)
    met: dict[int, Met] = field(default_factory=dict)
    partitions: set[tuple[str, int]] = field(default_factory=set)


class Keeping:
    """One submission on its way into the store. `known_days` are those whose pointers are certainly there."""

    def __init__(self, documents: GuardedDocuments, token: str, known_days: set[str]) -> None:
        self._documents = documents
        self._token = token
        self._known_days = known_days

    def keep(self, rows: Sequence[NewRow]) -> Kept:
        """Keep the rows, whose claims are all different. Positions in the answer are those in `rows`.

        Raises Conflict when others keep taking the claims over, and what the store raises: then some of the rows may be stored,
        and the same rows may be kept again with the same token.
        """
        kept = Kept()
        positions = {id(row): position for position, row in enumerate(rows)}
        pending = list(rows)
        for _ in range(ATTEMPTS):
            pending = self._attempt(pending, positions, kept)
            if not pending:
                return kept
        raise Conflict("Other submissions hold the ids of these records.", fix="Send them again.")

    def point_to_days(self, days: set[str]) -> None:
        """Write the pointers of days that this process does not know of. Raises what the store raises."""
        for put in self._new_days(days):
            self._documents.put(put.ref, put.fields)
        self._known_days |= days

    def _attempt(self, rows: list[NewRow], positions: dict[int, int], kept: Kept) -> list[NewRow]:
        """Return the rows that must be tried again."""
        segments = segments_of(rows, self._token, iter(lambda: secrets.token_hex(8), ""))
        lost = self._claim(segments, rows)
        again = self._settle(lost, positions, kept) if lost else []
        refused = {id(row) for row in lost}
        units = [
            part
            for segment in segments
            for part in repacked(segment, [row for row in segment.rows if id(row) not in refused], self._token)
        ]
        for unit in _units(units):
            if self._write(unit):
                self._note(unit, positions, kept)
            else:
                again += [row for segment in unit for row in segment.rows]
        return again

    def _claim(self, segments: Sequence[Segment], rows: Sequence[NewRow]) -> list[NewRow]:
        """Claim for each row; return those that came second. Pointers of days and runs go in the same bulk."""
        days = {segment.place.day for segment in segments}
        pointers = [*self._new_days(days), *_run_pointers(segments)]
        fields = {segment.place.text: {"at": segment.place.text} for segment in segments}
        claims = [
            BulkPut(claim_ref(row.claim), fields[row.place.text], ABSENT if row.version is None else row.version)
            for row in rows
            if row.place is not None
        ]
        outcomes = self._documents.put_many([*claims, *pointers])
        lost = []
        for row, outcome in zip(rows, outcomes, strict=False):
            if isinstance(outcome, AlreadyExists | VersionConflict):
                lost.append(row)
            elif isinstance(outcome, Exception):
                raise outcome
            else:
                row.version = outcome.version
        for outcome in outcomes[len(claims) :]:
            if isinstance(outcome, Exception):
                raise outcome
        self._known_days |= days
        return lost

    def _new_days(self, days: set[str]) -> list[BulkPut]:
        return [BulkPut(Ref(COLLECTION, DAYS, day), {"day": day}) for day in sorted(days - self._known_days)]

    def _settle(self, lost: Sequence[NewRow], positions: dict[int, int], kept: Kept) -> list[NewRow]:
        """Find out who has the claims. Return the rows whose claims may be taken over, or are to be looked at again."""
        found = self._documents.get_many([claim_ref(row.claim) for row in lost])
        claims = [(row, claim) for row, claim in zip(lost, found, strict=True)]
        places = {claim.fields["at"]: place_named(claim.fields["at"]) for _, claim in claims if claim}
        holders = self._holders(places)
        again = []
        for row, claim in claims:
            holder = holders.get(row.claim)
            if holder is not None:
                kept.met[positions[id(row)]] = Met(holder)
            else:
                row.version = claim.version if claim else None
                again.append(row)
        return again

    def _holders(self, places: dict[str, Place]) -> dict[str, StoredRow]:
        """The rows that hold claims, by claim. Where a segment is missing a fence is put, so that it stays missing."""
        segments = self._documents.get_many([place.ref for place in places.values()])
        holders: dict[str, StoredRow] = {}
        for place, segment in zip(places.values(), segments, strict=True):
            landed = segment or self._fence(place)
            if landed:
                holders |= {claim_of(stored.row): stored for stored in rows_of(landed, place)}
        return holders

    def _fence(self, place: Place) -> Document | None:
        """Take a segment's place; return the segment where it came first after all."""
        try:
            self._documents.put(place.ref, {"fence": True}, expect=ABSENT)
        except AlreadyExists:
            return self._documents.get(place.ref)
        return None

    def _write(self, unit: Sequence[Segment]) -> bool:
        """Write segments and their counts together; False when one of them met a fence, and then none is written."""
        place = unit[0].place
        operations = [Put(segment.place.ref.key, segment.encoded, ABSENT) for segment in unit]
        hours = counted(row for segment in unit for row in segment.rows)
        operations += count_puts(hours, place.segment)
        try:
            self._documents.write(COLLECTION, place.partition, operations, operation_id=place.segment)
        except AlreadyExists:
            return False
        return True

    def _note(self, unit: Sequence[Segment], positions: dict[int, int], kept: Kept) -> None:
        for segment in unit:
            kept.partitions.add((segment.place.day, segment.place.shard))
            for number, row in enumerate(segment.rows):
                stored = StoredRow(f"{segment.place.text}.{number}", row.row, self._token)
                kept.stored[positions[id(row)]] = stored


def count_puts(hours: dict[str, Counts], name: str) -> list[Put]:
    """The documents of counts that go with a write."""
    return [
        Put(count_key(hour, 0, f"{name}-{number}"), fields, ABSENT)
        for hour, counts in hours.items()
        for number, fields in enumerate(counts.documents(hour))
    ]


def _run_pointers(segments: Sequence[Segment]) -> list[BulkPut]:
    return [
        BulkPut(run_ref(run_id, segment.place), {"at": segment.place.text, "run_id": run_id})
        for segment in segments
        for run_id in sorted({row.row["run_id"] for row in segment.rows if row.row.get("run_id") is not None})
    ]


def _units(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Segments of one partition that fit into one atomic write with their counts."""
    unit: list[Segment] = []
    size = 0
    for segment in segments:
        one = len(segment.encoded.encoded)
        other = unit and unit[0].place.partition != segment.place.partition
        if unit and (other or len(unit) == UNIT_SEGMENTS or size + one > UNIT_BYTES):
            yield unit
            unit, size = [], 0
        unit.append(segment)
        size += one
    if unit:
        yield unit
