"""What Prometheus may scrape: requests by method, route and status, besides the stores' own meters."""

import os
import time
from collections.abc import Callable
from hmac import compare_digest
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from northstar.errors import Unauthenticated
from northstar.problems import id_of, respond

REQUESTS: Final = Counter("northstar_requests", "Requests by outcome.", ("method", "route", "status"))
SECONDS: Final = Histogram("northstar_request_seconds", "Time until the response starts.", ("method", "route"))
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class Measured:
    """Counts and times every request by the pattern of its URL, never by the URL itself: keys and names stay out."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        response = self._get_response(request)
        method = request.method if request.method in _METHODS else "OTHER"
        route = request.resolver_match.route if request.resolver_match else "(none)"
        REQUESTS.labels(method, route, str(response.status_code)).inc()
        SECONDS.labels(method, route).observe(time.perf_counter() - started)
        return response


def metrics(request: HttpRequest) -> HttpResponse:
    """Answer the meters of this process; where PROMETHEUS_MULTIPROC_DIR is set, those of all processes that share the folder.

    Where NORTHSTAR_METRICS_TOKEN is set, it must be sent as a bearer token.
    """
    token = settings.NORTHSTAR_METRICS_TOKEN
    given = request.META.get("HTTP_AUTHORIZATION", "")
    if token and not compare_digest(given.encode("utf-8", "replace"), f"Bearer {token}".encode()):
        error = Unauthenticated("The metrics need their token.", fix="Send NORTHSTAR_METRICS_TOKEN as a bearer token.")
        return respond(error, id_of(request))
    return HttpResponse(generate_latest(_registry()), content_type=CONTENT_TYPE_LATEST)


def _registry() -> CollectorRegistry:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    shared = CollectorRegistry()
    MultiProcessCollector(shared)  # type: ignore[no-untyped-call]  # the library has no types here
    return shared
