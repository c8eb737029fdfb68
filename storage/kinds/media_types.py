"""What an object is: what its writer says, else what its first bytes say, else what its name says."""

import re
from mimetypes import MimeTypes
from typing import Final

import puremagic

from storage.errors import InvalidValue

UNKNOWN: Final = "application/octet-stream"
_LONGEST: Final = 255
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE: Final = re.compile(
    rf'{_WORD}/{_WORD}([ \t]*;[ \t]*{_WORD}=({_WORD}|"([^"\\\x00-\x1f\x7f]|\\[\t\x20-\x7e])*"))*', re.ASCII
)
_ENCODED: Final = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
_NEWER: Final = {
    ".avif": "image/avif",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".toml": "application/toml",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
"""What the library's own table does not have in Python 3.11."""


def _table() -> MimeTypes:
    names = MimeTypes()  # without the machine's own files, so that every machine answers alike
    for ending, media_type in _NEWER.items():
        names.add_type(media_type, ending)
    return names


_NAMES: Final = _table()

_FARTHEST: Final = 16
"""A signature that is matched farther inside may be any text's: only those at the start are believed."""


def is_media_type(given: str) -> bool:
    """Whether this is a media type of RFC 9110: `type/subtype`, with parameters or without."""
    return given.isascii() and len(given) <= _LONGEST and _MEDIA_TYPE.fullmatch(given) is not None


def check_media_type(given: str) -> None:
    """Refuse what is no media type, naming the rule. Raises InvalidValue."""
    if not is_media_type(given):
        raise InvalidValue(
            f"The content type {given[:80]!a} is not a media type.", fix="Send one such as text/plain; charset=utf-8."
        )


def sniffed(first_bytes: bytes, key: str) -> str:
    """Return the media type that the bytes show, or the name where they do not decide, or application/octet-stream."""
    by_name = _by_name(key)
    found = _signatures(first_bytes)
    if by_name and (not found or by_name in found):
        return by_name
    registered = [each for each in found if not each.partition("/")[2].startswith(("vnd.", "x-"))]
    for candidates in (found, registered):
        if len(candidates) == 1:
            return candidates[0]
    return by_name or UNKNOWN


def _by_name(key: str) -> str | None:
    media_type, encoding = _NAMES.guess_type("file:///" + key.rpartition("/")[2])
    return _ENCODED.get(encoding, UNKNOWN) if encoding else media_type


def _signatures(first_bytes: bytes) -> list[str]:
    """Return the types whose signature is the longest that stands at the start of the bytes; several may share one."""
    try:
        matches = puremagic.magic_string(first_bytes) if first_bytes else []
    except puremagic.PureError:
        return []
    trusted = [
        match
        for match in matches
        if 0 <= match.offset <= _FARTHEST and "/" in match.mime_type and _is_telling(match.byte_match)
    ]
    longest = max((len(match.byte_match) for match in trusted), default=0)
    return list(dict.fromkeys(match.mime_type for match in trusted if len(match.byte_match) == longest))


def _is_telling(signature: bytes) -> bool:
    return len(signature) >= 4 or (len(signature) == 3 and not signature.isascii())
