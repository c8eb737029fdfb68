"""A request to follow a stream, as the raw ASGI scope has it: which stream, from where, and for whom."""

import re
from collections.abc import MutableMapping
from typing import Any, Final

from django.db import Error as DatabaseFailure

from northstar.authentication import authenticate, build_context
from northstar.context import RequestContext
from northstar.errors import InvalidRequest
from northstar.headers import Headers, request_id
from northstar.inputs import query_parameters
from storage.errors import BackendUnavailable

Scope = MutableMapping[str, Any]

SCOPE: Final = "data:read"
CURSOR_PARAMETERS: Final = ("after", "cursor", "last_event_id", "lastEventId")
_PATH: Final = re.compile(r"/(?:api/v1/storage/streams|timeline)/(?P<stream_id>.*)/events", re.DOTALL)
_MEDIA_TYPE: Final = re.compile(r"\s*text/event-stream\s*(?:;(?P<parameters>.*))?", re.IGNORECASE)
_REFUSED: Final = re.compile(r"\bq\s*=\s*0(?:\.0*)?\s*(?:;|$)", re.IGNORECASE)


def is_stream_request(scope: Scope) -> bool:
    """Whether the request is for Server-Sent Events of one stream, at its own or the earlier engines' address."""
    return (
        scope["type"] == "http"
        and scope["method"] == "GET"
        and _PATH.fullmatch(scope["path"]) is not None
        and any(accepts_events(value.decode("latin-1")) for name, value in scope["headers"] if name == b"accept")
    )


def accepts_events(accept: str) -> bool:
    """Whether an Accept header asks for Server-Sent Events."""
    ranges = (_MEDIA_TYPE.fullmatch(part) for part in accept.split(","))
    return any(found and not _REFUSED.search(found["parameters"] or "") for found in ranges)


class StreamRequest:
    """One request that `is_stream_request` has accepted."""

    def __init__(self, scope: Scope) -> None:
        path = _PATH.fullmatch(scope["path"])
        assert path is not None
        self.stream_id: str = path["stream_id"]
        self._query: bytes = scope["query_string"]
        self._headers = Headers.of_asgi(scope["headers"])
        offered = [value for name, value in scope["headers"] if name == b"x-request-id"]
        self.id = request_id(offered[0].decode("latin-1") if len(offered) == 1 else None)

    def token(self) -> str | None:
        """Return the client's place as it was given. The header wins: a browser that comes back repeats its first URL.

        Raises InvalidContext or InvalidRequest for anything that stands twice, and for parameters that mean nothing here.
        """
        in_query = self._cursor_in_query()
        return self._headers.get("Last-Event-ID") or in_query

    def authorise(self) -> RequestContext:
        """Return whose stream is read. Blocks. Raises what authentication raises, Forbidden without the scope data:read."""
        self._headers.refuse_repeated()
        try:
            credential = authenticate(self._headers)
            credential.require(SCOPE)
            return build_context(credential, self._headers, self.id)
        except DatabaseFailure as failure:
            raise BackendUnavailable("The control plane's database does not answer.") from failure

    def _cursor_in_query(self) -> str | None:
        given = query_parameters(self._query.decode("ascii"))
        unknown = [name for name in given if name not in CURSOR_PARAMETERS]
        if unknown:
            raise InvalidRequest(
                f"The parameter {unknown[0][:40]!a} means nothing when a stream is followed.", fix="Leave it out."
            )
        if len(given) > 1:
            raise InvalidRequest("The query names more than one cursor.", fix="Send cursor once.")
        return next(iter(given.values()), None) or None
