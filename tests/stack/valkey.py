"""What tests ask of Valkey by its own protocol."""

import socket

from tests.server import HOST


def answers_ping(port: int) -> bool:
    """Whether a server at the port answers PING."""
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
    except OSError:
        return False
