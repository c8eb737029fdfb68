"""Where an object's files lie: its key taken literally where the file system can hold it, else a spelling that any can."""

import hashlib
import os
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

from storage.backends.local_files_folders import Folder
from storage.blobs import Area
from storage.keys import PROJECT_MARK, Scope, escape

KIND: Final = b"object_store"
BLOBS: Final = b"blobs"
SHADOW: Final = b"shadow"
META: Final = b"meta"
TMP: Final = b"tmp"
UPLOADS: Final = b"uploads"
LOCK: Final = b".lock"

NAME_BYTES: Final = 255
"""The longest file name of every common file system (NAME_MAX)."""
_SPELLED: Final = 240
_MORE: Final = b"+/"


class Place(NamedTuple):
    """A file below a scope's folder: the folders to go through, and its name."""

    folders: tuple[bytes, ...]
    name: bytes


@lru_cache(maxsize=1024)
def home_folders(scope: Scope, area: Area) -> tuple[bytes, ...]:
    """Return the folders of a scope's area below the root, different for every two scopes and areas."""
    home = (KIND, *(_folder_name(part) for part in scope.parts))
    return (*home, UPLOADS) if area is Area.UPLOADS else home


def homes_below(root: Folder, tenant: str, env: str) -> Iterator[tuple[bytes, ...]]:
    """Yield the folders of every scope and area that this tenant and env have."""
    for home in list(_surfaces(root, (KIND, _folder_name(tenant), _folder_name(env)))):
        yield home
        if UPLOADS in _names(root, home):
            yield (*home, UPLOADS)


def _surfaces(root: Folder, above: tuple[bytes, ...]) -> Iterator[tuple[bytes, ...]]:
    for name in _names(root, above):
        if name.startswith(PROJECT_MARK.encode()):
            yield from ((*above, name, surface) for surface in _names(root, (*above, name)))
        else:
            yield (*above, name)


def _names(root: Folder, folders: tuple[bytes, ...]) -> list[bytes]:
    try:
        with root.below(folders) as folder:
            return [name for name, is_folder in folder.entries() if is_folder]
    except FileNotFoundError:
        return []


def _folder_name(part: str) -> bytes:
    name = escape(part)
    if len(name) > NAME_BYTES:  # "~" is a character that `escape` never leaves, so no short name looks like this
        name = f"{name[:120]}~{hashlib.sha256(part.encode()).hexdigest()}"
    return name.encode()


@lru_cache(maxsize=1024)
def key_hash(key: str) -> str:
    """Return the hash that names a key's record: hex SHA-256, of one length and safe on any file system."""
    return hashlib.sha256(key.encode()).hexdigest()


def record_place(digest: str) -> Place:
    """Return where the record of the key with this hash lies."""
    return Place((META, digest[:2].encode()), f"{digest}.json".encode())


def data_place(key: str, *, shadow: bool) -> Place:
    """Return where the object's bytes lie: `blobs/{key}`, or its spelling below `shadow/`."""
    path = spell(key.encode()) if shadow else key.encode()
    *folders, name = path.split(b"/")
    return Place((SHADOW if shadow else BLOBS, *folders), name)


def spell(key: bytes) -> bytes:
    """Spell a key (or a prefix of one) in hex, in pieces of 240 digits: `{piece}+/{piece}+/{rest}`.

    Keeps order and prefixes, and needs neither case, length nor any character that a file system might treat its own way;
    a folder's name ends in "+" and a file's never, so one key can begin another.
    """
    digits = key.hex().encode()
    return _MORE.join(digits[start : start + _SPELLED] for start in range(0, len(digits), _SPELLED))


def unspell(path: bytes) -> bytes | None:
    """Undo `spell`; None for a path that it never makes."""
    try:
        key = bytes.fromhex(path.replace(_MORE, b"").decode("ascii"))
    except ValueError:
        return None
    return key if spell(key) == path else None


def needs_shadow(key: str, *, folding: bool) -> bool:
    """Say whether the literal path cannot be trusted: a segment is too long, or the file system would fold its case or form."""
    if folding and not (key.isascii() and key == key.lower()):
        return True
    return any(len(segment) > NAME_BYTES for segment in key.encode().split(b"/"))


def folded_twins(name: str) -> tuple[str, str]:
    """Return names that a file system which folds case, or Unicode form, would take for `name`."""
    return name.swapcase(), unicodedata.normalize("NFD", name)


def file_uri(root: Path, home: tuple[bytes, ...], place: Place) -> str:
    """Return the `file:` URI of the bytes of an object in this home."""
    path = b"/".join((os.fsencode(root), *home, *place.folders, place.name))
    return "file://" + quote(path)
