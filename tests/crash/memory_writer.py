"""Appends messages of its own to one session for ever, and tells on its output which are acknowledged. Killed by its test.

Usage: memory_writer.py FOLDER NAME. A message's content is [name, n]; a line of output is `n position`, written after the append.
"""

import itertools
import os
import sys

from django.conf import settings

from northstar import logs
from northstar.context import RequestContext
from storage.backends.filesystem import FilesystemDocuments
from storage.backends.filesystem_config import FilesystemConfig
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from storage.kinds.memory_store import MemoryStore
from storage.kinds.sessions import NewMessage


def open_memory(folder: str) -> MemoryStore:
    """Ada's memory below the folder, over a driver of its own."""
    driver = FilesystemDocuments(FilesystemConfig(base_dir=folder), mode="lab", epoch=1)
    documents = GuardedDocuments(driver, scope=Scope("acme", "dev"), served_by=ServedBy(1, 1, "filesystem"))
    return MemoryStore(documents, RequestContext("acme", "dev", "lab", user_id="ada"))


def main(folder: str, name: str) -> None:
    logs.configure(readable=True)  # to stderr: the output is for acknowledgements alone
    settings.configure(
        SECRET_KEY="of a test", NORTHSTAR_HOME=folder, NORTHSTAR_ALLOWED_ROOTS=[folder], NORTHSTAR_DEPLOYMENT="lab"
    )
    sessions = open_memory(folder).sessions
    numbers = itertools.count(1)
    while True:
        batch = [NewMessage("user", [name, next(numbers)]) for _ in range(1 + next(numbers) % 3)]
        stored = sessions.append("talk", batch).messages
        lines = "".join(f"{message.content[1]} {message.position}\n" for message in stored)
        os.write(sys.stdout.fileno(), lines.encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
