"""The files of a scope over one of Django's storages: what every backend's have in common, and where errors are translated."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import Any, Final

from storage.errors import NotFound

MEMORY_BYTES: Final = 2 * 1024 * 1024
"""Of a file that is read: more of it goes to a temporary file on disk."""

Told = Callable[[Exception], Exception]


class DjangoFiles:
    """`storage.files.ScopeFiles` over a Django storage whose own `_save` never replaces a file.

    `failures` are the SDK's errors, and `told` gives ours for one of them.
    """

    def __init__(self, storage: Any, failures: tuple[type[Exception], ...], told: Told) -> None:
        self._storage = storage
        self._failures = failures
        self._told_as = told

    def create(self, name: str, content: Any, content_type: str) -> str:
        with self._told(name):
            stored: str = self._storage.create(name, content, content_type)
            return stored

    def open(self, name: str) -> Any:
        copy = SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115 - its reader closes it
        try:
            with self._told(name), self._storage.open(name, "rb") as remote:
                shutil.copyfileobj(remote, copy)
        except BaseException:
            copy.close()
            raise
        copy.seek(0)
        return copy

    def delete(self, name: str) -> None:
        with self._told(name):
            self._storage.delete(name)

    def exists(self, name: str) -> bool:
        with self._told(name):
            return bool(self._storage.exists(name))

    def size(self, name: str) -> int:
        with self._told(name):
            return int(self._storage.size(name))

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        with self._told(path):
            folders, files = self._storage.listdir(path)
            return sorted(folders), sorted(files)

    def modified_at(self, name: str) -> datetime:
        with self._told(name):
            moment: datetime = self._storage.get_modified_time(name)
            return moment

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise no_file(name) from None
        except self._failures as error:
            told = self._told_as(error)
            raise (no_file(name) if isinstance(told, NotFound) else told) from None


def no_file(name: str) -> NotFound:
    """The error for a file that is not there."""
    return NotFound(f"There is no file {name!a}.")
