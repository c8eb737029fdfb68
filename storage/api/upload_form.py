"""A browser's form with one file, read while it arrives: its fields first, then the file as a stream (RFC 7578)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.utils.http import parse_header_parameters

from northstar.errors import InvalidRequest

FIELD_BYTES: Final = 16 * 1024
FIELDS: Final = 50
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{1,70}")
_FIX: Final = "Send multipart/form-data with the fields first and the file last."


@dataclass(frozen=True, slots=True)
class UploadForm:
    """The fields before the file, the type that the file's own part names, and the file's bytes, to be read once."""

    fields: dict[str, str]
    file_type: str | None
    chunks: Iterator[bytes]


def read_form(content_type: str, body: Iterator[bytes]) -> UploadForm:
    """Read a form as far as its file. What follows the file is not looked at.

    Raises InvalidRequest for a body that is no such form, and from `chunks` where the file has no end.
    """
    source = _Source(body, _boundary(content_type))
    fields: dict[str, str] = {}
    source.skip_preamble()
    while source.has_part():
        headers = source.headers()
        disposition, parameters = _parsed(headers.get("content-disposition", ""))
        name = parameters.get("name")
        if disposition != "form-data" or name is None:
            raise InvalidRequest("A part of the form has no name.", fix=_FIX)
        if "filename" in parameters or name == "file":
            return UploadForm(fields, headers.get("content-type"), source.value())
        if len(fields) >= FIELDS:
            raise InvalidRequest(f"The form has more than {FIELDS} fields before its file.", fix=_FIX)
        fields[name.lower()] = source.text()
    raise InvalidRequest("The form holds no file.", fix=_FIX)


def _boundary(content_type: str) -> bytes:
    media_type, parameters = _parsed(content_type)
    boundary = parameters.get("boundary", "")
    if media_type != "multipart/form-data" or not _BOUNDARY.fullmatch(boundary):
        raise InvalidRequest(f"The content type {content_type[:80]!a} is not that of a form.", fix=_FIX)
    return boundary.encode("ascii")


def _parsed(header: str) -> tuple[str, dict[str, str]]:
    try:
        found: tuple[str, dict[str, str]] = parse_header_parameters(header)
    except ValueError:  # a charset that nobody knows
        raise InvalidRequest(f"The header {header[:80]!a} of the form cannot be read.", fix=_FIX) from None
    return found


class _Source:
    """The body, cut at its boundaries. Holds no more than a chunk and a boundary."""

    def __init__(self, body: Iterator[bytes], boundary: bytes) -> None:
        self._body = body
        self._end = b"\r\n--" + boundary
        self._rest = b"\r\n"  # so that the first boundary begins as all others do

    def skip_preamble(self) -> None:
        self._short(self._end)

    def has_part(self) -> bool:
        """Whether another part follows the boundary that was just passed."""
        while len(self._rest) < 2:
            self._more()
        after, self._rest = self._rest[:2], self._rest[2:]
        return after == b"\r\n"

    def headers(self) -> dict[str, str]:
        """Read a part's headers; names in lower case."""
        self._rest = b"\r\n" + self._rest  # a part may have none
        lines = self._short(b"\r\n\r\n").split(b"\r\n")
        pairs = (line.decode("utf-8", "replace").partition(":") for line in lines if line)
        return {name.strip().lower(): value.strip() for name, _, value in pairs}

    def text(self) -> str:
        """Read a field's value."""
        try:
            return self._short(self._end).decode()
        except UnicodeDecodeError:
            raise InvalidRequest("A field of the form is not UTF-8.", fix=_FIX) from None

    def value(self) -> Iterator[bytes]:
        """Yield a part's bytes up to the next boundary."""
        while (at := self._rest.find(self._end)) < 0:
            sure = len(self._rest) - len(self._end) + 1  # a boundary may have begun in what is left
            if sure > 0:
                yield self._rest[:sure]
                self._rest = self._rest[sure:]
            self._more()
        if at:
            yield self._rest[:at]
        self._rest = self._rest[at + len(self._end) :]

    def _short(self, end: bytes) -> bytes:
        while (at := self._rest.find(end)) < 0:
            if len(self._rest) > FIELD_BYTES:
                raise InvalidRequest(f"A field of the form has more than {FIELD_BYTES} bytes.", fix=_FIX)
            self._more()
        found, self._rest = self._rest[:at], self._rest[at + len(end) :]
        return found

    def _more(self) -> None:
        chunk = next(self._body, b"")
        if not chunk:
            raise InvalidRequest("The form ended before its last boundary.", fix=_FIX)
        self._rest += chunk
