"""Two times of every rule: the days on which it is valid, and the revisions in which the store said so. Pure functions over both.

An entry is valid on the days `[begins, ends)` and stands in the revisions `[since, until)`. A change never alters what an earlier
revision says: it closes entries and adds others. So the days of a slot never overlap in any revision, by construction.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Final

from storage.documents import DOCUMENT_BYTES
from storage.kinds.rules_errors import DamagedRules
from storage.kinds.rules_exact import packed, written
from storage.values import encode

SHEET_BYTES: Final = 250 * 1024
"""What a sheet or row keeps of its past besides what stands: of a document's 350 KiB."""
LAST_DAY: Final = date.max


@dataclass(frozen=True, slots=True)
class Entry:
    """One body of one slot, on the days `[begins, ends)`, in the revisions `[since, until)`."""

    id: str
    slot: str
    begins: date
    ends: date | None
    body: Mapping[str, Any]
    since: int
    recorded_at: datetime
    until: int | None = None

    @property
    def end(self) -> date:
        """The first day after it; the last day there is for one without an end."""
        return self.ends or LAST_DAY

    def stands_at(self, revision: int) -> bool:
        """Whether the store said so in this revision."""
        return self.since <= revision and (self.until is None or self.until > revision)

    def valid_on(self, day: date) -> bool:
        return self.begins <= day and (self.ends is None or day < self.ends)

    @property
    def said(self) -> tuple[str, date, date | None, bytes]:
        """What it says, exactly: 1.0 and 1.00 are two things, and so are 0 and -0."""
        return self.slot, self.begins, self.ends, written(self.body)

    def fields(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return {
            "id": self.id,
            "slot": self.slot,
            "from": self.begins.isoformat(),
            "to": self.ends.isoformat() if self.ends else None,
            "since": self.since,
            "until": self.until,
            "recorded_at": self.recorded_at,
            "body": dict(self.body),
        }

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "Entry":
        """Read a stored one. Raises DamagedRules for one that was damaged."""
        try:
            return cls(
                id=fields["id"],
                slot=fields["slot"],
                begins=date.fromisoformat(fields["from"]),
                ends=date.fromisoformat(fields["to"]) if fields["to"] else None,
                body=fields["body"],
                since=fields["since"],
                recorded_at=fields["recorded_at"],
                until=fields["until"],
            )
        except (KeyError, TypeError, ValueError):
            raise DamagedRules("A stored rule was damaged.") from None


@dataclass(frozen=True, slots=True)
class Sheet:
    """All that a unit says. `changed` is the newest revision that changed it; nothing is missing from revision `floor` on."""

    changed: int = 0
    floor: int = 0
    entries: tuple[Entry, ...] = ()

    def standing(self, revision: int) -> list[Entry]:
        """Return what stood in this revision, by slot and first day."""
        found = [entry for entry in self.entries if entry.stands_at(revision)]
        return sorted(found, key=lambda entry: (entry.slot, entry.begins))

    def valid(self, revision: int, day: date) -> list[Entry]:
        """Return what stood in this revision about this day, by slot."""
        return [entry for entry in self.standing(revision) if entry.valid_on(day)]

    def current(self) -> list[Entry]:
        """Return what stands in the newest revision."""
        return [entry for entry in self.entries if entry.until is None]

    def changed_by(self, revision: int, closed: Iterable[str], added: Iterable[Entry]) -> "Sheet":
        """Return the sheet after a revision. One that knows the revision already stays as it is."""
        if self.changed >= revision:
            return self
        gone = frozenset(closed)
        kept = tuple(replace(entry, until=revision) if entry.id in gone else entry for entry in self.entries)
        return _within_bounds(Sheet(revision, self.floor, (*kept, *added)))

    def fields(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return {
            "changed": self.changed,
            "floor": self.floor,
            "entries": [entry.fields() for entry in self.entries],
        }

    @classmethod
    def of(cls, fields: Mapping[str, Any] | None) -> "Sheet":
        """Read a stored one; of none, an empty one. Raises DamagedRules for one that was damaged."""
        if fields is None:
            return EMPTY
        try:
            return cls(fields["changed"], fields["floor"], tuple(map(Entry.of, fields["entries"])))
        except (KeyError, TypeError):
            raise DamagedRules("A stored sheet of rules was damaged.") from None


EMPTY: Final = Sheet()


def _within_bounds(sheet: Sheet) -> Sheet:
    """Give up the oldest of what does not stand any more, as far as the sheet is too large with it."""
    size = _size(sheet.fields())
    if size <= SHEET_BYTES:
        return sheet
    entries, floor = list(sheet.entries), sheet.floor
    for entry in sorted((one for one in entries if one.until is not None), key=lambda one: one.until or 0):
        if size <= SHEET_BYTES or entry.until == sheet.changed:  # readers of the revision before still need it
            break
        entries.remove(entry)
        floor = max(floor, entry.until or 0)
        size -= _size(entry.fields())
    return Sheet(sheet.changed, floor, tuple(entries))


def _size(fields: Mapping[str, Any]) -> int:
    return len(encode(packed(fields)))


def is_too_large(unit: str, sheet: Sheet) -> bool:
    """Whether no document could hold the unit's sheet."""
    return _size(stored_fields(unit, sheet)) > DOCUMENT_BYTES


def stored_fields(unit: str, sheet: Sheet) -> dict[str, Any]:
    """Return a document's fields: the sheet, and whose it is."""
    return {"unit": unit, **sheet.fields()}


@dataclass(frozen=True, slots=True)
class Span:
    """What a change wants said of a slot on the days `[begins, ends)`; a body of None: nothing.

    `fills`: only on days of which nothing is said.
    """

    slot: str
    begins: date
    ends: date | None
    body: Mapping[str, Any] | None
    fills: bool = False

    @property
    def end(self) -> date:
        return self.ends or LAST_DAY


@dataclass(slots=True)
class Edit:
    """What a revision does to one unit: which entries it closes, and what is said instead."""

    closed: list[str] = field(default_factory=list)
    added: list[Span] = field(default_factory=list)

    @property
    def is_nothing(self) -> bool:
        return not self.closed and not self.added


def edit_of(current: Sequence[Entry], spans: Iterable[Span]) -> Edit:
    """Work out how what stands becomes what is wanted. Days of a slot that nobody names stay as they are.

    A span whose days all say the same already changes nothing.
    """
    edit = Edit()
    for span in spans:
        mine = [entry for entry in current if entry.slot == span.slot and _overlap(entry, span)]
        mine.sort(key=lambda entry: entry.begins)
        if span.fills:
            edit.added += [replace(span, begins=begins, ends=ends) for begins, ends in _gaps(mine, span)]
        elif not _says_so(mine, span):
            edit.closed += [entry.id for entry in mine]
            edit.added += _around(mine, span)
            if span.body is not None:
                edit.added.append(span)
    return edit


def restatement(current: Sequence[Entry], wanted: Iterable[Entry]) -> Edit:
    """Work out how what stands becomes exactly what was wanted, and nothing else."""
    want = {entry.said: entry for entry in wanted}
    have = {entry.said: entry for entry in current}
    return Edit(
        [entry.id for said, entry in have.items() if said not in want],
        [Span(one.slot, one.begins, one.ends, one.body) for said, one in want.items() if said not in have],
    )


def _overlap(one: Entry, other: Span) -> bool:
    return one.begins < other.end and other.begins < one.end


def _says_so(mine: Sequence[Entry], span: Span) -> bool:
    if span.body is None:
        return not mine
    said = written(span.body)
    return all(written(entry.body) == said for entry in mine) and not any(_gaps(mine, span))


def _gaps(mine: Sequence[Entry], span: Span) -> list[tuple[date, date | None]]:
    """Return the days of the span of which nothing is said; `mine` are in the order of their days."""
    gaps, begins = [], span.begins
    for entry in mine:
        if entry.begins > begins:
            gaps.append((begins, entry.begins))
        begins = max(begins, entry.end)
    return [*gaps, (begins, span.ends)] if begins < span.end else list(gaps)


def _around(mine: Sequence[Entry], span: Span) -> list[Span]:
    """Return what is left of the entries before and behind the span."""
    left = [Span(one.slot, one.begins, span.begins, one.body) for one in mine if one.begins < span.begins]
    return left + [Span(one.slot, span.end, one.ends, one.body) for one in mine if one.end > span.end]
