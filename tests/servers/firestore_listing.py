"""ListDocuments and ListCollectionIds: pages in the order of names, continued by a token."""

import binascii
from base64 import b64decode, urlsafe_b64encode

from tests.servers.firestore_errors import invalid, unknown
from tests.servers.firestore_fields import parse_query_path, projected
from tests.servers.firestore_messages import (
    Document,
    DocumentMessage,
    ListCollectionIdsResponse,
    ListDocumentsResponse,
    Message,
)
from tests.servers.firestore_names import Path, check_id, document_name, parse_parent
from tests.servers.firestore_store import Selection, Store

PAGE = 100
"""Size of a page when the caller names none. The service does not document its own."""


def list_documents(store: Store, request: Message) -> Message:
    """Return a page of a collection. `show_missing` adds names that only have documents below them."""
    if request.order_by not in {"", "__name__"} or request.WhichOneof("consistency_selector"):
        raise unknown("ListDocuments in an order, in a transaction or at a time")
    _, parent = parse_parent(request.parent)
    if request.collection_id:
        check_id(request.collection_id, "collection id")
    paths = store.paths(Selection(parent, request.collection_id))
    if request.show_missing:
        if not request.collection_id:
            raise invalid("show_missing needs a collection_id")
        paths = sorted([*paths, *store.missing((*parent, request.collection_id))])
    page, token = _page(paths, request)
    return ListDocumentsResponse(documents=[_shown(store, path, request) for path in page], next_page_token=token)


def list_collection_ids(store: Store, request: Message) -> Message:
    """Return a page of the collections right below a document, or below the root."""
    if request.WhichOneof("consistency_selector"):
        raise unknown("ListCollectionIds at a time")
    _, parent = parse_parent(request.parent)
    page, token = _page([(each,) for each in store.collection_ids(parent)], request)
    return ListCollectionIdsResponse(collection_ids=[each for (each,) in page], next_page_token=token)


def _shown(store: Store, path: Path, request: Message) -> DocumentMessage:
    stored = store.documents.get(path)
    if stored is None:
        return Document(name=document_name(store.database, path))
    if not request.HasField("mask"):
        return stored
    return projected(stored, [parse_query_path(each) for each in request.mask.field_paths])


def _page(paths: list[Path], request: Message) -> tuple[list[Path], str]:
    """Return a page, and a token for the next whenever this one is full, though nothing may follow."""
    if request.page_size < 0:
        raise invalid("page_size cannot be negative")
    size = request.page_size or PAGE
    if request.page_token:
        last = _position(request.page_token)
        paths = [each for each in paths if each > last]
    page = paths[:size]
    return page, _token(page[-1]) if len(page) == size else ""


def _token(path: Path) -> str:
    return urlsafe_b64encode("/".join(path).encode()).decode()


def _position(token: str) -> Path:
    try:
        return tuple(b64decode(token.encode(), altchars=b"-_", validate=True).decode().split("/"))
    except (binascii.Error, UnicodeDecodeError) as error:
        raise invalid("page_token is not one that this server gave") from error
