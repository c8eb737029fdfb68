"""Counts of rows by hour, kept beside them: each write of rows brings a document of its counts, and many are merged into one.

    a/{HH}/{level}/{name}   {"hour", "groups": [[values], rows, [sessions]], "tally": {"received": 3, …}, "of": [names merged]}

Counts are written in the same atomic write as the rows that they count, so the two always agree. A merge replaces documents of
one level by one of the next in one atomic write; a reader that meets both believes the merged one.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from storage.documents import Document
from storage.kinds.analytics_rows import NewRow, Row, hour_of

COUNT_PREFIX: Final = "a/"
DIMENSIONS: Final = (
    "app",
    "channel",
    "outcome",
    "platform",
    "status",
    "utm_campaign",
    "utm_content",
    "utm_medium",
    "utm_source",
    "utm_term",
)
"""What rows are counted by; a row without a value counts under None."""
OUTCOMES: Final = ("stored", "duplicate", "conflict", "quarantined", "rejected")
"""What becomes of a submitted record; `spooled` is the sixth, while it waits outside the store."""
RECEIVED: Final = "received"
REPLAYED: Final = "replayed"
"""Rows that a replay added: they were not submitted again."""
COUNT_BYTES: Final = 200 * 1024
SESSIONS_AT_ONCE: Final = 500
"""Of one group that stand together, so that no group alone is larger than a document."""
MERGED_AT_ONCE: Final = 40
"""Documents that one merge replaces: with the merged one inside an atomic write."""

Group = tuple[str | None, ...]
"""A row's values, in the order of DIMENSIONS."""


@dataclass(slots=True)
class Counts:
    """Rows counted: by group, with the sessions seen in it, and the tally of what became of what was submitted."""

    groups: dict[Group, tuple[int, set[str]]] = field(default_factory=dict)
    tally: Counter[str] = field(default_factory=Counter)

    def add(self, row: Row) -> None:
        """Count a row, and unless a replay made it also what became of the record that was submitted."""
        group = group_of(row)
        rows, sessions = self.groups.get(group) or (0, set())
        session = row.get("session_id")
        if session is not None:
            sessions.add(session)
        self.groups[group] = (rows + 1, sessions)
        tally = self.tally
        if "replay_of" in row:
            tally[REPLAYED] += 1
        else:
            tally[RECEIVED] += 1
            tally[row["outcome"]] += 1

    def merge(self, fields: Mapping[str, Any]) -> None:
        """Add what a document of counts says."""
        for values, rows, sessions in fields["groups"]:
            group = tuple(values)
            before, seen = self.groups.get(group, (0, set()))
            self.groups[group] = (before + rows, seen | set(sessions))
        self.tally.update(fields["tally"])

    def documents(self, hour: str, of: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return the fields of one document, or of several where one would be too large; the first has the tally."""
        groups = [
            part for group, (rows, sessions) in self.groups.items() for part in _group_parts(group, rows, sessions)
        ]
        return [
            {"hour": hour, "groups": part, "tally": dict(self.tally) if first else {}, "of": list(of) if first else []}
            for first, part in _parts(groups)
        ]


def group_of(row: Row) -> Group:
    """The values that a row counts under: the normalised ones where a contract made some."""
    get = (row | row["reported"]).get if "reported" in row else row.get
    return tuple(map(get, DIMENSIONS))


def counted(rows: Iterable[NewRow]) -> dict[str, Counts]:
    """Count rows by the hour in which they happened. A replayed row is no submission."""
    hours: dict[str, Counts] = {}
    counts, last = Counts(), ""
    for new in rows:
        hour = hour_of(new.at)
        if hour != last:
            counts, last = hours.setdefault(hour, Counts()), hour
        counts.add(new.row)
    return hours


def count_key(hour: str, level: int, name: str) -> str:
    return f"{COUNT_PREFIX}{hour}/{level}/{name}"


def current(documents: Iterable[Document]) -> Iterator[Document]:
    """Leave out what a merge has replaced while the documents were read: they come in the order of their keys."""
    found = list(documents)
    replaced = {name for document in found for name in document.fields["of"]}
    return (document for document in found if document.ref.key not in replaced)


def _group_parts(group: Group, rows: int, sessions: set[str]) -> Iterator[list[Any]]:
    """A group, and its further sessions as groups without rows where it has very many."""
    names = sorted(sessions)
    yield [list(group), rows, names[:SESSIONS_AT_ONCE]]
    for start in range(SESSIONS_AT_ONCE, len(names), SESSIONS_AT_ONCE):
        yield [list(group), 0, names[start : start + SESSIONS_AT_ONCE]]


def _parts(groups: list[list[Any]]) -> Iterator[tuple[bool, list[list[Any]]]]:
    part: list[list[Any]] = []
    size, first = 0, True
    for group in groups:
        one = len(orjson.dumps(group))
        if part and size + one > COUNT_BYTES:
            yield first, part
            part, size, first = [], 0, False
        part.append(group)
        size += one
    yield first, part
