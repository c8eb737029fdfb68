"""Errors are written for the caller's next step: a stable code, a status, whether a retry helps, and a fix."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong input field. `field` is its dotted path in the request, `code` a stable word, `detail` a sentence."""

    field: str
    code: str
    detail: str


class NorthstarError(Exception):
    """The root of every error that Northstar raises on purpose.

    Callers branch on `code` and `retryable`, never on the message. `fix` names the next step and may be empty.
    No message, fix or field error ever holds a secret.
    """

    code: ClassVar[str] = "INTERNAL"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False
    usual_fix: ClassVar[str] = ""
    """The next step where the place that raises knows no better one."""
    retry_after: int | None = None
    """Seconds after which a retry may help; sent as `Retry-After`."""

    def __init__(self, detail: str, *, fix: str = "", errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fix = fix or self.usual_fix
        self.errors = tuple(errors)

    def told(self) -> str:
        """Return what happened in one line, every wrong field named."""
        return " ".join([self.detail, *(f"{one.field}: {one.detail.rstrip('.')}." for one in self.errors)])

    def facts(self) -> dict[str, Any]:
        """Return what a program may want to know besides the sentence: further members of the error body."""
        return {}


class InvalidRequest(NorthstarError):
    """The request cannot be understood; nothing was changed."""

    code, status, title = "INVALID_REQUEST", 400, "Invalid request"


class InvalidMode(InvalidRequest):
    """`X-Mode` names no mode."""

    code, title = "INVALID_MODE", "Invalid mode"


class InvalidContext(InvalidRequest):
    """A context header has a value outside its pattern, or stands twice."""

    code, title = "INVALID_CONTEXT", "Invalid request context"


class InvalidConfig(InvalidRequest):
    """A route's config does not fit its backend's schema; `errors` says which field and why."""

    code, title = "INVALID_CONFIG", "Invalid backend configuration"


class UnsupportedBackend(InvalidRequest):
    """No backend has this name."""

    code, title = "UNSUPPORTED_BACKEND", "Unsupported backend"


class ForbiddenEndpoint(InvalidRequest):
    """An endpoint URL or a root folder lies outside the deployment's allow-list."""

    code, title = "FORBIDDEN_ENDPOINT", "Forbidden endpoint"


class Unauthenticated(NorthstarError):
    """No key, or one that is unknown, revoked or expired: the answer is the same for each."""

    code, status, title = "UNAUTHENTICATED", 401, "Unauthenticated"


class Forbidden(NorthstarError):
    """The key is good, but it may not do this."""

    code, status, title = "FORBIDDEN", 403, "Forbidden"


class TenantMismatch(Forbidden):
    """The request names a tenant that its key does not belong to."""

    code, title = "TENANT_MISMATCH", "Tenant mismatch"


class ModeMismatch(Forbidden):
    """The request names a mode that its tenant is not in."""

    code, title = "MODE_MISMATCH", "Mode mismatch"


class ForbiddenBackendClass(Forbidden):
    """The tenant's mode does not allow this class of backend."""

    code, title = "FORBIDDEN_BACKEND_CLASS", "Forbidden backend class"


class NotFound(NorthstarError):
    """The thing is not there, or not the caller's: the answer is the same for both."""

    code, status, title = "NOT_FOUND", 404, "Not found"


class AlreadyExists(NorthstarError):
    """Create-only, and it exists; nothing was changed."""

    code, status, title = "ALREADY_EXISTS", 409, "Already exists"
    usual_fix = "Choose another name, or change what is there."


class Conflict(NorthstarError):
    """Somebody else was faster; nothing was changed, and a retry may succeed."""

    code, status, title, retryable = "CONFLICT", 409, "Conflict", True


class VersionConflict(NorthstarError):
    """The thing has another version than expected, or is gone; nothing was changed."""

    code, status, title = "VERSION_CONFLICT", 412, "Version conflict"
    usual_fix = "Read it again, then repeat the change on what you find."


class TooLarge(NorthstarError):
    """The body or the value is over its limit; nothing was changed."""

    code, status, title = "TOO_LARGE", 413, "Too large"


class IdempotencyMismatch(NorthstarError):
    """The Idempotency-Key was used before with another request."""

    code, status, title = "IDEMPOTENCY_MISMATCH", 422, "Idempotency key reused"


class StrategyLocked(NorthstarError):
    """A strategy lock forbids the change; nothing was changed. `locks` says which: id, owner, reason, until."""

    code, status, title = "STRATEGY_LOCKED", 423, "Strategy locked"
    usual_fix = (
        "Ask the owner to release the lock, or wait for its end. Whoever may override locks (API keys: scope routes:override) "
        "sends override_lock with a switch_rationale."
    )

    def __init__(
        self,
        detail: str,
        *,
        fix: str = "",
        errors: Sequence[FieldError] = (),
        locks: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(detail, fix=fix, errors=errors)
        self.locks = tuple(locks)

    def facts(self) -> dict[str, Any]:
        """Return the locks that forbid it."""
        return {"locks": self.locks}


class QuotaExceeded(NorthstarError):
    """A hard limit would be passed; nothing was counted."""

    code, status, title = "QUOTA_EXCEEDED", 429, "Quota exceeded"
    usual_fix = "Ask for less, or have the limit raised."


class RateLimited(NorthstarError):
    """Too many requests or streams at once."""

    code, status, title, retryable = "RATE_LIMITED", 429, "Rate limited", True
    retry_after = 1


class NoRouteConfigured(NorthstarError):
    """No route row covers this kind, tenant, environment and project. A 500, because the caller did nothing wrong."""

    code, status, title = "NO_ROUTE_CONFIGURED", 500, "No route configured"


class BackendNotImplemented(NorthstarError):
    """The backend is known, but no driver of it serves this kind."""

    code, status, title = "BACKEND_NOT_IMPLEMENTED", 501, "Backend not implemented"
