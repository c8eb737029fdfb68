"""A Cosmos DB (API for NoSQL) test server over plain HTTP: `python -m tests.servers.cosmos --port 8081`.

Written from the service's public documentation for the unmodified azure-cosmos SDK; what it does not know it refuses with 400.
A path before `dbs` names an account (`http://127.0.0.1:8081/acme/`): accounts share nothing. Tests steer one below its `/_test/`.
Simpler than the service: there is one physical partition, so a cross-partition query is answered at once, without a query plan.
"""

import argparse
import uuid
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

from tests.servers.cosmos_account import CONSISTENCY_LEVELS, Accounts
from tests.servers.cosmos_auth import Credentials
from tests.servers.cosmos_control import control
from tests.servers.cosmos_errors import CosmosError
from tests.servers.cosmos_requests import Request, Response
from tests.servers.cosmos_routes import operation_of, serve

EMULATOR_KEY = "C2y6yDjf5/R+ob0N8A7Cgv" + "30VRDJIWEHLM+4QDU5DE2n" + "Q9nDuVTqobD4b8mGGyPMbI" + "ZnqyMsEcaGQy67XIw/Jw=="
"""The key that Microsoft publishes for its emulator: no secret."""
HOST = "127.0.0.1"


class CosmosServer(ThreadingHTTPServer):
    """The server on the loopback; port 0 takes a free one."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, credentials: Credentials, consistency: str) -> None:
        super().__init__((HOST, port), Handler)
        self.credentials = credentials
        self.accounts = Accounts(consistency)


class Handler(BaseHTTPRequestHandler):
    """One connection, kept alive."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet for head and body
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        try:
            response = self._response()
        except CosmosError as error:
            headers = {**error.headers, "x-ms-substatus": str(error.substatus)}
            response = Response(error.status, None if error.status == 304 else error.body(), headers)
        body = response.body()
        self.send_response_only(response.status)
        for name, value in self._headers(response, len(body)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - the names that http.server looks for

    def _response(self) -> Response:
        server = cast("CosmosServer", self.server)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", "0")))
        request = Request.parsed(self.command, self.path, headers, body)
        account = server.accounts.named(request.account)
        if request.segments[:1] == ("_test",):
            return control(account, request)
        operation = operation_of(request)
        server.credentials.check(request)
        # The address that the client used, so that a proxy in between stays in between. Without a slash at the end, because
        # the SDK takes an endpoint for its own when the URL begins with it.
        return serve(operation, account, request, f"http://{headers['host']}/{request.account}")

    def _headers(self, response: Response, length: int) -> dict[str, str]:
        return {
            "date": formatdate(usegmt=True),
            "content-type": "application/json",
            "content-length": str(length),
            "x-ms-activity-id": self.headers.get("x-ms-activity-id") or str(uuid.uuid4()),
            "x-ms-request-charge": f"{response.charge:.2f}",
            "x-ms-serviceversion": "version=2.14.0.0",
            **response.headers,
        }

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in http.server
        """Stay silent: a line per request tells a test nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Cosmos DB test server")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", default=EMULATOR_KEY, help="the account's master key in base64")
    parser.add_argument("--aad-token", help="the one Entra token that is accepted; without it all are refused")
    parser.add_argument("--consistency", choices=CONSISTENCY_LEVELS, default="Session")
    arguments = parser.parse_args()
    credentials = Credentials(arguments.key, arguments.aad_token)
    with CosmosServer(arguments.port, credentials, arguments.consistency) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
