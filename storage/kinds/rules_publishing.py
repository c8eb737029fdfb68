"""Publishing: what changes would do is worked out against what stands, checked, committed as one revision, and applied.

Changes that say what stands already change nothing, and are told so: publishing the same twice makes one revision.
"""

import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Final, Literal

from northstar.context import RequestContext
from northstar.errors import Conflict, FieldError, VersionConflict
from storage.documents import KEY_BYTES
from storage.kinds.rules_documents import RulesDocuments
from storage.kinds.rules_errors import RulesRefused, StoreError
from storage.kinds.rules_history import Edit, Entry, Sheet, Span, edit_of, is_too_large, restatement
from storage.kinds.rules_layout import LEVELS, YEARS, Unit, directory_ref, revision_ref, slot_of, unit_of
from storage.kinds.rules_revisions import Head, Revision, UnitChange, apply, catch_up, commit, entries_of
from storage.kinds.rules_rows import LIMIT, MARK, Change, Retire

Action = Literal["publish", "rollback", "promote"]
ATTEMPTS: Final = 8
REASON_CHARACTERS: Final = 2000
LONGEST_REVISION: Final = 10**10 - 1
"""Stands for any revision where the size of what will be stored is worked out."""

Sheets = Mapping[Unit, Sheet]


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of a slot on the days `[valid_from, valid_to)`."""

    valid_from: date
    valid_to: date | None
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """How what is said of one slot of one unit differs between two revisions."""

    kind: str
    owner: str
    name: str
    slot: str
    before: tuple[Said, ...]
    after: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """What came of a publication. `changed` is False when everything stood already: then `revision` is the one that stands.

    Of a dry run `revision` is the one that it was worked out against, and `changed` says whether it would change anything.
    """

    revision: int
    changed: bool
    differences: tuple[Difference, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants published, whatever stands. `edits` works it out against the sheets of `units`."""

    action: Action
    reason: str
    expect_revision: int | None = None
    dry_run: bool = False
    operation_id: str = ""
    of_revision: int | None = None


class Publisher:
    """Publishes to the rule set of one scope, in the name of whoever asks."""

    def __init__(self, documents: RulesDocuments, context: RequestContext) -> None:
        self._documents = documents
        self._context = context

    def publish(self, changes: Sequence[Change], wish: Wish, *, keep_existing: bool = False) -> Published:
        """Publish changes as one revision. Raises RulesRefused or StoreError."""
        spans = _spans(changes, keep_existing=keep_existing)
        return self._until_ours(wish, lambda: _edits(self.sheets([*spans, YEARS]), spans))

    def restate(self, wanted: Mapping[Unit, Sequence[Entry]], wish: Wish) -> Published:
        """Publish that exactly this is said of these units from now on. Raises as `publish`."""

        def edits() -> tuple[Sheets, dict[Unit, Edit]]:
            sheets = self.sheets([*wanted, YEARS])
            found = {unit: restatement(sheets[unit].current(), entries) for unit, entries in wanted.items()}
            return sheets, _checked(sheets, found)

        return self._until_ours(wish, edits)

    def sheets(self, units: Iterable[Unit]) -> dict[Unit, Sheet]:
        """Read the sheets of these units as they are stored now."""
        named = list(dict.fromkeys(units))
        found = self._documents.get_many([unit.sheet for unit in named])
        return {unit: Sheet.of(one.fields if one else None) for unit, one in zip(named, found, strict=True)}

    def _until_ours(self, wish: Wish, edits: Callable[[], tuple[Sheets, dict[Unit, Edit]]]) -> Published:
        _check_reason(wish)
        for _ in range(ATTEMPTS):
            head = catch_up(self._documents)
            _check_expected(wish, head)
            sheets, found = edits()
            revision = self._revision(wish, head, {unit: edit for unit, edit in found.items() if not edit.is_nothing})
            told = _differences(sheets, revision)
            if wish.dry_run or not revision.changes:
                return self._unchanged(wish, head, told)
            if commit(self._documents, revision):
                apply(self._documents, revision, head)
                return Published(revision.number, True, told)
        raise StoreError(Conflict("Others keep publishing rules at the same time.", fix="Publish again."))

    def _unchanged(self, wish: Wish, head: Head, told: tuple[Difference, ...]) -> Published:
        """Nothing is written. An attempt of the same operation that died may have done it before: then it was ours."""
        ours = False
        if wish.operation_id and head.revision and not wish.dry_run:
            newest = self._documents.get(revision_ref(head.revision))
            ours = newest is not None and newest.fields["operation_id"] == wish.operation_id
        return Published(head.revision, bool(told) or ours, told, wish.dry_run)

    def _revision(self, wish: Wish, head: Head, edits: Mapping[Unit, Edit]) -> Revision:
        number, at = head.revision + 1, datetime.now(UTC)
        changes, count = [], 0
        for unit, edit in edits.items():
            added = entries_of(edit.added, number, at, count)
            changes.append(UnitChange(unit, tuple(edit.closed), added))
            count += len(added)
        return Revision(
            number=number,
            action=wish.action,
            actor=self._context.actor,
            reason=wish.reason,
            request_id=self._context.request_id,
            at=at,
            lineage=head.lineage or secrets.token_hex(8),
            changes=tuple(changes),
            of_revision=wish.of_revision,
            operation_id=wish.operation_id,
        )


def _check_reason(wish: Wish) -> None:
    if not wish.dry_run and not 0 < len(wish.reason.strip()) <= REASON_CHARACTERS:
        detail = f"Say why, in 1 to {REASON_CHARACTERS} characters."
        raise RulesRefused(detail, fix="Send a reason.", errors=[FieldError("reason", "missing", detail)])


def _check_expected(wish: Wish, head: Head) -> None:
    if wish.expect_revision is not None and wish.expect_revision != head.revision:
        raise StoreError(VersionConflict(f"The rules are at revision {head.revision}, not at {wish.expect_revision}."))


def _spans(changes: Sequence[Change], *, keep_existing: bool) -> dict[Unit, list[Span]]:
    """Return what each change says, by unit. Raises RulesRefused where two of them speak of the same days of the same thing."""
    if not changes:
        raise RulesRefused("There is nothing to publish.", fix="Send at least one change.")
    spans: dict[Unit, list[Span]] = defaultdict(list)
    errors = []
    for place, change in enumerate(changes):
        row = change.row() if isinstance(change, Retire) else change
        body = None if isinstance(change, Retire) else row.body()
        span = Span(slot_of(row), change.valid_from, change.valid_to, body, fills=keep_existing and body is not None)
        unit = unit_of(row)
        if any(one.slot == span.slot and one.begins < span.end and span.begins < one.end for one in spans[unit]):
            detail = f"Another change speaks of the same {row.kind} on the same days."
            errors.append(FieldError(f"changes.{place}", "overlap", detail))
        spans[unit].append(span)
    if errors:
        raise RulesRefused.over(errors)
    return spans


def _edits(sheets: Sheets, spans: Mapping[Unit, Sequence[Span]]) -> tuple[Sheets, dict[Unit, Edit]]:
    found = {unit: edit_of(sheets[unit].current(), wanted) for unit, wanted in spans.items()}
    return sheets, _checked(sheets, found)


def _checked(sheets: Sheets, edits: dict[Unit, Edit]) -> dict[Unit, Edit]:
    """Return the edits with what follows from them. Raises RulesRefused: a circle, a unit too large."""
    edits = {**edits, YEARS: _years(sheets, edits)}
    if LEVELS in edits:
        _check_chain(_after(sheets[LEVELS], edits[LEVELS]))
    for unit, edit in edits.items():
        _check_storable(unit, sheets[unit], edit)
    return edits


def _check_storable(unit: Unit, now: Sheet, edit: Edit) -> None:
    """Refuse what no document could hold: a revision that is committed must be applied, by whoever comes next."""
    what = " ".join(part for part in (unit.kind, unit.owner, unit.name) if part)
    if len(directory_ref(unit).key.encode()) > KEY_BYTES:
        raise RulesRefused(f"The names of {what[:100]}… are too long together.", fix="Shorten one of them.")
    added = entries_of(edit.added, LONGEST_REVISION, datetime.now(UTC))
    if is_too_large(unit.text, now.changed_by(LONGEST_REVISION, edit.closed, added)):
        raise RulesRefused(f"The {what} would be larger than 350 KiB.", fix="Split it.")


def _after(sheet: Sheet, edit: Edit) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the slots and bodies that stand after an edit."""
    kept = [(entry.slot, entry.body) for entry in sheet.current() if entry.id not in edit.closed]
    return kept + [(span.slot, span.body or {}) for span in edit.added]


def _years(sheets: Sheets, edits: Mapping[Unit, Edit]) -> Edit:
    """Return how the list of years with figures changes with the limits."""
    spans = []
    for unit, edit in edits.items():
        if unit.kind == LIMIT:
            has_figures = any(body["status"] == "published" for _, body in _after(sheets[unit], edit))
            spans.append(Span(unit.owner, date.min, None, {"year": int(unit.owner)} if has_figures else None))
    return edit_of(sheets[YEARS].current(), spans)


def _check_chain(levels: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Refuse levels that lead back to themselves, on whatever days: whoever reads must come to GLOBAL."""
    parents: dict[str, set[str]] = defaultdict(set)
    for owner, body in levels:
        parents[owner].add(body["parent"])
    for owner in parents:
        seen, ahead = set[str](), {owner}
        while ahead:
            ahead = {parent for one in ahead for parent in parents.get(one, ()) if MARK in parent} - seen
            if owner in ahead:
                detail = f"{owner} would fall back to itself."
                raise RulesRefused(detail, errors=[FieldError("changes", "cycle", detail)])
            seen |= ahead


def _differences(sheets: Sheets, revision: Revision) -> tuple[Difference, ...]:
    found: list[Difference] = []
    for change in revision.changes:
        if change.unit == YEARS:  # follows from the limits
            continue
        before = sheets[change.unit]
        after = replace(before.changed_by(revision.number, change.closed, change.added), floor=0)
        found += differences(change.unit, before.current(), after.current())
    return tuple(found)


def differences(unit: Unit, before: Iterable[Entry], after: Iterable[Entry]) -> list[Difference]:
    """Return how two sets of entries of a unit differ, slot by slot; days that say the same are left out."""
    old, new = _by_slot(before), _by_slot(after)
    found = []
    for slot in sorted(old.keys() | new.keys()):
        gone = {entry.said: entry for entry in old.get(slot, ())}
        come = {entry.said: entry for entry in new.get(slot, ())}
        if gone.keys() != come.keys():
            lost = tuple(_said(entry) for said, entry in gone.items() if said not in come)
            won = tuple(_said(entry) for said, entry in come.items() if said not in gone)
            found.append(Difference(unit.kind, unit.owner, unit.name, slot, lost, won))
    return found


def _by_slot(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    slots: dict[str, list[Entry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda one: one.begins):
        slots[entry.slot].append(entry)
    return slots


def _said(entry: Entry) -> Said:
    return Said(entry.begins, entry.ends, entry.body)
