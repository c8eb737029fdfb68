"""Answers that no S3 server for tests gives, put where the driver's requests leave."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from storage.backends.s3 import S3Blobs


@dataclass
class Injected:
    """An answer as `Incoming` has it."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: {"x-amz-request-id": "injected"})

    def read(self, size: int | None = None) -> bytes:
        body, self.body = self.body, b""
        return body

    def close(self) -> None:
        pass


class S3Faults:
    """Faults of one driver's requests to its own bucket.

    `sent` has the method and target of each, injected or not; `requests` its headers and body beside them.
    """

    def __init__(self, driver: S3Blobs) -> None:
        connections = driver._bucket.http.door().connections
        self.sent: list[str] = []
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self._real = connections.send
        self._waiting: deque[tuple[str, Injected]] = deque()
        connections.send = self._send  # type: ignore[method-assign]

    def answer(self, request: str, status: int, code: str = "", times: int = 1, **headers: str) -> None:
        """Answer the next requests of which `request` is a part (`PUT /bucket/…`) with an error, without asking the server."""
        body = f"<Error><Code>{code}</Code><Message>canary</Message></Error>".encode() if code else b""
        for _ in range(times):
            told = {name.replace("_", "-"): value for name, value in headers.items()}
            self._waiting.append((request, Injected(status, body, {"x-amz-request-id": "injected", **told})))

    def count(self, request: str) -> int:
        return sum(request in each for each in self.sent)

    def _send(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"", *, seconds: float) -> Any:
        self.sent.append(f"{method} {target}")
        self.requests.append((self.sent[-1], dict(headers), body))
        if self._waiting and self._waiting[0][0] in self.sent[-1]:
            return self._waiting.popleft()[1]
        return self._real(method, target, headers, body, seconds=seconds)
