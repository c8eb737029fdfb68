"""The mirror: it brings what changed to the routing registry, in the order of the audit trail, and anchors the trail there.

The trail is the queue: the registry's newest anchor says how far it was read, so nothing is owed that could be lost, an outage of
any length costs no memory, and a registry on a new backend is filled from the beginning by itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.db import transaction

from northstar.errors import AlreadyExists, NorthstarError, VersionConflict
from routing import audit
from routing.entries import Subject, entry_of, subjects_of
from routing.models import RegistryMirror, RouteChange, SnapshotRevision
from routing.operations.pauses import pause_after
from routing.operations.registry import check_ours, open_registry
from storage.kinds.routing_registry_store import Anchor, Entry, RoutingRegistryStore, Trail

PAGE: Final = 100
BATCH: Final = 2000
"""Audit rows of one run: a long backlog is mirrored in several, and its progress can be seen."""


@dataclass(frozen=True, slots=True)
class MirrorReport:
    """What one run did: audit rows mirrored, and how many wait."""

    mirrored: int
    waiting: int


@dataclass(frozen=True, slots=True)
class _Page:
    """Some rows of the trail: what the rows of the control plane that they touched say now, and the last of them."""

    entries: tuple[Entry, ...]
    last: Anchor
    rows: int


def mirror_changes(limit: int = BATCH) -> MirrorReport:
    """Mirror up to about `limit` audit rows. Several processes may run this at once; a failure waits for its pause to end.

    Each row of the control plane is mirrored as it is now, with the number of the newest audit row: at least as new as the change
    that is mirrored, and never written over anything newer.
    """
    state = mirror_state()
    newest = audit.current().audit_rows
    if state.mirrored == newest or (state.next_attempt_at and state.next_attempt_at > datetime.now(UTC)):
        return MirrorReport(0, newest - state.mirrored)
    done = 0
    try:
        registry = open_registry()
        trail = registry.trail()
        if trail:
            check_ours(trail)
        note_mirrored(trail.mirrored if trail else 0)
        while done < limit and (page := _page(trail.mirrored if trail else 0)):
            trail = _mirror(registry, trail, page)
            note_mirrored(page.last.number)
            done += page.rows
    except (VersionConflict, AlreadyExists):  # another process mirrors; it goes on from where it was
        return _report(done)
    except NorthstarError as error:  # redacted by the guard: it never holds a secret
        _hold(error)
    return _report(done)


def read_entries(subjects: Iterable[Subject], state: SnapshotRevision) -> tuple[Entry, ...]:
    """Return what these rows say now. `state` is what `audit.lock` returned in the caller's transaction."""
    entries = (entry_of(subject, state.audit_rows) for subject in subjects)
    return tuple(entry for entry in entries if entry)


def mirror_state() -> RegistryMirror:
    """Return how far the mirror is, as it was last seen."""
    return RegistryMirror.objects.get_or_create(pk=RegistryMirror.ROW)[0]


def note_mirrored(number: int) -> None:
    """Remember that everything up to this audit row is mirrored, and that the registry answers."""
    values = {"mirrored": number, "mirrored_at": datetime.now(UTC)}
    RegistryMirror.objects.filter(pk=RegistryMirror.ROW).update(
        **values, attempts=0, next_attempt_at=None, last_error=""
    )


def _mirror(registry: RoutingRegistryStore, trail: Trail | None, page: _Page) -> Trail:
    registry.save_many(page.entries)
    return registry.keep_trail(trail.moved_on(page.last) if trail else Trail(page.last))


def _page(after: int) -> _Page | None:
    """Read some rows of the trail and what they touched, while nothing changes: all of one moment."""
    with transaction.atomic():
        state = audit.lock()
        rows = list(RouteChange.objects.filter(id__gt=after).order_by("id")[:PAGE])
        if not rows:
            return None
        subjects: dict[Subject, None] = {subject: None for row in rows for subject in subjects_of(row)}
        return _Page(read_entries(subjects, state), Anchor(rows[-1].pk, rows[-1].hash), len(rows))


def _hold(error: NorthstarError) -> None:
    state = mirror_state()
    state.attempts += 1
    state.next_attempt_at = datetime.now(UTC) + pause_after(state.attempts)
    state.last_error = f"{error.code}: {error.told()}"
    state.save(update_fields=["attempts", "next_attempt_at", "last_error"])


def _report(done: int) -> MirrorReport:
    return MirrorReport(done, audit.current().audit_rows - mirror_state().mirrored)
