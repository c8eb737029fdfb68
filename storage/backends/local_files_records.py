"""What is known of an object beside its bytes: one JSON file that names the current version and the one before it."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from storage.backends.local_files_folders import Generation
from storage.errors import BackendRejected

_ETAG_SHARE: Final = 24
"""Digits of the checksum in an ETag; 16 random ones follow, so that equal bytes written again are another version."""

_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object. It is the current one exactly while the data file has its generation."""

    generation: Generation
    sha256: str
    etag: str
    content_type: str
    metadata: Mapping[str, str]
    modified_at: datetime
    epoch: int


@dataclass(frozen=True, slots=True)
class Record:
    """An object's versions, newest first, at most two: until the newest one's bytes are in place, the older one is current."""

    key: str
    shadow: bool
    versions: tuple[Version, ...]

    def version(self, generation: Generation | None) -> Version | None:
        """Return the version whose bytes these are, or None when they are none of ours."""
        return next((version for version in self.versions if version.generation == generation), None)


def new_version(
    generation: Generation,
    *,
    sha256: str,
    content_type: str,
    metadata: Mapping[str, str],
    epoch: int,
    previous: Version | None,
) -> Version:
    """Return the version that follows `previous`: modified later than it by any clock."""
    now = datetime.now(UTC)
    modified_at = max(now, previous.modified_at + _TICK) if previous else now
    return Version(
        generation=generation,
        sha256=sha256,
        etag=sha256[:_ETAG_SHARE] + secrets.token_hex(8),
        content_type=content_type,
        metadata=dict(metadata),
        modified_at=modified_at,
        epoch=epoch,
    )


def encode(record: Record) -> bytes:
    """Return the record as one line of JSON."""
    versions = [_plain(version) for version in record.versions]
    location = "shadow" if record.shadow else "blobs"
    return orjson.dumps(
        {"key": record.key, "location": location, "versions": versions}, option=orjson.OPT_APPEND_NEWLINE
    )


def _plain(version: Version) -> dict[str, Any]:
    return {
        "size": version.generation.size,
        "mtime_ns": version.generation.mtime_ns,
        "sha256": version.sha256,
        "etag": version.etag,
        "content_type": version.content_type,
        "metadata": version.metadata,
        "modified_at": version.modified_at,
        "epoch": version.epoch,
    }


def decode(line: bytes) -> Record:
    """Read a record back. Raises BackendRejected when it is damaged."""
    try:
        plain = orjson.loads(line)
        return Record(plain["key"], plain["location"] == "shadow", tuple(_version(each) for each in plain["versions"]))
    except (ValueError, KeyError, TypeError):
        raise damaged(line.decode("ascii", "replace")[:80]) from None


def damaged(subject: str) -> BackendRejected:
    """Return the error for a record that cannot be read, or that is another key's."""
    return BackendRejected(
        f"The record of an object is damaged: {subject!a}.",
        fix="Restore its file below meta/, or store the object again.",
    )


def _version(plain: dict[str, Any]) -> Version:
    return Version(
        generation=Generation(plain["size"], plain["mtime_ns"]),
        sha256=plain["sha256"],
        etag=plain["etag"],
        content_type=plain["content_type"],
        metadata=plain["metadata"],
        modified_at=datetime.fromisoformat(plain["modified_at"]),
        epoch=plain["epoch"],
    )
