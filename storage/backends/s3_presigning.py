"""Presigned requests of S3, signed by the SDK's own signers: nothing is sent to the service."""

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from storage.backends.s3_http import S3Http
from storage.blobs import Grant, Presigned

_AS_ATTACHMENT: Final = "response-content-disposition=attachment"
"""What a tenant stored must not act as a page of the bucket's host."""


def presigned(http: S3Http, name: str, grant: Grant, encrypted_as: Mapping[str, str]) -> Presigned:
    """Sign a request for exactly this name. Raises as `S3Http.keys`.

    With the keys of a role it ends with these, if they end sooner.
    """
    if grant.method == "POST":
        return _form(http, name, grant, encrypted_as)
    return _request(http, name, grant, encrypted_as if grant.method == "PUT" else {})


def _request(http: S3Http, name: str, grant: Grant, encrypted_as: Mapping[str, str]) -> Presigned:
    from botocore.auth import S3SigV4QueryAuth  # noqa: PLC0415 - at first use
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415

    door, expires_at = http.door(), _end_of(grant)
    headers = _terms(grant) | dict(encrypted_as)
    query = f"?{_AS_ATTACHMENT}" if grant.method == "GET" else ""
    request = AWSRequest(grant.method, door.origin + door.path(name) + query, headers=headers)
    S3SigV4QueryAuth(http.keys(), "s3", http.region, expires=grant.seconds).add_auth(request)
    return Presigned(grant.method, request.url, expires_at, headers=headers)


def _form(http: S3Http, name: str, grant: Grant, encrypted_as: Mapping[str, str]) -> Presigned:
    from botocore.auth import S3SigV4PostAuth  # noqa: PLC0415 - at first use
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415

    door, expires_at = http.door(), _end_of(grant)
    fields = {"key": name} | _terms(grant) | dict(encrypted_as)
    conditions: list[Any] = [{"bucket": http.bucket}, *({field: value} for field, value in fields.items())]
    if grant.max_bytes is not None:
        conditions.append(["content-length-range", 0, grant.max_bytes])
    request = AWSRequest("POST", door.origin + door.path(""))
    request.context["s3-presign-post-fields"] = fields
    request.context["s3-presign-post-policy"] = {
        "expiration": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "conditions": conditions,
    }
    S3SigV4PostAuth(http.keys(), "s3", http.region).add_auth(request)
    return Presigned("POST", request.url, expires_at, fields=fields)


def _terms(grant: Grant) -> dict[str, str]:
    """Return what S3 itself holds an upload to, but for its size."""
    terms = {} if grant.content_type is None else {"Content-Type": grant.content_type}
    if grant.sha256 is not None:
        terms["x-amz-checksum-sha256"] = b64encode(bytes.fromhex(grant.sha256)).decode()
    return terms


def _end_of(grant: Grant) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=grant.seconds)
