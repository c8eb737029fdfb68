"""Request headers as they were sent: every value, in order, as UTF-8. What stands twice is seen, not guessed at."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from uuid_utils import uuid7

from northstar.errors import InvalidContext

ONCE: Final = frozenset(
    {
        "authorization",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "last-event-id",
        "x-app-id",
        "x-env",
        "x-key",
        "x-mode",
        "x-project-id",
        "x-request-id",
        "x-surface-id",
        "x-tenant-id",
        "x-user-id",
    }
)
"""Headers that mean something different when two parties read different copies of them."""

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


class Headers:
    """The headers of one request. Names are compared without case."""

    def __init__(self, pairs: Iterable[tuple[str, bytes]]) -> None:
        self._values: dict[str, list[bytes]] = {}
        for name, value in pairs:
            self._values.setdefault(name.lower(), []).append(value)

    @classmethod
    def of_asgi(cls, pairs: Iterable[tuple[bytes, bytes]]) -> "Headers":
        """Read the headers of an ASGI scope."""
        return cls((name.decode("latin-1"), value) for name, value in pairs)

    @classmethod
    def of_wsgi(cls, environ: Mapping[str, Any]) -> "Headers":
        """Read the headers of a WSGI environ, whose texts are bytes in disguise."""
        return cls(_wsgi_pairs(environ))

    def get(self, name: str) -> str | None:
        """Return the header's value, or None when it was not sent.

        Raises InvalidContext when it stands twice, is empty, or is not UTF-8.
        """
        values = self._values.get(name.lower())
        if values is None:
            return None
        if len(values) > 1:
            raise InvalidContext(f"The header {name} stands {len(values)} times.", fix="Send it once.")
        try:
            value = values[0].decode("utf-8").strip(" \t")
        except UnicodeDecodeError:
            raise InvalidContext(f"The header {name} is not UTF-8.", fix="Encode its value as UTF-8.") from None
        if not value:
            raise InvalidContext(f"The header {name} is empty.", fix="Give it a value, or leave it out.")
        return value

    def refuse_repeated(self) -> None:
        """Refuse a request in which a header stands twice that may stand once only. Raises InvalidContext, naming it."""
        for name, values in self._values.items():
            if len(values) > 1 and name in ONCE:
                raise InvalidContext(f"The header {name.title()} stands {len(values)} times.", fix="Send it once.")


def _wsgi_pairs(environ: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            yield name[5:].replace("_", "-").lower(), value.encode("latin-1")


def request_id(offered: str | None) -> str:
    """Return the client's request id when it can be logged and echoed safely, else a new one."""
    return offered if offered and _REQUEST_ID.fullmatch(offered) else f"req-{uuid7().hex}"
