"""moto's server, one request at a time: unlocked it grants conditional writes to two threads at once. Runs in `.servers`."""

import re
import sys
import threading
from collections.abc import Iterable
from typing import Any

from moto.moto_server.werkzeug_app import (  # type: ignore[import-not-found]
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import run_simple  # type: ignore[import-not-found]

ACCOUNT = re.compile(r"Credential=(\d{12})/")


class Handler(MotoRequestHandler):  # type: ignore[misc]
    """Keeps connections open, as the service does, and logs no requests."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def locked_application() -> Any:
    """Return moto as a WSGI application that answers whole requests in turn; an access key of 12 digits is an account."""
    moto, lock = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        account = ACCOUNT.search(environ.get("HTTP_AUTHORIZATION", ""))
        if account:
            environ["HTTP_X_MOTO_ACCOUNT_ID"] = account[1]
        with lock:
            return [b"".join(moto(environ, start_response))]

    return application


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), locked_application(), threaded=True, request_handler=Handler)
