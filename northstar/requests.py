"""Requests whose Content-Type cannot be read: they have none, and the view says what it takes, instead of nobody anything."""

from collections.abc import Mapping
from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest


class Request(WSGIRequest):
    """Django's request. Django itself raises before any view, middleware or error handler for a charset that nobody knows."""

    def _set_content_type_params(self, meta: Mapping[str, Any]) -> None:
        try:
            super()._set_content_type_params(meta)  # type: ignore[misc] # its types do not know what Django calls
        except ValueError:
            self.content_type, self.content_params = "", {}


class Handler(WSGIHandler):
    """Django's WSGI application over these requests."""

    request_class = Request


def wsgi_application() -> Handler:
    """Set Django up and return its application."""
    django.setup(set_prefix=False)
    return Handler()
