"""Batches: up to 100 calls of the JSON API in one request, each done by itself ("Sending batch requests")."""

import io
import secrets
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message
from http import HTTPStatus
from urllib.parse import urlsplit

from tests.servers.gcs_errors import GcsError, bad_request
from tests.servers.gcs_requests import Request, Response, json_response

MAX_CALLS = 100
"""Calls of one batch, which the service's documentation asks to stay below."""
MAX_BYTES = 10 * 1024 * 1024
"""Bytes of a batch's body, likewise."""
Serve = Callable[[Request], Response]


def batch(request: Request, serve: Serve) -> Response:
    """Do every call of a batch in turn. Raises a 400 for a body that is no batch, or for more than 100 calls."""
    head = f"Content-Type: {request.headers.get('content-type', '')}\r\n\r\n".encode()
    message = message_from_bytes(head + request.body.all(MAX_BYTES))
    parts = message.get_payload()
    if message.get_content_type() != "multipart/mixed" or not isinstance(parts, list):
        raise bad_request("Failed to parse batch request: it is no multipart/mixed")
    if len(parts) > MAX_CALLS:
        raise bad_request(f"The batch request has {len(parts)} calls, more than {MAX_CALLS}")
    boundary = f"batch_{secrets.token_hex(12)}"
    answers = b"".join(_answer(part, request, serve, boundary) for part in parts if isinstance(part, Message))
    headers = {"content-type": f"multipart/mixed; boundary={boundary}"}
    return Response(200, answers + f"--{boundary}--".encode(), headers)


def _answer(part: Message, outer: Request, serve: Serve, boundary: str) -> bytes:
    try:
        response = serve(_call(part, outer))
    except GcsError as error:
        response = error_response(error)
    content_id = f"Content-ID: <response-{part['content-id'].strip('<>')}>\r\n" if part["content-id"] else ""
    reason = HTTPStatus(response.status).phrase
    shown = {**response.headers, "content-length": str(len(response.data))}
    headers = "".join(f"{name}: {value}\r\n" for name, value in shown.items())
    head = f"--{boundary}\r\nContent-Type: application/http\r\n{content_id}\r\nHTTP/1.1 {response.status} {reason}\r\n"
    return f"{head}{headers}\r\n".encode() + response.data + b"\r\n"


def _call(part: Message, outer: Request) -> Request:
    if part.get_content_type() != "application/http":
        raise bad_request("A part of the batch is no application/http")
    payload = part.get_payload(decode=True)
    line, _, rest = (payload if isinstance(payload, bytes) else b"").lstrip().partition(b"\n")
    words = line.decode().split()
    inner = message_from_bytes(rest)
    body = inner.get_payload(decode=True)
    data = body.rstrip() if isinstance(body, bytes) else b""
    if len(words) != 3 or not urlsplit(words[1]).path.startswith("/storage/v1/") or "alt=media" in words[1]:
        raise bad_request("A batch holds calls of the JSON API below /storage/v1/, and neither uploads nor downloads")
    common: dict[str, str] = {name: outer.headers[name] for name in ("host", "authorization") if name in outer.headers}
    own = {name.lower(): str(value) for name, value in inner.items()}
    headers = {**common, **own, "content-length": str(len(data))}
    url = urlsplit(words[1])
    return Request.parsed(words[0], f"{url.path}?{url.query}", headers, io.BytesIO(data))


def error_response(error: GcsError) -> Response:
    """Return an error as the JSON API sends it; a 304 and a 499 have no body."""
    if error.status in {304, 499}:
        return Response(error.status, headers=dict(error.headers))
    response = json_response(error.json(), error.status)
    response.headers.update(error.headers)
    return response
