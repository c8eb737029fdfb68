"""A REST client on the standard library alone: what a program in any language would send, and what it would see."""

import http.client
import json
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

ANSWER_SECONDS: Final = 30
"""No answer takes longer. Above the heartbeat of an event stream (15 s), so an idle stream is never taken for a dead one."""

Query = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; None for a body that is no JSON, so that a check fails with what was seen instead."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def error_code(self) -> str:
        """The problem's code, or an empty text when the answer is no problem."""
        document = self.json
        return str(document.get("error_code", "")) if isinstance(document, dict) else ""

    def summary(self) -> str:
        """Return status and error code in a few words, for the table."""
        return f"{self.status} {self.error_code}".strip()


class UnexpectedAnswer(Exception):
    """The server refused what a step needs to go on."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One server-sent event; `id` is what `Last-Event-ID` would repeat."""

    id: str
    event: str
    data: str

    @property
    def json(self) -> Any:
        return json.loads(self.data)


@dataclass(frozen=True, slots=True)
class Client:
    """Speaks to one server with one key. `headers` are sent with every call."""

    url: str
    token: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def sending(self, **headers: str) -> "Client":
        """Return a client that sends these headers as well; `X_Env="demo"` becomes `X-Env: demo`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})

    def call(
        self,
        method: str,
        path: str,
        *,
        data: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Query | None = None,
    ) -> Answer:
        """Send one request, with `data` as JSON or `body` as it is, and return whatever comes back."""
        sent = {**self._headers(), **(headers or {})}
        if data is not None:
            body = json.dumps(data).encode()
            sent["Content-Type"] = "application/json"
        connection = self._connection()
        try:
            connection.request(method, _target(path, query), body, sent)
            response = connection.getresponse()
            return Answer(response.status, _lower(response), response.read())
        finally:
            connection.close()

    def need(self, method: str, path: str, **request: Any) -> Answer:
        """As `call`. Raises UnexpectedAnswer unless the request succeeded."""
        answer = self.call(method, path, **request)
        if answer.status >= http.client.BAD_REQUEST:
            problem = answer.json if isinstance(answer.json, dict) else {}
            raise UnexpectedAnswer(f"{method} {path} answered {answer.summary()}. {problem.get('detail', '')}".strip())
        return answer

    def items(self, path: str, **query: str | int) -> Iterator[Any]:
        """Yield the items of a list, page after page."""
        cursor: str | None = None
        while True:
            page = self.need("GET", path, query={**query, **({"cursor": cursor} if cursor else {})}).json
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def follow(
        self, path: str, *, last_event_id: str = "", seconds: float = ANSWER_SECONDS
    ) -> Generator[Frame, None, None]:
        """Yield the frames of an event stream, stored ones and then live ones, until `seconds` have passed.

        Closing the iterator drops the connection. Raises UnexpectedAnswer when the server opens no stream.
        """
        connection = self._connection()
        resume = {"Last-Event-ID": last_event_id} if last_event_id else {}
        try:
            connection.request("GET", path, headers={**self._headers(), "Accept": "text/event-stream", **resume})
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise UnexpectedAnswer(f"GET {path} opened no stream: {response.status}.")
            yield from _frames(response, time.monotonic() + seconds)
        finally:
            connection.close()

    def _headers(self) -> dict[str, str]:
        credential = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return {**credential, **self.headers}

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        return http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=ANSWER_SECONDS)


def _target(path: str, query: Query | None) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _lower(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}


def _frames(response: http.client.HTTPResponse, deadline: float) -> Iterator[Frame]:
    identity, event, data = "", "message", list[str]()
    while time.monotonic() < deadline:
        raw = response.readline()
        if not raw:
            return
        name, _, value = raw.decode().rstrip("\r\n").partition(":")
        value = value.removeprefix(" ")
        match name:
            case "id":
                identity = value
            case "event":
                event = value
            case "data":
                data.append(value)
            case "" if raw.strip():
                continue  # a comment: the heartbeat
            case "":
                if data and any(data):
                    yield Frame(identity, event, "\n".join(data))
                event, data = "message", []
