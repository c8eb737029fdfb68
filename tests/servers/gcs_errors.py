"""What the Cloud Storage test server refuses with: a status, the JSON API's reason, the XML API's code, and a sentence."""

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

SERVER_FAULTS = {
    408: ("requestTimeout", "RequestTimeout", "The request timed out."),
    429: ("rateLimitExceeded", "SlowDown", "The object exceeded the rate limit for object mutation operations."),
    500: ("backendError", "InternalError", "We encountered an internal error. Please try again."),
    502: ("backendError", "BadGateway", "Bad gateway."),
    503: ("backendError", "ServiceUnavailable", "We encountered an internal error. Please try again."),
    504: ("backendError", "GatewayTimeout", "Gateway timeout."),
}
"""Reason, code and sentence of the answers that the retry strategy page calls transient."""


class GcsError(Exception):
    """An answer that is no success. `xml_status` is the status where the XML API has another than the JSON API."""

    def __init__(
        self,
        status: int,
        reason: str,
        code: str,
        message: str,
        *,
        details: str = "",
        xml_status: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.code = code
        self.message = message
        self.details = details
        self.xml_status = xml_status or status
        self.headers = dict(headers or {})

    def json(self) -> dict[str, Any]:
        """The body that the JSON API sends ("HTTP status and error codes for JSON")."""
        message = f"{self.message} {self.details}".strip()
        errors = [{"message": message, "domain": "global", "reason": self.reason}]
        return {"error": {"code": self.status, "message": message, "errors": errors}}

    def xml(self) -> str:
        """The body that the XML API sends ("HTTP status and error codes for XML")."""
        details = f"<Details>{escape(self.details)}</Details>" if self.details else ""
        inner = f"<Code>{self.code}</Code><Message>{escape(self.message)}</Message>{details}"
        return f"<?xml version='1.0' encoding='UTF-8'?><Error>{inner}</Error>"


def bad_request(message: str, *, code: str = "InvalidArgument", reason: str = "invalid") -> GcsError:
    """400: the request is wrong."""
    return GcsError(400, reason, code, message)


def not_modelled(what: str) -> GcsError:
    """501: the service may know this, this server does not."""
    return GcsError(501, "notImplemented", "NotImplemented", f"this test server does not know {what}")


def malformed(parameter: str, details: str) -> GcsError:
    """400 for a signature that cannot be read."""
    details = f"{parameter}: {details}"
    return GcsError(400, "invalid", "MalformedSecurityHeader", "Your request has a malformed header.", details=details)


def no_bucket(name: str) -> GcsError:
    return GcsError(404, "notFound", "NoSuchBucket", "The specified bucket does not exist.", details=name)


def no_object(bucket: str, name: str, generation: int | None = None) -> GcsError:
    suffix = "" if generation is None else f"#{generation}"
    return GcsError(404, "notFound", "NoSuchKey", f"No such object: {bucket}/{name}{suffix}")


def no_upload() -> GcsError:
    """404 for a session that this server never began."""
    return GcsError(404, "notFound", "NoSuchUpload", "The requested upload was not found.")


def upload_gone() -> GcsError:
    """410 for a session that is over: expired."""
    return GcsError(410, "uploadSessionExpired", "NoSuchUpload", "The upload session has expired; start a new one.")


def conflict(message: str, code: str) -> GcsError:
    return GcsError(409, "conflict", code, message)


def precondition_failed() -> GcsError:
    message = "At least one of the pre-conditions you specified did not hold."
    return GcsError(412, "conditionNotMet", "PreconditionFailed", message)


def not_modified() -> GcsError:
    return GcsError(304, "notModified", "NotModified", "")


def range_not_satisfiable(size: int) -> GcsError:
    message = "The requested range cannot be satisfied."
    headers = {"content-range": f"bytes */{size}"}
    return GcsError(416, "requestedRangeNotSatisfiable", "InvalidRange", message, headers=headers)


def too_large(limit: int) -> GcsError:
    """413, or 400 in the XML API, for a body over the limit."""
    message = "Your proposed upload exceeds the maximum allowed object size."
    return GcsError(413, "uploadTooLarge", "EntityTooLarge", message, details=f"at most {limit} bytes", xml_status=400)


def too_small(limit: int) -> GcsError:
    message = "Your proposed upload is smaller than the minimum object size specified in your Policy Document."
    return GcsError(400, "invalid", "EntityTooSmall", message, details=f"at least {limit} bytes")


def unauthorized() -> GcsError:
    """401 of the JSON API for a bearer token that is missing or not the one that was given out."""
    return GcsError(401, "authError", "AuthenticationRequired", "Invalid Credentials")


def access_denied(details: str) -> GcsError:
    """403 of the XML API for who has no right to what is asked."""
    return GcsError(403, "forbidden", "AccessDenied", "Access denied.", details=details)


def server_fault(status: int) -> GcsError:
    """A failure of the service's own: one of SERVER_FAULTS."""
    reason, code, message = SERVER_FAULTS[status]
    return GcsError(status, reason, code, message)
