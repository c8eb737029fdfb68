"""What the Cosmos SDK raises, as the contract's errors: the one place where it is translated."""

# ruff: noqa: PLC0415 - the SDK is imported at first use

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from storage.backends.azure_transport import never_sent
from storage.backends.service import Unanswered
from storage.errors import BackendRejected, BackendUnavailable, Throttled, ValueTooLarge

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError

PREPARE_FIX: Final = "Run `python manage.py routes prepare`."
_CREDENTIALS_FIX: Final = (
    "Correct the route's credentials, or give that identity the data contributor role on the account."
)

_SLOW_DOWN: Final = frozenset({429, 449})
"""449: another write of the same item was under way, and nothing was changed."""
_NOT_NOW: Final = frozenset({(404, 1002), (403, 3)})
"""A replica that is behind the session, and a region that may not write while a failover is under way."""
_NOT_THE_ITEM: Final = frozenset({(404, 1002), (404, 1003)})
"""1003: what should own the item is missing."""


class Missing(Exception):
    """There is no such item (404)."""


class Taken(Exception):
    """There is such an item already (409)."""


class Refused(Exception):
    """The condition did not hold (412); nothing was changed."""


def translated(error: "AzureError", *, write: bool) -> Exception:
    """Return what to raise for an SDK error. No text of the service or the SDK goes into it, only numbers.

    A write that may have happened is Unanswered; a read that failed so is BackendUnavailable.
    """
    from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

    status = getattr(error, "status_code", None)
    if isinstance(error, ClientAuthenticationError) and status is None:
        return BackendRejected("Microsoft Entra gave no token for the route's identity.", fix=_CREDENTIALS_FIX)
    if isinstance(error, ServiceRequestError) and never_sent(error):
        return BackendUnavailable("Cosmos DB cannot be reached.")
    if status is None or status < 400:
        return _silent("Cosmos DB did not answer in time, or not to the end.", write=write)
    return _of_status(status, getattr(error, "sub_status", None) or 0, _headers_of(error), write=write)


def unread(*, write: bool) -> BackendUnavailable:
    """Return what to raise for an answer that the SDK could not make sense of."""
    return _silent("Cosmos DB's answer could not be read.", write=write)


_ANSWERS: Final[Mapping[int, type[Exception]]] = {404: Missing, 409: Taken, 412: Refused}


def _of_status(status: int, substatus: int, headers: Mapping[str, Any], *, write: bool) -> Exception:
    code = f"{status}/{substatus}"
    if status in _ANSWERS and (status, substatus) not in _NOT_THE_ITEM:
        return _ANSWERS[status]()
    if status in _SLOW_DOWN:
        return Throttled(f"Cosmos DB asks to slow down ({code}).", pause_seconds=_pause(headers))
    if status in {408, 410} or status >= 500:
        return _silent(f"Cosmos DB failed ({code}).", write=write)
    return _refusal(status, substatus, code)


def _refusal(status: int, substatus: int, code: str) -> Exception:
    if (status, substatus) in _NOT_NOW:
        return BackendUnavailable(f"Cosmos DB cannot do this here now ({code}).")
    if status == 404:
        return BackendRejected("The database or the container does not exist.", fix=PREPARE_FIX)
    if status == 413:
        return ValueTooLarge("The documents of this write are too large for one request to Cosmos DB.", fix="Split it.")
    if status in {401, 403}:
        return BackendRejected(f"Cosmos DB refuses the route's credentials ({code}).", fix=_CREDENTIALS_FIX)
    return BackendRejected(f"Cosmos DB rejected the request ({code}).")


def _silent(detail: str, *, write: bool) -> BackendUnavailable:
    return Unanswered(detail) if write else BackendUnavailable(detail)


def _headers_of(error: Any) -> Mapping[str, Any]:
    return getattr(error, "headers", None) or {}


def _pause(headers: Mapping[str, Any]) -> float:
    return float(headers.get("x-ms-retry-after-ms") or 0) / 1000
