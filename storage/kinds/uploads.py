"""Uploads on their way in: presigned, verified where they landed, and only then an object.

An upload stands at `{key}/{upload id}` in the scope's area of uploads, and its id holds the terms that it was granted on. The
id is part of the address that is signed, so an uploader cannot change the terms, and no table has to remember them.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256 as new_sha256
from typing import Final, Self

from storage.blobs import Grant
from storage.errors import InvalidValue

SHORTEST_SECONDS: Final = 1
LONGEST_SECONDS: Final = 7 * 24 * 3600
"""The longest that a presigned request may live: what S3 and Google Cloud Storage allow with Signature V4."""
ALLOWANCE: Final = timedelta(hours=1)
"""How long after its terms an upload may still end: services look at the clock when a request begins."""
PLAIN_KEY_BYTES: Final = 760
PLAIN_KEY_SLASHES: Final = 238
"""A longer or deeper key leaves no room for an id below it: its uploads stand below its hash instead."""

_NONE: Final = "x"
_ID: Final = re.compile(
    r"(?P<form>[hk])(?P<expires>[0-9a-f]{1,12})-(?P<most>x|[0-9a-f]{1,12})-(?P<type>x|[0-9a-f]{16})"
    r"-(?P<sha256>x|[0-9a-f]{64})-[0-9a-f]{24}",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What an upload was granted on; None where it was left open. Of the content type only a hash is kept."""

    expires_at: datetime
    max_bytes: int | None
    type_hash: str | None
    sha256: str | None

    @classmethod
    def of(cls, upload_id: str) -> Self | None:
        """Return the terms that an id holds, or None for what is no upload's id."""
        found = _ID.fullmatch(upload_id)
        if found is None:
            return None
        return cls(
            datetime.fromtimestamp(int(found["expires"], 16), UTC),
            None if found["most"] == _NONE else int(found["most"], 16),
            None if found["type"] == _NONE else found["type"],
            None if found["sha256"] == _NONE else found["sha256"],
        )

    def allow_type(self, content_type: str) -> bool:
        """Whether an upload of this content type keeps the terms."""
        return self.type_hash in {None, _type_hash(content_type)}


def new_upload_id(key: str, grant: Grant, now: datetime) -> str:
    """Return an id for an upload of this key under these terms, as nobody has had one."""
    parts = (
        f"{'k' if _is_plain(key) else 'h'}{int(now.timestamp()) + grant.seconds:x}",
        _NONE if grant.max_bytes is None else f"{grant.max_bytes:x}",
        _NONE if grant.content_type is None else _type_hash(grant.content_type),
        grant.sha256 or _NONE,
        secrets.token_hex(12),
    )
    return "-".join(parts)


def upload_terms(key: str, upload_id: str) -> Terms:
    """Return the terms of an upload of this key. Raises InvalidValue for an id that this key's uploads cannot have."""
    terms = Terms.of(upload_id)
    if terms is None or (upload_id[0] == "k") is not _is_plain(key):
        raise InvalidValue(
            f"{upload_id[:80]!a} is no upload_id of {key!a}.",
            fix="Send the upload_id that presigning this key answered.",
        )
    return terms


def uploads_prefix(key: str) -> str:
    """Return what the keys of this key's uploads begin with, in the area of uploads."""
    return f"{key}/k" if _is_plain(key) else f"{new_sha256(key.encode()).hexdigest()}/h"


def upload_key(key: str, upload_id: str) -> str:
    """Return where an upload stands in the area of uploads."""
    return uploads_prefix(key)[:-1] + upload_id


def receipt_of(key: str, upload_id: str) -> str:
    """Return what the object is marked with that an upload became: registering it again finds its own work by it."""
    return new_sha256(f"{key}\n{upload_id}".encode()).hexdigest()[:32]


def _is_plain(key: str) -> bool:
    return len(key.encode()) <= PLAIN_KEY_BYTES and key.count("/") <= PLAIN_KEY_SLASHES


def _type_hash(content_type: str) -> str:
    return new_sha256(content_type.encode()).hexdigest()[:16]
