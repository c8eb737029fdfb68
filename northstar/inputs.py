"""What a request carries, checked before anybody acts on it: the raw body, its JSON, its query."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import parse_qsl

from django.http import HttpRequest
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from northstar.errors import FieldError, InvalidRequest, TooLarge

CHUNK_BYTES: Final = 1024 * 1024
MAX_PARAMETERS: Final = 100
MAX_ERRORS: Final = 100

Model = TypeVar("Model", bound=BaseModel)


def _utc(given: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(given)
        return moment.replace(tzinfo=UTC) if moment.utcoffset() is None else moment.astimezone(UTC)
    except (TypeError, ValueError):  # pydantic would also take numbers, and guess their unit
        raise ValueError("Send a UTC time as text, such as 2026-11-20T12:00:00.000000Z.") from None
    except OverflowError:
        raise ValueError("The time lies outside the years 1 to 9999.") from None


Timestamp = Annotated[datetime, BeforeValidator(_utc)]
"""A moment as a client sends it: ISO 8601, UTC where it names no offset."""

MAX_PAGE: Final = 1000
PAGE_SIZE: Final = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE}
"""How many items a page may have, as the API's description says it."""


def _plain_digits(given: Any) -> Any:
    if isinstance(given, str) and not (given.isascii() and given.isdecimal()):
        raise ValueError("Send a whole number in digits.")  # pydantic would also take +1, 1_0 and spaces
    return given


PlainInt = Annotated[int, BeforeValidator(_plain_digits)]
"""A whole number as a query carries it: digits."""
PageSize = Annotated[PlainInt, Field(ge=1, le=MAX_PAGE)]


def body_chunks(request: Any) -> Iterator[bytes]:
    """Yield the raw body as it arrives, in pieces of at most 1 MiB, whether its length was announced or it comes chunked.

    Raises InvalidRequest when it ends early, so that nobody keeps half of what was sent.
    """
    http: HttpRequest = getattr(request, "_request", request)
    announced = _announced(http)
    if announced is None:
        yield from _unannounced(http)
        return
    left = announced
    while left and (piece := _read(http, min(left, CHUNK_BYTES))):
        left -= len(piece)
        yield piece
    if left:
        raise InvalidRequest(
            f"The body ended after {announced - left} of {announced} announced bytes.", fix="Send it again."
        )


def _read(stream: Any, size: int) -> bytes:
    try:
        piece: bytes = stream.read(size)
    except OSError:  # a body that is cut off must never pass for a whole one
        raise InvalidRequest(
            "The body ended early: the client left or stopped sending.", fix="Send it again."
        ) from None
    return piece


def _announced(http: HttpRequest) -> int | None:
    length = http.META.get("CONTENT_LENGTH", "")
    if not length:
        return None
    if not length.isascii() or not length.isdigit():
        raise InvalidRequest(f"Content-Length {length[:40]!a} is no number.", fix="Send the body's length in bytes.")
    return int(length)


def _unannounced(http: HttpRequest) -> Iterator[bytes]:
    """Django stops at Content-Length, so a body without one is read from the server's own stream."""
    if "chunked" not in http.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        return
    stream = http.META["wsgi.input"]
    while piece := _read(stream, CHUNK_BYTES):
        yield piece


def read_body(request: Any, most: int) -> bytes:
    """Return the whole body. Raises TooLarge, before reading it where its length was announced, and as `body_chunks`."""
    http: HttpRequest = getattr(request, "_request", request)
    announced = _announced(http)
    if announced is not None and announced > most:
        raise _too_large(most, announced)
    pieces, size = [], 0
    for piece in body_chunks(http):
        size += len(piece)
        if size > most:
            raise _too_large(most)
        pieces.append(piece)
    return b"".join(pieces)


def _too_large(most: int, announced: int | None = None) -> TooLarge:
    said = f" of {announced} bytes" if announced is not None else ""
    return TooLarge(f"The body{said} is larger than the {most} bytes that are allowed here.", fix="Send less at once.")


def check_json_type(request: Any) -> None:
    """Refuse a body that does not say that it is JSON, or that is compressed."""
    media_type, _, parameters = request.META.get("CONTENT_TYPE", "").partition(";")
    media_type = media_type.strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise InvalidRequest(
            f"The body's content type is {media_type[:100]!a}, not JSON.", fix="Send Content-Type: application/json."
        )
    charset = parameters.replace(" ", "").lower().strip('"')
    if charset.startswith("charset=") and charset.removeprefix("charset=").strip('"') not in {"utf-8", "utf8"}:
        raise InvalidRequest("The body's charset is not UTF-8.", fix="Send JSON in UTF-8.")
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise InvalidRequest("The body is compressed.", fix="Send it without Content-Encoding.")


def query_parameters(query_string: str) -> dict[str, str]:
    """Return the query's parameters. Raises InvalidRequest for one that stands twice, that is not UTF-8 or holds a NUL."""
    if not query_string:
        return {}
    try:
        pairs = parse_qsl(query_string, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except UnicodeDecodeError:
        raise InvalidRequest("The query is not UTF-8.", fix="Percent-encode its values as UTF-8.") from None
    except ValueError:
        raise InvalidRequest(f"The query has more than {MAX_PARAMETERS} parameters.", fix="Send fewer.") from None
    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise _parameter(twice, "duplicate", f"The query parameter {twice[:100]!a} stands twice.")
    for name, value in pairs:
        if "\0" in name + value:
            raise _parameter(name, "nul", f"The query parameter {name[:100]!a} holds the character NUL.")
    return parameters


def _parameter(name: str, code: str, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, fix="Correct the query.", errors=[FieldError(name[:100], code, detail)])


def checked(model: type[Model], values: Mapping[str, Any], what: str) -> Model:
    """Return the values as the model. Raises InvalidRequest with one entry per wrong field; no value is repeated in it.

    Names that the model does not have are refused, whatever its own config says.
    """
    known = set(model.model_fields) | {field.alias for field in model.model_fields.values() if field.alias}
    unknown = sorted(set(values) - known)
    errors = [FieldError(name[:100], "unknown", "There is no such field here.") for name in unknown]
    found = None
    try:
        found = model.model_validate({name: value for name, value in values.items() if name in known})
    except ValidationError as error:
        errors += [
            FieldError(
                ".".join(map(str, problem["loc"]))[:200], problem["type"], problem["msg"].removeprefix("Value error, ")
            )
            for problem in error.errors(include_input=False, include_context=False, include_url=False)
        ]
    if found is None or errors:
        summary = ", ".join(dict.fromkeys(error.field for error in errors[:5] if error.field)) or "see `errors`"
        raise InvalidRequest(
            f"The {what} is not valid: {summary}.", fix="Correct the fields in `errors`.", errors=errors[:MAX_ERRORS]
        )
    return found
