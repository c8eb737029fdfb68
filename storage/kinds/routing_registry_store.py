"""RoutingRegistryStore: a durable mirror of the control plane, from which all routes come back into an empty database.

Each section (tenants, aliases, routes, locks) is one partition, a document per row. An entry carries the number of the audit row
up to which it tells the truth, and a later number is never overwritten by an earlier one. The partition `trail` holds one
document: the newest anchor of the audit trail, so that a trail that was rewritten as a whole is still found out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from northstar.context import RequestContext
from northstar.errors import AlreadyExists, Conflict, NorthstarError, VersionConflict
from storage.documents import ABSENT, BulkPut, Document, Expect, Ref
from storage.errors import BackendRejected
from storage.guard import GuardedDocuments, ServedBy

COLLECTION: Final = "routing_registry_store"
ROUTES: Final = "routes"
TENANTS: Final = "tenants"
ALIASES: Final = "aliases"
LOCKS: Final = "locks"
SECTIONS: Final = (TENANTS, ALIASES, ROUTES, LOCKS)
"""In the order in which they can be restored: a route needs its tenant, and a lock would keep it out."""

TRAIL: Final = "trail"
HEAD: Final = "head"
PAGE: Final = 200
ATTEMPTS: Final = 8
EARLIER_ANCHORS: Final = 64
TOMBSTONE_TIME: Final = timedelta(days=30)
"""How long it is remembered that something is gone: no write on its way is as old."""

KEY_MARK: Final = "#"
"""Joins a routing key. No part of one may hold it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A mirrored row: what it said when audit row `number` was the newest. `data` is None when it was gone by then."""

    section: str
    name: str
    number: int
    data: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Anchor:
    """The hash of one row of the audit trail, by the row's number."""

    number: int
    hash: str


@dataclass(frozen=True, slots=True)
class Resumption:
    """A trail that goes on in another database: its next row is `number` + 1, its last row before was `kept` (None: it had none).

    Rows between the two are those of the database that was lost.
    """

    number: int
    kept: Anchor | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Trail:
    """What the registry knows of the audit trail. `earlier` lie apart from one another, ever wider towards the beginning."""

    newest: Anchor
    earlier: tuple[Anchor, ...] = ()
    resumed: Resumption | None = None
    version: int = 0
    """Of the document: whoever changes the trail says which one was read."""

    @property
    def anchors(self) -> tuple[Anchor, ...]:
        """Every anchor of the database that is mirrored now, the earliest first."""
        begin = self.resumed.number if self.resumed else 0
        return tuple(anchor for anchor in (*self.earlier, self.newest) if anchor.number > begin)

    @property
    def mirrored(self) -> int:
        """The number of the row up to which everything is mirrored."""
        return max(self.newest.number, self.resumed.number if self.resumed else 0)

    def moved_on(self, newest: Anchor) -> "Trail":
        """Return the trail with a newer anchor; of too many earlier ones every second is given up."""
        earlier = (*self.earlier, self.newest)
        if len(earlier) > EARLIER_ANCHORS:
            earlier = earlier[::2]
        return replace(self, newest=newest, earlier=earlier)


def route_name(resource_kind: str, tenant_id: str, env: str, project_id: str | None) -> str:
    """Return the name of a route's entry: `kind#tenant#env`, or `kind#tenant#env#project`."""
    return KEY_MARK.join([resource_kind, tenant_id, env, *([] if project_id is None else [project_id])])


class RoutingRegistryStore:
    """The registry of one deployment, in the scope of `t_system`."""

    def __init__(self, documents: GuardedDocuments, context: RequestContext) -> None:
        self.context = context
        self._documents = documents

    @property
    def served_by(self) -> ServedBy:
        return self._documents.served_by

    def load_all(self, section: str = ROUTES) -> Iterator[Entry]:
        """Yield every entry of a section that is not gone, in the byte order of the names, a page at a time."""
        cursor = None
        while True:
            page = self._documents.scan(COLLECTION, (section,), limit=PAGE, cursor=cursor)
            for document in page.documents:
                entry = _entry(section, document)
                if entry.data is not None:
                    yield entry
            cursor = page.cursor
            if cursor is None:
                return

    def save(self, entry: Entry) -> bool:
        """Store an entry and say whether it was news: a later number that is stored already stays. Raises as `save_many`."""
        return self.save_many([entry])[0]

    def delete(self, section: str, name: str, number: int) -> bool:
        """Record that a row was gone at this number; otherwise as `save`."""
        return self.save(Entry(section, name, number, None))

    def save_many(self, entries: Sequence[Entry]) -> list[bool]:
        """Store entries of different names, each as `save` does, and say of each whether it was news.

        Raises Conflict when one is written by others all the time; then those before it may be stored.
        """
        news = [False] * len(entries)
        for start in range(0, len(entries), PAGE):
            places = range(start, min(start + PAGE, len(entries)))
            for place in self._save_page({place: entries[place] for place in places}):
                news[place] = True
        return news

    def trail(self) -> Trail | None:
        """Return what is known of the audit trail; None in a registry that nothing was mirrored to."""
        document = self._documents.get(_TRAIL_REF)
        return _trail(document) if document else None

    def keep_trail(self, trail: Trail) -> Trail:
        """Store a trail in the place of the one that was read (`version` 0: of none), and return it as stored.

        Raises VersionConflict or AlreadyExists when another process was faster.
        """
        expect: Expect = trail.version or ABSENT
        written = self._documents.put(_TRAIL_REF, _trail_fields(trail), expect=expect)
        return replace(trail, version=written.version)

    def _save_page(self, waiting: dict[int, Entry]) -> list[int]:
        """Store a page of entries and return the places of those that were news."""
        saved: list[int] = []
        for _ in range(ATTEMPTS):
            refs = [_ref(entry) for entry in waiting.values()]
            stored = dict(zip(waiting, self._documents.get_many(refs), strict=True))
            waiting = {place: entry for place, entry in waiting.items() if _is_news(entry, stored[place])}
            if not waiting:
                return saved
            puts = [_put(entry, stored[place]) for place, entry in waiting.items()]
            outcomes = dict(zip(waiting, self._documents.put_many(puts), strict=True))
            for place, outcome in outcomes.items():
                if not isinstance(outcome, Exception):
                    saved.append(place)
                    del waiting[place]
                elif not isinstance(outcome, AlreadyExists | VersionConflict):
                    raise _told_whose(outcome, waiting[place])
        raise Conflict("Another process keeps writing the same entries of the routing registry.", fix="Try again.")


_TRAIL_REF: Final = Ref(COLLECTION, (TRAIL,), HEAD)


def _told_whose(error: Exception, entry: Entry) -> Exception:
    if isinstance(error, NorthstarError):
        error.detail = f"{entry.name} cannot be mirrored. {error.detail}"
    return error


def _ref(entry: Entry) -> Ref:
    return Ref(COLLECTION, (entry.section,), entry.name)


def _entry(section: str, document: Document) -> Entry:
    return Entry(section, document.ref.key, document.fields["number"], document.fields["data"])


def _is_news(entry: Entry, stored: Document | None) -> bool:
    """Whether to store it. Of one number the data differ only where they were damaged: then they are put right."""
    if stored is None:
        return True
    there = _entry(entry.section, stored)
    return there.number < entry.number or (there.number == entry.number and there.data != entry.data)


def _put(entry: Entry, stored: Document | None) -> BulkPut:
    data = None if entry.data is None else dict(entry.data)
    fields = {"number": entry.number, "data": data}
    expires_at = datetime.now(UTC) + TOMBSTONE_TIME if data is None else None
    return BulkPut(_ref(entry), fields, stored.version if stored else ABSENT, expires_at)


def _trail_fields(trail: Trail) -> dict[str, Any]:
    resumed = trail.resumed
    return {
        "newest": _anchor_fields(trail.newest),
        "earlier": [_anchor_fields(anchor) for anchor in trail.earlier],
        "resumed": resumed
        and {
            "number": resumed.number,
            "kept": resumed.kept and _anchor_fields(resumed.kept),
            "at": resumed.at,
        },
    }


def _trail(document: Document) -> Trail:
    """Read the trail's document. Raises BackendRejected for one that was damaged."""
    try:
        return _trail_of(document.fields, document.version)
    except (KeyError, TypeError):
        raise BackendRejected(
            "The document of the trail in the routing registry was damaged.",
            fix=f"Restore {HEAD} of the partition {TRAIL}, or let a route of t_system lead to an empty place.",
        ) from None


def _trail_of(fields: Mapping[str, Any], version: int) -> Trail:
    resumed = fields["resumed"]
    return Trail(
        newest=_anchor_of(fields["newest"]),
        earlier=tuple(map(_anchor_of, fields["earlier"])),
        resumed=resumed
        and Resumption(resumed["number"], resumed["kept"] and _anchor_of(resumed["kept"]), resumed["at"]),
        version=version,
    )


def _anchor_of(fields: Mapping[str, Any]) -> Anchor:
    return Anchor(fields["number"], fields["hash"])


def _anchor_fields(anchor: Anchor) -> dict[str, Any]:
    return {"number": anchor.number, "hash": anchor.hash}
