"""What Azure Blob Storage answers, and what its SDK raises, as the contract's errors: the one place where it is translated."""

# ruff: noqa: PLC0415 - the SDK is imported at first use

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from storage.backends.azure_transport import never_sent
from storage.backends.service import Unanswered
from storage.errors import BackendRejected, BackendUnavailable, InvalidKey, Throttled

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError

PREPARE_FIX: Final = "Run `python manage.py routes prepare`."
CREDENTIALS_FIX: Final = (
    "Correct the route's credentials; an identity needs the role Storage Blob Data Contributor on the container, "
    "and a SAS token read, create, write, delete and list."
)
_CLOCK_FIX: Final = "Correct the route's key or token, or this machine's clock: a signature holds for 15 minutes."
_PLACE_FIX: Final = "Correct the route's account and endpoint: another place answers."
_NAME_FIX: Final = "Use a key without private-use or unassigned characters."


class Missing(Exception):
    """There is no such blob (404)."""


class Taken(Exception):
    """There is such a blob, or container, already (409)."""


class Refused(Exception):
    """A condition did not hold (412); nothing was changed."""


class SourceChanged(Exception):
    """A copy's source is another version than it was (412), or gone (404)."""


class Beyond(Exception):
    """The range begins beyond the blob's end (416)."""


class BlocksLost(Exception):
    """Blocks that were sent are gone (400): another write of the same blob ended first, and took them away."""


class Leased(BackendRejected):
    """Somebody holds a lease on the blob (412): without it nobody writes or deletes it."""


class ContainerMissing(BackendRejected):
    """There is no such container (404)."""


_BY_CODE: Final[Mapping[str, type[Exception]]] = {
    "BlobNotFound": Missing,
    "BlobAlreadyExists": Taken,
    "ContainerAlreadyExists": Taken,
    "UnauthorizedBlobOverwrite": Taken,
    "ConditionNotMet": Refused,
    "TargetConditionNotMet": Refused,
    "SourceConditionNotMet": SourceChanged,
    "InvalidRange": Beyond,
    "InvalidBlockList": BlocksLost,
}
_NOT_NOW: Final = frozenset({"ContainerBeingDeleted", "ContainerBeingCreated", "Md5Mismatch", "PendingCopyOperation"})
"""Nothing was done, and the same request may succeed soon."""
_NO_NAME: Final = frozenset({"InvalidUri", "InvalidResourceName", "OutOfRangeInput"})


def answered(status: int, headers: Mapping[str, str], *, write: bool) -> Exception:
    """Return what to raise for an answer that is no success. Of the service's text only its code goes into it."""
    code = headers.get("x-ms-error-code", "")
    if code in _BY_CODE:
        return _BY_CODE[code]()
    if code == "CannotVerifyCopySource" and status == 404:
        return SourceChanged()
    told = f"({status} {code})" if code.isalnum() and code.isascii() else f"({status})"
    if status == 429 or (status == 503 and code == "ServerBusy"):
        return Throttled(f"Azure Blob Storage asks to slow down {told}.", pause_seconds=_pause(headers))
    if code in _NOT_NOW:
        return BackendUnavailable(f"Azure Blob Storage cannot do this now {told}.")
    if status == 408 or status >= 500:
        return silent(f"Azure Blob Storage failed {told}.", write=write)
    return _refusal(status, code, told)


def _refusal(status: int, code: str, told: str) -> Exception:
    if code == "ContainerNotFound":
        return ContainerMissing("The container does not exist.", fix=PREPARE_FIX)
    if code == "LeaseIdMissing":
        return Leased(f"Somebody holds a lease on the blob {told}.", fix="Break the lease, or wait for its end.")
    if code in _NO_NAME:
        return InvalidKey(f"Azure Blob Storage does not allow this key {told}.", fix=_NAME_FIX)
    if code == "AuthenticationFailed":
        return BackendRejected(f"Azure Blob Storage refuses the request's signature {told}.", fix=_CLOCK_FIX)
    if status in {401, 403}:
        return BackendRejected(f"Azure Blob Storage refuses the route's credentials {told}.", fix=CREDENTIALS_FIX)
    fix = _PLACE_FIX if status == 404 or 300 <= status < 400 else ""
    return BackendRejected(f"Azure Blob Storage rejected the request {told}.", fix=fix)


def unanswered(error: "AzureError", *, write: bool) -> Exception:
    """Return what to raise where the SDK got no answer. A write that may have happened is Unanswered."""
    from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

    if isinstance(error, ClientAuthenticationError):
        return BackendRejected("There is no credential here that Azure takes for this route.", fix=CREDENTIALS_FIX)
    if isinstance(error, ServiceRequestError) and never_sent(error):
        return BackendUnavailable("Azure Blob Storage cannot be reached.")
    return silent("Azure Blob Storage did not answer in time, or not to the end.", write=write)


def strange(*, write: bool) -> BackendUnavailable:
    """Return what to raise for an answer that is not the service's, such as a proxy's page."""
    return silent("What answered is not Azure Blob Storage.", write=write)


def silent(detail: str, *, write: bool) -> BackendUnavailable:
    return Unanswered(detail) if write else BackendUnavailable(detail)


def _pause(headers: Mapping[str, str]) -> float:
    asked = headers.get("Retry-After", "")
    return float(asked) if asked.isdigit() else 0.0
