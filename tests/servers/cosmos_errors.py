"""What the Cosmos DB test server refuses with: a status of the service, its code, and a sentence."""

from collections.abc import Mapping

CODES = {
    304: "NotModified",
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    408: "RequestTimeout",
    409: "Conflict",
    412: "PreconditionFailed",
    413: "RequestEntityTooLarge",
    424: "FailedDependency",
    429: "TooManyRequests",
    449: "RetryWith",
    500: "InternalServerError",
    503: "ServiceUnavailable",
}
"""The `code` of an error body by HTTP status (Azure Cosmos DB REST reference, "HTTP status codes")."""

OWNER_RESOURCE_NOT_FOUND = 1003
"""Substatus of a 404 ("Cosmos DB SDK status codes", 404/1003)."""


class CosmosError(Exception):
    """An answer that is no success. `substatus` goes into x-ms-substatus, `headers` are sent as they are."""

    def __init__(
        self, status: int, message: str, *, substatus: int = 0, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.substatus = substatus
        self.headers = dict(headers or {})

    def body(self) -> dict[str, str]:
        """The JSON body that the service sends with an error."""
        return {"code": CODES[self.status], "message": self.message}


def bad_request(message: str, *, substatus: int = 0) -> CosmosError:
    """400: the request is wrong, or asks for what this server does not know."""
    return CosmosError(400, message, substatus=substatus)


def not_found(what: str) -> CosmosError:
    """404 for a resource that is not there, or has expired."""
    return CosmosError(404, f"Resource Not Found: {what}")


def owner_not_found(what: str) -> CosmosError:
    """404 for what lies in a database or a container that is not there; the substatus tells it from a missing item."""
    return CosmosError(404, f"Owner resource does not exist: {what}", substatus=OWNER_RESOURCE_NOT_FOUND)


def precondition_failed() -> CosmosError:
    """412 for a stale ETag, and for a patch whose condition does not hold."""
    return CosmosError(412, "One of the specified pre-condition is not met")


def too_large(what: str, size: int, limit: int) -> CosmosError:
    """413 for more than `limit` bytes."""
    return CosmosError(413, f"Request size is too large: {what} has {size} bytes, at most {limit} are allowed")
