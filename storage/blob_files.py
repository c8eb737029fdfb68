"""The guard above a scope's files: valid names, metering, redaction, as for every other call of a driver."""

from datetime import datetime
from typing import Any

from storage.files import ScopeFiles
from storage.guard import Caller
from storage.keys import check_object_key
from storage.usage import BYTES_OUT, LISTED, LOOKED_UP, NOTHING, OBJECT_READS, of_object_put


class GuardedFiles:
    """`storage.files.ScopeFiles`, by names that are checked. Raises InvalidKey for others, and as the driver does."""

    def __init__(self, files: ScopeFiles, caller: Caller, lease: object) -> None:
        self._files = files
        self._caller = caller
        self._lease = lease  # keeps the driver open for as long as these files are in use

    def create(self, name: str, content: Any, content_type: str) -> str:
        check_object_key(name)
        return self._caller.run(
            "file_create",
            lambda: self._files.create(name, content, content_type),
            repeatable=False,
            spends=of_object_put(content.size),
        )

    def open(self, name: str) -> Any:
        check_object_key(name)
        return self._caller.run(
            "file_open", lambda: self._files.open(name), repeatable=True, spends=LOOKED_UP, yields=_read
        )

    def delete(self, name: str) -> None:
        check_object_key(name)
        self._caller.run("file_delete", lambda: self._files.delete(name), repeatable=False, spends=NOTHING)

    def exists(self, name: str) -> bool:
        check_object_key(name)
        return self._caller.run("file_exists", lambda: self._files.exists(name), repeatable=True, spends=LOOKED_UP)

    def size(self, name: str) -> int:
        check_object_key(name)
        return self._caller.run("file_size", lambda: self._files.size(name), repeatable=True, spends=LOOKED_UP)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        if path:
            check_object_key(path)
        return self._caller.run("file_listdir", lambda: self._files.listdir(path), repeatable=True, spends=LISTED)

    def modified_at(self, name: str) -> datetime:
        check_object_key(name)
        return self._caller.run(
            "file_modified", lambda: self._files.modified_at(name), repeatable=True, spends=LOOKED_UP
        )


def _read(file: Any) -> dict[str, int]:
    size = file.seek(0, 2)
    file.seek(0)
    return {BYTES_OUT: size, OBJECT_READS: 1}
