"""Still part one: a file comes and goes by URLs that need no key."""

import http.client
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from northstar.demo.client import ANSWER_SECONDS, Answer
from northstar.demo.stage import API, Stage, sha256

PRESIGN = f"{API}/storage/objects/presign"
REGISTER = f"{API}/storage/objects/register"
NAME = "handed-in.bin"


def hand_out(stage: Stage, source: str) -> None:
    """Upload a file by a presigned URL, register it, and read it by another; no key is sent to either."""
    report, key = stage.report, stage.prefix + NAME
    content = (stage.project / source).read_bytes()
    terms = {"content_type": "application/x-demo", "max_bytes": len(content), "ttl_seconds": 60}
    upload = stage.demo.need("POST", PRESIGN, data={"key": key, "method": "PUT", **terms}).json
    sent = _send(upload, content)
    early = stage.demo.call("GET", stage.object_path(NAME))
    report.check(
        "an upload without a key is taken, and is no object yet",
        sent.status < http.client.MULTIPLE_CHOICES and early.status == http.client.NOT_FOUND,
        f"PUT {sent.status}; GET {early.summary()}",
    )
    body = {"key": key, "upload_id": upload["upload_id"], "sha256": sha256(content)}
    stored = stage.demo.need("POST", REGISTER, data=body).json
    report.equal("registering it verifies its SHA-256 and makes it one", sha256(content), stored["sha256"])
    read = stage.demo.need("POST", PRESIGN, data={"key": key, "method": "GET", "ttl_seconds": 60}).json
    got = _send(read)
    report.check("a presigned GET reads it back", got.body == content, f"{got.status}, {len(got.body):,} bytes")
    other = _send({**read, "method": "PUT"}, b"forged")
    report.check("and does nothing else", other.status >= http.client.BAD_REQUEST, f"PUT {other.summary()}")


def _send(request: Mapping[str, Any], body: bytes = b"") -> Answer:
    """Send a presigned request as it was handed out."""
    parts = urlsplit(request["url"])
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    try:
        connection.request(request["method"], target, body or None, dict(request["headers"]))
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())
    finally:
        connection.close()
