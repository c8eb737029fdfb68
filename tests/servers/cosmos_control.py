"""The control plane for tests, below /_test/ of each account: reset, clock, faults, and counters of requests by kind."""

from tests.servers.cosmos_account import Account
from tests.servers.cosmos_errors import bad_request
from tests.servers.cosmos_faults import Fault
from tests.servers.cosmos_requests import Request, Response


def control(account: Account, request: Request) -> Response:
    """Do what a test asks, unsigned.

    POST reset · POST clock {"offset_seconds": s} · POST faults {"status", "operation", "times", "retry_after_ms", "applied"} ·
    GET counters · DELETE counters.
    """
    with account.lock:
        match request.method, request.segments[1:]:
            case "POST", ("reset",):
                account.reset()
            case "POST", ("clock",):
                account.clock.offset = float(request.json()["offset_seconds"])
            case "POST", ("faults",):
                account.faults.append(Fault.parsed(request.json()))
            case "DELETE", ("counters",):
                account.counters.clear()
            case "GET", ("counters",):
                return Response(200, dict(account.counters))
            case _:
                raise bad_request(f"there is no {request.method} of {'/'.join(request.segments)}")
    return Response(204)
