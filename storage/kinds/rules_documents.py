"""The documents of the rules store: the same operations, with exact numbers, and the errors of stores told as StoreError."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, TypeVar

from northstar.errors import NorthstarError
from storage.documents import ANY, BulkPut, Document, Expect, Fields, Page, Partition, Ref, Written
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from storage.kinds.rules_errors import BlueStarError, StoreError
from storage.kinds.rules_exact import packed, unpacked

READS_AT_ONCE: Final = 100
"""Documents of one `get_many`: more than any read of rules needs."""

T = TypeVar("T")


@contextmanager
def told_as_store_error() -> Iterator[None]:
    """Raise StoreError for any error of the store below."""
    try:
        yield
    except BlueStarError:
        raise
    except NorthstarError as error:
        raise StoreError(error) from error


class RulesDocuments:
    """One scope's documents, as far as rules need them. Every method raises StoreError and nothing else."""

    def __init__(self, documents: GuardedDocuments) -> None:
        self._documents = documents

    @property
    def served_by(self) -> ServedBy:
        return self._documents.served_by

    @property
    def scope(self) -> Scope:
        return self._documents.scope

    @property
    def anchor(self) -> object:
        """What this process knows of the rules hangs on it."""
        return self._documents.cache_anchor

    def get(self, ref: Ref) -> Document | None:
        found = self._told(lambda: self._documents.get(ref))
        return _read(found) if found else None

    def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        """Return one entry per ref; up to READS_AT_ONCE are one round trip."""
        parts = [refs[start : start + READS_AT_ONCE] for start in range(0, len(refs), READS_AT_ONCE)]
        found = [one for part in parts for one in self._told(lambda part=part: self._documents.get_many(part))]  # type: ignore[misc]
        return [_read(one) if one else None for one in found]

    def put(self, ref: Ref, fields: Fields, *, expect: Expect = ANY, operation_id: str = "") -> Written:
        return self._told(lambda: self._documents.put(ref, packed(fields), expect=expect, operation_id=operation_id))

    def put_many(self, puts: Sequence[BulkPut]) -> list[Written | Exception]:
        exact = [replace(put, fields=packed(put.fields)) for put in puts]
        return self._told(lambda: self._documents.put_many(exact))

    def scan(
        self,
        collection: str,
        partition: Partition,
        *,
        prefix: str = "",
        limit: int = 100,
        reverse: bool = False,
        cursor: str | None = None,
    ) -> Page:
        page = self._told(
            lambda: self._documents.scan(
                collection, partition, prefix=prefix, limit=limit, reverse=reverse, cursor=cursor
            )
        )
        return Page(tuple(map(_read, page.documents)), page.cursor)

    def all(self, collection: str, partition: Partition, *, prefix: str = "") -> Iterator[Document]:
        """Yield every document below a prefix, a page at a time."""
        cursor = None
        while True:
            page = self.scan(collection, partition, prefix=prefix, limit=200, cursor=cursor)
            yield from page.documents
            cursor = page.cursor
            if cursor is None:
                return

    def _told(self, call: Callable[[], T]) -> T:
        with told_as_store_error():
            return call()


def _read(document: Document) -> Document:
    return replace(document, fields=unpacked(document.fields))


def code_of(error: BaseException) -> str:
    """Return the code of an error of a store, told or not."""
    return error.code if isinstance(error, NorthstarError) else ""
