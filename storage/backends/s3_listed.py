"""S3's listings, read from XML."""

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET


@dataclass(frozen=True, slots=True)
class Listed:
    """An object of a listing, by its whole name."""

    name: str
    size: int
    etag: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Listing:
    """A page: objects and common prefixes, each in byte order. `more` tells whether others follow."""

    objects: tuple[Listed, ...]
    prefixes: tuple[str, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload in parts that has not ended."""

    name: str
    id: str
    begun_at: datetime


def listing_in(root: ET.Element) -> Listing:
    """Read a ListBucketResult of ListObjectsV2."""
    objects = tuple(
        Listed(
            _name(root, entry, "Key"),
            int(_text(entry, "Size")),
            _text(entry, "ETag").strip('"'),
            moment_of(_text(entry, "LastModified")),
        )
        for entry in root.iterfind("{*}Contents")
    )
    prefixes = tuple(_name(root, entry, "Prefix") for entry in root.iterfind("{*}CommonPrefixes"))
    return Listing(objects, prefixes, _is_truncated(root))


def uploads_in(root: ET.Element) -> tuple[list[Upload], tuple[str, str] | None]:
    """Read a ListMultipartUploadsResult: the uploads, and the markers that the next page begins after."""
    uploads = [
        Upload(_name(root, entry, "Key"), _text(entry, "UploadId"), moment_of(_text(entry, "Initiated")))
        for entry in root.iterfind("{*}Upload")
    ]
    markers = (_name(root, root, "NextKeyMarker"), _text(root, "NextUploadIdMarker"))
    return uploads, markers if _is_truncated(root) else None


def moment_of(text: str) -> datetime:
    """Return the moment of a timestamp in XML, to the second: headers have no more, and S3 itself keeps no more."""
    return datetime.fromisoformat(text).astimezone(UTC).replace(microsecond=0)


def _text(entry: ET.Element, name: str) -> str:
    return entry.findtext(f"{{*}}{name}") or ""


def _name(root: ET.Element, entry: ET.Element, name: str) -> str:
    """Return an object's name: XML has no control characters, so S3 encodes names when it is asked to, and says that it did."""
    text = _text(entry, name)
    return unquote_plus(text) if _text(root, "EncodingType") == "url" else text


def _is_truncated(root: ET.Element) -> bool:
    return _text(root, "IsTruncated") == "true"
