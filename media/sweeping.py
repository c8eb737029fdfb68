"""Sweeping: what a crash, or somebody who left, has begun and not ended is undone or finished; and objects meet their rows.

An intent that is over belongs to nobody any more: whoever began it fails when the sweep has taken it, by its version. A deletion
that was written down is finished at once. Objects without a row, and rows without an object, are looked for only when asked.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, cast

from django.core.cache import cache

from media.deleting import finish, objects_at, to_undo
from media.models import MediaScope
from media.reading import bytes_of, note_integrity
from media.records import DELETING, MISSING, Media, mark_of, media_key, object_key
from media.rows import IntentRow, MediaRows
from northstar.context import NO_SURFACE, RequestContext
from northstar.errors import NorthstarError, NotFound, VersionConflict
from routing.resolve import snapshot
from storage.blobs import BlobEntry
from storage.guard import PAGE_LIMIT
from storage.kinds.object_store import ObjectStore
from storage.opening import open_store

OLDER_THAN: Final = timedelta(hours=24)
"""How long something must be over before a sweep takes it."""
SWEPT_EVERY: Final = timedelta(days=1)
ACTOR: Final = "command:sweep_media"
_TURN: Final = "northstar.sweep_media"
_OBJECTS: Final = object_key("")

Found = Literal["abandoned upload", "unfinished deletion", "object without a row", "row without an object"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be, and whether it was repaired, or why it could not be."""

    found: Found
    media_id: str
    repaired: bool = False
    error: NorthstarError | None = None


@dataclass(frozen=True, slots=True)
class ScopeSweep:
    """What was found in one scope, or why nobody could look."""

    scope: str
    findings: tuple[Finding, ...] = ()
    error: NorthstarError | None = None

    @property
    def failed(self) -> bool:
        """Whether something could not be looked at or repaired."""
        return self.error is not None or any(one.error for one in self.findings)


def sweep_media(*, older_than: timedelta = OLDER_THAN, repair: bool, objects: bool = False) -> Iterator[ScopeSweep]:
    """Sweep every scope in which media were ever stored; one failure holds up nothing else.

    With `objects`, compare objects and rows too. Without `repair`, only tell.
    """
    before = datetime.now(UTC) - older_than
    for scope in MediaScope.objects.all():
        yield _swept(scope, before, repair=repair, objects=objects)


def _swept(scope: MediaScope, before: datetime, *, repair: bool, objects: bool) -> ScopeSweep:
    try:
        return ScopeSweep(
            str(scope), tuple(sweep_scope(context_of(scope), before=before, repair=repair, objects=objects))
        )
    except NorthstarError as error:
        return ScopeSweep(str(scope), error=error)


def context_of(scope: MediaScope) -> RequestContext:
    """Return the context in which a scope's media are swept. Raises NotFound for a tenant that is gone."""
    mode = snapshot().modes.get(scope.tenant_id)
    if mode is None:
        raise NotFound(f"There is no tenant {scope.tenant_id!a}.")
    return RequestContext(
        scope.tenant_id,
        scope.env,
        mode,
        project_id=scope.project_id or None,
        surface_id=scope.surface_id or NO_SURFACE,
        actor=ACTOR,
    )


def sweep_scope(context: RequestContext, *, before: datetime, repair: bool, objects: bool = False) -> Iterator[Finding]:
    """Yield what is not as it should be in one scope and was so before `before`, each repaired if asked for."""
    rows = MediaRows.of(context)
    yield from _intents(context, rows, before, repair=repair)
    if objects:
        for store in _places(context, rows):
            yield from _compared(rows, store, before, repair=repair)


def _intents(context: RequestContext, rows: MediaRows, before: datetime, *, repair: bool) -> Iterator[Finding]:
    after: str | None = None
    while True:
        found, after = rows.intents(after=after)
        for begun in found:
            deleting = begun.intent.state == DELETING
            if deleting or begun.intent.over_at <= before:
                finding = Finding("unfinished deletion" if deleting else "abandoned upload", begun.intent.media_id)
                yield _undone(context, rows, begun, finding) if repair else finding
        if after is None:
            return


def _undone(context: RequestContext, rows: MediaRows, begun: IntentRow, finding: Finding) -> Finding:
    try:
        objects = objects_at(context, begun.intent)
        if begun.intent.state != DELETING:
            begun = rows.claim(begun, to_undo(begun.intent))
        finish(rows, objects, begun)
    except NorthstarError as error:
        return Finding(finding.found, finding.media_id, error=error)
    return Finding(finding.found, finding.media_id, repaired=True)


def _places(context: RequestContext, rows: MediaRows) -> Iterator[ObjectStore]:
    """Yield the store of today, and each other one that a row refers to."""
    today = cast("ObjectStore", open_store("object_store", context))
    seen = {today.served_by.place}
    yield today
    for media in _all(rows):
        where = media.where
        if where is not None and where.place not in seen:
            seen.add(where.place)
            yield bytes_of(context, media)


def _all(rows: MediaRows) -> Iterator[Media]:
    after: str | None = None
    while True:
        page = rows.page(media_key(""), limit=PAGE_LIMIT, after=after)
        yield from page.items
        after = page.next_after
        if after is None:
            return


def _compared(rows: MediaRows, store: ObjectStore, before: datetime, *, repair: bool) -> Iterator[Finding]:
    """Walk along the objects and the rows of one place, both in the order of their ids."""
    here = (media for media in _all(rows) if media.where and media.where.place == store.served_by.place)
    media = next(here, None)
    for entry in _entries(store):
        media_id = entry.key.removeprefix(_OBJECTS)
        while media is not None and media.media_id < media_id:
            yield from _without_object(rows, store, media, repair=repair)
            media = next(here, None)
        if media is not None and media.media_id == media_id:
            media = next(here, None)
        elif entry.modified_at <= before:
            yield from _without_row(rows, store, entry, media_id, repair=repair)
    while media is not None:
        yield from _without_object(rows, store, media, repair=repair)
        media = next(here, None)


def _entries(store: ObjectStore) -> Iterator[BlobEntry]:
    cursor: str | None = None
    while True:
        page = store.list(prefix=_OBJECTS, cursor=cursor)
        yield from page.blobs
        cursor = page.cursor
        if cursor is None:
            return


def _without_row(
    rows: MediaRows, store: ObjectStore, entry: BlobEntry, media_id: str, *, repair: bool
) -> Iterator[Finding]:
    """Look again at an object that no row of this place refers to: it may be somebody's own, or on its way."""
    info = store.head(entry.key)
    if info is None or dict(info.metadata) != mark_of(media_id) or rows.known([media_id]):
        return
    finding = Finding("object without a row", media_id)
    try:
        repaired = repair and store.delete(entry.key, expect=info.etag)
        yield Finding(finding.found, media_id, repaired=repaired)
    except NorthstarError as error:
        yield Finding(finding.found, media_id, error=error)


def _without_object(rows: MediaRows, store: ObjectStore, media: Media, *, repair: bool) -> Iterator[Finding]:
    """Look again at a row whose object was not listed. What is certain is noted in the row: people decide what becomes of it."""
    row = rows.find(media.media_id)
    if row is None or row.media.object_ref != media.object_ref or store.head(object_key(media.media_id)):
        return
    noted = row.media.integrity == MISSING
    if repair and not noted:
        try:
            note_integrity(rows, row, MISSING)
            noted = True
        except VersionConflict:  # somebody changed or deleted it at this moment
            return
    yield Finding("row without an object", media.media_id, repaired=noted)


def sweep_media_in_turn() -> None:
    """Repair what is certainly abandoned, and log it, unless another process that shares the cache does so today."""
    if not cache.add(_TURN, True, timeout=SWEPT_EVERY.total_seconds() / 2):
        return
    for one in sweep_media(repair=True):
        if one.error:
            logger.warning("Media of %s were not swept: %s", one.scope, one.error.told())
        for finding in one.findings:
            outcome = finding.error.told() if finding.error else "repaired"
            logger.info("Media output %s of %s: %s: %s", finding.media_id, one.scope, finding.found, outcome)
