"""A Google Cloud Storage test server over plain HTTP: `python -m tests.servers.gcs --port 9023 --key account.json`.

Written from the service's public documentation for the unmodified google-cloud-storage SDK (STORAGE_EMULATOR_HOST or
api_endpoint) and for signed URLs, which are verified; what it does not know it refuses with 400 or 501. Tests steer it
below /_test/. Not modelled, and refused where it would matter: soft delete, IAM and ACLs, ETags as preconditions,
CORS preflights, customer-supplied keys, retention and holds, notifications, folders, gRPC.
"""

import argparse
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

from tests.servers.gcs_accounts import Accounts
from tests.servers.gcs_batch import error_response
from tests.servers.gcs_bodies import Disconnected
from tests.servers.gcs_clock import http_date
from tests.servers.gcs_control import control
from tests.servers.gcs_errors import GcsError
from tests.servers.gcs_requests import Request, Response
from tests.servers.gcs_routes import is_json, serve
from tests.servers.gcs_service import Service

HOST = "127.0.0.1"
CONTROL = "/_test/"
BODILESS = frozenset({204, 304})


class GcsServer(ThreadingHTTPServer):
    """The server on the loopback; port 0 takes a free one."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, accounts: Accounts) -> None:
        super().__init__((HOST, port), Handler)
        self.service = Service(accounts)


class Handler(BaseHTTPRequestHandler):
    """One connection, kept alive."""

    protocol_version = "HTTP/1.1"
    rbufsize = 256 * 1024
    wbufsize = -1  # one packet for head and body
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with suppress(ConnectionError):  # the client went away between or within requests, as clients do
            super().handle()

    def _answer(self) -> None:
        try:
            request, response = self._response()
            request.body.drain()
        except Disconnected:
            self.close_connection = True
            return
        except GcsError as error:  # the head makes no sense, so nobody knows where the body ends
            self.close_connection = True
            response = error_response(error)
        self._send(response)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815 - as http.server asks

    def _response(self) -> tuple[Request, Response]:
        service = cast("GcsServer", self.server).service
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            text = value.encode("latin-1").decode("utf-8", "replace")
            headers[name.lower()] = f"{headers[name.lower()]},{text}" if name.lower() in headers else text
        request = Request.parsed(self.command, self.path, headers, self.rfile)
        try:
            return request, (control if request.path.startswith(CONTROL) else serve)(service, request)
        except GcsError as error:
            return request, _error(request, error)

    def _send(self, response: Response) -> None:
        self.send_response_only(response.status, _phrase(response.status))
        if response.status not in BODILESS:
            response.headers["content-length"] = str(response.length)
        for name, value in response.headers.items():
            self.send_header(name, value.encode().decode("latin-1"))
        self.send_header("date", http_date(cast("GcsServer", self.server).service.clock.now()))
        self.end_headers()
        if self.command != "HEAD" and response.status not in BODILESS:
            self.wfile.write(response.data)
            if response.content is not None:
                for piece in response.content.pieces(response.start, response.end):
                    self.wfile.write(piece)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in http.server
        """Stay silent: a line per request tells a test nothing."""


def _phrase(status: int) -> str:
    names = {308: "Resume Incomplete", 499: "Client Closed Request"}
    return names.get(status) or HTTPStatus(status).phrase


def _error(request: Request, error: GcsError) -> Response:
    if is_json(request) and ("alt", "media") not in request.pairs:
        return error_response(error)
    if request.path.startswith(CONTROL) or error.status in {*BODILESS, 499}:
        return error_response(error)
    if is_json(request):  # a download's error is plain text
        return Response(
            error.status, error.message.encode(), {"content-type": "text/plain; charset=utf-8", **error.headers}
        )
    headers = {"content-type": "application/xml; charset=UTF-8", **error.headers}
    return Response(error.xml_status, error.xml().encode(), headers)


def _accounts(arguments: argparse.Namespace) -> Accounts:
    accounts = Accounts.with_token(arguments.token)
    if arguments.key:
        accounts.add_file(arguments.key)
    if arguments.client_email:
        accounts.add_public(arguments.client_email, arguments.public_key.read_bytes())
    return accounts


def main() -> None:
    parser = argparse.ArgumentParser(description="Google Cloud Storage test server")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", type=Path, help="a service account's key file (JSON): its signatures are taken")
    parser.add_argument("--client-email", help="an account whose signatures are taken; its key is --public-key")
    parser.add_argument("--public-key", type=Path, help="a file with an RSA public key (PEM)")
    parser.add_argument("--token", help="the bearer token that the JSON API asks for; without it everybody may call")
    arguments = parser.parse_args()
    if bool(arguments.client_email) != bool(arguments.public_key):
        parser.error("--client-email and --public-key go together")
    with GcsServer(arguments.port, _accounts(arguments)) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
