"""What happens to every request, whatever it is for."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from northstar.headers import request_id


class RequestIds:
    """Gives every request an id that is safe to log, and every response, errors included, the same id back."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        chosen = request_id(request.META.get("HTTP_X_REQUEST_ID"))
        request.META["HTTP_X_REQUEST_ID"] = chosen
        response = self._get_response(request)
        response["X-Request-Id"] = chosen
        return response
