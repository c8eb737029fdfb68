"""Which keys are valid, whose they are, and how any text becomes one safe name and back.

Nothing is normalised: a key is stored as it was given, or refused before any I/O with the rule it breaks.
"""

import re
from dataclasses import dataclass
from typing import Final

from northstar.context import NO_SURFACE, RequestContext
from storage.documents import KEY_BYTES, PARTITION_BYTES
from storage.errors import InvalidKey

OBJECT_KEY_SEGMENTS: Final = 240
"""Azure Blob Storage allows 254 in a name ("Naming and referencing containers, blobs, and metadata"); a scope takes up to 8."""
PROJECT_MARK: Final = "@"
"""Starts the project part of a partition. No surface starts with it, so the parts stay unambiguous."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose data: the parts that come first in every physical key."""

    tenant: str
    env: str
    project: str | None = None
    surface: str = NO_SURFACE

    @classmethod
    def of(cls, context: RequestContext) -> "Scope":
        return cls(context.tenant_id, context.env, context.project_id, context.surface_id)

    @property
    def parts(self) -> tuple[str, ...]:
        """`(tenant, env, surface)`, and `(tenant, env, "@project", surface)` inside a project: never the same for two scopes."""
        if self.project is None:
            return (self.tenant, self.env, self.surface)
        return (self.tenant, self.env, PROJECT_MARK + self.project, self.surface)


_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")
"""Unicode's category Cc, whole."""


def check_text(text: str, *, what: str, max_bytes: int) -> None:
    """Refuse what is no key anywhere: empty, over `max_bytes` of UTF-8, control characters, lone surrogates."""
    if not text:
        raise InvalidKey(f"The {what} is empty.", fix=f"Give the {what} 1 to {max_bytes} bytes.")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidKey(f"The {what} {text!a} is not valid Unicode.", fix="Send UTF-8 without surrogates.") from None
    if size > max_bytes:
        raise InvalidKey(
            f"The {what} {text[:40]!a}… has {size} bytes; {max_bytes} are allowed.",
            fix="Shorten it, or use a hash of it.",
        )
    if _CONTROL.search(text):
        raise InvalidKey(f"The {what} {text!a} holds a control character.", fix="Remove it, or encode it yourself.")


def check_key(key: str, *, what: str = "key") -> None:
    """Refuse a document key that is not 1 to 900 bytes of valid Unicode without control characters."""
    check_text(key, what=what, max_bytes=KEY_BYTES)


def check_prefix(prefix: str) -> None:
    """Refuse a prefix that no key could start with; the empty prefix is every key's."""
    if prefix:
        check_text(prefix, what="prefix", max_bytes=KEY_BYTES)


def check_partition(partition: tuple[str, ...]) -> None:
    """Refuse a partition with a bad part, or whose parts together pass 900 bytes."""
    for part in partition:
        check_text(part, what="name", max_bytes=PARTITION_BYTES)
    size = sum(len(part.encode()) for part in partition)
    if size > PARTITION_BYTES:
        longest = max(partition, key=len)
        raise InvalidKey(
            f"The name {longest[:40]!a}… is too long: with its scope {size} bytes, {PARTITION_BYTES} are allowed.",
            fix="Shorten it, or use a hash of it.",
        )


def check_object_key(key: str) -> None:
    """Refuse an object key that some service would fold or misread, naming the rule."""
    check_text(key, what="key", max_bytes=KEY_BYTES)
    rule = ""
    if "\\" in key:
        rule = "it holds a backslash"
    elif key.startswith("/") or key.endswith("/"):
        rule = "it starts or ends with a slash"
    elif any(segment in {"", ".", ".."} for segment in key.split("/")):
        rule = "it has an empty, '.' or '..' segment"
    elif key.count("/") >= OBJECT_KEY_SEGMENTS:
        rule = f"it has more than {OBJECT_KEY_SEGMENTS} segments"
    if rule:
        raise InvalidKey(
            f"The object key {key!a} is not allowed: {rule}.", fix="Use segments such as reports/2026/q1.pdf."
        )


_UNSAFE: Final = re.compile(rb"[^a-z0-9_@+=,-]")
_ESCAPE: Final = re.compile(r"%([0-9a-f]{2})")


def escape(text: str) -> str:
    """Turn any text into a name of `a-z 0-9 _ @ + = , -` and `%xx`, reversibly; no two texts meet even where case is folded."""
    return _UNSAFE.sub(lambda match: b"%%%02x" % match[0][0], text.encode()).decode("ascii")


def unescape(name: str) -> str:
    """Undo `escape`. Raises InvalidKey for a name that `escape` never makes."""
    raw = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), name)
    try:
        text = raw.encode("latin-1").decode()
    except UnicodeError:
        text = ""
    if not text or escape(text) != name:
        raise InvalidKey(f"The stored name {name!a} was not made by Northstar.")
    return text
