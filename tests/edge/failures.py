"""One error of every class that may leave a view, by its code."""

from collections.abc import Iterator

import northstar.urls  # noqa: F401 - brings every class
from northstar import errors
from storage import errors as stores
from storage.kinds import rules_errors as rules

_SPECIAL = {
    "CURSOR_GONE": stores.CursorGone("The event is gone.", reason="trimmed", earliest=3, tail=9),
    "NOT_PUBLISHED": rules.NotPublishedError(2027, 2026),
    "QUOTA_EXCEEDED": stores.CeilingReached("calls", 10, 10),
}


def _classes(base: type[errors.NorthstarError]) -> Iterator[type[errors.NorthstarError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _classes(kind)


def _failures() -> dict[str, errors.NorthstarError]:
    found = dict(_SPECIAL)
    for kind in _classes(errors.NorthstarError):
        if kind.code not in found:
            found[kind.code] = kind("What happened.", fix="What to do.")
    return found


FAILURES = _failures()
