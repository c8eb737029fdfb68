"""Sends presigned requests as a stranger would: plain HTTP, nothing but what the request itself says, byte by byte."""

import http.client
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from storage.blobs import Presigned

PATIENCE_SECONDS = 60
_SIGNATURES = ("X-Amz-Signature", "X-Goog-Signature", "sig", "Signature")


@dataclass(frozen=True)
class Answer:
    """What came back. `ok` is a status below 300; anything else is a refusal, `body` saying why."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        return self.status < 300


def send(method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
    """Send one request; no redirect is followed and no header is added but those that HTTP needs."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=PATIENCE_SECONDS)
    try:
        connection.putrequest(method, url.partition(parts.netloc)[2] or "/", skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if method in {"PUT", "POST"} or body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


def use(request: Presigned, body: bytes = b"", **more: str) -> Answer:
    """Send the request as it was given, a form where it is a POST, with more headers if any are given."""
    if request.method == "POST":
        return send_form(request, body)
    return send(request.method, request.url, body, {**request.headers, **more})


def send_form(request: Presigned, body: bytes) -> Answer:
    """Send a browser's form: the request's fields, then the file."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in request.fields.items()
    ]
    file = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="upload.bin"\r\n\r\n'
    content = "".join([*parts, file]).encode() + body + f"\r\n--{boundary}--\r\n".encode()
    return send("POST", request.url, content, {"Content-Type": f"multipart/form-data; boundary={boundary}"})


def unsigned(request: Presigned) -> Presigned:
    """The same address without what makes it a permission: its query, or the signature at the end of our own."""
    parts = urlsplit(request.url)
    if parts.query:
        return replace(request, url=urlunsplit(parts._replace(query="")))
    return replace(request, url=request.url.rpartition(":")[0] or request.url)


def tampered(request: Presigned) -> Presigned:
    """The same request with one character of its signature, or of its form's policy, changed."""
    parts = urlsplit(request.url)
    for name, value in parse_qsl(parts.query):
        if name in _SIGNATURES:
            old, new = (f"{name}={quote(text, safe='')}" for text in (value, _other(value)))
            assert old in parts.query, "the signature stands in the query as it is quoted here"
            return replace(request, url=urlunsplit(parts._replace(query=parts.query.replace(old, new))))
    for name, value in request.fields.items():
        if name.lower().endswith("signature"):
            return replace(request, fields={**request.fields, name: _other(value)})
    payload, mark, signature = request.url.rpartition(":")
    return replace(request, url=payload + mark + _other(signature))


def _other(text: str) -> str:
    """Change the first character: the last may stand for bits that nobody reads."""
    return ("b" if text[0] == "a" else "a") + text[1:]


def moved(request: Presigned, target: Presigned) -> Presigned:
    """The permission of one request carried over to the address of another."""
    ours, theirs = urlsplit(request.url), urlsplit(target.url)
    if ours.query:
        return replace(request, url=urlunsplit(theirs._replace(query=ours.query)))
    if request.fields and "key" in request.fields:
        return replace(request, fields={**request.fields, "key": target.fields["key"]})
    return replace(request, url=target.url.rpartition(":")[0] + ":" + request.url.rpartition(":")[2])
