"""Physical names of objects in a bucket: `tenants/{tenant}/{env}/raw/{key}`, readable in the vendor's own console."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from northstar.context import NO_SURFACE
from northstar.errors import InvalidRequest
from storage.blobs import NAME_BYTES, Area, BlobRef
from storage.errors import InvalidKey
from storage.keys import Scope, check_object_key

STAGING: Final = "staging"
"""Beside the areas: where a driver keeps what belongs to a write that has not ended. Nobody lists it; a sweep empties it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The names below a route's prefix ("" or ending in a slash)."""

    prefix: str = ""

    def name(self, ref: BlobRef) -> str:
        """Return the object's name. Raises InvalidKey when it would pass the 1,024 bytes that services allow."""
        name = self.home(ref.scope, ref.area) + ref.key
        size = len(name.encode())
        if size > NAME_BYTES:
            raise InvalidKey(
                f"The key {ref.key[:40]!a}… is too long: with its scope {size} bytes, {NAME_BYTES} are allowed.",
                fix="Shorten it, or use a hash of it.",
            )
        return name

    def home(self, scope: Scope, area: Area = Area.OBJECTS) -> str:
        """Return what the names of a scope's area begin with; no two begin alike."""
        return self.prefix + _scope_path(scope) + area + "/"

    def staging(self, tenant: str, env: str) -> str:
        """Return what the names of unfinished writes of a tenant and env begin with."""
        return f"{self.above(tenant, env)}{STAGING}/"

    def above(self, tenant: str, env: str) -> str:
        """Return what all names of a tenant and env begin with."""
        return self.prefix + _tenant_path(tenant, env)


def upload_homes(above: str, folders: Callable[[str], Iterable[str]]) -> Iterator[str]:
    """Yield what the names of uploads begin with, in each project and surface of a tenant and env whose names begin with `above`.

    `folders` gives the beginnings of names that lead one slash further than the one it is asked for.
    """
    for home in (above, *folders(f"{above}projects/")):
        for inner in (home, *folders(f"{home}surfaces/")):
            yield f"{inner}{Area.UPLOADS}/"


def key_of(name: str, home: str) -> str | None:
    """Return the key of a name that begins with `home`, or None when another program made it: no object has such a key."""
    key = name.removeprefix(home)
    try:
        check_object_key(key)
    except InvalidRequest:
        return None
    return key


@lru_cache(maxsize=1024)
def _scope_path(scope: Scope) -> str:
    path = _tenant_path(scope.tenant, scope.env)
    if scope.project is not None:
        path += f"projects/{_segment(scope.project)}/"
    if scope.surface != NO_SURFACE:
        path += f"surfaces/{_segment(scope.surface)}/"
    return path


def _tenant_path(tenant: str, env: str) -> str:
    return f"tenants/{_segment(tenant)}/{_segment(env)}/"


def _segment(part: str) -> str:
    escaped = quote(part, safe="@+=,")
    return escaped if escaped.strip(".") else escaped.replace(".", "%2E")
