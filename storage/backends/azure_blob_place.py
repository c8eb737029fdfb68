"""The container that a route needs: made where it is missing, and refused where its account breaks promises."""

from typing import Final

from storage.backends.azure_blob_client import Connection
from storage.backends.azure_blob_errors import ContainerMissing, Taken
from storage.backends.sending import ATTEMPTS, sent
from storage.backends.service import Unanswered
from storage.errors import BackendRejected

_CONTAINER: Final = {"restype": "container"}
_FIRST: Final = _CONTAINER | {"comp": "list", "maxresults": "1"}
"""Asks for the least that every credential of a route must be able to; a container's SAS may not even read its properties."""
_ACCOUNT: Final = {"restype": "account", "comp": "properties"}


def prepare(connection: Connection) -> None:
    """Create the container where it is missing. Raises as `probe` does."""
    try:
        probe(connection)
    except ContainerMissing:
        _create(connection)


def probe(connection: Connection) -> None:
    """Return when the container answers and its account keeps what is promised. Raises as `Connection.send` does."""
    connection.send("GET", query=_FIRST)
    if _has_folders(connection):
        raise BackendRejected(
            "The storage account has a hierarchical namespace: there, an object cannot stand beside others below its own name, "
            "and listings have another order.",
            fix="Use an account without hierarchical namespace.",
        )


def _has_folders(connection: Connection) -> bool:
    try:
        answer = connection.send("GET", query=_ACCOUNT)
    except BackendRejected:  # not every credential may ask
        return False
    return answer.headers.get("x-ms-is-hns-enabled", "").lower() == "true"


def _create(connection: Connection) -> None:
    lost: Unanswered | None = None
    for _ in range(ATTEMPTS):
        try:
            sent(lambda: connection.send("PUT", query=_CONTAINER, body=b"", write=True))
        except Taken:
            return
        except Unanswered as error:
            lost = error
        else:
            return
    assert lost is not None
    raise lost
