"""What a store can answer besides a value: few classes, each with a stable code and `retryable`."""

from decimal import Decimal
from typing import Any, ClassVar

from northstar.errors import (
    AlreadyExists,
    Conflict,
    InvalidRequest,
    NorthstarError,
    NotFound,
    QuotaExceeded,
    TooLarge,
    VersionConflict,
)

__all__ = [
    "AlreadyExists",
    "BackendRejected",
    "BackendUnavailable",
    "CeilingReached",
    "ChecksumMismatch",
    "Conflict",
    "CursorGone",
    "FloorReached",
    "InvalidCursor",
    "InvalidKey",
    "InvalidValue",
    "NotFound",
    "Throttled",
    "ValueTooLarge",
    "VersionConflict",
]

Number = int | float | Decimal


class InvalidKey(InvalidRequest):
    """A key, prefix, table, stream or field name breaks a rule; refused before any I/O, naming the rule."""

    code, title = "INVALID_KEY", "Invalid key"


class InvalidValue(InvalidRequest):
    """A value that no backend may hold: NaN, too deep, of an unknown type, or not a number where one is added."""

    title = "Invalid value"


class InvalidCursor(InvalidRequest):
    """A cursor that was changed, or belongs to another tenant, route or query."""

    code, title = "INVALID_CURSOR", "Invalid cursor"


class CursorGone(NorthstarError):
    """A good cursor that cannot be honoured any more; `earliest` and `tail` are positions to resume from."""

    code, status, title = "CURSOR_GONE", 410, "Cursor gone"

    def __init__(self, detail: str, *, reason: str, earliest: int, tail: int, fix: str = "") -> None:
        super().__init__(detail, fix=fix)
        self.reason = reason
        self.earliest = earliest
        self.tail = tail

    def facts(self) -> dict[str, Any]:
        return {"reason": self.reason, "earliest": self.earliest, "tail": self.tail}


class ValueTooLarge(TooLarge):
    """A document, an atomic write or an object is over a limit; refused whole, with the limit and the size."""


class ChecksumMismatch(NorthstarError):
    """The bytes are not the ones announced or stored; nothing was published."""

    code, status, title = "CHECKSUM_MISMATCH", 422, "Checksum mismatch"


class CeilingReached(QuotaExceeded):
    """An increment would pass a ceiling; nothing was changed. `used` is the value now, `limit` the ceiling."""

    def __init__(self, field: str, used: Number, limit: Number) -> None:
        super().__init__(f"{field} is at {used} and may not pass {limit}.")
        self.field = field
        self.used = used
        self.limit = limit

    def facts(self) -> dict[str, Any]:
        return {"field": self.field, "used": self.used, "limit": self.limit}


class FloorReached(Conflict):
    """A decrement would pass a floor; nothing was changed. `used` is the value now, `limit` the floor."""

    retryable: ClassVar[bool] = False

    def __init__(self, field: str, used: Number, limit: Number) -> None:
        super().__init__(f"{field} is at {used} and may not fall below {limit}.")
        self.field = field
        self.used = used
        self.limit = limit

    def facts(self) -> dict[str, Any]:
        return {"field": self.field, "used": self.used, "limit": self.limit}


class BackendUnavailable(NorthstarError):
    """The backend did not answer in time or cannot write now. The write may be retried with the same operation id."""

    code, status, title, retryable = "BACKEND_UNAVAILABLE", 503, "Backend unavailable", True
    usual_fix = (
        "Try again, a write with the same Idempotency-Key. "
        "If it lasts, check the service's status, the network and the route's endpoint."
    )
    retry_after = 1


class Throttled(BackendUnavailable):
    """The backend asks to slow down, for `pause_seconds` where it says how long."""

    title = "Backend throttled"
    usual_fix = "Try again later, a write with the same Idempotency-Key. If it lasts, raise the service's capacity."

    def __init__(self, detail: str, *, fix: str = "", pause_seconds: float = 0.0) -> None:
        super().__init__(detail, fix=fix)
        self.pause_seconds = pause_seconds


class BackendRejected(NorthstarError):
    """The backend refused for a reason that a retry does not mend: credentials, a missing table, damaged data."""

    code, status, title = "BACKEND_REJECTED", 502, "Backend rejected the request"
