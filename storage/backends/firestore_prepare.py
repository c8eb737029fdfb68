"""What a Firestore database needs for us: no indexes on what we store but one, and a policy that reaps.

Firestore indexes every field by itself, in both directions. That costs a write for each, and allows 40,000 entries per document.
We list by name, and downwards by `key`: so that field keeps one index. Rising keys make it a hot spot above 500 writes a second
in one partition (Google's documented limit); without the preparation there would be one for every field.
"""

import time
from collections.abc import Iterator
from concurrent.futures import TimeoutError as NotYet
from typing import Any, Final

from storage.backends.firestore_client import FirestoreConnection
from storage.backends.firestore_errors import Sent, error_of
from storage.backends.firestore_items import ENVELOPE, FIELDS, KEY, REAP_AT
from storage.backends.firestore_names import GROUP
from storage.backends.service import READ_SECONDS
from storage.errors import BackendRejected, BackendUnavailable

WAIT_SECONDS: Final = 120.0
"""How long to wait for Firestore. It takes minutes for a large database, and goes on without us."""

_INDEXES: Final[dict[str, list[str]]] = {FIELDS: [], ENVELOPE: [], REAP_AT: [], KEY: ["DESCENDING"]}

_ADMIN_FIX: Final = (
    "Give the account the role Cloud Datastore Index Admin, or let somebody who has it run this command."
)


def prepare_database(connection: FirestoreConnection) -> None:
    """Set up the collection group of all our documents, where that is not done yet.

    Raises BackendUnavailable while Firestore is still at work or does not answer, BackendRejected when it refuses.
    """
    from google.api_core.exceptions import GoogleAPICallError, MethodNotImplemented  # noqa: PLC0415 - at first use
    from google.cloud.firestore_admin_v1.services.firestore_admin import FirestoreAdminClient  # noqa: PLC0415
    from google.cloud.firestore_admin_v1.services.firestore_admin.transports import (  # noqa: PLC0415
        FirestoreAdminGrpcTransport,
    )

    client = FirestoreAdminClient(transport=FirestoreAdminGrpcTransport(channel=connection.channel()))
    group = f"{connection.database}/collectionGroups/{GROUP}"
    try:
        _wait(list(_started(client, group)))
    except MethodNotImplemented as error:
        if not connection.is_emulator:  # Google's has no such API, and no limits that it would lift
            raise _translated(error) from error
    except GoogleAPICallError as error:
        raise _translated(error) from error


def _started(client: Any, group: str) -> Iterator[Any]:
    """Start what is not done yet, and yield the operations."""
    for name, directions in _INDEXES.items():
        path = f"{group}/fields/{name}"
        field = client.get_field(name=path, retry=None, timeout=READ_SECONDS)
        wanted: dict[str, Any] = {}
        if field.index_config.uses_ancestor_config or _directions(field) != directions:
            wanted["index_config"] = {"indexes": [_index(name, direction) for direction in directions]}
        if name == REAP_AT and not field.ttl_config.state:
            wanted["ttl_config"] = {}
        if wanted:
            request = {"field": {"name": path, **wanted}, "update_mask": {"paths": list(wanted)}}
            yield client.update_field(request=request, retry=None, timeout=READ_SECONDS)


def _directions(field: Any) -> list[str]:
    return [part.order.name for index in field.index_config.indexes for part in index.fields]


def _index(name: str, direction: str) -> dict[str, Any]:
    return {"query_scope": "COLLECTION", "fields": [{"field_path": name, "order": direction}]}


def _wait(operations: list[Any]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    for operation in operations:
        try:
            operation.result(timeout=max(deadline - time.monotonic(), 0.0))
        except NotYet:
            raise _under_way() from None


def _under_way() -> BackendUnavailable:
    return BackendUnavailable("Firestore is still building our indexes.", fix="Prepare again in a few minutes.")


def _translated(error: Any) -> Exception:
    code = error.grpc_status_code.name if error.grpc_status_code else "UNKNOWN"
    if code == "PERMISSION_DENIED":
        return BackendRejected("Firestore refused to change indexes with PERMISSION_DENIED.", fix=_ADMIN_FIX)
    return error_of(code, error.message, Sent.READ)
