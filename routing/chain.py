"""Does the audit trail hold? Every row is read in order and compared with the row before, and with what others remember of it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from routing.audit import HASHED, current, hash_of
from routing.models import RouteChange, SnapshotRevision
from storage.kinds.routing_registry_store import Anchor

PAGE: Final = 2000
_PREVIOUS: Final = HASHED.index("previous_hash")

Watch = Callable[[int], None]
"""Told how many rows have been read, after each page of them."""


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """Whether the chain holds. `first_broken` is the id of the first row that does not fit; None when all do.

    `anchored` is the last row that something outside of the table confirmed, 0 for none: up to it not even somebody who owns the
    database can have changed anything.
    """

    ok: bool
    rows: int
    first_broken: int | None
    reason: str
    anchored: int = 0


def verify_chain(anchors: Iterable[Anchor] = (), watch: Watch | None = None) -> ChainStatus:
    """Read the whole trail and say whether any row was edited, removed, added or moved, or cut off its end.

    `anchors` are hashes of rows that were kept outside of the database: only they tell when all hashes were made anew.
    Changes may go on meanwhile: rows that they append are checked too. Holds one page of rows in memory.
    """
    reader = _Reader(current(), anchors)
    for page in _pages():
        for row in page:
            if reason := reader.read(row):
                return reader.status(row[0], reason)
        if watch:
            watch(reader.rows)
    return reader.status(None, reader.end())


class _Reader:
    """What is known of the trail up to the row that was read last."""

    def __init__(self, recorded: SnapshotRevision, anchors: Iterable[Anchor]) -> None:
        self.rows = 0
        self._recorded = recorded
        self._anchors: defaultdict[int, set[str]] = defaultdict(set)
        for anchor in anchors:
            self._anchors[anchor.number].add(anchor.hash)
        self._last = 0
        self._head = ""
        self._anchored = 0

    def read(self, row: tuple[Any, ...]) -> str:
        """Take the next row and return what is wrong with it, or nothing."""
        number, stored, *values = row
        self.rows += 1
        if values[_PREVIOUS] != self._head:
            return "It does not follow the row before: a row was removed, added or moved."
        if hash_of(tuple(values)) != stored:
            return "Its content does not fit its hash: it was edited."
        if number == self._recorded.audit_rows and stored != self._recorded.audit_head:
            return "It is not the row recorded as the last one."
        anchored = self._anchors.pop(number, set())
        if anchored - {stored}:
            return f"It is not the row that is anchored outside of the database: rows after {self._anchored} were rewritten."
        if anchored:
            self._anchored = number
        self._last, self._head = number, stored
        return ""

    def end(self) -> str:
        """Return what is wrong now that no row is left, or nothing."""
        recorded = self._recorded.audit_rows
        if self._last < recorded:
            return f"Rows are missing at the end: row {recorded} was recorded as the last one."
        if self._last > current().audit_rows:
            return f"Rows were added at the end: row {recorded} was recorded as the last one."
        if self._anchors:
            return f"Row {min(self._anchors)} is missing, and it is anchored outside of the database."
        return ""

    def status(self, broken: int | None, reason: str) -> ChainStatus:
        told = reason or "Every row follows the one before."
        return ChainStatus(not reason, self.rows, broken, told, self._anchored)


def _pages() -> Iterator[list[tuple[Any, ...]]]:
    """Yield the trail page by page, each asked for by itself: no cursor stays open, and memory holds one page."""
    last = 0
    rows = RouteChange.objects.order_by("id").values_list("id", "hash", *HASHED)
    while page := list(rows.filter(id__gt=last)[:PAGE]):
        yield page
        last = page[-1][0]
