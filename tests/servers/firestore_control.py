"""The tests' own side of the Firestore test server, over HTTP: reset, faults, counts, the clock, expiry.

GET    /                                                         answers when the server does
DELETE /emulator/v1/projects/<p>/databases/<d>/documents         forget the database, as on Google's emulator
POST   /control/faults     {"method", "code", "count", "after", "delay_seconds", "project"}; all but method optional
DELETE /control/faults
GET    /control/calls[?project=<p>]                              calls per method since the start or the last DELETE
DELETE /control/calls
POST   /control/clock      {"advance_seconds"}
POST   /control/reap       {"database"}: delete what has expired by the policies set with FirestoreAdmin.UpdateField
"""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import grpc

from tests.servers.firestore_errors import Refused
from tests.servers.firestore_faults import Fault, Faults
from tests.servers.firestore_fields import get_field
from tests.servers.firestore_messages import ValueMessage, Write
from tests.servers.firestore_service import Service
from tests.servers.firestore_store import Selection
from tests.servers.firestore_writes import plan_write

Given = Mapping[str, Any]

STOP_POLL_SECONDS = 0.05
_RESET = re.compile(r"/emulator/v1/(projects/[^/]+/databases/[^/]+)/documents")


class Control:
    """What tests may ask of the server besides Firestore's own calls."""

    def __init__(self, service: Service, faults: Faults, methods: Set[str]) -> None:
        self._service = service
        self._faults = faults
        self._methods = methods
        self._routes: dict[tuple[str, str], Callable[[Given], object]] = {
            ("GET", "/"): lambda _: "Ok",
            ("GET", "/control/calls"): lambda given: faults.calls(given.get("project")),
            ("DELETE", "/control/calls"): lambda _: faults.forget_calls(),
            ("POST", "/control/faults"): self._arm,
            ("DELETE", "/control/faults"): lambda _: faults.disarm(),
            ("POST", "/control/clock"): lambda given: service.clock.advance(given["advance_seconds"]),
            ("POST", "/control/reap"): self._reap,
        }

    def answer(self, method: str, path: str, given: Given) -> object:
        """Return what to answer as JSON. KeyError when there is no such route or a part is missing."""
        if method == "DELETE" and (match := _RESET.fullmatch(unquote(path))):
            with self._service.lock:
                self._service.databases.pop(match.group(1), None)
            return {}
        return self._routes[method, path](given)

    def _arm(self, given: Given) -> None:
        if given["method"] not in self._methods:
            raise KeyError(given["method"])
        code = grpc.StatusCode[given["code"]] if given.get("code") else None
        self._faults.arm(Fault(**{**given, "code": code}))

    def _reap(self, given: Given) -> dict[str, int]:
        """Delete the documents whose time has come, as the service does some time later."""
        with self._service.lock:
            database, now = self._service.database(given["database"]), self._service.clock.now()
            view, policies = database.store.view(), database.store.settings.expiring
            names = {
                each.name
                for collection, path in policies
                for each in view.select(Selection((), collection, deep=True))
                if _has_expired(get_field(each.fields, path), now)
            }
            self._service.write(database, [plan_write(Write(delete=each), given["database"]) for each in sorted(names)])
        return {"reaped": len(names)}


def _has_expired(value: ValueMessage | None, now: int) -> bool:
    """Only a time says that a document expires."""
    if value is None or value.WhichOneof("value_type") != "timestamp_value":
        return False
    return bool(value.timestamp_value.ToMicroseconds() <= now)


@contextmanager
def control_server(service: Service, faults: Faults, methods: Set[str]) -> Iterator[int]:
    """Serve the control side on a free port of this machine, and yield that port. `methods` can meet faults."""
    control = Control(service, faults, methods)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            try:
                given = json.loads(body) if body else {}
                self._send(HTTPStatus.OK, control.answer(self.command, parts.path, {**query, **given}))
            except (KeyError, TypeError, ValueError, Refused) as error:
                self._send(HTTPStatus.BAD_REQUEST, f"{self.command} {parts.path}: {error!r}")

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - names that the base class calls

        def _send(self, status: HTTPStatus, answer: object) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Say nothing: the server's log is for what goes wrong."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": STOP_POLL_SECONDS}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
