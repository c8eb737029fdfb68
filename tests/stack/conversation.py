"""Where requests and responses begin in the bytes of one connection, so that a fault meets an answer and not a control frame."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client of HTTP/2 sends first (RFC 9113, 3.4)."""
FRAME_HEADER = 9
"""Length (3 bytes), type, flags, stream id (4 bytes) of a frame (RFC 9113, 4.1)."""
HEADERS = 1
INTERIM = re.compile(rb"HTTP/1\.1 1\d\d .*?\r\n\r\n", re.DOTALL)
"""100 Continue and its like: no answer yet."""


class Conversation(Protocol):
    """Each chunk is given once, in order, in the direction that it goes."""

    def requests_in(self, chunk: bytes) -> int:
        """Return how many requests begin in a chunk from the client."""
        ...

    def responses_in(self, chunk: bytes) -> int:
        """Return how many responses begin in a chunk from the server."""
        ...


def conversation(first: bytes) -> Conversation:
    """Return the conversation that begins with these bytes of the client."""
    return Streams() if first.startswith(PREFACE[:FRAME_HEADER]) else Turns()


@dataclass
class Turns:
    """Client and server take turns, as in HTTP/1.1 without pipelining."""

    answered: bool = True

    def requests_in(self, chunk: bytes) -> int:
        begins, self.answered = self.answered, False
        return int(begins)

    def responses_in(self, chunk: bytes) -> int:
        while interim := INTERIM.match(chunk):
            chunk = chunk[interim.end() :]
        begins = bool(chunk) and not self.answered
        self.answered = self.answered or begins
        return int(begins)


@dataclass
class Streams:
    """HTTP/2: a stream is one request and one response, each beginning with a HEADERS frame; trailers are no response."""

    unanswered: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._from_client = Frames(skip=len(PREFACE))
        self._from_server = Frames()

    def requests_in(self, chunk: bytes) -> int:
        begun = set(self._from_client.headers(chunk))
        self.unanswered |= begun
        return len(begun)

    def responses_in(self, chunk: bytes) -> int:
        begun = self.unanswered & set(self._from_server.headers(chunk))
        self.unanswered -= begun
        return len(begun)


@dataclass
class Frames:
    """The frames of one direction; `skip` bytes are no frame header."""

    skip: int = 0
    head: bytes = b""

    def headers(self, chunk: bytes) -> Iterator[int]:
        """Yield the stream of each HEADERS frame whose own header ends in the chunk."""
        rest = memoryview(chunk)
        while rest:
            passed = min(self.skip, len(rest))
            self.skip, rest = self.skip - passed, rest[passed:]
            missing = FRAME_HEADER - len(self.head)
            self.head, rest = self.head + bytes(rest[:missing]), rest[missing:]
            if len(self.head) == FRAME_HEADER:
                if self.head[3] == HEADERS:
                    yield int.from_bytes(self.head[5:])
                self.skip, self.head = int.from_bytes(self.head[:3]), b""
