"""An object being read: one download, pinned to the generation that its first byte came from."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from storage.backends.gcs_client import GcsConnection
from storage.backends.gcs_errors import Sent, broken, understood
from storage.backends.gcs_objects import Stored, from_headers
from storage.blobs import CHUNK_BYTES, ByteRange, RangeRequest
from storage.errors import BackendUnavailable, NotFound

BEYOND: Final = 416
_SPAN: Final = re.compile(r"bytes ([0-9]+)-([0-9]+)/[0-9]+")
_AS_STORED: Final = {"accept-encoding": "gzip"}
"""Else the service unpacks what is stored with a Content-Encoding of gzip, and the bytes are not those that were put."""


class Download:
    """The bytes of an open download, in chunks of at most CHUNK_BYTES. Read them to the end, or close it."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - the SDK is imported at first use

        if self._closed:
            raise StopIteration
        try:
            chunk: bytes = self._response.read(CHUNK_BYTES)
        except HTTPError as error:
            self.close()
            raise broken(error, Sent.READ) from error
        if not chunk:
            self._closed = True  # its connection has gone back by itself
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Let go of what was not read, and of the connection that would bring it."""
        if not self._closed:
            self._closed = True
            self._response.close()


def opened(
    connection: GcsConnection, name: str, wanted: RangeRequest | None
) -> tuple[Stored, Download, ByteRange] | None:
    """Open an object, or a part of it, by one request. Returns None where it is missing, or ends before the part begins.

    The XML API is asked, whose downloads alone tell the metadata.
    """
    if wanted is not None and wanted.suffix == 0:
        return None  # no header says so
    headers = {**_AS_STORED, "range": _range(wanted)} if wanted else _AS_STORED
    try:
        response = connection.open(connection.media_path(name), headers=headers, expected=frozenset({BEYOND}))
    except NotFound:
        return None
    if response.status == BEYOND:
        response.drain_conn()
        response.release_conn()
        return None
    download = Download(response)
    try:
        with understood(Sent.READ):
            stored = from_headers(response.headers)
            return stored, download, _span(response.headers) if wanted else ByteRange(0, stored.size)
    except BackendUnavailable:
        download.close()
        raise


def _span(headers: Mapping[str, str]) -> ByteRange:
    found = _SPAN.fullmatch(headers["content-range"])
    if found is None:
        raise ValueError("no range")
    return ByteRange(int(found[1]), int(found[2]) + 1)


def _range(wanted: RangeRequest) -> str:
    if wanted.suffix is not None:
        return f"bytes=-{wanted.suffix}"
    return f"bytes={wanted.first}-{'' if wanted.last is None else wanted.last}"
