"""Revisions of a rule set: numbered, immutable, each with who and why; what stands is the newest that is wholly applied.

Publishing writes the revision first, with everything that it does: that is the commit. Then rows and sheets are brought to it,
and last the head. Whoever finds a revision that was committed and not applied, because its publisher died, applies it first.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from northstar.errors import AlreadyExists, Conflict, NorthstarError, VersionConflict
from storage.documents import ABSENT, BulkPut, Document, Expect, Ref
from storage.kinds.rules_documents import RulesDocuments, code_of
from storage.kinds.rules_errors import DamagedRules, StoreError
from storage.kinds.rules_history import Entry, Sheet, Span, stored_fields
from storage.kinds.rules_layout import HEAD, UNIT_PREFIX, Unit, directory_ref, revision_ref

RECENT_UNITS: Final = 512
"""So many units the head tells the newest changes of."""
ATTEMPTS: Final = 8
_BUSY: Final = frozenset({AlreadyExists.code, VersionConflict.code})


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a rule set as a whole.

    `recent` says in which revision a unit changed last, for all that changed after revision `recent_floor`. `lineage` tells a
    rule set from one that was begun anew in its place.
    """

    revision: int = 0
    lineage: str = ""
    recent: Mapping[str, int] = field(default_factory=dict)
    recent_floor: int = 0
    version: int = 0

    def last_change(self, unit: Unit) -> int:
        """Return the revision that changed the unit last, as far as it is recent; else 0."""
        return self.recent.get(digest_of(unit), 0)

    def moved_to(self, revision: int, units: Iterable[Unit]) -> "Head":
        """Return the head after a revision that changed these units."""
        recent = {**self.recent, **dict.fromkeys(map(digest_of, units), revision)}
        floor = self.recent_floor
        while len(recent) > RECENT_UNITS:
            floor = min(recent.values())
            recent = {name: number for name, number in recent.items() if number > floor}
        return replace(self, revision=revision, recent=recent, recent_floor=floor)

    def fields(self) -> dict[str, Any]:
        return {
            "revision": self.revision,
            "lineage": self.lineage,
            "recent": dict(self.recent),
            "recent_floor": self.recent_floor,
        }

    @classmethod
    def of(cls, document: Document | None) -> "Head":
        """Read the head; where nothing was ever published, an empty one. Raises DamagedRules for a damaged one."""
        if document is None:
            return NO_HEAD
        try:
            fields = document.fields
            return cls(
                fields["revision"], fields["lineage"], fields["recent"], fields["recent_floor"], document.version
            )
        except KeyError:
            raise DamagedRules("The head of the rules was damaged.") from None


NO_HEAD: Final = Head()


def digest_of(unit: Unit) -> str:
    """Return a short name for a unit."""
    return hashlib.blake2b(unit.text.encode(), digest_size=9).hexdigest()


@dataclass(frozen=True, slots=True)
class UnitChange:
    """What a revision does to one unit."""

    unit: Unit
    closed: tuple[str, ...]
    added: tuple[Entry, ...]

    def fields(self) -> dict[str, Any]:
        return {
            "unit": self.unit.text,
            "close": list(self.closed),
            "add": [entry.fields() for entry in self.added],
        }


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision: its number, what it is (publish, rollback, promote), who made it, when, why, and what it changes."""

    number: int
    action: str
    actor: str
    reason: str
    request_id: str
    at: datetime
    lineage: str
    changes: tuple[UnitChange, ...] = ()
    of_revision: int | None = None
    """What a rollback went back to, or a promotion took over."""
    operation_id: str = ""

    def fields(self) -> dict[str, Any]:
        return {
            "revision": self.number,
            "action": self.action,
            "actor": self.actor,
            "reason": self.reason,
            "request_id": self.request_id,
            "at": self.at,
            "lineage": self.lineage,
            "of_revision": self.of_revision,
            "operation_id": self.operation_id,
            "changes": [change.fields() for change in self.changes],
        }

    @classmethod
    def of(cls, document: Document) -> "Revision":
        """Read a stored one."""
        fields = document.fields
        changes = tuple(
            UnitChange(Unit.parse(one["unit"]), tuple(one["close"]), tuple(map(Entry.of, one["add"])))
            for one in fields["changes"]
        )
        return cls(
            number=fields["revision"],
            action=fields["action"],
            actor=fields["actor"],
            reason=fields["reason"],
            request_id=fields["request_id"],
            at=fields["at"],
            lineage=fields["lineage"],
            changes=changes,
            of_revision=fields["of_revision"],
            operation_id=fields["operation_id"],
        )


def entries_of(spans: Sequence[Span], number: int, at: datetime, first: int = 0) -> tuple[Entry, ...]:
    """Return what a revision adds, each with a name of its own."""
    return tuple(
        Entry(f"{number}-{first + place}", span.slot, span.begins, span.ends, span.body or {}, number, at)
        for place, span in enumerate(spans)
    )


def commit(documents: RulesDocuments, revision: Revision) -> bool:
    """Write the revision, and say whether it is ours: False when another has this number. Raises StoreError."""
    try:
        documents.put(revision_ref(revision.number), revision.fields(), expect=ABSENT)
    except StoreError as error:
        if error.code != AlreadyExists.code:
            raise
        return False
    return True


def catch_up(documents: RulesDocuments) -> Head:
    """Apply whatever was committed and is not applied yet, and return the head as it is then. Raises StoreError."""
    while True:
        head = Head.of(documents.get(HEAD))
        waiting = documents.get(revision_ref(head.revision + 1))
        if waiting is None:
            return head
        apply(documents, Revision.of(waiting), head)


def apply(documents: RulesDocuments, revision: Revision, head: Head) -> None:
    """Bring every row and sheet to the revision, then the head; what others have done of it is left as it is."""
    for _ in range(ATTEMPTS):
        if _written(documents, revision):
            break
    else:
        raise StoreError(Conflict("Others keep writing the same rules.", fix="Publish again."))
    moved = head.moved_to(revision.number, (change.unit for change in revision.changes))
    expect: Expect = head.version or ABSENT
    try:
        documents.put(HEAD, replace(moved, lineage=revision.lineage).fields(), expect=expect)
    except StoreError as error:
        if error.code not in _BUSY:  # else another has applied it
            raise


def _written(documents: RulesDocuments, revision: Revision) -> bool:
    """Write what is not yet as the revision wants it, and say whether nothing is left to do.

    Rows come first: whoever finds a sheet that was brought to the revision may rely on its rows.
    """
    sheets = documents.get_many([change.unit.sheet for change in revision.changes])
    rows = [(ref, one) for one, sheet in zip(revision.changes, sheets, strict=True) for ref in _touched(one, sheet)]
    return _brought(documents, rows, revision.number) and _brought(
        documents, [(one.unit.sheet, one) for one in revision.changes], revision.number
    )


def _touched(change: UnitChange, sheet: Document | None) -> list[Ref]:
    closed = [one for one in Sheet.of(sheet.fields if sheet else None).entries if one.id in change.closed]
    return list(dict.fromkeys(change.unit.row(one.slot, one.begins) for one in (*closed, *change.added)))


def _brought(documents: RulesDocuments, wanted: Sequence[tuple[Ref, UnitChange]], number: int) -> bool:
    stored = documents.get_many([ref for ref, _ in wanted])
    puts: list[BulkPut] = []
    for (ref, change), document in zip(wanted, stored, strict=True):
        puts += _puts(ref, change, document, number)
    whole = True
    for put, outcome in zip(puts, documents.put_many(puts) if puts else [], strict=True):
        if not isinstance(outcome, Exception):
            continue
        if code_of(outcome) not in _BUSY:
            raise StoreError(outcome) if isinstance(outcome, NorthstarError) else outcome
        whole = whole and put.ref.key.startswith(UNIT_PREFIX)
    return whole


def _puts(ref: Ref, change: UnitChange, stored: Document | None, number: int) -> list[BulkPut]:
    """Return what has to be written at this place, and that there is such a unit where it is new."""
    is_sheet = ref == change.unit.sheet
    mine = [one for one in change.added if is_sheet or ref == change.unit.row(one.slot, one.begins)]
    before = Sheet.of(stored.fields if stored else None)
    after = before.changed_by(number, change.closed, mine)
    if after is before:
        return []
    puts = [BulkPut(ref, stored_fields(change.unit.text, after), stored.version if stored else ABSENT)]
    if is_sheet and stored is None:
        puts.append(BulkPut(directory_ref(change.unit), {"unit": change.unit.text, "since": number}, ABSENT))
    return puts
