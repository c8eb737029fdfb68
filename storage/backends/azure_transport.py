"""The HTTP transport of the Azure SDKs as drivers use it: it keeps to deadlines, and to the route alone."""

# ruff: noqa: PLC0415 - the SDK is imported at first use

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from storage.backends.service import CONNECT_SECONDS, READ_SECONDS

if TYPE_CHECKING:
    from azure.core.pipeline.transport import RequestsTransport

CONNECTIONS: Final = 64
"""Connections kept open; more threads than that open some of their own for a moment."""


class TooLate(OSError):
    """The time of an operation was over, or its client closed, before a request was sent."""


def new_transport(remaining: Callable[[], float], *, block_bytes: int = 4096) -> "RequestsTransport":
    """Return a transport without proxy, `.netrc` or bundle of the environment.

    `remaining` is how many seconds the calling thread's call has left. A response is read in blocks of at most `block_bytes`.
    """
    import requests
    from azure.core.exceptions import ServiceRequestError
    from azure.core.pipeline.transport import RequestsTransport
    from requests.adapters import HTTPAdapter

    class Transport(RequestsTransport):  # type: ignore[misc]  # it has no types
        def send(self, request: Any, **kwargs: Any) -> Any:
            left = remaining()
            if left <= 0 or self.session is None:
                raise ServiceRequestError("no time is left", error=TooLate())
            kwargs["read_timeout"] = min(kwargs.get("read_timeout", READ_SECONDS), left)
            kwargs["connection_timeout"] = min(kwargs.get("connection_timeout", CONNECT_SECONDS), left)
            return super().send(request, **kwargs)

    session = requests.Session()
    session.trust_env = False
    session.mount("http://", HTTPAdapter(pool_connections=2, pool_maxsize=CONNECTIONS))
    session.mount("https://", HTTPAdapter(pool_connections=2, pool_maxsize=CONNECTIONS))
    return Transport(session=session, connection_data_block_size=block_bytes)


def never_sent(error: Any) -> bool:
    """Whether the connection was never made; the SDK says so of some that were made and broken, too."""
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    cause: Any = error
    while cause is not None:
        if isinstance(cause, ConnectTimeoutError | NewConnectionError | TooLate):
            return True
        inner = cause.args[0] if cause.args else None
        cause = getattr(cause, "inner_exception", None) or getattr(cause, "reason", None) or inner
        cause = cause if isinstance(cause, BaseException) else None
    return False
