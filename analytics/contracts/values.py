"""What is wrong with a value whatever a contract says: empty, wrapped in spaces, encoded twice, invisible, personal."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

SENTINELS: Final = frozenset(
    {
        "null",
        "undefined",
        "nan",
        "none",
        "nil",
        "(not set)",
        "not set",
        "(none)",
        "(not provided)",
        "n/a",
        "[object object]",
        "-",
    }
)
"""What programs write where they have no value, in any case."""

_ESCAPE: Final = re.compile("%[0-9A-Fa-f]{2}")
_INVISIBLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb]"
)
_DOMAIN: Final = re.compile(r"@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")
_TELEPHONE: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:\+[0-9](?:[ ().-]{0,2}[0-9]){7,14}|\(?[0-9]{3}\)?[ .-][0-9]{3}[ .-][0-9]{4})(?![0-9A-Za-z])"
)
_MAILBOX: Final = re.compile(r"[A-Za-z0-9_.+%-]")


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with a value: the finding's code, the index of the first offending character, the value without it."""

    code: str
    index: int
    repaired: str | None = None


def flaws(value: str) -> list[Flaw]:
    """Return what is wrong with a value, in an order in which each repair begins with the one before.

    The last one may have no repair: then the value means nothing and needs no further look.
    """
    if not value.strip():
        return [Flaw("empty_value", 0)]
    found = []
    trimmed = value.strip()
    if trimmed != value:
        index = 0 if value[0].isspace() else len(value.rstrip())
        found.append(Flaw("outer_whitespace", index, trimmed))
    visible = trimmed
    if match := _INVISIBLE.search(trimmed):
        visible = _INVISIBLE.sub("", trimmed).strip()
        found.append(Flaw("invisible_character", value.index(trimmed) + match.start(), visible))
    decoded = visible
    if match := _ESCAPE.search(visible):
        decoded = unquote(visible).strip()
        found.append(Flaw("double_encoding", value.index(match[0]), decoded))
    if decoded.lower() in SENTINELS or not decoded:
        found.append(Flaw("sentinel_value", 0))
    return found


def personal_data(value: str) -> int | None:
    """Return the index at which an e-mail address or a telephone number begins; digits alone are an id, not a number to call."""
    for match in _DOMAIN.finditer(value):
        start = match.start()
        while start and _MAILBOX.match(value, start - 1):
            start -= 1
        if start < match.start():
            return start
    called = _TELEPHONE.search(value)
    return called.start() if called else None


def masked(value: str, start: int) -> str:
    """Return a value whose personal data a finding must not repeat."""
    return f"{value[: start + 1]}…"
