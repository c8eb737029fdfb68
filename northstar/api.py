"""ApiView: what every REST view stands on. A view says which scopes it needs; who asks and what was sent is checked here."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from northstar.access import ANY_KEY, Caller, caller_of
from northstar.authentication import Credential
from northstar.context import RequestContext
from northstar.errors import InvalidRequest
from northstar.inputs import Model, body_chunks, check_json_type, checked, query_parameters, read_body
from northstar.strict_json import parse_object

__all__ = [
    "ANY_KEY",
    "IF_MATCH",
    "IF_NONE_MATCH",
    "IF_UNMODIFIED_SINCE",
    "ApiView",
    "OneForm",
    "body_chunks",
    "create_only",
    "expected_version",
    "page",
]

MAX_JSON_BYTES: Final = 1024 * 1024
READING: Final = frozenset({"GET", "HEAD"})
IF_MATCH: Final = "If-Match"
IF_NONE_MATCH: Final = "If-None-Match"
IF_UNMODIFIED_SINCE: Final = "If-Unmodified-Since"
_VERSION_TAG: Final = re.compile(r'"(\d{1,18})"')


class OneForm(BaseContentNegotiation):
    """An answer has one form: a client's Accept header never turns a good request into a refused one."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:  # noqa: ARG002
        return None

    def select_renderer(self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None) -> Any:  # noqa: ARG002
        first = next(iter(renderers))
        return first, first.media_type


class ApiView(APIView):
    """A REST view. `scopes` names, for each method it answers, the scope that a key needs (`HEAD` needs that of `GET`).

    `conditions` names, for each method that writes, the conditions that it weighs: any other is refused, since a write must
    not pass over one. Any NorthstarError that a handler raises becomes a problem+json answer.
    """

    scopes: ClassVar[dict[str, str]] = {}
    conditions: ClassVar[Mapping[str, frozenset[str]]] = {}
    max_json_bytes: ClassVar[int] = MAX_JSON_BYTES
    content_negotiation_class = OneForm
    metadata_class = None
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    _raw: bytes | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self._parameters = query_parameters(request.META.get("QUERY_STRING", ""))
        if request.method not in READING:
            _refuse_conditions(request, self.conditions.get(request.method or "", frozenset()))

    @property
    def caller(self) -> Caller:
        """Who asks. Raises Unauthenticated, or what is wrong with the context's headers."""
        return caller_of(self.request)

    @property
    def credential(self) -> Credential:
        """The verified key of the request."""
        return self.caller.credential

    @property
    def context(self) -> RequestContext:
        """What the request may see."""
        return self.caller.context

    def raw_body(self) -> bytes:
        """Return the body, read once. Raises TooLarge over `max_json_bytes`, InvalidRequest when it ends early."""
        if self._raw is None:
            self._raw = read_body(self.request, self.max_json_bytes)
        return self._raw

    def body(self, model: type[Model]) -> Model:
        """Return the JSON body as the model. Raises InvalidRequest, with one entry per wrong field, or TooLarge."""
        check_json_type(self.request)
        return checked(model, parse_object(self.raw_body()), "body")

    def query(self, model: type[Model]) -> Model:
        """Return the query as the model; a parameter it does not have is refused. Raises InvalidRequest."""
        return checked(model, self._parameters, "query")

    def chunks(self) -> Iterator[bytes]:
        """Yield the raw body in pieces, as `body_chunks`."""
        return body_chunks(self.request)


def page(items: Sequence[Any], next_cursor: str | None, **more: Any) -> Response:
    """Answer one page of a list."""
    return Response({"items": items, "next_cursor": next_cursor, **more})


def _refuse_conditions(request: Request, weighed: frozenset[str]) -> None:
    for name in (IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE):
        if name not in weighed and name in request.headers:
            raise InvalidRequest(f"This call cannot be made to depend on {name}.", fix="Leave the header out.")


def expected_version(request: Request) -> int | None:
    """Return the version that `If-Match` asks for, None without that header. Raises InvalidRequest for anything but one ETag."""
    tag = request.META.get("HTTP_IF_MATCH")
    if tag is None:
        return None
    match = _VERSION_TAG.fullmatch(tag.strip())
    if match is None:
        raise InvalidRequest(
            f"If-Match {tag[:40]!a} is no ETag of a version.", fix='Send the ETag that you were given, such as "3".'
        )
    return int(match[1])


def create_only(request: Request) -> bool:
    """Whether `If-None-Match: *` asks that nothing is there yet. Raises InvalidRequest for other values and beside If-Match."""
    asked = request.META.get("HTTP_IF_NONE_MATCH")
    if asked is None:
        return False
    if asked.strip() != "*" or "HTTP_IF_MATCH" in request.META:
        raise InvalidRequest("A write takes If-Match with one ETag, or If-None-Match: *.", fix="Send one of the two.")
    return True
