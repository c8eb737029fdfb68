"""Requests and responses of HTTP/2 are counted however the bytes are divided."""

import pytest

from tests.stack.conversation import PREFACE, conversation

HEADERS, DATA, SETTINGS = 1, 0, 4


def frame(kind: int, stream: int, payload: bytes = b"12345") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, 0]) + stream.to_bytes(4) + payload


REQUESTS = PREFACE + b"".join(
    [frame(SETTINGS, 0), frame(HEADERS, 1), frame(DATA, 1), frame(SETTINGS, 0, b""), frame(HEADERS, 3), frame(DATA, 3)]
)
RESPONSES = b"".join(
    [
        frame(SETTINGS, 0),
        frame(HEADERS, 3),
        frame(DATA, 3, b""),
        frame(HEADERS, 3),
        frame(HEADERS, 1),
        frame(HEADERS, 1),
    ]
)


def pieces(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


@pytest.mark.parametrize("size", [1, 2, 9, 10, 1000])
def test_streams_are_counted_once_and_trailers_not_at_all(size: int):
    talk = conversation(REQUESTS[:24])
    assert sum(talk.requests_in(chunk) for chunk in pieces(REQUESTS, size)) == 2
    assert sum(talk.responses_in(chunk) for chunk in pieces(RESPONSES, size)) == 2


def test_a_request_in_several_pieces_is_one_and_so_is_its_response():
    talk = conversation(b"POST / HTTP/1.1\r\n")
    assert [talk.requests_in(chunk) for chunk in (b"POST / HTTP/1.1\r\n", b"\r\n", b"body")] == [1, 0, 0]
    assert [talk.responses_in(chunk) for chunk in (b"HTTP/1.1 200 OK\r\n", b"\r\n", b"body")] == [1, 0, 0]
    assert talk.requests_in(b"GET / HTTP/1.1\r\n\r\n") == 1


def test_an_interim_answer_with_the_final_one_behind_it_is_one_response():
    talk = conversation(b"PUT / HTTP/1.1\r\n\r\n")
    talk.requests_in(b"PUT / HTTP/1.1\r\n\r\n")
    assert talk.responses_in(b"HTTP/1.1 100 Continue\r\n\r\n") == 0
    assert talk.responses_in(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n\r\n") == 1
    assert talk.responses_in(b"unasked") == 0
