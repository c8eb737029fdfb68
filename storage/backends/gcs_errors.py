"""What Cloud Storage's refusals mean: the one place where the answers of its two APIs, and of the network, become our errors."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from ssl import SSLCertVerificationError
from typing import Any, Final, NamedTuple

from northstar.errors import NorthstarError
from storage.backends.service import Outrun, Unanswered
from storage.errors import BackendRejected, BackendUnavailable, NotFound, Throttled, ValueTooLarge

PREPARE_FIX: Final = "Run `python manage.py routes prepare`, or create the bucket."
THROTTLED_SECONDS: Final = 1.0
"""Cloud Storage takes one change per second of an object ("Quotas and limits"), and asks to wait as long ("Retry strategy")."""

_NO_BUCKET: Final = "The specified bucket does not exist"
"""How the JSON API's 404 tells a missing bucket from a missing object; the XML API has the code NoSuchBucket."""
_XML_CODE: Final = re.compile(r"<Code>(\w{1,60})</Code>")
_PERMISSION: Final = re.compile(r"\b((?:storage|cloudkms|iam)\.[a-zA-Z.]{3,60})")
_WORDS: Final = 200
_SILENT: Final = frozenset({408, 500, 502, 503, 504})
"""What Google's retry strategy calls transient, but for 429: of a write nobody knows then whether it happened."""
_KEY_FIX: Final = "Check the service account key, or the platform's own identity, and this machine's clock."
_ROLE_FIX: Final = "Give the account the role Storage Object User on the bucket."


class Sent(Enum):
    """What the request was that has failed."""

    READ = "a read, or what may be sent again at will"
    WRITE = "a write that must not happen twice"


class Refusal(NamedTuple):
    """An answer that is no success, as both APIs tell it."""

    status: int
    code: str
    message: str

    @classmethod
    def of(cls, status: int, data: bytes) -> "Refusal":
        text = data.decode(errors="replace")
        if found := _XML_CODE.search(text):
            return cls(status, found[1], text)
        try:
            error = json.loads(text)["error"]
            return cls(status, str(error["errors"][0]["reason"]), str(error["message"]))
        except (ValueError, LookupError, TypeError):
            return cls(status, "", text)

    @property
    def sdk_error(self) -> Exception:
        """The error that Google's SDK has for it."""
        from google.api_core.exceptions import from_http_status  # noqa: PLC0415 - the SDK is imported at first use

        build: Any = from_http_status  # it has no types
        error: Exception = build(self.status, self.message[:_WORDS])
        return error


class MissingBucket(BackendRejected):
    """The bucket does not exist."""


def missing_bucket(name: str) -> MissingBucket:
    """Return what to raise where there is no bucket of this name."""
    return MissingBucket(f"The bucket {name!a} does not exist.", fix=PREPARE_FIX)


def refused(refusal: Refusal, sent: Sent, *, bucket: str, pause_seconds: float = 0.0) -> Exception:
    """Return our error for an answer, with the SDK's as its cause.

    NotFound is about the object. Outrun: a condition did not hold. Unanswered: a write that may have happened. Else Throttled,
    BackendUnavailable, ValueTooLarge, MissingBucket or BackendRejected; what they say holds nothing that was sent.
    """
    ours = _error_of(refusal, sent, bucket, pause_seconds)
    ours.__cause__ = refusal.sdk_error
    return ours


def _error_of(refusal: Refusal, sent: Sent, bucket: str, pause_seconds: float) -> Exception:
    status = refusal.status
    ours: Exception | None = None
    if status == 401:
        ours = BackendRejected("Cloud Storage refused the credentials.", fix=_KEY_FIX)
    elif status == 412:
        ours = Outrun(refusal.code)
    elif status == 413:
        ours = ValueTooLarge("The object is larger than Cloud Storage allows, which is 5 TiB.")
    elif status == 404:
        ours = _missing(refusal, bucket)
    elif status == 403:
        ours = _forbidden(refusal)
    elif status == 429:
        ours = Throttled("Cloud Storage asks to slow down.", pause_seconds=pause_seconds or THROTTLED_SECONDS)
    elif status in _SILENT:
        ours = silent(f"status {status}", sent)
    reason = f" {refusal.code}" if refusal.code else ""
    return ours or BackendRejected(f"Cloud Storage refused the request with {status}{reason}.")


def _missing(refusal: Refusal, bucket: str) -> Exception:
    if refusal.code == "NoSuchBucket" or refusal.message.startswith(_NO_BUCKET):
        return missing_bucket(bucket)
    return NotFound("There is no such object.")


def _forbidden(refusal: Refusal) -> BackendRejected:
    found = _PERMISSION.search(refusal.message)
    missing = f": {found[1]} is missing" if found else f" ({refusal.code})" if refusal.code else ""
    return BackendRejected(f"Cloud Storage denied access{missing}.", fix=_ROLE_FIX)


def silent(why: str, sent: Sent) -> BackendUnavailable:
    """Return the error for a request that was sent and got no answer that tells what happened."""
    if sent is Sent.WRITE:
        return Unanswered(f"Cloud Storage did not answer ({why}): the write may have happened or not.")
    return BackendUnavailable(f"Cloud Storage did not answer ({why}).")


@contextmanager
def understood(sent: Sent) -> Iterator[None]:
    """Read an answer of status 200. One that is not Cloud Storage's, such as a proxy's page, is as good as none."""
    try:
        yield
    except (LookupError, TypeError, ValueError) as error:
        raise silent(f"what came is not its own: {type(error).__name__}", sent) from None


def broken(error: Exception, sent: Sent) -> NorthstarError:
    """Return our error for one of urllib3's: BackendUnavailable for what was never sent, else as `silent`."""
    from urllib3 import exceptions  # noqa: PLC0415 - the SDK is imported at first use

    why = type(error).__name__
    ours: NorthstarError
    if isinstance(error, exceptions.SSLError) and isinstance(error.args[0], SSLCertVerificationError):
        fix = "Check the endpoint, and that its certificate is one that this machine trusts."
        ours = BackendUnavailable("Cloud Storage showed no certificate that is trusted here.", fix=fix)
    elif isinstance(error, exceptions.ConnectTimeoutError | exceptions.NewConnectionError | exceptions.ProxyError):
        ours = BackendUnavailable(f"Cloud Storage cannot be reached ({why}).")
    else:
        ours = silent(why, sent)
    ours.__cause__ = error
    return ours


def unauthorized(error: Exception) -> NorthstarError:
    """Return our error for one of google-auth's, whose own text may repeat what a token service said: not ours to log."""
    if getattr(error, "retryable", False):
        return BackendUnavailable("The credentials' token could not be fetched.", fix=_KEY_FIX)
    return BackendRejected("The credentials give no token.", fix=_KEY_FIX)
