"""The control plane for tests, below /_test/: reset, clock, faults, limits, accounts, counters, open uploads."""

from dataclasses import asdict

from tests.servers.gcs_errors import bad_request
from tests.servers.gcs_faults import Fault
from tests.servers.gcs_requests import Request, Response, json_response
from tests.servers.gcs_service import Limits, Service


def control(service: Service, request: Request) -> Response:
    """Do what a test asks, without authorization.

    POST reset · POST clock {"offset_seconds": s} · POST faults {"status", "operation", "times", "applied"} ·
    POST limits {"object_bytes", "page_results", "rewrite_bytes", "kept_bytes"} · POST accounts {"client_email", "public_key"} ·
    GET counters · DELETE counters · GET uploads.
    """
    given = request.json()
    with service.lock:
        match request.method, request.segments[1:]:
            case "POST", ("reset",):
                service.reset()
            case "POST", ("clock",):
                service.clock.set_offset(float(given["offset_seconds"]))
            case "POST", ("faults",):
                service.faults.append(Fault.parsed(given))
            case "POST", ("limits",):
                service.limits = _limits(service.limits, given)
            case "POST", ("accounts",):
                service.accounts.add_public(given["client_email"], given["public_key"].encode())
            case "GET", ("counters",):
                return json_response(service.counters)
            case "DELETE", ("counters",):
                service.counters.clear()
            case "GET", ("uploads",):
                return json_response(service.uploads.open())
            case _:
                raise bad_request(f"there is no {request.method} of {request.path}")
    return Response(204)


def _limits(limits: Limits, given: dict[str, int]) -> Limits:
    if given.keys() - Limits.__dataclass_fields__.keys():
        raise bad_request(f"the limits are {sorted(Limits.__dataclass_fields__)}")
    return Limits(**{**asdict(limits), **given})
