"""Physical names that a person can read in the vendor's console: parts joined so that no two lists of parts ever meet."""

import hashlib
from collections.abc import Sequence
from typing import Final

SEPARATOR: Final = "#"
_MARK: Final = "%"
_ESCAPES: Final = {_MARK: "%p", SEPARATOR: "%h", "/": "%s", "\\": "%b", "?": "%q"}
"""What some service's names may not hold, and this module's own marks. Each takes two bytes."""
_TABLE: Final = str.maketrans(_ESCAPES)
_HASHED: Final = "%x"
"""Starts a name that is a hash; no escape begins like that."""


def joined(parts: Sequence[str], *, max_bytes: int) -> str:
    """Return the parts as one name without `/`, `\\` or `?`; one that would pass `max_bytes` of UTF-8 is a SHA-256 instead."""
    name = SEPARATOR.join(part.translate(_TABLE) for part in parts)
    if len(name) * 4 <= max_bytes or len(name.encode()) <= max_bytes:
        return name
    return _HASHED + hashlib.sha256(name.encode()).hexdigest()
