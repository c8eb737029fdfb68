"""RoutedStorage: files of Django's FileField and STORAGES go where the object_store route of the current tenant says.

Who the tenant is comes from a context that somebody gives: the constructor's, or the `with acting_for(context)` around the call.
It is never remembered from an earlier request, and without one nothing is read or written.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import PurePath
from tempfile import SpooledTemporaryFile
from typing import Any, Final, cast

from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import File
from django.core.files.storage import Storage
from django.core.files.utils import validate_file_name
from django.urls import reverse
from django.utils.deconstruct import deconstructible
from django.utils.timezone import make_naive

from northstar.context import RequestContext
from northstar.errors import AlreadyExists, Conflict, InvalidContext, NotFound
from routing.resolve import snapshot
from storage.blob_files import GuardedFiles
from storage.errors import InvalidKey
from storage.keys import check_object_key
from storage.kinds.media_types import is_media_type, sniffed
from storage.kinds.object_store import ObjectStore
from storage.kinds.registration import SNIFFED_BYTES
from storage.opening import open_store

Context = RequestContext | Callable[[], RequestContext]

ATTEMPTS: Final = 100
"""How many other names are tried for a file whose name somebody else takes meanwhile."""
URL_SECONDS: Final = 3600
CHUNK_BYTES: Final = 64 * 1024
MEMORY_BYTES: Final = 2 * 1024 * 1024
"""Of a copy that has to be made; more of it goes to a temporary file on disk."""
READ_MODES: Final = {"rb": False, "br": False, "r": True, "rt": True}
"""Modes in which a file is opened, and whether they read text."""

_acting: ContextVar[RequestContext] = ContextVar("northstar.storage.context")


@contextmanager
def acting_for(context: RequestContext) -> Iterator[None]:
    """Let storages without a context of their own act in this one, in this thread or task, until the block ends."""
    token = _acting.set(context)
    try:
        yield
    finally:
        _acting.reset(token)


def tenant_context(
    tenant_id: str, env: str = "dev", *, project_id: str | None = None, actor: str = ""
) -> RequestContext:
    """Return the context of a tenant, in the mode that the tenant has. Raises InvalidContext where there is no such tenant."""
    mode = snapshot().modes.get(tenant_id)
    if mode is None:
        raise InvalidContext(f"There is no tenant {tenant_id!a}.", fix="`manage.py tenant list` shows them.")
    return RequestContext(tenant_id, env, mode, project_id, actor=actor)


@deconstructible(path="storage.django.RoutedStorage")
class RoutedStorage(Storage):
    """A Django storage over the object_store route of a tenant: django-storages' classes, or Django's own for a folder.

    Each call asks for the route anew, so a switch is seen at once; files that were stored before it stay where they are. What
    a store raises (NoRouteConfigured, ForbiddenBackendClass, BackendUnavailable …) comes out as it is. A name that no object
    may have is SuspiciousFileOperation, a missing file FileNotFoundError, as Django's storages have it.
    """

    def __init__(self, context: Context | None = None, url_seconds: int = URL_SECONDS) -> None:
        """Act in this context, or in what this function returns at each call, or in that of `acting_for`."""
        self._given = context
        self._url_seconds = url_seconds

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        """Store a file whole under the name, or where that is taken under one like it, and return it. Nothing is replaced."""
        given = content if hasattr(content, "chunks") else File(content, name)
        wanted = self._name(given.name if name is None else name)
        with _rewindable(given) as file:
            return self._saved(wanted, file, max_length)

    def _saved(self, wanted: str, file: "File[Any]", max_length: int | None) -> str:
        files, content_type = self._files(), _content_type(file, wanted)
        for _ in range(ATTEMPTS):
            free = self.get_available_name(wanted, max_length=max_length)
            try:
                return files.create(free, file, content_type)
            except AlreadyExists:  # between the look and the write: the next look sees it
                file.seek(0)
        raise Conflict(f"Every name like {wanted!a} was taken by others.", fix="Save it again.")

    def open(self, name: str, mode: str = "rb") -> "File[Any]":
        """Return the file, whole on this machine, as bytes or (`r`) as text in UTF-8. Raises FileNotFoundError.

        Writing is what `save` does: a file that is written piece by piece could be seen half, or replace another.
        """
        if mode not in READ_MODES:
            raise ValueError(f"Files are opened to be read (rb or r), not with {mode!a}; save() stores one whole.")
        with _as_django_says(name):
            raw = self._files().open(self._name(name))
        return File(io.TextIOWrapper(raw, encoding="utf-8") if READ_MODES[mode] else raw, name)

    def delete(self, name: str) -> None:
        """Remove the file; one that is not there is no error."""
        if not name:
            raise ValueError("The name must be given to delete().")
        self._files().delete(self._name(name))

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        return self._files().exists(self._name(name))

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return folders and files directly below a path ("" for all), in order; of a path without any, two empty lists."""
        folder = path.strip("/")
        return self._files().listdir(self._name(folder) if folder else "")

    def size(self, name: str) -> int:
        """Return the size in bytes. Raises FileNotFoundError."""
        with _as_django_says(name):
            return self._files().size(self._name(name))

    def url(self, name: str | None) -> str:
        """Return an address that anybody may read the file at, for an hour or `url_seconds`. It is not looked for.

        A service signs it; for a folder it is Northstar's own, below this site.
        """
        if not name:
            raise ValueError("The name must be given to url().")
        served_at = reverse("presigned", args=["-"]).removesuffix("-")
        signed = self._store().presign(self._name(name), "GET", ttl_seconds=self._url_seconds, served_at=served_at)
        return str(signed.request.url)

    def get_modified_time(self, name: str) -> datetime:
        """Return when the file was stored: aware where USE_TZ is set, else in the local time zone. Raises FileNotFoundError."""
        with _as_django_says(name):
            moment = self._files().modified_at(self._name(name)).astimezone(UTC)
        return moment if settings.USE_TZ else make_naive(moment)

    def get_created_time(self, name: str) -> datetime:
        """Return the same: a file is stored once, and never changed."""
        return self.get_modified_time(name)

    def get_accessed_time(self, name: str) -> datetime:
        """Raise NotImplementedError: no service tells when an object was last read."""
        raise NotImplementedError("No service tells when an object was last read.")

    def path(self, name: str) -> str:
        """Raise NotImplementedError: a file of a route has no path that may be opened past it."""
        raise NotImplementedError("A file of a route has no path; open() reads it.")

    def _context(self) -> RequestContext:
        if self._given is not None:
            return self._given() if callable(self._given) else self._given
        found = _acting.get(None)
        if found is None:
            raise InvalidContext(
                "Nobody has said for which tenant files are kept.",
                fix="Wrap the call in `with acting_for(context)`, or give RoutedStorage a context.",
            )
        return found

    def _store(self) -> ObjectStore:
        return cast("ObjectStore", open_store("object_store", self._context()))

    def _files(self) -> GuardedFiles:
        return self._store().files()

    def _name(self, name: str | PurePath | None) -> str:
        """Return the name as an object's key. Raises SuspiciousFileOperation, as Django's storages do."""
        key = str(name or "").replace("\\", "/")
        validate_file_name(key, allow_relative_path=True)
        try:
            check_object_key(key)
        except InvalidKey as error:
            raise SuspiciousFileOperation(error.detail) from None
        return key


@contextmanager
def _as_django_says(name: str) -> Iterator[None]:
    try:
        yield
    except NotFound:
        raise FileNotFoundError(f"There is no file {name!a}.") from None


@contextmanager
def _rewindable(file: "File[Any]") -> Iterator["File[Any]"]:
    """Give the file as bytes, at its beginning; one that is text, or that can be read only once, as a copy on this machine."""
    if file.seekable():
        file.seek(0)
        if isinstance(file.read(0), bytes):
            yield file
            return
    with SpooledTemporaryFile(max_size=MEMORY_BYTES) as copy:
        for chunk in iter(lambda: file.read(CHUNK_BYTES), file.read(0)):
            copy.write(chunk.encode() if isinstance(chunk, str) else chunk)
        copy.seek(0)
        yield File(copy, file.name)


def _content_type(file: "File[Any]", name: str) -> str:
    """Return what an upload's sender calls it, if that is a type at all, else what its first bytes or its name show."""
    declared = getattr(file, "content_type", None) or getattr(file.file, "content_type", None)
    if isinstance(declared, str) and is_media_type(declared):
        return declared
    first = file.read(SNIFFED_BYTES)
    file.seek(0)
    return sniffed(first, name)
