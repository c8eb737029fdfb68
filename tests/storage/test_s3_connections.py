"""Connections that are kept: none outlives its pool, whoever hands one back while the pool closes."""

import time
from http.client import HTTPConnection

from storage.backends.s3_connections import Connections


class Handed(HTTPConnection):
    """A connection that tells whether it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True
        super().close()


def test_a_connection_that_comes_back_while_its_pool_closes_is_closed_with_it(monkeypatch):
    connections, connection = Connections("http://localhost"), Handed("localhost")

    def closed_meanwhile() -> float:
        connections.close()
        return 0.0

    monkeypatch.setattr(time, "monotonic", closed_meanwhile)
    connections.keep(connection)

    assert connection.closed


def test_a_connection_that_comes_back_to_a_closed_pool_is_closed():
    connections, connection = Connections("http://localhost"), Handed("localhost")
    connections.close()
    connections.keep(connection)

    assert connection.closed
