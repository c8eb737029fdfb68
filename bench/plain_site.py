"""The baseline of the object benchmark: a plain Django view that writes the body to a file, served by the server that we use.

`/whole/{name}` promises what an object store must: after the answer the file survives a power cut, and a reader meets the old
file or the new one, never half of one. `/written/{name}` only writes and syncs the file in place. No middleware, no database.
`python -m bench.plain_site PORT` serves it as `manage.py serve` serves Northstar: granian, the bridge, as many threads.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from northstar.bridge import Bridge
from northstar.settings.base import NORTHSTAR_HOME, NORTHSTAR_WEB_THREADS

FOLDER: Final = NORTHSTAR_HOME / "plain"
BACKLOG: Final = 1024


def put_whole(request: HttpRequest, name: str) -> HttpResponse:
    """Write beside, sync, rename, sync the folder."""
    target = FOLDER / name
    beside = target.with_suffix(".new")
    _write(beside, request.body)
    beside.replace(target)
    folder = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return HttpResponse(status=201)


def put_written(request: HttpRequest, name: str) -> HttpResponse:
    """Write and sync in place."""
    _write(FOLDER / name, request.body)
    return HttpResponse(status=201)


def _write(target: Path, body: bytes) -> None:
    with target.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


urlpatterns = [path("whole/<str:name>", put_whole), path("written/<str:name>", put_written)]


def serve(port: int) -> None:
    """Serve until killed."""
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF="bench.plain_site", SECRET_KEY=os.urandom(32).hex(), MIDDLEWARE=[]
    )
    FOLDER.mkdir(exist_ok=True)
    server = Server(
        Bridge(get_wsgi_application(), NORTHSTAR_WEB_THREADS),
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        log_enabled=False,
    )
    asyncio.run(server.serve())


if __name__ == "__main__":
    serve(int(sys.argv[1]))
