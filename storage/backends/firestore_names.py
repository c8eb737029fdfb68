"""Where a document lies: a path that can be read in the console, and an id that sorts as its key and is never refused.

    northstar/{scope}/{collection}/{partition}/northstar_items/{id}

The ids of documents start with `:` and those of remembered answers with `=`, so neither is ever `.`, `..` or `__x__`, and a scan
of the one never sees the other. Firestore refuses `/` in an id, and a key holds no control characters: so the sixteen characters
from space to `/` move down by one (`/` becomes `.`, a space becomes 0x1F). That keeps the order of keys and takes no room.
"""

import hashlib
from typing import Final

from storage.backends.names import joined
from storage.backends.service import Place

GROUP: Final = "northstar_items"
"""The collection of every partition. Named for us, because index settings belong to a name in the whole database."""
SCOPE_PARTS: Final = 3
SEGMENT_BYTES: Final = 1400
"""Below the 1,500 bytes of a Firestore id, so that all parts of a path stay far below the 6 KiB of a name."""

_ROOT: Final = "northstar"
_KEY: Final = ":"
_BEYOND_KEYS: Final = ";"
_MEMORY: Final = "="
_OWN: Final = "%_"
"""Starts a segment that is none of `joined`'s."""
_DOWN: Final = {code: code - 1 for code in range(0x20, 0x30)}
_UP: Final = {code - 1: code for code in _DOWN}
_SURROGATES: Final = (0xD800, 0xDFFF)
_LAST: Final = 0x10FFFF


def parent_of(place: Place) -> str:
    """Return the path of a partition's own document, relative to the database's documents. It need not exist."""
    scope, partition = place.partition[:SCOPE_PARTS], place.partition[SCOPE_PARTS:]
    return "/".join((_ROOT, _segment(scope), _segment((place.collection,)), _segment(partition)))


def document_id(key: str | None) -> str:
    """Return the id of a key: order-preserving in UTF-8, one byte longer. None stands for the end of all keys."""
    return _BEYOND_KEYS if key is None else _KEY + key.translate(_DOWN)


def key_of(name: str) -> str:
    """Return the key of a document's full name."""
    return name[name.rindex("/") + 2 :].translate(_UP)


def memory_id(operation_id: str) -> str:
    """Return the id under which the answer to an operation id is remembered."""
    return _MEMORY + hashlib.sha256(operation_id.encode()).hexdigest()


def beyond(prefix: str) -> str | None:
    """Return the first text, in UTF-8 order, after all that start with the prefix; None when there is none, as after nothing."""
    while prefix:
        code = ord(prefix[-1]) + 1
        if code <= _LAST:
            first, last = _SURROGATES
            return prefix[:-1] + chr(last + 1 if code == first else code)
        prefix = prefix[:-1]
    return None


def _segment(parts: tuple[str, ...]) -> str:
    """Return the parts as one segment, which Firestore would refuse as `.`, `..`, `__x__` or nothing at all."""
    name = joined(parts, max_bytes=SEGMENT_BYTES)
    return _OWN + name if name in {"", ".", ".."} or name.startswith("__") else name
