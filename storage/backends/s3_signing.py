"""Signature Version 4 of a request to S3, as "Authenticating Requests (AWS Signature Version 4)" of its API has it.

The SDK's own signer does the same at several times the CPU, and a test holds this one to it. Presigned requests, which are
rare, are signed by the SDK's (`s3_presigning`).
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Protocol
from urllib.parse import quote

EMPTY_SHA256: Final = hashlib.sha256().hexdigest()


class Signable(Protocol):
    """Of a request, what is signed beside its address and headers."""

    @property
    def method(self) -> str: ...
    @property
    def payload_sha256(self) -> str: ...


def quoted(name: str) -> str:
    """Return an object's name as it stands in a path, and in what is signed."""
    return quote(name, safe="/-_.~")


def query_string(query: Mapping[str, str]) -> str:
    """Return the query as it is sent, and signed: sorted, with every reserved character encoded."""
    return "&".join(f"{quote(name, safe='-_.~')}={quote(query[name], safe='-_.~')}" for name in sorted(query))


def sign(request: Signable, path: str, query: str, headers: dict[str, str], *, keys: Any, region: str) -> None:
    """Add the date, the payload's hash, a token and the signature to the headers, all of which are signed.

    Their names are in lower case, `host` is one of them. `keys` are the SDK's frozen credentials.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers["x-amz-date"] = stamp
    headers["x-amz-content-sha256"] = request.payload_sha256
    if keys.token:
        headers["x-amz-security-token"] = keys.token
    names = sorted(headers)
    signed = ";".join(names)
    lines = [f"{name}:{' '.join(headers[name].split())}" for name in names]
    canonical = "\n".join([request.method, path, query, *lines, "", signed, request.payload_sha256])
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(_signing_key(keys.secret_key, stamp[:8], region), text.encode(), "sha256").hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, SignedHeaders={signed}, Signature={signature}"
    )


@lru_cache(maxsize=256)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
