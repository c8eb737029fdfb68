"""The control plane for tests, below /_test/ of each account: reset, clock, consistency, faults, and counters of requests."""

from typing import Any

from tests.servers.cosmos_account import CONSISTENCY_LEVELS, Account
from tests.servers.cosmos_errors import bad_request
from tests.servers.cosmos_faults import Fault
from tests.servers.cosmos_requests import Request, Response
from tests.servers.cosmos_values import is_number


def control(account: Account, request: Request) -> Response:
    """Do what a test asks, unsigned.

    POST reset · POST clock {"offset_seconds": s} · POST consistency {"level": "Strong"} · GET counters · DELETE counters ·
    POST faults {"status", "operation", "times", "retry_after_ms", "applied"}.
    """
    with account.lock:
        match request.method, request.segments[1:]:
            case "POST", ("reset",):
                account.reset()
            case "POST", ("clock",):
                account.clock.offset = _seconds(request.json())
            case "POST", ("consistency",):
                account.consistency = _level(request.json())
            case "POST", ("faults",):
                account.faults.append(Fault.parsed(request.json()))
            case "DELETE", ("counters",):
                account.counters.clear()
            case "GET", ("counters",):
                return Response(200, dict(account.counters))
            case _:
                raise bad_request(f"there is no {request.method} of {'/'.join(request.segments)}")
    return Response(204)


def _seconds(body: Any) -> float:
    if not isinstance(body, dict) or not is_number(body.get("offset_seconds")):
        raise bad_request("the clock takes offset_seconds")
    return float(body["offset_seconds"])


def _level(body: Any) -> str:
    if not isinstance(body, dict) or body.get("level") not in CONSISTENCY_LEVELS:
        raise bad_request(f"level is one of {', '.join(CONSISTENCY_LEVELS)}")
    return str(body["level"])
