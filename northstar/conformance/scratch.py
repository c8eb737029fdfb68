"""Places to write in that no API caller can name, on the service behind a route, and emptied afterwards.

An embedded backend gets a folder of its own. On a cloud service a place is a tenant that cannot exist, `~conformance.…`, and
each partition is noted in a journal on the service itself before anything is written to it: so what a killed run has left
can be found and removed later.
"""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import astuple, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

import orjson
from django.conf import settings

from routing.snapshot import ResolvedRoute
from storage.blob_guard import GuardedBlobs
from storage.blobs import Area, BlobRef
from storage.documents import ATOMIC_OPERATIONS, Delete, Partition, Ref
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from storage.opening import Adapter, build_adapter
from storage.registry import BACKENDS, BLOBS, EMBEDDED, KINDS

MARK: Final = "~conformance"
"""Begins every scratch tenant. A tenant's id begins with a letter or a digit (`routing.patterns`)."""
METERED_AS: Final = "conformance"
"""The kind under which the operations of a run are counted."""
_COLLECTION: Final = "contract"
_JOURNAL: Final = ("journal",)
_FOLDER: Final = ".conformance-"
"""No folder of data begins with a dot: `storage.keys.escape` leaves none."""


class Scratch(Protocol):
    """The places of one run. `adapter` holds the driver under test and the secrets that no output may show."""

    adapter: Adapter

    def open(self, place: int, scope: Scope) -> Any:
        """Return guarded documents or blobs of a scope in one of the run's places; two places share nothing."""

    def clean(self) -> None:
        """Remove what this run has written."""

    def clean_all(self) -> list[str]:
        """Remove what any run has written, also one that is still at work, and return their ids."""


def scratch_for(route: ResolvedRoute, mode: str, run: str) -> Scratch:
    """Return the scratch of a run on the route's service. Raises what opening the route raises."""
    if BACKENDS[route.backend_type].backend_class == EMBEDDED:
        return FolderScratch(route, mode, run)
    adapter = build_adapter(route, mode)
    kind = BlobScratch if KINDS[route.resource_kind].primitive == BLOBS else DocumentScratch
    return kind(adapter, _served_by(route), run)


def _served_by(route: ResolvedRoute) -> ServedBy:
    return ServedBy(route.id, route.revision, route.backend_type)


def _inside(run: str, place: int, scope: Scope) -> Scope:
    return replace(scope, tenant=f"{MARK}.{run}.{place}.{scope.tenant}")


class FolderScratch:
    """A folder below the route's root, with the route's own driver and settings."""

    def __init__(self, route: ResolvedRoute, mode: str, run: str) -> None:
        self._root = Path(settings.NORTHSTAR_HOME) / (route.config.get("base_dir") or "")
        self._folder = self._root / f"{_FOLDER}{run}"
        self._run = run
        self._served_by = _served_by(route)
        self._guard = GuardedBlobs if KINDS[route.resource_kind].primitive == BLOBS else GuardedDocuments
        config = {**route.config, "base_dir": str(self._folder)}
        self.adapter = build_adapter(replace(route, config=config), mode)

    def open(self, place: int, scope: Scope) -> Any:
        return self._guard(
            self.adapter.driver, scope=_inside(self._run, place, scope), served_by=self._served_by, kind=METERED_AS
        )

    def clean(self) -> None:
        self.adapter.driver.close()
        if self._folder.exists():
            shutil.rmtree(self._folder)

    def clean_all(self) -> list[str]:
        folders = sorted(self._root.glob(f"{_FOLDER}*"))
        for folder in folders:
            shutil.rmtree(folder)
        return [folder.name.removeprefix(_FOLDER) for folder in folders]


class DocumentScratch:
    """Partitions of scratch tenants on a document service, noted in a journal of documents."""

    def __init__(self, adapter: Adapter, served_by: ServedBy, run: str) -> None:
        self.adapter = adapter
        self._served_by = served_by
        self._run = run
        self._journal = GuardedDocuments(**self._options(Scope(MARK, "journal")))
        self._noted: set[str] = set()

    def open(self, place: int, scope: Scope) -> Any:
        return _NotedDocuments(self, **self._options(_inside(self._run, place, scope)))

    def note(self, scope: Scope, collection: str, partition: Partition) -> None:
        """Write into the journal that this partition is about to be used, unless that is written already."""
        entry = {"scope": list(astuple(scope)), "partition": [collection, *partition]}
        key = f"{self._run}.{_digest(entry)}"
        if key not in self._noted:
            self._journal.put(Ref(_COLLECTION, _JOURNAL, key), entry)
            self._noted.add(key)

    def clean(self) -> None:
        self._clean(f"{self._run}.")

    def clean_all(self) -> list[str]:
        return self._clean("")

    def _clean(self, prefix: str) -> list[str]:
        runs = set()
        while found := self._journal.scan(_COLLECTION, _JOURNAL, prefix=prefix).documents:
            for document in found:
                collection, *partition = document.fields["partition"]
                self._empty(Scope(*document.fields["scope"]), collection, tuple(partition))
                self._journal.delete(document.ref)
                runs.add(document.ref.key.partition(".")[0])
        return sorted(runs)

    def _empty(self, scope: Scope, collection: str, partition: Partition) -> None:
        documents = GuardedDocuments(**self._options(scope))
        while found := documents.scan(collection, partition, limit=ATOMIC_OPERATIONS).documents:
            documents.write(collection, partition, [Delete(document.ref.key) for document in found])

    def _options(self, scope: Scope) -> dict[str, Any]:
        return _guard_options(self.adapter, self._served_by, scope)


class _NotedDocuments(GuardedDocuments):
    """Documents whose partitions are noted before they are used."""

    def __init__(self, scratch: DocumentScratch, **options: Any) -> None:
        super().__init__(**options)
        self._scratch = scratch

    def _partition(self, collection: str, partition: Partition) -> Partition:
        inner = super()._partition(collection, partition)
        self._scratch.note(self.scope, collection, partition)
        return inner


class BlobScratch:
    """Scratch tenants on an object service, noted in a journal of objects."""

    def __init__(self, adapter: Adapter, served_by: ServedBy, run: str) -> None:
        self.adapter = adapter
        self._served_by = served_by
        self._run = run
        self._journal = GuardedBlobs(**self._options(Scope(MARK, "journal")))
        self._noted: set[str] = set()

    def open(self, place: int, scope: Scope) -> Any:
        return _NotedBlobs(self, **self._options(_inside(self._run, place, scope)))

    def note(self, scope: Scope) -> None:
        """Write into the journal that this scope is about to be used, unless that is written already."""
        entry = astuple(scope)
        key = f"{self._run}.{_digest(entry)}"
        if key not in self._noted:
            self._journal.put(key, [orjson.dumps(entry)], content_type="application/json")
            self._noted.add(key)

    def clean(self) -> None:
        self._clean(f"{self._run}.")

    def clean_all(self) -> list[str]:
        return self._clean("")

    def _clean(self, prefix: str) -> list[str]:
        runs = set()
        for key in _keys(self._journal, prefix):
            entry = self._journal.get(key)
            if entry is not None:
                blobs = GuardedBlobs(**self._options(Scope(*orjson.loads(b"".join(entry.chunks)))))
                for area in Area:
                    for name in _keys(blobs, area=area):
                        blobs.delete(name, area=area)
                blobs.sweep(before=datetime.now(UTC))
                self._journal.delete(key)
                runs.add(key.partition(".")[0])
        return sorted(runs)

    def _options(self, scope: Scope) -> dict[str, Any]:
        return _guard_options(self.adapter, self._served_by, scope)


class _NotedBlobs(GuardedBlobs):
    """Objects whose scope is noted before it is used."""

    def __init__(self, scratch: BlobScratch, **options: Any) -> None:
        super().__init__(**options)
        self._scratch = scratch

    def _ref(self, key: str, area: Area = Area.OBJECTS) -> BlobRef:
        ref = super()._ref(key, area)
        self._scratch.note(self.scope)
        return ref


def _keys(blobs: GuardedBlobs, prefix: str = "", area: Area = Area.OBJECTS) -> Iterator[str]:
    """Yield all keys, also while they are deleted: a cursor is a key, which need not exist any more."""
    cursor: str | None = None
    while True:
        page = blobs.list(area=area, prefix=prefix, cursor=cursor)
        yield from [info.key for info in page.blobs]
        cursor = page.cursor
        if cursor is None:
            return


def _guard_options(adapter: Adapter, served_by: ServedBy, scope: Scope) -> dict[str, Any]:
    return {
        "driver": adapter.driver,
        "scope": scope,
        "served_by": served_by,
        "kind": METERED_AS,
        "secrets": adapter.secrets,
        "lease": adapter,
    }


def _digest(entry: Any) -> str:
    return hashlib.sha256(orjson.dumps(entry)).hexdigest()[:24]
