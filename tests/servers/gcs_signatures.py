"""V4 signatures in the query (GOOG4-RSA-SHA256), verified against the signer's public key ("V4 signing process")."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from tests.servers.gcs_accounts import Accounts, hex_signature
from tests.servers.gcs_errors import GcsError, access_denied, malformed, not_modelled
from tests.servers.gcs_requests import Request

ALGORITHM = "GOOG4-RSA-SHA256"
MAX_EXPIRES = 604_800
"""Seconds that a signed URL may live: 7 days."""
SKEW = 15 * 60
"""Seconds by which a signature may come from the future."""
PAYLOAD_HASH = "x-goog-content-sha256"
UNSIGNED = "UNSIGNED-PAYLOAD"
NAMES = (
    "x-goog-algorithm",
    "x-goog-credential",
    "x-goog-date",
    "x-goog-expires",
    "x-goog-signature",
    "x-goog-signedheaders",
)


@dataclass(frozen=True)
class Credential:
    """Who signed, and for which day."""

    email: str
    scope: str

    @classmethod
    def parsed(cls, text: str, date: str) -> "Credential":
        """Read `email/day/location/storage/goog4_request`. Raises a 400."""
        email, *scope = text.rsplit("/", 4)
        if len(scope) != 4 or scope[0] != date[:8] or scope[2:] != ["storage", "goog4_request"]:
            raise malformed("X-Goog-Credential", f"{text} is no EMAIL/{date[:8]}/LOCATION/storage/goog4_request")
        return cls(email, "/".join(scope))


def is_signed(request: Request) -> bool:
    """Whether the query has a signature, of any kind."""
    return bool({name.lower() for name, _ in request.pairs} & {"x-goog-signature", "x-amz-signature", "signature"})


def check_signature(request: Request, accounts: Accounts, now: float) -> None:
    """Let pass what the signer signed, in its time. Raises a 403 SignatureDoesNotMatch, a 400 ExpiredToken and others."""
    given = _given(request)
    if given["x-goog-algorithm"] != ALGORITHM:
        raise not_modelled(f"the algorithm {given['x-goog-algorithm']}, only {ALGORITHM}")
    credential = Credential.parsed(given["x-goog-credential"], given["x-goog-date"])
    _check_headers(request.headers, given["x-goog-signedheaders"].split(";"))
    canonical = canonical_request(request, given["x-goog-signedheaders"])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    message = "\n".join((ALGORITHM, given["x-goog-date"], credential.scope, digest))
    signature = hex_signature(given["x-goog-signature"])
    if signature is None or not accounts.signed(credential.email, message.encode(), signature):
        raise does_not_match(message)
    _check_time(given["x-goog-date"], given["x-goog-expires"], now)


def does_not_match(signed: str) -> GcsError:
    """403 that tells what should have been signed."""
    details = f"The request signature we calculated does not match the signature you provided. StringToSign: {signed}"
    return GcsError(403, "forbidden", "SignatureDoesNotMatch", "Access denied.", details=details)


def expired(details: str) -> GcsError:
    return GcsError(400, "invalid", "ExpiredToken", "The provided token has expired.", details=details)


def canonical_request(request: Request, signed_headers: str) -> str:
    """Write the request as its signer had to ("Canonical requests")."""
    query = sorted(
        (_quoted(name), _quoted(value)) for name, value in request.pairs if name.lower() != "x-goog-signature"
    )
    lines = [
        request.method,
        quote(unquote(request.path), safe="/~"),
        "&".join(f"{name}={value}" for name, value in query),
        *(f"{name}:{_folded(request.headers[name])}" for name in signed_headers.split(";")),
        "",
        signed_headers,
        request.headers.get(PAYLOAD_HASH, UNSIGNED),
    ]
    return "\n".join(lines)


def moment(text: str, name: str) -> float:
    """Read a moment such as 20261120T220000Z. Raises a 400."""
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise malformed(name, f"{text} is no moment such as 20261120T220000Z") from None


def _given(request: Request) -> Mapping[str, str]:
    given = {name.lower(): value for name, value in request.parameters.items()}
    for name in NAMES:
        if name not in given:
            raise malformed(name, "the parameter is missing")
    return given


def _check_headers(headers: Mapping[str, str], signed: list[str]) -> None:
    if "host" not in signed or signed != sorted(set(signed)):
        raise malformed("X-Goog-SignedHeaders", "host must be among them, in lower case and in order")
    for name in signed:
        if name not in headers:
            raise malformed(name, "Header was included in signedheaders, but not in the request.")
    for name in headers.keys() - set(signed) - {PAYLOAD_HASH}:
        if name.startswith(("x-goog-", "x-amz-")):
            raise access_denied(f"There were headers present in the request which were not signed: {name}")


def _check_time(date: str, expires: str, now: float) -> None:
    begins = moment(date, "X-Goog-Date")
    if not expires.isdecimal() or not 0 < int(expires) <= MAX_EXPIRES:
        raise malformed("X-Goog-Expires", f"{expires} is no number of seconds from 1 to {MAX_EXPIRES}")
    if now > begins + int(expires):
        raise expired(f"Request signature expired at: {datetime.fromtimestamp(begins + int(expires), UTC).isoformat()}")
    if now < begins - SKEW:
        raise GcsError(403, "forbidden", "RequestTimeTooSkewed", "The request is from the future.")


def _quoted(text: str) -> str:
    return quote(text, safe="~")


def _folded(value: str) -> str:
    return re.sub(r"\s+", " ", value.strip())
