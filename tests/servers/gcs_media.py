"""An object's bytes as a response: whole, or one range of them."""

import re
from collections.abc import Mapping

from tests.servers.gcs_errors import not_modelled, range_not_satisfiable
from tests.servers.gcs_objects import DEFAULT_TYPE, PLAIN_FIELDS, ObjectVersion
from tests.servers.gcs_requests import Response

RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def media(version: ObjectVersion, headers: Mapping[str, str]) -> Response:
    """Return what a download of the object answers: 200, or 206 with a range. Raises a 416."""
    plain = {
        header: version.fields.plain[name] for name, header in PLAIN_FIELDS.items() if name in version.fields.plain
    }
    _refuse_transcoding(plain, headers)
    sent = {"content-type": DEFAULT_TYPE, "accept-ranges": "bytes", **version.headers(), **plain}
    response = Response(200, headers=sent, content=version.content, end=version.content.size)
    if "range" in headers:
        response.status = 206
        response.start, response.end = _range(headers["range"], version.content.size)
        sent["content-range"] = f"bytes {response.start}-{response.end - 1}/{version.content.size}"
    return response


def _range(header: str, size: int) -> tuple[int, int]:
    match = RANGE.fullmatch(header)
    if match is None or match.groups() == ("", ""):
        raise not_modelled(f"the range {header}")
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1 if last else size, size)
    if start >= end:
        raise range_not_satisfiable(size)
    return start, end


def _refuse_transcoding(plain: Mapping[str, str], headers: Mapping[str, str]) -> None:
    if plain.get("content-encoding") == "gzip" and "gzip" not in headers.get("accept-encoding", ""):
        raise not_modelled("decompressive transcoding: ask with Accept-Encoding: gzip")
