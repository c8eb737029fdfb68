"""What one process knows of one rule set: sheets that are right for the newest revision, in three tiers.

The process's own memory answers without asking anybody; the shared cache is asked next, by revision, so that nothing in it
is ever out of date; then the store, once for any number of readers who want the same. An integer, asked for at most every
NORTHSTAR_RULES_POLL_SECONDS, tells when to look again, and the head tells which units changed since.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from time import monotonic
from typing import Any, Final, Literal, Protocol
from weakref import WeakKeyDictionary

import structlog
from django.conf import settings
from django.dispatch import Signal
from prometheus_client import Counter

from storage.errors import BackendUnavailable
from storage.keys import Scope
from storage.kinds.rules_documents import RulesDocuments
from storage.kinds.rules_errors import CacheError, DamagedRules, StoreError
from storage.kinds.rules_history import Sheet
from storage.kinds.rules_layout import HEAD, Unit
from storage.kinds.rules_revisions import Head, digest_of

Tier = Literal["process", "cache", "store"]
MOST_UNITS: Final = 20_000
"""Of one rule set in one process's memory."""
MOST_ANSWERS: Final = 50_000
MOST_SCOPES: Final = 1_000
CACHE_SECONDS: Final = 3600
"""How long the shared cache keeps a sheet. Nothing depends on it: a new revision is another key."""
CACHE_PAUSE_SECONDS: Final = 1.0
"""How long a cache that failed is left alone, so that nobody waits for it again and again."""
ASKING_SECONDS: Final = 1.0
"""How long a reader waits for another that asks the store, before it takes the store for away."""
OUTAGE_PAUSE_SECONDS: Final = 2.0
"""Between the tries to reach a store that is away, while what was known last is served."""

CACHE_WARNINGS: Final = Counter("northstar_rules_cache_warnings", "Times that the shared cache of rules failed.")
READS: Final = Counter("northstar_rules_reads", "Units of rules that were read, by who gave them.", ("tier",))
STALE: Final = Counter("northstar_rules_stale_answers", "Answers of what was known last, with the store away.")

rules_published: Final = Signal()
"""Sent after every publication of this process with `scope`: a hint to look again, never a promise."""

_log = structlog.get_logger("northstar.rules")


class SharedCache(Protocol):
    """A cache of several processes. Each method raises CacheError when it does not answer."""

    def get(self, key: str) -> Any: ...

    def setex(self, key: str, ttl_seconds: int, value: Any) -> None: ...

    def delete(self, key: str) -> None: ...


@dataclass(slots=True)
class Snapshot:
    """Sheets as they are in one revision. It gains sheets, and never another revision."""

    head: Head
    sheets: dict[Unit, Sheet] = field(default_factory=dict)
    answers: dict[Any, Any] = field(default_factory=dict)
    """What was made of the sheets, by question."""
    today: date = field(default_factory=lambda: datetime.now(UTC).date())


@dataclass(frozen=True, slots=True)
class Asked:
    """How somebody reads: which revision (0: the newest), with which cache, how old an answer may be with the store away."""

    revision: int = 0
    max_stale: float = 0.0
    cache: "CacheInUse | None" = None


@dataclass(frozen=True, slots=True)
class Found:
    """Sheets and the snapshot that they are of. `tier` is the slowest that was asked; `stale`: the store is away."""

    snapshot: Snapshot
    sheets: dict[Unit, Sheet]
    tier: Tier
    stale: bool


class Knowledge:
    """One rule set as this process knows it. Many threads read at once."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.next_check = 0.0
        self._checked_at = 0.0
        self._failure: str | None = None
        """Why the store could not be asked last. An error itself would keep whoever met it, and so the driver, alive."""
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._flights: dict[Any, Future[Any]] = {}

    @property
    def is_fresh(self) -> bool:
        """Whether what is known may be told without asking."""
        return monotonic() < self.next_check and self._failure is None

    def sheets(self, documents: RulesDocuments, units: Sequence[Unit], asked: "Asked") -> Found:
        """Return these units' sheets as they are now, or at least as they were in the revision that was asked for.

        One round trip brings everything that is unknown. Raises StoreError when the store is away and what was known last is
        older than the reader takes, or nothing.
        """
        try:
            snapshot, tier = self._current(documents, units, asked.revision)
            sheets = _known_of(snapshot, units)
            missing = tuple(unit for unit in units if unit not in sheets)
            if missing:
                key = (snapshot.head.revision, missing)
                tier, more = self._once(key, lambda: _filled(documents, snapshot, missing, asked.cache))
                sheets |= more
            return Found(snapshot, sheets, tier, stale=False)
        except StoreError as error:
            return self._last_known(units, asked, error)

    def remember(self, question: Any, answer: Any, *, today: bool) -> None:
        """Keep an answer for whoever asks the same of the same revision; of `today`, for as long as that is its day."""
        snapshot = self.snapshot
        if snapshot is None or snapshot.head.revision != answer.revision or (today and snapshot.today != answer.as_of):
            return
        if len(snapshot.answers) >= MOST_ANSWERS:
            snapshot.answers.clear()
        snapshot.answers[question] = replace(answer, tier="process")

    def newest(self, documents: RulesDocuments) -> int:
        """Return the revision that the store has by now: whatever was acknowledged before the call counts.

        Nobody else's question is waited for: it may have been answered before that. Raises StoreError.
        """
        return self._ask(documents, ()).head.revision

    def look_again(self) -> None:
        """Have the next reader ask for the revision."""
        self.next_check = 0.0

    def _current(self, documents: RulesDocuments, units: Sequence[Unit], revision: int) -> tuple[Snapshot, Tier]:
        """Return a snapshot that is new enough; the first question that a process asks brings the units' sheets along."""
        snapshot = self.snapshot
        if snapshot is None:
            return self._once(("first", tuple(units)), lambda: self._ask(documents, units)), "store"
        if 0 < revision <= snapshot.head.revision:
            return snapshot, "process"
        if monotonic() >= self.next_check or snapshot.head.revision < revision:
            self._ask_in_turn(documents, revision)
        elif self._failure is not None:
            raise StoreError(BackendUnavailable(self._failure))
        return self.snapshot or snapshot, "process"

    def _ask_in_turn(self, documents: RulesDocuments, revision: int) -> None:
        """Ask for the head, unless another thread is asking and what is known is only a moment old."""
        a_moment = monotonic() - self._checked_at < 2 * settings.NORTHSTAR_RULES_POLL_SECONDS and not revision
        if not self._asking.acquire(timeout=0 if a_moment else ASKING_SECONDS):
            if a_moment:
                return
            raise StoreError(BackendUnavailable("The store of the rules does not answer."))
        try:
            known = self.snapshot.head.revision if self.snapshot else 0
            if monotonic() >= self.next_check or known < revision:
                self._ask(documents, ())
        finally:
            self._asking.release()

    def _ask(self, documents: RulesDocuments, units: Sequence[Unit]) -> Snapshot:
        began = monotonic()
        try:
            found = documents.get_many([HEAD, *(unit.sheet for unit in units)])
        except StoreError as error:
            if error.retryable:
                self._failure = error.detail
                self.next_check = monotonic() + OUTAGE_PAUSE_SECONDS
            raise
        head = Head.of(found[0])
        with self._lock:
            snapshot = self.snapshot = _moved(self.snapshot, head, is_later=began > self._checked_at)
            self._checked_at = monotonic()
        self._failure = None
        self.next_check = self._checked_at + settings.NORTHSTAR_RULES_POLL_SECONDS
        for unit, document in zip(units, found[1:], strict=True):
            sheet = Sheet.of(document.fields if document else None)
            if _is_of(sheet, unit, head) and snapshot.head.revision == head.revision:
                snapshot.sheets[unit] = sheet
                READS.labels("store").inc()
        return snapshot

    def _once(self, key: Any, call: Callable[[], Any]) -> Any:
        """Return the call's result; of many threads that want the same at once, one makes the call."""
        with self._lock:
            flight = self._flights.get(key)
            mine = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if not mine:
            return flight.result()
        try:
            result = call()
        except BaseException as error:
            flight.set_exception(error)
            raise
        else:
            flight.set_result(result)
            return result
        finally:
            with self._lock:
                del self._flights[key]
            del flight  # with an error in it, it would hold this frame, and this frame it

    def _last_known(self, units: Sequence[Unit], asked: "Asked", error: StoreError) -> Found:
        """Answer from memory and cache alone, or raise the error: a pinned revision never changes, anything else is stale."""
        snapshot = self.snapshot
        if not error.retryable or snapshot is None or snapshot.head.revision < asked.revision:
            raise error
        if not asked.revision and monotonic() - self._checked_at > asked.max_stale:
            raise error
        sheets = _known_of(snapshot, units)
        left = [unit for unit in units if unit not in sheets]
        if asked.cache is not None:
            sheets |= _from_cache(snapshot, left, asked.cache)
        if len(sheets) < len(set(units)):
            raise error
        STALE.inc(0 if asked.revision else 1)
        return Found(snapshot, sheets, "cache" if left else "process", stale=not asked.revision)


def _known_of(snapshot: Snapshot, units: Sequence[Unit]) -> dict[Unit, Sheet]:
    return {unit: sheet for unit in units if (sheet := snapshot.sheets.get(unit)) is not None}


def _moved(snapshot: Snapshot | None, head: Head, *, is_later: bool) -> Snapshot:
    """Return the snapshot of this head: the same one, or a new one with what has not changed since.

    `is_later`: the head was asked for after the snapshot's had come. Then one that is behind it, or another of the same revision,
    is that of a store which was restored from a backup, and nothing that is known counts any more.
    """
    if snapshot is not None and is_later and _was_restored(snapshot.head, head):
        return Snapshot(head)
    if snapshot is not None and snapshot.head.lineage == head.lineage:
        if snapshot.head.revision >= head.revision:
            today = datetime.now(UTC).date()
            if snapshot.today != today:
                return Snapshot(snapshot.head, dict(snapshot.sheets), today=today)
            return snapshot
        before = snapshot.head.revision
        if head.recent_floor <= before and len(snapshot.sheets) < MOST_UNITS:
            kept = {unit: one for unit, one in snapshot.sheets.copy().items() if head.last_change(unit) <= before}
            return Snapshot(head, kept)
    return Snapshot(head)


def _was_restored(known: Head, head: Head) -> bool:
    return (head.revision, head.version) != (known.revision, known.version) and head.revision <= known.revision


def _is_of(sheet: Sheet, unit: Unit, head: Head) -> bool:
    """Whether a sheet that was read beside the head is as new as the head."""
    if sheet.changed >= head.last_change(unit):
        return head.recent_floor < head.revision or sheet.changed >= head.revision
    return False


def _filled(
    documents: RulesDocuments, snapshot: Snapshot, missing: Sequence[Unit], cache: "CacheInUse | None"
) -> tuple[Tier, dict[Unit, Sheet]]:
    """Return what the snapshot lacks, and who had it; it is added to the snapshot."""
    if len(snapshot.sheets) >= MOST_UNITS:
        snapshot.sheets.clear()
        snapshot.answers.clear()
    found = _from_cache(snapshot, missing, cache) if cache else {}
    left = [unit for unit in missing if unit not in found]
    if not left:
        return "cache", found
    documents_found = documents.get_many([unit.sheet for unit in left])
    for unit, document in zip(left, documents_found, strict=True):
        sheet = found[unit] = snapshot.sheets[unit] = Sheet.of(document.fields if document else None)
        if cache and sheet.changed <= snapshot.head.revision:
            cache.keep(snapshot.head, unit, sheet)
    READS.labels("store").inc(len(left))
    return "store", found


def _from_cache(snapshot: Snapshot, missing: Sequence[Unit], cache: "CacheInUse") -> dict[Unit, Sheet]:
    """Return what the shared cache has of it; it is added to the snapshot."""
    found = {unit: sheet for unit in missing if (sheet := cache.sheet(snapshot.head, unit)) is not None}
    snapshot.sheets.update(found)
    READS.labels("cache").inc(len(found))
    return found


@dataclass(slots=True)
class _Pause:
    until: float = 0.0


pause: Final = _Pause()
"""Of all caches of the process: they are one server."""


class CacheInUse:
    """A shared cache as readers use it: sheets by revision, and never an error; one that fails is left alone for a while."""

    def __init__(self, cache: SharedCache, place: str) -> None:
        self._cache = cache
        self._place = place

    def sheet(self, head: Head, unit: Unit) -> Sheet | None:
        """Return the unit's sheet in the head's revision, if the cache has it."""
        fields = self._tried(lambda: self._cache.get(self._key(head, unit)))
        try:
            return Sheet.of(fields) if isinstance(fields, dict) else None
        except DamagedRules:
            return None

    def keep(self, head: Head, unit: Unit, sheet: Sheet) -> None:
        """Store a sheet for the other processes."""
        self._tried(lambda: self._cache.setex(self._key(head, unit), CACHE_SECONDS, sheet.fields()))

    def _key(self, head: Head, unit: Unit) -> str:
        return f"{self._place}:{head.lineage}:{head.revision}:{head.version}:{digest_of(unit)}"

    def _tried(self, call: Callable[[], Any]) -> Any:
        if monotonic() < pause.until:
            return None
        try:
            return call()
        except CacheError as error:
            pause.until = monotonic() + CACHE_PAUSE_SECONDS
            CACHE_WARNINGS.inc()
            _log.warning("rules_cache_away", error=error.detail)
            return None


class _Known:
    """What this process knows, by driver and scope."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.scopes: WeakKeyDictionary[object, OrderedDict[Any, Knowledge]] = WeakKeyDictionary()


_known: Final = _Known()


def forget_after_fork() -> None:
    """Know nothing in a child process: whoever asks or holds a lock is a thread of the parent, and will never be done here."""
    _known.__init__()  # type: ignore[misc]


os.register_at_fork(after_in_child=forget_after_fork)


def knowledge_of(documents: RulesDocuments) -> Knowledge:
    """Return what this process knows of a scope's rules at the place that the driver leads to; it goes with the driver."""
    with _known.lock:
        scopes = _known.scopes.setdefault(documents.anchor, OrderedDict())
        knowledge = scopes.get(documents.scope)
        if knowledge is None:
            knowledge = scopes[documents.scope] = Knowledge()
            if len(scopes) > MOST_SCOPES:
                scopes.popitem(last=False)
        else:
            scopes.move_to_end(documents.scope)
        return knowledge


def look_again_at(scope: Scope) -> None:
    """Have the next readers of this scope ask for the revision, wherever its rules lie."""
    with _known.lock:
        known = [scopes[scope] for scopes in _known.scopes.values() if scope in scopes]
    for knowledge in known:
        knowledge.look_again()
