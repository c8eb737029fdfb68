"""The rows of media in a tabular store: one table, so each step of a life is one atomic write.

A row says all that is known, at its own key, its session's and its user's: a list is one scan, and no object is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4
from weakref import WeakKeyDictionary

from django.db import Error as DatabaseFailure

from media.models import MediaScope
from media.records import (
    TABLE,
    Intent,
    Media,
    intent_key,
    keys_of,
    media_key,
    parts_key,
    read_intent,
    read_media,
    thumbnail_key,
)
from northstar.context import RequestContext
from northstar.errors import AlreadyExists, NotFound
from storage.documents import ABSENT, Delete, Put, Written
from storage.errors import BackendUnavailable
from storage.guard import PAGE_LIMIT, ServedBy
from storage.keys import Scope
from storage.kinds.tabular_store import TabularStore
from storage.opening import open_store

REMEMBERED: Final = timedelta(hours=25)
"""How long an operation's outcome is known: longer than its Idempotency-Key."""

_known: Final[WeakKeyDictionary[object, set[Scope]]] = WeakKeyDictionary()
"""The scopes that are recorded, by the driver of their tables."""
KNOWN_PER_DRIVER: Final = 4096
"""Callers name projects and surfaces as they like: what is forgotten is only looked for again."""


@dataclass(frozen=True, slots=True)
class MediaRow:
    """A media output and the version of its main row."""

    media: Media
    version: int


@dataclass(frozen=True, slots=True)
class IntentRow:
    """What is under way, and the version of its row."""

    intent: Intent
    version: int


@dataclass(frozen=True, slots=True)
class MediaPage:
    """Media in the order of their ids, which is that of their creation. `next_after` is None on the last page."""

    items: tuple[Media, ...]
    next_after: str | None


class MediaRows:
    """The rows of one scope."""

    def __init__(self, tables: TabularStore) -> None:
        self._tables = tables

    @classmethod
    def of(cls, context: RequestContext) -> "MediaRows":
        """Open them in the context. Raises as `storage.opening.open_store`."""
        return cls(open_store("tabular_store", context))

    @property
    def served_by(self) -> ServedBy:
        """Which route answers."""
        return self._tables.served_by

    @property
    def scope(self) -> Scope:
        """Whose they are."""
        return self._tables.scope

    def row(self, media_id: str) -> MediaRow:
        """Return a media output. Raises NotFound."""
        row = self.find(media_id)
        if row is None:
            raise NotFound(f"There is no media output {media_id}.", fix="GET /api/v1/media lists those there are.")
        return row

    def find(self, media_id: str) -> MediaRow | None:
        """Return a media output, or None."""
        record = self._tables.get(TABLE, media_key(media_id))
        media = read_media(record.key, record.data) if record else None
        return MediaRow(media, record.version) if record and media else None

    def intent(self, media_id: str) -> IntentRow | None:
        """Return what is under way with a media output."""
        record = self._tables.get(TABLE, intent_key(media_id))
        intent = read_intent(record.data) if record else None
        return IntentRow(intent, record.version) if record and intent else None

    def parts(self, media_id: str) -> bytes:
        """Return the checksums of the parts, one after the other; empty where there are none."""
        record = self._tables.get(TABLE, parts_key(media_id))
        digests = record.data.get("digests") if record else None
        return digests if isinstance(digests, bytes) else b""

    def thumbnail(self, media_id: str) -> dict[str, Any] | None:
        """Return what is known of the thumbnail: `content` (bytes, or None where none can be made) and `why`."""
        record = self._tables.get(TABLE, thumbnail_key(media_id))
        return record.data if record else None

    def page(self, prefix: str, *, limit: int, after: str | None = None, newest_first: bool = False) -> MediaPage:
        """Return a page of the media below a prefix of keys: one scan."""
        found = self._tables.list_by_prefix(TABLE, prefix, limit=limit, after=after, reverse=newest_first)
        media = (read_media(record.key, record.data) for record in found.records)
        return MediaPage(tuple(one for one in media if one is not None), found.next_after)

    def intents(self, *, after: str | None = None) -> tuple[list[IntentRow], str | None]:
        """Return a page of all that is under way, and the key to go on after."""
        found = self._tables.list_by_prefix(TABLE, intent_key(""), limit=PAGE_LIMIT, after=after)
        rows = [(read_intent(record.data), record.version) for record in found.records]
        return [IntentRow(intent, version) for intent, version in rows if intent], found.next_after

    def known(self, media_ids: Sequence[str]) -> set[str]:
        """Return which of these ids have a main row or an intent, whoever has written it."""
        keys = [key for media_id in media_ids for key in (media_key(media_id), intent_key(media_id))]
        return {record.key.partition(":")[2] for record in self._tables.get_many(TABLE, keys) if record}

    def begin(self, intent: Intent, operation_id: str = "") -> IntentRow | Media:
        """Write down what is about to be done; or return the media output that the same operation has stored before."""
        self._record_scope()
        pending = Put(intent_key(intent.media_id), intent.model_dump(), ABSENT)
        if not operation_id:
            return IntentRow(intent, self._written([pending]))
        key = f"operation:{operation_id}"
        until = datetime.now(UTC) + REMEMBERED
        named = {"media_id": intent.media_id}
        try:
            return IntentRow(intent, self._written([pending, Put(key, named, ABSENT, until)]))
        except AlreadyExists:
            before = self._stored_by(key)
        return before or IntentRow(intent, self._written([pending, Put(key, named, expires_at=until)]))

    def publish(self, begun: IntentRow, media: Media, parts: bytes) -> None:
        """Show the media output and end its intent. Raises VersionConflict when a sweep has taken the intent."""
        shown = [Put(key, media.model_dump(), ABSENT) for key in keys_of(media)]
        checked = [Put(parts_key(media.media_id), {"digests": parts})] if parts else []
        self._written([*shown, *checked, Delete(intent_key(media.media_id), begun.version)])

    def replace(self, row: MediaRow, media: Media, thumbnail: dict[str, Any] | None = None) -> None:
        """Write what has become known of it, and its thumbnail. Raises VersionConflict when it was changed or is gone."""
        main, *others = (Put(key, media.model_dump()) for key in keys_of(media))
        drawn = [Put(thumbnail_key(media.media_id), thumbnail)] if thumbnail is not None else []
        self._written([Put(main.key, main.fields, row.version), *others, *drawn])

    def withdraw(self, row: MediaRow, intent: Intent) -> IntentRow:
        """Hide the media output and note that its bytes are to go. Raises VersionConflict when it was changed or is gone."""
        media = row.media
        main, *others = keys_of(media)
        gone = [*others, parts_key(media.media_id), thumbnail_key(media.media_id)]
        pending = Put(intent_key(media.media_id), intent.model_dump(), ABSENT)
        return IntentRow(intent, self._written([pending, Delete(main, row.version), *map(Delete, gone)]))

    def claim(self, begun: IntentRow, intent: Intent) -> IntentRow:
        """Make what somebody has begun ours to undo. Raises VersionConflict when it went on meanwhile."""
        return IntentRow(intent, self._written([Put(intent_key(intent.media_id), intent.model_dump(), begun.version)]))

    def forget(self, media_id: str) -> None:
        """End an intent whose bytes are gone."""
        self._tables.delete(TABLE, intent_key(media_id), operation_id=uuid4().hex)

    def _stored_by(self, key: str) -> Media | None:
        record = self._tables.get(TABLE, key)
        row = self.find(str(record.data.get("media_id"))) if record else None
        return row.media if row else None  # an attempt that died before its end is left to a sweep

    def _written(self, operations: Sequence[Put | Delete]) -> int:
        """Write all of them, and return the version of the first where it is a put."""
        first = self._tables.write(TABLE, operations, operation_id=uuid4().hex)[0]
        return first.version if isinstance(first, Written) else 0

    def _record_scope(self) -> None:
        known = _known.setdefault(self._tables.cache_anchor, set())
        if self.scope in known:
            return
        scope = self.scope
        try:
            MediaScope.objects.get_or_create(
                tenant_id=scope.tenant, env=scope.env, project_id=scope.project or "", surface_id=scope.surface
            )
        except DatabaseFailure:
            raise BackendUnavailable(
                "The first media output of a scope is noted in the control-plane database, which does not answer. "
                "Nothing was stored."
            ) from None
        if len(known) >= KNOWN_PER_DRIVER:
            known.clear()
        known.add(scope)
