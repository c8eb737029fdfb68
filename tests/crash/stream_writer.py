"""Appends events of its own to one stream for ever, and tells on its output which are acknowledged. Killed by its test.

Usage: stream_writer.py FOLDER NAME. An event's data are [name, n]; a line of output is `n position`, written after the append.
"""

import itertools
import os
import sys
from pathlib import Path

from django.conf import settings

from northstar import logs
from storage.kinds.event_stream import EventStream
from storage.kinds.events import NewEvent
from tests.storage.stores import FilesystemStores


def main(folder: str, name: str) -> None:
    logs.configure(readable=True)  # to stderr: the output is for acknowledgements alone
    settings.configure(
        SECRET_KEY="of a test", NORTHSTAR_HOME=folder, NORTHSTAR_ALLOWED_ROOTS=[folder], NORTHSTAR_DEPLOYMENT="lab"
    )
    streams = FilesystemStores(Path(folder)).open(EventStream, "event_stream")
    numbers = itertools.count(1)
    while True:
        batch = [NewEvent("counted", [name, next(numbers)]) for _ in range(1 + next(numbers) % 3)]
        stored = streams.append("orders", batch)
        lines = "".join(f"{event.data[1]} {event.position}\n" for event in stored)
        os.write(sys.stdout.fileno(), lines.encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
