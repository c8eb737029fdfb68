"""The documents of one database: kept in the order of their names, committed all or nothing, readable as they were."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tests.servers.firestore_field_settings import FieldSettings
from tests.servers.firestore_limits import check_document
from tests.servers.firestore_messages import DocumentMessage, Message, WriteResult, timestamp
from tests.servers.firestore_names import Path, document_name
from tests.servers.firestore_writes import PlannedWrite, check_sequence


@dataclass(frozen=True)
class Selection:
    """The documents of a collection below a parent. `collection` empty means any; `deep` also looks into descendants."""

    parent: Path
    collection: str
    deep: bool = False

    def holds(self, collection: Path) -> bool:
        """Tell whether the documents of a collection, given with all before it, are selected."""
        depth = len(self.parent)
        if len(collection) <= depth or collection[:depth] != self.parent:
            return False
        return (self.deep or len(collection) == depth + 1) and self.collection in {"", collection[-1]}


class View:
    """The documents of a database at one moment: the stored ones, but for those that `before` remembers differently."""

    def __init__(self, store: "Store", before: Mapping[Path, DocumentMessage | None]) -> None:
        self.database = store.database
        self._store = store
        self._before = before

    def get(self, path: Path) -> DocumentMessage | None:
        return self._before[path] if path in self._before else self._store.documents.get(path)

    def select(self, selection: Selection) -> list[DocumentMessage]:
        """Return the selected documents in the order of their names."""
        paths = self._store.paths(selection)
        if self._before:
            paths = sorted({*paths, *(path for path in self._before if selection.holds(path[:-1]))})
        found = (self.get(path) for path in paths)
        return [document for document in found if document is not None]


@dataclass(frozen=True)
class Answer:
    """What a read finds, None for a document that is missing, and how many documents a query's offset skipped."""

    documents: list[DocumentMessage | None]
    skipped: int = 0


@dataclass
class _Staged:
    document: DocumentMessage | None
    created: bool


class Store:
    """One database. Not safe under threads: the service lets one call in at a time."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.documents: dict[Path, DocumentMessage] = {}
        self.settings = FieldSettings()
        self._collections: dict[Path, list[str]] = {}
        self._undo: list[tuple[int, Path, DocumentMessage | None]] = []

    def view(self, at: int | None = None) -> View:
        """Return the documents as they are, or as they were at a moment since which `commit` was told to remember."""
        before: dict[Path, DocumentMessage | None] = {}
        if at is not None:
            for moment, path, document in self._undo:
                if moment > at:
                    before.setdefault(path, document)
        return View(self, before)

    def forget(self) -> None:
        """Drop what was remembered: nobody reads the past any more."""
        self._undo.clear()

    def paths(self, selection: Selection) -> list[Path]:
        """Return the names of stored documents in order."""
        single = (*selection.parent, selection.collection)
        if selection.collection and not selection.deep:
            return [(*single, last) for last in self._collections.get(single, ())]
        found = ((each, ids) for each, ids in self._collections.items() if selection.holds(each))
        return sorted((*each, last) for each, ids in found for last in ids)

    def collection_ids(self, parent: Path) -> list[str]:
        """Return the ids of the collections right below a parent, also of those that hold only deeper documents."""
        depth = len(parent)
        return sorted({each[depth] for each in self._collections if len(each) > depth and each[:depth] == parent})

    def missing(self, collection: Path) -> list[Path]:
        """Return the names in a collection under which documents lie, while there is no document of that name."""
        depth = len(collection)
        below = {each[: depth + 1] for each in self._collections if len(each) > depth and each[:depth] == collection}
        return sorted(path for path in below if path not in self.documents)

    def commit(
        self, writes: list[PlannedWrite], tick: Callable[[], int], *, remember: bool
    ) -> tuple[int, list[Message]]:
        """Apply writes in order, all or none, and return the time of the commit and a result for each write.

        `remember` keeps the documents before it for views of the past.
        """
        check_sequence(writes)
        now = tick()
        staged, transformed = self._stage(writes, now)
        changed = {path: each for path, each in staged.items() if self._changes(path, each)}
        for path, each in changed.items():
            if each.document is not None:
                check_document(each.document, path, self.settings)
        for path, each in changed.items():
            self._install(path, each, now, remember=remember)
        return now, [self._result(write, values, now) for write, values in zip(writes, transformed, strict=True)]

    def _stage(self, writes: Iterable[PlannedWrite], now: int) -> tuple[dict[Path, _Staged], list[list[Message]]]:
        staged: dict[Path, _Staged] = {}
        transformed = []
        for write in writes:
            stored = self.documents.get(write.path)
            current = staged.get(write.path, _Staged(stored, created=stored is None))
            write.check(current.document, stored)
            after, values = write.apply(current.document, now)
            staged[write.path] = _Staged(after, current.created or after is None)
            transformed.append(values)
        return staged, transformed

    def _changes(self, path: Path, staged: _Staged) -> bool:
        """A write that changes nothing leaves the document's version alone."""
        stored = self.documents.get(path)
        if staged.document is None or stored is None or staged.created:
            return not (staged.document is None and stored is None)
        return _content(stored) != _content(staged.document)

    def _install(self, path: Path, staged: _Staged, now: int, *, remember: bool) -> None:
        stored = self.documents.get(path)
        if remember:
            self._undo.append((now, path, stored))
        if staged.document is None:
            self._remove(path)
            return
        created = now if staged.created or stored is None else stored.create_time.ToMicroseconds()
        staged.document.create_time.CopyFrom(timestamp(created))
        staged.document.update_time.CopyFrom(timestamp(now))
        if stored is None:
            insort(self._collections.setdefault(path[:-1], []), path[-1])
        self.documents[path] = staged.document

    def _remove(self, path: Path) -> None:
        del self.documents[path]
        ids = self._collections[path[:-1]]
        del ids[bisect_left(ids, path[-1])]
        if not ids:
            del self._collections[path[:-1]]

    def _result(self, write: PlannedWrite, values: list[Message], now: int) -> Message:
        """A document that did not change keeps its version; one that was written and deleted at once had this one."""
        result = WriteResult(transform_results=values)
        if not write.deletes:
            stored = self.documents.get(write.path)
            result.update_time.CopyFrom(timestamp(now) if stored is None else stored.update_time)
        return result

    def name(self, path: Path) -> str:
        return document_name(self.database, path)


def _content(document: DocumentMessage) -> bytes:
    """Return fields as bytes to compare: messages would say that NaN differs from itself."""
    copy = type(document)()
    for name in document.fields:
        copy.fields[name].CopyFrom(document.fields[name])
    content: bytes = copy.SerializeToString(deterministic=True)
    return content
