"""Faults that a test asks for: the next requests of a kind are throttled, or fail before or after they are done."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.servers.gcs_errors import SERVER_FAULTS, GcsError, bad_request, server_fault

EVERY = "*"


@dataclass
class Fault:
    """Answer the next `times` requests of a kind (`*`: of any) with a status. `applied` does what is asked first, then fails.

    The service's limit of one change per object and second is not counted here: ask for a 429.
    """

    status: int
    operation: str = EVERY
    times: int = 1
    applied: bool = False

    @classmethod
    def parsed(cls, body: Mapping[str, Any]) -> "Fault":
        """Read a fault from the control plane's JSON."""
        if body.keys() - cls.__dataclass_fields__.keys() or body.get("status") not in SERVER_FAULTS:
            raise bad_request(f"a fault has a status of {sorted(SERVER_FAULTS)}, and perhaps operation, times, applied")
        return cls(**body)

    def error(self) -> GcsError:
        return server_fault(self.status)


def due(faults: list[Fault], operation: str) -> Fault | None:
    """Take one off the first fault that waits for this kind of request."""
    for fault in faults:
        if fault.operation in {EVERY, operation}:
            fault.times -= 1
            if fault.times <= 0:
                faults.remove(fault)
            return fault
    return None
