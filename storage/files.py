"""Files as Django's storages keep them, over the objects of one scope: what a blob driver may offer besides its contract.

A file's name is an object's key, and a file is an object wherever the backend's format allows it (docs/decisions/0027).
"""

from datetime import datetime
from typing import Any, Protocol

from storage.keys import Scope


class ScopeFiles(Protocol):
    """One scope's files. Names are valid object keys. Raises NotFound, or what the driver raises for its service's errors."""

    def create(self, name: str, content: Any, content_type: str) -> str:
        """Store a Django `File` under a name that nothing has, and return the name. Raises AlreadyExists; nothing is replaced."""

    def open(self, name: str) -> Any:
        """Return the whole file, on this machine, as a binary file at its beginning; its reader closes it. Raises NotFound."""

    def delete(self, name: str) -> None:
        """Remove the file; one that is not there is no error."""

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""

    def size(self, name: str) -> int:
        """Return the size in bytes. Raises NotFound."""

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the folders and the files directly below a path, or below none ("")."""

    def modified_at(self, name: str) -> datetime:
        """Return when the file was last stored, in UTC. Raises NotFound."""


class FilesDriver(Protocol):
    """A blob driver that offers files."""

    def files(self, scope: Scope) -> ScopeFiles:
        """Return the files of a scope, over connections that the driver keeps and closes."""
