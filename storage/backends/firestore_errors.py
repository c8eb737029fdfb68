"""What Firestore's refusals mean: the one place where gRPC's errors become ours."""

from enum import Enum
from typing import Any, Final

from storage.backends.service import Outrun, Unanswered
from storage.errors import BackendRejected, BackendUnavailable, Throttled, ValueTooLarge

PREPARE_FIX: Final = "Run `python manage.py routes prepare`."

_CONDITIONS: Final = frozenset({"ABORTED", "ALREADY_EXISTS", "FAILED_PRECONDITION", "NOT_FOUND"})
"""How a commit says that a condition did not hold. A missing database says the same: the read that follows tells it apart."""
_UNAVAILABLE: Final = frozenset(
    {"ABORTED", "CANCELLED", "DATA_LOSS", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "UNKNOWN"}
)
_TOO_LARGE: Final = "Request payload size exceeds the limit"
_LARGER: Final = "larger than max"
"""How Firestore, and gRPC before it, refuse a request for its size; gRPC's code is the one of throttling."""
_NOT_SENT: Final = ("failed to connect to all addresses", "DNS resolution failed")
_NO_TOKEN: Final = "Getting metadata from plugin failed"  # noqa: S105 - words of gRPC's
"""How gRPC begins to say that nothing was sent. An UNAVAILABLE that says anything else may have reached the service."""
_EXPLAINED: Final = frozenset({"FAILED_PRECONDITION", "INVALID_ARGUMENT", "OUT_OF_RANGE"})
"""Refusals of a request's form: the service's own words name a field, a limit or an index, and no credential."""
_WORDS: Final = 200

_FIXES: Final = {
    "FAILED_PRECONDITION": PREPARE_FIX,
    "INVALID_ARGUMENT": PREPARE_FIX,
    "NOT_FOUND": "Create the database: `gcloud firestore databases create --database=… --location=… --type=firestore-native`.",
    "PERMISSION_DENIED": "Give the account the role Cloud Datastore User in this project, and enable the Firestore API there.",
    "UNAUTHENTICATED": "Check the service account key, or the platform's own identity.",
}


class Sent(Enum):
    """What the request was that has failed."""

    READ = "a read"
    WRITES = "writes, each with a status of its own"
    CONDITIONS = "writes that fail together when a condition does not hold"


def translated(error: Any, sent: Sent) -> Exception:
    """Return our error for a `grpc.RpcError`, with that one as its cause: see `error_of`."""
    details = error.details() or ""
    ours = error_of(error.code().name, details, sent)
    if not details.startswith(_NO_TOKEN):  # which repeats the answer of a token service: not ours to log
        ours.__cause__ = error
    ours.__suppress_context__ = True
    return ours


def reached_nobody(error: Any) -> bool:
    """Whether a `grpc.RpcError` says that there is no connection, or one that carries nothing."""
    return error.code().name == "DEADLINE_EXCEEDED" or (error.details() or "").startswith(_NOT_SENT)


def code_named(number: int) -> str:
    """Return the name of a gRPC status code."""
    import grpc  # noqa: PLC0415 - the SDK is imported at first use

    return next((code.name for code in grpc.StatusCode if code.value[0] == number), "UNKNOWN")


def error_of(code: str, details: str, sent: Sent) -> Exception:
    """Return our error for a gRPC status, by its name.

    That is Throttled, BackendUnavailable (certainly not written) or BackendRejected; for a write also ValueTooLarge, Unanswered
    (it may have happened), and Outrun where a condition did not hold.
    """
    if sent is Sent.CONDITIONS and code in _CONDITIONS:
        return Outrun(code)
    if sent is not Sent.READ and (details.startswith(_TOO_LARGE) or _LARGER in details):
        return ValueTooLarge("The documents of this write are too large for one request to Firestore.", fix="Split it.")
    if code == "RESOURCE_EXHAUSTED":
        return Throttled("Firestore asks to slow down.", fix="Try again in a moment, or raise the project's quota.")
    if code in _UNAVAILABLE:
        return _silent(code, details, sent)
    said = f": {details[:_WORDS]}" if code in _EXPLAINED and details else ""
    return BackendRejected(f"Firestore refused the request with {code}{said}.", fix=_FIXES.get(code, ""))


def _silent(code: str, details: str, sent: Sent) -> BackendUnavailable:
    if details.startswith(_NO_TOKEN):
        return BackendUnavailable("The credentials' token could not be fetched.", fix=_FIXES["UNAUTHENTICATED"])
    if sent is not Sent.READ and not details.startswith(_NOT_SENT):
        return Unanswered(f"Firestore did not answer ({code}): the write may have happened or not.")
    return BackendUnavailable(f"Firestore did not answer ({code}).")
