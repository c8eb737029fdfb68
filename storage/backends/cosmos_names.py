"""Names inside a Cosmos container: ids that its addresses can hold, and a text whose order is that of UTF-8 bytes.

Both are plain ASCII with `~xx` for every other byte, because the service promises neither an order of other characters nor
that every client can address them.
"""

import hashlib
import re
from typing import Final

from storage.backends.names import joined
from storage.backends.service import Place
from storage.errors import BackendRejected

PK_BYTES: Final = 2048
"""A partition key value of a container with large keys (Microsoft, "Azure Cosmos DB service quotas")."""
ID_BYTES: Final = 1023
"""An item's id; it may hold no `/` and no `\\` (same page). `?`, `#` and the like are trouble for clients."""

_HASHED: Final = "~x"
"""Starts an id that is a hash: no escape begins so, because x is no hexadecimal digit."""
_MEMORY: Final = "~m"
"""Starts the id of a memory, likewise."""
_BEYOND_ALL: Final = "~g"
"""Greater than every escape, and so than every text of `sort_of`."""

_ID_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:@=,")
_ID_OF: Final = [chr(byte) if byte in _ID_PLAIN else f"~{byte:02x}" for byte in range(256)]
_SORT_OF: Final = [chr(byte) if 0x20 <= byte < 0x7E else f"~{byte:02x}" for byte in range(256)]
_ESCAPE: Final = re.compile(r"~([0-9a-f]{2})")
_SIMPLE_ID: Final = re.compile(r"[A-Za-z0-9_:@=,-][A-Za-z0-9_.:@=,-]{0,254}")
_SIMPLE_SORT: Final = re.compile(r"[ -}]*")


def pk_of(place: Place) -> str:
    """Return the partition key of a place: the collection first, so that one container holds them all."""
    return joined((place.collection, *place.partition), max_bytes=PK_BYTES)


def id_of(key: str) -> str:
    """Return the id of a key's item; two keys never have the same."""
    if _SIMPLE_ID.fullmatch(key):
        return key
    name = "".join([_ID_OF[byte] for byte in key.encode()])
    if name[0] == ".":  # no segment of an address may be `.` or `..`
        name = "~2e" + name[1:]
    return name if len(name) <= ID_BYTES else _hashed(_HASHED, key)


def memory_id_of(operation_id: str) -> str:
    """Return the id of the memory of an operation id."""
    return _hashed(_MEMORY, operation_id)


def sort_of(key: str) -> str:
    """Return the text by which keys are ordered: in the order of their UTF-8 bytes, and a prefix's is a prefix."""
    if _SIMPLE_SORT.fullmatch(key):
        return key
    return "".join([_SORT_OF[byte] for byte in key.encode()])


def key_of(sort: str) -> str:
    """Return the key of `sort_of`'s text. Raises BackendRejected for a text it never made."""
    if "~" not in sort:
        return sort
    try:
        return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), sort).encode("latin-1").decode()
    except UnicodeError:
        raise BackendRejected(f"The stored key {sort[:100]!a} cannot be read.") from None


def sort_range(prefix: str, after: str | None, before: str | None) -> tuple[str, str]:
    """Return the half-open range of `sort_of`'s texts: both bounds are exclusive, the prefix is not."""
    low, high = sort_of(prefix), _BEYOND_ALL
    if low:
        high = low[:-1] + chr(ord(low[-1]) + 1)
    if after is not None:
        low = max(low, sort_of(after) + " ")  # a space is the least that can follow
    if before is not None:
        high = min(high, sort_of(before))
    return low, high


def _hashed(mark: str, text: str) -> str:
    return mark + hashlib.sha256(text.encode()).hexdigest()
