"""A Firestore of our own for tests: `python -m tests.servers.firestore --port P`, ready when `GET /` on that port answers.

It speaks gRPC to the unmodified SDK (`FIRESTORE_EMULATOR_HOST=127.0.0.1:P`) and keeps everything in memory. It is written
from the service's documentation, is strict where that leaves room, and refuses what it does not know. `firestore_control`
says what tests can ask of it over HTTP on the same port.
"""

import argparse
import logging

from tests.servers.firestore_faults import Faults
from tests.servers.firestore_server import Calls, serve
from tests.servers.firestore_service import Service


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="gRPC and HTTP, on 127.0.0.1")
    parser.add_argument("--token", help="refuse calls without this bearer token")
    parser.add_argument("--strict-indexes", action="store_true", help="refuse queries that need a composite index")
    given = parser.parse_args()
    logging.basicConfig()  # where gRPC reports what went wrong in this server itself
    serve(Calls(Service(strict_indexes=given.strict_indexes), Faults(), given.token), given.port)


if __name__ == "__main__":
    main()
