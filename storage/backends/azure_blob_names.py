"""Names of blobs: the layout's own, but for what Azure Blob Storage would change or not list; nothing changes their order.

The service drops dots at the end of a name and of its segments: `report.` would be `report`, silently (the REST reference says
"avoid blob names that end with a dot"; azure-sdk-for-java issue 36674 shows it). And it lists no name with U+FFFE or U+FFFF as
it is, because XML cannot hold them. So these are written in other characters, reversibly, such that two encoded names compare
as the names do, and a name's beginning stays the beginning of the encoded name: listings, prefixes and cursors need no more.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from storage.backends.blob_names import Layout
from storage.blobs import Area, BlobRef
from storage.errors import InvalidKey

NAME_CHARACTERS: Final = 1024
"""What a blob's name may have ("Naming and referencing containers, blobs, and metadata", Azure Blob Storage REST API)."""

_UNLISTED: Final = str.maketrans({"\ufffd": "\ufffd0", "\ufffe": "\ufffd1", "\uffff": "\ufffd2"})
_LISTED: Final = {"0": "\ufffd", "1": "\ufffe", "2": "\uffff"}
_LISTED_CODE: Final = re.compile("\ufffd([012])")

_AFTER_DOT: Final = re.compile(r"(?<=\.)[ /~-\U0010ffff]")
"""What follows a dot and is written otherwise: a slash, which ends a segment in that dot, and what such codes begin with."""
_END: Final = " !"
"""Follows a dot at the end of a name: before any other character after a dot, even a space, which is ` ~` there."""
_DOT_CODE: Final = re.compile(r"\.~/|(?<=\.) ~|(?<=\.)~!")


def encode_start(text: str) -> str:
    """Return what the encoded form of every name begins with that begins with this text."""
    return _AFTER_DOT.sub(_after_dot, text.translate(_UNLISTED))


def encode(name: str) -> str:
    """Return the name as it stands in the container."""
    started = encode_start(name)
    return started + _END if started.endswith(".") else started


def decode(stored: str) -> str | None:
    """Return the name that is stored so, or None: another program made this one."""
    text = stored[: -len(_END)] if stored.endswith("." + _END) else stored
    text = _DOT_CODE.sub(_before_dot_code, text)
    name = _LISTED_CODE.sub(lambda code: _LISTED[code[1]], text)
    return name if encode(name) == stored else None


def decode_start(stored: str) -> str | None:
    """Return the text that `encode_start` makes this of, or None."""
    name = _LISTED_CODE.sub(lambda code: _LISTED[code[1]], _DOT_CODE.sub(_before_dot_code, stored))
    return name if encode_start(name) == stored else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object stands. `ours`: nobody else writes there, so the metadata is what Northstar has told of the bytes."""

    key: str
    name: str
    ours: bool = True


def place_of(layout: Layout, ref: BlobRef) -> Place:
    """Return the object's place in the container. Raises InvalidKey when its name is too long for the service."""
    name = encode(layout.name(ref))
    size = len(name.encode("utf-16-le")) // 2
    if size > NAME_CHARACTERS:
        raise InvalidKey(
            f"The key {ref.key[:40]!a}… is too long for Azure Blob Storage: {size} characters, {NAME_CHARACTERS} are allowed.",
            fix="Shorten it, or use fewer segments that end in a dot.",
        )
    return Place(ref.key, name, ours=ref.area is Area.OBJECTS)


def quoted(name: str) -> str:
    """Return the name as the path of an address."""
    return quote(name, safe="/~")


def _after_dot(found: re.Match[str]) -> str:
    character = found[0]
    if character == "/":
        return ".~/"
    return " ~" if character == " " else "~!" + character


def _before_dot_code(found: re.Match[str]) -> str:
    return {".~/": "/", " ~": " ", "~!": ""}[found[0]]
