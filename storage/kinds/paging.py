"""Reading a whole partition a page at a time."""

from collections.abc import Iterator
from typing import Final

from storage.documents import Document, Partition
from storage.guard import GuardedDocuments

PAGE: Final = 200


def pages(
    documents: GuardedDocuments, collection: str, partition: Partition, *, prefix: str = ""
) -> Iterator[tuple[Document, ...]]:
    """Yield every page of the partition's documents whose keys start with `prefix`, in the byte order of the keys."""
    cursor = None
    while True:
        page = documents.scan(collection, partition, prefix=prefix, limit=PAGE, cursor=cursor)
        yield page.documents
        cursor = page.cursor
        if cursor is None:
            return


def every(
    documents: GuardedDocuments, collection: str, partition: Partition, *, prefix: str = ""
) -> Iterator[Document]:
    """Yield every document of the partition whose key starts with `prefix`, in the byte order of the keys."""
    for page in pages(documents, collection, partition, prefix=prefix):
        yield from page
