"""The API and the admin for a WSGI server; streams need `northstar.asgi` beside it."""

import os
from collections.abc import Iterable
from typing import Any

from northstar.memory import give_large_blocks_back
from northstar.requests import wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "northstar.settings.production")
give_large_blocks_back()
_django = wsgi_application()

from northstar.background import WEB, start_background  # noqa: E402 - Django's models first


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer one request. A worker's first request starts its background: a server may fork after it has loaded this module."""
    start_background(WEB)
    return _django(environ, start_response)
