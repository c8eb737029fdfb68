"""What a request carries: bounded, strict, and refused with the place of the mistake."""

import io

import pytest
from django.test import Client

from tests.edge.site import Orders
from tests.edge.test_problems import problem
from tests.edge.test_strict_json import BOMBS

MIB = 1024 * 1024


def test_a_good_body_arrives(edge):
    assert edge.post("orders", {"amount": 1, "data": {"wide": 2**70}}).json()["order"]["data"] == {"wide": 2**70}


@pytest.mark.parametrize("code", sorted(BOMBS))
def test_a_bomb_is_a_bad_request_and_nothing_is_done(edge, code):
    for bomb in filter(None, BOMBS[code]):
        body = problem(edge.post("orders", bomb, content_type="application/json"), 400, "INVALID_REQUEST")
        assert body["errors"][0]["code"] == code
    assert Orders.attempts == []


def test_every_wrong_field_is_listed_without_its_value(edge):
    answer = edge.post("orders", {"amount": "canary-1", "note": "canary-2!", "extra": "canary-3"})
    body = problem(answer, 400, "INVALID_REQUEST")
    assert {error["field"]: error["code"] for error in body["errors"]} == {
        "amount": "int_parsing",
        "note": "value_error",
        "extra": "unknown",
    }
    assert b"canary" not in answer.content


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
    ],
)
def test_a_body_that_does_not_say_json_is_refused(edge, content_type):
    problem(edge.post("orders", b'{"amount":1}', content_type=content_type), 400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=UTF-8", "application/merge-patch+json", "APPLICATION/JSON"]
)
def test_json_may_say_so_in_any_of_its_names(edge, content_type):
    assert edge.post("orders", b'{"amount":1}', content_type=content_type).status_code == 201


def test_a_compressed_body_is_refused(edge):
    answer = edge.post("orders", b"\x1f\x8b", content_type="application/json", headers={"Content-Encoding": "gzip"})
    problem(answer, 400, "INVALID_REQUEST")


def test_a_body_at_the_limit_passes_and_one_byte_more_does_not(edge):
    frame = len(b'{"amount":1,"data":""}')
    fits = b'{"amount":1,"data":"' + b"x" * (MIB - frame) + b'"}'
    assert edge.post("orders", fits, content_type="application/json").status_code == 201
    over = fits.replace(b'""', b"").replace(b'"data":"', b'"data":"x')
    problem(edge.post("orders", over, content_type="application/json"), 413, "TOO_LARGE")


class Unreadable(io.RawIOBase):
    """A body that must not be touched."""

    def read(self, size: int = -1) -> bytes:
        raise AssertionError("the body was read")


def raw(edge, body, **environ):
    """Send a request whose body stream and length are made up."""
    path = environ.pop("path", "/api/v1/raw")
    return Client(raise_request_exception=False).generic(
        environ.pop("method", "PUT"), path, headers=edge._headers, **{"wsgi.input": body, **environ}
    )


def test_an_announced_body_over_the_limit_is_refused_unread(edge):
    answer = raw(
        edge,
        Unreadable(),
        method="POST",
        path="/api/v1/orders",
        CONTENT_LENGTH=str(MIB + 1),
        CONTENT_TYPE="application/json",
    )
    problem(answer, 413, "TOO_LARGE")


class Source(io.RawIOBase):
    """A body stream that yields its pieces, and then ends or fails."""

    def __init__(self, *pieces: bytes, failure: Exception | None = None) -> None:
        self._pieces = list(pieces)
        self._failure = failure

    def read(self, size: int = -1) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        if self._failure is not None:
            raise self._failure
        return b""


def test_a_body_shorter_than_announced_is_refused(edge):
    problem(raw(edge, Source(b"hello"), CONTENT_LENGTH="10"), 400, "INVALID_REQUEST")


def test_a_body_whose_client_left_is_refused(edge):
    for announced in ({"CONTENT_LENGTH": "10"}, {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}):
        answer = raw(edge, Source(b"hello", failure=OSError("gone")), **announced)
        problem(answer, 400, "INVALID_REQUEST")


def test_a_chunked_body_is_read_to_its_end(edge):
    answer = raw(edge, Source(b"hello", b"world"), CONTENT_LENGTH="", HTTP_TRANSFER_ENCODING="chunked")
    assert answer.json() == {"size": 10}


def test_a_chunked_json_body_over_the_limit_is_refused(edge):
    answer = raw(
        edge,
        Source(*[b"x" * MIB] * 2),
        method="POST",
        path="/api/v1/orders",
        CONTENT_LENGTH="",
        HTTP_TRANSFER_ENCODING="chunked",
        CONTENT_TYPE="application/json",
    )
    problem(answer, 413, "TOO_LARGE")


@pytest.mark.parametrize("length", ["-1", "1e3", "٣", "0x10"])
def test_a_length_that_is_no_number_is_refused(edge, length):
    assert raw(edge, Source(b"x"), CONTENT_LENGTH=length).status_code == 400


def test_query_parameters_are_checked_and_turned_into_their_types(edge):
    assert edge.get("orders?limit=2&prefix=a%2Fb").json()["items"] == ["a/b", "a/b"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=1&limit=2",
        "limit=1&limit=1",
        "%6cimit=1&limit=2",
        "nothing=1",
        "limit=x",
        "prefix=%00",
        "prefix=%ff",
        "&".join(f"a{n}=1" for n in range(200)),
    ],
)
def test_a_query_that_is_repeated_unknown_or_malformed_is_refused(edge, query):
    problem(edge.get(f"orders?{query}"), 400, "INVALID_REQUEST")


def test_a_repeated_parameter_is_refused_where_a_view_reads_none(edge):
    problem(edge.put("raw?a=1&a=2", b""), 400, "INVALID_REQUEST")


def test_the_context_view_needs_any_valid_key(acme, api):
    assert api(acme, scopes=["audit:read"]).get("context").status_code == 200
