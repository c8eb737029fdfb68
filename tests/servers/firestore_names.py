"""Names of databases and documents, and the rules for ids (from the service's page of quotas and limits)."""

import re
from collections.abc import Iterable

from tests.servers.firestore_errors import invalid

Path = tuple[str, ...]
"""A document's place in its database: collection id, document id, collection id … An even number of parts."""

ID_BYTES = 1500
NAME_BYTES = 6 * 1024
DEPTH = 100
RESERVED = re.compile("__.*__", re.DOTALL)

_DATABASE = re.compile(r"projects/[^/]+/databases/[^/]+")
_NAME = re.compile(r"(projects/[^/]+/databases/[^/]+)/documents(?:/(.+))?", re.DOTALL)


def parse_database(name: str) -> str:
    """Return the name of a database as it is. Anything else is refused."""
    if not _DATABASE.fullmatch(name):
        raise invalid(f"{name!r} is not projects/<project>/databases/<database>")
    return name


def parse_document(name: str, database: str | None = None) -> tuple[str, Path]:
    """Return the database and the path of a document's name. It must lie in `database` when that is given."""
    found, path = _parse(name, database)
    if not path or len(path) % 2:
        raise invalid(f"{name!r} does not name a document")
    return found, path


def parse_parent(name: str) -> tuple[str, Path]:
    """Return database and path of what a collection lies in: a document, or `…/documents` for the root."""
    found, path = _parse(name, None)
    if len(path) % 2:
        raise invalid(f"{name!r} names a collection, which cannot be a parent")
    return found, path


def document_name(database: str, path: Path) -> str:
    return "/".join((database, "documents", *path))


def check_id(part: str, what: str) -> None:
    """Refuse a collection or document id that the service does not take."""
    if not part or "/" in part:
        raise invalid(f"{what} {part!r} is empty or contains '/'")
    if part in {".", ".."}:
        raise invalid(f"{what} {part!r} is not allowed")
    if RESERVED.fullmatch(part):
        raise invalid(f"{what} {part!r} is reserved")
    if len(part.encode()) > ID_BYTES:
        raise invalid(f"{what} {part[:20]!r}… is longer than {ID_BYTES} bytes")


def _parse(name: str, database: str | None) -> tuple[str, Path]:
    match = _NAME.fullmatch(name)
    if not match:
        raise invalid(f"{name!r} is not projects/<project>/databases/<database>/documents/…")
    found, rest = match.group(1), match.group(2)
    if database is not None and found != database:
        raise invalid(f"{name!r} is not in the request's database {database!r}")
    path = tuple(rest.split("/")) if rest else ()
    _check_path(path)
    return found, path


def _check_path(path: Path) -> None:
    for position, part in enumerate(path):
        check_id(part, "document id" if position % 2 else "collection id")
    if len(path) > 2 * DEPTH:
        raise invalid(f"a document cannot lie deeper than {DEPTH} collections")
    if bytes_of(path) > NAME_BYTES:
        raise invalid(f"the document's name is longer than {NAME_BYTES} bytes")


def bytes_of(parts: Iterable[str]) -> int:
    """Return the size of strings as the service counts it: UTF-8 bytes and one more for each."""
    return sum(len(part.encode()) + 1 for part in parts)
