"""Every error leaves as problem+json (RFC 9457): what happened, which thing, what to do. Never a page, never a stack trace."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from django.core.exceptions import DisallowedHost, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.views import csrf, defaults
from rest_framework import exceptions as drf

from northstar.errors import (
    Forbidden,
    InvalidRequest,
    NorthstarError,
    NotFound,
    RateLimited,
    TooLarge,
    Unauthenticated,
)
from northstar.headers import request_id
from northstar.logs import redact_text
from northstar.rendering import dumps

CONTENT_TYPE: Final = "application/problem+json"
_PAGES: Final = ("/admin/", "/static/")
"""Where people look, not programs: these answer with a page."""

_FOREIGN: Final[tuple[tuple[tuple[type[Exception], ...], type[NorthstarError], str, str], ...]] = (
    ((Http404, drf.NotFound), NotFound, "Nothing is at this address.", "GET /api/docs lists every address."),
    ((PermissionDenied, drf.PermissionDenied), Forbidden, "This API key may not do that.", ""),
    ((drf.NotAuthenticated, drf.AuthenticationFailed), Unauthenticated, "The request has no valid API key.", ""),
    ((drf.Throttled,), RateLimited, "Too many requests at once.", "Wait as long as Retry-After says."),
    ((RequestDataTooBig,), TooLarge, "The body is too large.", ""),
    ((DisallowedHost,), InvalidRequest, "This host is not served here.", "Name it in ALLOWED_HOSTS of the deployment."),
    ((SuspiciousOperation, UnreadablePostError), InvalidRequest, "The request could not be read.", ""),
)
"""What the frameworks raise, in our words; the first that fits counts."""

_log = structlog.get_logger("northstar.problems")


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as it is answered."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def problem_of(error: BaseException, request_id: str) -> Problem:
    """Return the answer to an error. One that nobody raised on purpose is logged here, and told as INTERNAL.

    Another one that is not the caller's fault stands in the log line of its request.
    """
    known, status = _translated(error)
    if known is None:
        _log.error("request_failed", request_id=request_id, exc_info=error)
        known = NorthstarError(
            "Something went wrong inside Northstar; the request may not have been carried out.",
            fix=f"Retry, and if it happens again report request {request_id}.",
        )
    elif known.status >= 500:  # an operator must see why in the request's own log line
        structlog.contextvars.bind_contextvars(error_code=known.code, error=known.detail)
    body = {
        "type": f"urn:northstar:error:{known.code}",
        "title": known.title,
        "status": status or known.status,
        "detail": redact_text(known.detail),
        "error_code": known.code,
        "fix": redact_text(known.fix),
        "request_id": request_id,
        "errors": known.errors,
        **known.facts(),
    }
    return Problem(status or known.status, dumps(body), _headers(known, error))


def respond(error: BaseException, request_id: str) -> HttpResponse:
    """Return the answer to an error as a Django response."""
    problem = problem_of(error, request_id)
    return HttpResponse(problem.body, status=problem.status, content_type=CONTENT_TYPE, headers=dict(problem.headers))


def asgi_response(error: BaseException, request_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return the answer to an error as status, headers and body of a raw ASGI response."""
    problem = problem_of(error, request_id)
    headers = {
        "content-type": CONTENT_TYPE,
        "content-length": str(len(problem.body)),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "x-request-id": request_id,
        **problem.headers,
    }
    return (
        problem.status,
        [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        problem.body,
    )


def exception_handler(error: Exception, context: dict[str, Any]) -> HttpResponse:
    """Answer whatever a REST view raised."""
    return respond(error, id_of(context["request"]))


def id_of(request: Any) -> str:
    """Return the request's id, as northstar.middleware.RequestIds has left it."""
    return request_id(request.META.get("HTTP_X_REQUEST_ID"))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django refuses before any view: an unknown host, too much data."""
    if _is_page(request):
        return defaults.bad_request(request, exception)
    return respond(exception, id_of(request))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    if _is_page(request):
        return defaults.permission_denied(request, exception)
    return respond(exception, id_of(request))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that leads nowhere."""
    if _is_page(request):
        return defaults.page_not_found(request, exception)
    return respond(exception, id_of(request))


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer what no view has caught."""
    error = sys.exc_info()[1]
    if _is_page(request) or error is None:
        _log.error("request_failed", request_id=id_of(request), exc_info=error)
        return defaults.server_error(request)
    return respond(error, id_of(request))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form that came without its token."""
    if _is_page(request):
        return csrf.csrf_failure(request, reason)
    return respond(Forbidden("The form's CSRF token is missing or wrong.", fix="Load the page again."), id_of(request))


def _is_page(request: HttpRequest) -> bool:
    return request.path_info.startswith(_PAGES)


def _translated(error: BaseException) -> tuple[NorthstarError | None, int | None]:
    """Return our error for a framework's, and its status where that says more than our own."""
    if isinstance(error, NorthstarError):
        return error, None
    for kinds, ours, detail, fix in _FOREIGN:
        if isinstance(error, kinds):
            return ours(detail, fix=fix), None
    if isinstance(error, drf.APIException) and error.status_code < 500:
        fix = "Use a method that the Allow header lists." if isinstance(error, drf.MethodNotAllowed) else ""
        return InvalidRequest(str(error.detail), fix=fix), error.status_code
    return None, None


def _headers(known: NorthstarError, error: BaseException) -> dict[str, str]:
    headers: dict[str, str] = {}
    if known.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="northstar"'
    seconds = getattr(error, "wait", None) if isinstance(error, drf.Throttled) else known.retry_after
    if seconds is not None:
        headers["Retry-After"] = str(max(1, round(seconds)))
    return headers
