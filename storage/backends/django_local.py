"""Django's own FileSystemStorage over the folder of a scope's objects, for tenants in mode lab.

It writes the bytes where an object's bytes lie; the driver then gives them their record, and so the file is an object too.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage

from storage.backends.django_files import DjangoFiles
from storage.backends.local_files_folders import translation
from storage.errors import AlreadyExists

Adopt = Callable[[str, str], None]
"""Gives the file of this name and content type its record."""
FILE_MODE: Final = 0o640
FOLDER_MODE: Final = 0o750


def local_files(folder: Path, adopt: Adopt) -> DjangoFiles:
    """Return the files of a folder, which need not exist yet."""
    return DjangoFiles(_LocalStorage(folder, adopt), (OSError,), _told)


class _LocalStorage(FileSystemStorage):
    def __init__(self, folder: Path, adopt: Adopt) -> None:
        super().__init__(location=str(folder), file_permissions_mode=FILE_MODE, directory_permissions_mode=FOLDER_MODE)
        self._adopt = adopt

    def create(self, name: str, content: Any, content_type: str) -> str:
        save: Any = getattr(self, "_save")  # noqa: B009 - the types do not know what Storage.save calls
        # Without the upload's own path: Django would move that file here, and moving replaces what came meanwhile.
        stored: str = save(name, File(content.file, name))
        self._adopt(stored, content_type)
        return stored

    def get_available_name(self, name: str, max_length: int | None = None) -> str:  # noqa: ARG002
        """Raise AlreadyExists: who asked for the name says what to do, and how long another may be."""
        raise AlreadyExists(f"The file {name!a} exists.")

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        return super().listdir(path) if Path(self.path(path)).is_dir() else ([], [])

    def path(self, name: str) -> str:
        """Return the file's path. Raises SuspiciousFileOperation for one that a link would lead elsewhere."""
        path = super().path(name)
        real = os.path.realpath(self.location)
        if os.path.commonpath([real, os.path.realpath(path)]) != real or Path(path).is_symlink():
            raise SuspiciousFileOperation("A link leads out of the folder of the route's objects.")
        return path


def _told(error: Exception) -> Exception:
    assert isinstance(error, OSError)
    return translation(error, "The file system refused")
