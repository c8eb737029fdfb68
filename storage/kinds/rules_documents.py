"""The documents of the rules store: the same operations, with the errors of stores told as StoreError."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from northstar.errors import NorthstarError
from storage.documents import ANY, BulkPut, Document, Expect, Fields, Page, Partition, Ref, Written
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from storage.kinds.rules_errors import BlueStarError, StoreError

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
        return self._told(lambda: self._documents.get(ref))

    def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        """Return one entry per ref; up to READS_AT_ONCE are one round trip."""
        parts = [refs[start : start + READS_AT_ONCE] for start in range(0, len(refs), READS_AT_ONCE)]
        return [found for part in parts for found in self._told(lambda part=part: self._documents.get_many(part))]  # type: ignore[misc]

    def put(self, ref: Ref, fields: Fields, *, expect: Expect = ANY, operation_id: str = "") -> Written:
        return self._told(lambda: self._documents.put(ref, fields, expect=expect, operation_id=operation_id))

    def put_many(self, puts: Sequence[BulkPut]) -> list[Written | Exception]:
        return self._told(lambda: self._documents.put_many(puts))

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
        return self._told(
            lambda: self._documents.scan(
                collection, partition, prefix=prefix, limit=limit, reverse=reverse, cursor=cursor
            )
        )

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


def code_of(error: BaseException) -> str:
    """Return the code of an error of a store, told or not."""
    return error.code if isinstance(error, NorthstarError) else ""


__all__ = ["READS_AT_ONCE", "RulesDocuments", "code_of", "told_as_store_error"]
