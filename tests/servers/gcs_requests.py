"""A request as the service reads it: path, query, headers, body. Headers whose meaning is not known here are refused."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from io import BufferedIOBase
from typing import Any
from urllib.parse import parse_qsl, unquote

from tests.servers.gcs_bodies import Body, body_of
from tests.servers.gcs_contents import Content
from tests.servers.gcs_errors import bad_request, not_modelled

MAX_JSON = 1024 * 1024
"""Bytes of a request's JSON that are read."""
UNDERSTOOD = re.compile(
    r"x-goog-(algorithm|credential|date|expires|signature|signedheaders|hash|content-sha256|content-length-range|resumable"
    r"|if-generation-match|if-metageneration-match|storage-class|meta-.+"
    r"|api-client|request-params|request-reason|gcs-idempotency-token)|x-upload-content-(type|length)"
)
"""Headers with a meaning here, or without an effect at the service."""
REFUSED = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "x-http-method-override")
EVERYWHERE = frozenset({"alt", "fields", "prettyPrint", "key", "quotaUser"})
"""Parameters that every method of the JSON API takes ("Standard query parameters")."""


@dataclass(frozen=True)
class Request:
    """One HTTP request. `path` is as sent, header names are in lower case, and `pairs` are the query's, decoded, in order."""

    method: str
    path: str
    pairs: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    body: Body

    @classmethod
    def parsed(cls, method: str, target: str, headers: dict[str, str], stream: BufferedIOBase) -> "Request":
        """Read the head of a request. Raises a 400 for what is no UTF-8."""
        path, _, query = target.partition("?")
        try:
            pairs = parse_qsl(query, keep_blank_values=True, errors="strict")
        except UnicodeDecodeError:
            raise bad_request("the query is not UTF-8") from None
        return cls(method, path, tuple(pairs), headers, body_of(stream, headers))

    @property
    def segments(self) -> tuple[str, ...]:
        """The path, decoded part by part."""
        return tuple(decoded(part) for part in self.path.removeprefix("/").split("/"))

    @property
    def parameters(self) -> dict[str, str]:
        """The query. Raises a 400 for a parameter that is there twice."""
        parameters = dict(self.pairs)
        if len(parameters) != len(self.pairs):
            raise bad_request("a query parameter is given twice")
        return parameters

    @property
    def base(self) -> str:
        """The address that the client used, so that a proxy in between stays in between."""
        return f"http://{self.headers.get('host', 'localhost')}"

    def only(self, known: Collection[str]) -> dict[str, str]:
        """Return the query. Raises a 501 for parameters that are not known."""
        parameters = self.parameters
        unknown = parameters.keys() - EVERYWHERE - set(known)
        if unknown:
            raise not_modelled(f"the parameter {', '.join(sorted(unknown))} of {self.method} {self.path}")
        return parameters

    def check_headers(self) -> None:
        """Raise a 501 for headers that change what a request means and are not known here."""
        for name in self.headers:
            extension = name.startswith(("x-goog-", "x-amz-", "x-upload-"))
            if name in REFUSED or (extension and not UNDERSTOOD.fullmatch(name)):
                raise not_modelled(f"the header {name}")

    def json(self) -> dict[str, Any]:
        """Return the body's JSON object, {} for no body. Raises a 400 for anything else."""
        data = self.body.all(MAX_JSON)
        return parse_object(data) if data else {}


def decoded(part: str) -> str:
    """Return a part of a path without its escapes. Raises a 400 for what is no UTF-8."""
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError:
        raise bad_request("the path is not UTF-8", code="InvalidURI") from None


def parse_object(data: bytes) -> dict[str, Any]:
    """Return a JSON object. Raises a 400 for anything else."""
    try:
        value = json.loads(data)
    except ValueError:
        raise bad_request("Parse Error", reason="parseError") from None
    if not isinstance(value, dict):
        raise bad_request("Parse Error", reason="parseError")
    return value


def number(parameters: Mapping[str, str], name: str) -> int | None:
    """Return a parameter that is a number from 0. Raises a 400 for another value."""
    value = parameters.get(name)
    if value is not None and not value.isdecimal():
        raise bad_request(f"Invalid value for {name}: {value}")
    return None if value is None else int(value)


def flag(parameters: Mapping[str, str], name: str) -> bool:
    """Whether a parameter is given and true."""
    value = parameters.get(name, "false").lower()
    if value not in {"true", "false"}:
        raise bad_request(f"Invalid value for {name}: {value}")
    return value == "true"


@dataclass
class Response:
    """An answer: bytes at hand, or those of a content from `start` to before `end`."""

    status: int
    data: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content: Content | None = None
    start: int = 0
    end: int = 0

    @property
    def length(self) -> int:
        return len(self.data) if self.content is None else self.end - self.start


def json_response(value: Any, status: int = 200) -> Response:
    headers = {"content-type": "application/json; charset=UTF-8"}
    return Response(status, json.dumps(value).encode(), headers)
