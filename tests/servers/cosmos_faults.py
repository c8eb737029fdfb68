"""Faults that a test asks for: the next requests of a kind are throttled, or fail before or after they are done."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.servers.cosmos_errors import CODES, CosmosError, bad_request

EVERY = "*"
REQUEST_RATE_TOO_LARGE = 3200


@dataclass
class Fault:
    """Answer the next `times` requests of a kind (`*`: of any) with a status. `applied` does what is asked first, then fails."""

    status: int
    operation: str = EVERY
    times: int = 1
    retry_after_ms: int = 0
    applied: bool = False

    @classmethod
    def parsed(cls, body: Any) -> "Fault":
        """Read a fault from the control plane's JSON."""
        if (
            not isinstance(body, Mapping)
            or body.keys() - cls.__dataclass_fields__.keys()
            or body.get("status") not in CODES
        ):
            raise bad_request(
                f"a fault has a status of {sorted(CODES)}, and perhaps operation, times, retry_after_ms, applied"
            )
        return cls(**body)

    def error(self) -> CosmosError:
        """The error of the service with this status."""
        if self.status == 429:
            headers = {"x-ms-retry-after-ms": str(self.retry_after_ms)}
            return CosmosError(429, "Request rate is large.", substatus=REQUEST_RATE_TOO_LARGE, headers=headers)
        return CosmosError(self.status, "a fault that the test asked for")


def due(faults: list[Fault], operation: str) -> Fault | None:
    """Take one off the first fault that waits for this kind of request."""
    for fault in faults:
        if fault.operation in {EVERY, operation}:
            fault.times -= 1
            if fault.times <= 0:
                faults.remove(fault)
            return fault
    return None
