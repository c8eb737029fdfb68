"""Where the keys of a listing fold, and where it goes on: the same on every backend."""


def first_floor(prefix: str, delimiter: str, cursor: str | None) -> bytes:
    """Return the least key that may come after the cursor (an entry of the same listing), or the prefix."""
    if cursor is None:
        return prefix.encode()
    if common_prefix(cursor, prefix, delimiter) == cursor:
        return past(cursor)
    return cursor.encode() + b"\0"


def common_prefix(key: str, prefix: str, delimiter: str) -> str | None:
    """Return what the key folds into: itself up to the first delimiter after the prefix, or None."""
    at = key.find(delimiter, len(prefix)) if delimiter else -1
    return None if at < 0 else key[: at + len(delimiter)]


def past(folded: str) -> bytes:
    """Return the least bytes that sort after every key that begins with this common prefix."""
    path = folded.encode()
    return path[:-1] + bytes([path[-1] + 1])  # the last byte of UTF-8 is never 0xff
