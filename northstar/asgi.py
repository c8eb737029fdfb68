"""One process, one port: streams go to a raw coroutine, everything else through a bridge to Django's WSGI application.

Django's own ASGI handler would cost several times as much for each request, and one thread for each open stream.
"""

import asyncio
import os
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from northstar.requests import wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "northstar.settings.production")
_django = wsgi_application()

from django.conf import settings  # noqa: E402

from northstar.background import STREAMS, start_background, stop_background  # noqa: E402
from northstar.bridge import Bridge, Receive, Scope, Send  # noqa: E402
from northstar.errors import InvalidContext, InvalidRequest, NorthstarError  # noqa: E402
from northstar.headers import Headers, request_id  # noqa: E402
from northstar.problems import asgi_response  # noqa: E402
from storage.api.sse import close_streams, is_stream_request, stream_app  # noqa: E402

_bridge = Bridge(_django, settings.NORTHSTAR_WEB_THREADS)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one connection's request."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "http":
        await _serve(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 1000})


async def _serve(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        checked = check(scope)
    except NorthstarError as error:
        await _refuse(error, scope["headers"], send)
        return
    if is_stream_request(checked):
        await stream_app(checked, receive, send)
    else:
        await _bridge(checked, receive, send)


def check(scope: Scope) -> Scope:
    """Return the scope as the rest may rely on it.

    A header whose name holds an underscore is dropped: behind a gateway it would pass for the one with a dash. Raises
    InvalidContext for a header that stands twice and may not, InvalidRequest for a path that is not UTF-8.
    """
    headers = [(name, value) for name, value in scope["headers"] if b"_" not in name]
    Headers.of_asgi(headers).refuse_repeated()
    raw_path = scope.get("raw_path") or quote(scope["path"]).encode("ascii")
    try:
        path = unquote_to_bytes(raw_path.partition(b"?")[0]).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest("The path is not UTF-8.", fix="Percent-encode it as UTF-8.") from None
    query = scope["query_string"]
    return {
        **scope,
        "headers": headers,
        "path": path,
        "raw_path": raw_path,
        "query_string": query if query.isascii() else quote(query, safe="%&=+;/?:@!$'()*,").encode("ascii"),
    }


async def _refuse(error: NorthstarError, headers: Iterable[tuple[bytes, bytes]], send: Send) -> None:
    try:
        offered = Headers.of_asgi(headers).get("X-Request-Id")
    except InvalidContext:
        offered = None
    status, answer, body = asgi_response(error, request_id(offered))
    await send({"type": "http.response.start", "status": status, "headers": answer})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message: dict[str, Any] = await receive()
        if message["type"] == "lifespan.startup":
            start_background(STREAMS)
        if message["type"] == "lifespan.shutdown":
            close_streams()
            _bridge.close()
            await asyncio.to_thread(stop_background)
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
